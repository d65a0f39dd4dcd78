"""``pypm remove``."""

from __future__ import annotations

from pypm.cli.arguments import argument, verb
from pypm.cli.editing import EDIT, SCRIPT, refuse_with_script, show, target_of
from pypm.cli.options import COMMON, Common, world
from pypm.ops.edit import EditOptions, remove
from pypm.ops.script_edit import remove_from_script


@verb(
    argument("names", many=True),
    SCRIPT,
    *EDIT,
    COMMON,
)
def command(
    common: Common,
    names: tuple[str, ...],
    script: str | None,
    members: tuple[str, ...],
    group: str | None,
    dev: bool,
    extra: str | None,
    no_sync: bool,
    dry_run: bool,
) -> int:
    """Remove NAMES from the member in the current folder (or -p), lock and sync; or from a script."""
    if script is not None:
        refuse_with_script(member=members, group=group, dev=dev, extra=extra)
    options = EditOptions(names, members, target_of(group, dev, extra), sync=not no_sync, dry_run=dry_run)
    with world(common) as here:
        report = remove(here, options) if script is None else remove_from_script(here, script, options)
    show(common, report, "-", dry_run)
    return 0
