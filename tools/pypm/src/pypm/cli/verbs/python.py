"""``pypm python``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import Group, UsageError, argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.ops.places import NoEnvironment
from pypm.ops.pythons import find_python, list_pythons, whereabouts
from pypm.ops.selection import Selection


@verb(
    argument("request", required=False),
    option(
        "-p",
        "--member",
        name="members",
        metavar="NAME",
        many=True,
        help="The python of this member's environment (repeatable; NAME... and ...NAME as everywhere).",
    ),
    option("--all", name="everywhere", help="Of all environments of the workspace."),
    COMMON,
)
def find_command(common: Common, request: str | None, members: tuple[str, ...], everywhere: bool) -> int:
    """Print the interpreter that sync would use, or that REQUEST (3.12, >=3.11, a path) means.

    With -p the path of the member's own python; --json says where the rest of its environment is.
    """
    if members or everywhere:
        if request is not None:
            raise UsageError("REQUEST goes with neither -p nor --all")
        return _where(common, Selection(members=members))
    with world(common) as here:
        found = find_python(here, request)
    if common.json:
        sys.stdout.write(json.dumps({"path": found.path, "version": found.version}) + "\n")
    else:
        sys.stdout.write(found.path + "\n")
    return 0


def _where(common: Common, selection: Selection) -> int:
    with world(common) as here:
        found = whereabouts(here, selection)
    if common.json:
        first = found[0].to_json() if len(found) == 1 else {}
        data = {**first, "environments": [one.to_json() for one in found]}
        sys.stdout.write(json.dumps(data, sort_keys=True) + "\n")
        return 0
    missing = [one for one in found if not one.exists]
    if selection.members and missing:
        raise NoEnvironment(missing[0].member, missing[0].environment)
    for one in found:
        if one.exists:
            name = f"{one.member or '(shared)'}\t" if len(found) > 1 else ""
            sys.stdout.write(f"{name}{one.path}\n")
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
