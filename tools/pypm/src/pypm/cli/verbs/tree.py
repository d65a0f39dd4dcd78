"""``pypm tree``."""

from __future__ import annotations

import json
import sys

import click

from pypm.cli.options import Common, common, world
from pypm.ops.selection import Selection
from pypm.ops.view import tree


@click.command()
@click.option("-d", "--depth", type=click.IntRange(min=0), help="Show so many levels below the members.")
@click.argument("members", nargs=-1)
@common
def command(common: Common, depth: int | None, members: tuple[str, ...]) -> int:
    """Show the members with what they lead to, by the lock. (*): its branches are shown elsewhere."""
    with world(common) as here:
        branches = tree(here, Selection(members=members), depth)
    if common.json:
        sys.stdout.write(json.dumps([branch.to_json() for branch in branches]) + "\n")
        return 0
    for branch in branches:
        mark = " (*)" if branch.repeated else ""
        sys.stdout.write(f"{'  ' * branch.depth}{branch.text}{mark}\n")
    return 0
