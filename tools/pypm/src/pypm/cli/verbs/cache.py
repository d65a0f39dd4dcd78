"""``pypm cache``."""

from __future__ import annotations

import json
import sys
from typing import Any

from pypm.cli.arguments import Group, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.cache import cache_folder, cache_size, clean, prune


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
        sizes = cache_size(here)
    if common.json:
        sys.stdout.write(json.dumps(sizes) + "\n")
    else:
        for kind, number in sizes.items():
            sys.stdout.write(f"{kind:<10} {_bytes(number):>12}\n")
    return 0


@verb(COMMON)
def prune_command(common: Common) -> int:
    """Remove what no environment that is still there uses, and what killed runs left."""
    with world(common) as here:
        removed = prune(here)
    _told(common, removed, f"Freed {_bytes(removed.get('freed', 0))}")
    return 0


@verb(COMMON)
def clean_command(common: Common) -> int:
    """Remove everything. Environments go on working."""
    with world(common) as here:
        freed = clean(here)
    _told(common, {"freed": freed}, f"Freed {_bytes(freed)}")
    return 0


def _told(common: Common, data: dict[str, Any], text: str) -> None:
    if common.json:
        sys.stdout.write(json.dumps(data) + "\n")
    elif not common.quiet:
        say(text)


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


command = Group(
    "The store: wheels, unpacked trees and what indexes said, shared by all workspaces.",
    {"dir": dir_command, "size": size_command, "prune": prune_command, "clean": clean_command},
)
