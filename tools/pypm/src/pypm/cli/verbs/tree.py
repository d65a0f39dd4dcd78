"""``pypm tree``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.ops.selection import Selection
from pypm.ops.view import tree


@verb(
    option("-d", "--depth", least=0, help="Show so many levels below the members."),
    argument("members", required=False, many=True),
    COMMON,
)
def command(common: Common, depth: int | None, members: tuple[str, ...]) -> int:
    """Show the members with what they lead to, by the lock. (*): its branches are shown elsewhere."""
    with world(common) as here:
        branches = tree(here, Selection(members=members), depth)
    if common.json:
        rows = [{"depth": b.depth, "text": b.text, "repeated": b.repeated} for b in branches]
        sys.stdout.write(json.dumps(rows) + "\n")
        return 0
    for branch in branches:
        mark = " (*)" if branch.repeated else ""
        sys.stdout.write(f"{'  ' * branch.depth}{branch.text}{mark}\n")
    return 0
