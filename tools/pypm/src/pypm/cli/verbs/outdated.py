"""``pypm outdated``."""

from __future__ import annotations

import json
import sys

from pypm.cli.arguments import option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.outdated import OutdatedOptions, outdated


@verb(
    option("-p", "--member", name="members", metavar="NAME", many=True, help="What this member asks for."),
    option("--all", name="everything", help="Also what no member asks for itself."),
    COMMON,
)
def command(common: Common, members: tuple[str, ...], everything: bool) -> int:
    """List packages that could be newer: locked, wanted (what update gives), latest, and who asks.

    Exit 1 if there are any.
    """
    with world(common) as here:
        rows = outdated(here, OutdatedOptions(members, everything))
    if common.json:
        data = [
            {
                "name": row.name,
                "locked": list(row.locked),
                "wanted": list(row.wanted),
                "latest": row.latest or None,
                "members": list(row.members),
            }
            for row in rows
        ]
        sys.stdout.write(json.dumps(data) + "\n")
    elif rows:
        table = [("package", "locked", "wanted", "latest", "asked by")]
        table += [
            (
                row.name,
                ", ".join(row.locked),
                ", ".join(row.wanted) or "-",
                row.latest or "-",
                ", ".join(row.members) or "-",
            )
            for row in rows
        ]
        widths = [max(len(line[column]) for line in table) for column in range(4)]
        for line in table:
            cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)]
            sys.stdout.write("  ".join([*cells, line[4]]) + "\n")
    elif not common.quiet:
        say("Everything is at its newest release")
    return 1 if rows else 0
