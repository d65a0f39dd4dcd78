"""``pypm cache``."""

from __future__ import annotations

import json
import sys
from typing import Any

from pypm.cli.arguments import Group, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.cache import UNUSED_DAYS, cache_folder, cache_size, clean, prune
from pypm.ops.counting import count, size_text


@verb(COMMON)
def dir_command(common: Common) -> int:
    """Print the store's folder."""
    with world(common) as here:
        folder = cache_folder(here)
    sys.stdout.write(json.dumps({"dir": folder}) + "\n" if common.json else folder + "\n")
    return 0


@verb(COMMON)
def size_command(common: Common) -> int:
    """Print what the store takes on the disk, by kind."""
    with world(common) as here:
        report = cache_size(here)
    if common.json:
        sys.stdout.write(json.dumps(report.to_json()) + "\n")
        return 0
    for kind, number in {**report.kinds, "total": report.total}.items():
        sys.stdout.write(f"{kind:<12} {size_text(number):>12}\n")
        if kind == "metadata":
            for part, bytes_ in report.metadata.items():
                sys.stdout.write(f"  {part:<10} {size_text(bytes_):>12}\n")
    return 0


@verb(
    option(
        "--unused-days",
        least=0,
        default=UNUSED_DAYS,
        help=f"What indexes said of a name goes when nobody asked for it so long ({UNUSED_DAYS}).",
    ),
    COMMON,
)
def prune_command(common: Common, unused_days: int) -> int:
    """Remove what no environment or script that is still there uses, what was not asked for in a long time
    (tools of dlx among it), and what killed runs left."""
    with world(common) as here:
        removed = prune(here, unused_days=unused_days)
    nouns = {kind: "built wheel" if kind == "built" else kind.removesuffix("s") for kind in removed}
    what = ", ".join(count(number, nouns[kind]) for kind, number in removed.items() if kind != "freed")
    _told(common, removed, f"Freed {size_text(removed['freed'])}" + (f": {what}" if what else ""))
    return 0


@verb(COMMON)
def clean_command(common: Common) -> int:
    """Remove everything but what environments link to. Environments go on working."""
    with world(common) as here:
        freed = clean(here)
    _told(common, {"freed": freed}, f"Freed {size_text(freed)}")
    return 0


def _told(common: Common, data: dict[str, Any], text: str) -> None:
    if common.json:
        sys.stdout.write(json.dumps(data) + "\n")
    elif not common.quiet:
        say(text)


command = Group(
    "The store: wheels, unpacked trees and what indexes said, shared by all workspaces.",
    {"dir": dir_command, "size": size_command, "prune": prune_command, "clean": clean_command},
)
