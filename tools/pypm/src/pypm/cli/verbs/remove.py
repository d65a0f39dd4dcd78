"""``pypm remove``."""

from __future__ import annotations

from pypm.cli.arguments import argument, verb
from pypm.cli.editing import EDIT, show, target_of
from pypm.cli.options import COMMON, Common, world
from pypm.ops.edit import EditOptions, remove


@verb(
    argument("names", many=True),
    *EDIT,
    COMMON,
)
def command(
    common: Common,
    names: tuple[str, ...],
    members: tuple[str, ...],
    group: str | None,
    dev: bool,
    extra: str | None,
    no_sync: bool,
    dry_run: bool,
) -> int:
    """Remove NAMES from the member in the current folder (or -p), lock and sync."""
    options = EditOptions(names, members, target_of(group, dev, extra), sync=not no_sync, dry_run=dry_run)
    with world(common) as here:
        report = remove(here, options)
    show(common, report, "-", dry_run)
    return 0
