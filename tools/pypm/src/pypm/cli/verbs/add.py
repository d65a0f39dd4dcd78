"""``pypm add``."""

from __future__ import annotations

import click

from pypm.cli.editing import edit_options, show, target_of
from pypm.cli.options import Common, common, world
from pypm.ops.edit import EditOptions, add


@click.command()
@click.argument("requirements", nargs=-1, required=True)
@click.option("--raw", is_flag=True, help="Write a bare name as it is, without a lower bound.")
@edit_options
@common
def command(
    common: Common,
    requirements: tuple[str, ...],
    raw: bool,
    members: tuple[str, ...],
    group: str | None,
    dev: bool,
    extra: str | None,
    no_sync: bool,
    dry_run: bool,
) -> int:
    """Add REQUIREMENTS to the member in the current folder (or -p), lock and sync.

    A bare name gets the locked version as its lower bound. Nothing is written if it cannot be locked.
    """
    options = EditOptions(requirements, members, target_of(group, dev, extra), not raw, not no_sync, dry_run)
    with world(common) as here:
        report = add(here, options)
    show(common, report, "+", dry_run)
    return 0
