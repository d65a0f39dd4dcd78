"""``pypm self``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import Group, argument, verb
from pypm.cli.options import COMMON, Common, world
from pypm.ops.launcher import link


@verb(
    argument("folder", required=False),
    COMMON,
)
def link_command(common: Common, folder: str | None) -> int:
    """Write a launcher into FOLDER (default: a folder on PATH below your home) that starts pypm bare."""
    with world(common) as here:
        linked = link(here, folder)
    if common.json:
        sys.stdout.write(json.dumps({"launcher": linked.launcher, "on_path": linked.on_path}) + "\n")
        return 0
    sys.stdout.write(linked.launcher + "\n")
    if not linked.on_path and not common.quiet:
        sys.stderr.write(f"{linked.launcher} is not in a folder on PATH\n")
    return 0


command = Group(
    "Pypm itself.",
    {"link": link_command},
)
