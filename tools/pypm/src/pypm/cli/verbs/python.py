"""``pypm python``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import Group, argument, verb
from pypm.cli.options import COMMON, Common, world
from pypm.ops.pythons import find_python, list_pythons


@verb(
    argument("request", required=False),
    COMMON,
)
def find_command(common: Common, request: str | None) -> int:
    """Print the interpreter that sync would use, or that REQUEST (3.12, >=3.11, a path) means."""
    with world(common) as here:
        found = find_python(here, request)
    if common.json:
        sys.stdout.write(json.dumps({"path": found.path, "version": found.version}) + "\n")
    else:
        sys.stdout.write(found.path + "\n")
    return 0


@verb(COMMON)
def list_command(common: Common) -> int:
    """List interpreters in order of preference; with -v also what was passed over, and why."""
    with world(common) as here:
        found, skipped = list_pythons(here)
    if common.json:
        rows = [{"path": f.path, "version": f.version, "implementation": f.implementation} for f in found]
        sys.stdout.write(json.dumps(rows) + "\n")
        return 0
    for each in found:
        sys.stdout.write(f"{each.implementation} {each.version}  {each.path}\n")
    if common.verbose:
        for path, reason in skipped:
            sys.stderr.write(f"passed over {path}: {reason}\n")
    return 0


command = Group(
    "Interpreters on this machine.",
    {"find": find_command, "list": list_command},
)
