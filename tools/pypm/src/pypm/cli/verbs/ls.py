"""``pypm ls``."""

from __future__ import annotations

import sys

from pypm.cli.arguments import argument, verb
from pypm.cli.options import COMMON, Common, world
from pypm.ops.members import list_members, members_json
from pypm.ops.selection import Selection


@verb(
    argument("members", required=False, many=True),
    COMMON,
)
def command(common: Common, members: tuple[str, ...]) -> int:
    """List the members: name, version, folder. MEMBERS narrows the list (NAME..., ...NAME, globs, paths)."""
    with world(common) as here:
        workspace, chosen = list_members(here, Selection(members=members))
    if common.json:
        sys.stdout.write(members_json(workspace, chosen))
        return 0
    rows = [(m.name, m.version or "(dynamic)" if not m.is_virtual else "", m.path) for m in chosen]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    for name, version, path in rows:
        sys.stdout.write(f"{name:<{widths[0]}}  {version:<{widths[1]}}  {path}\n")
    return 0
