"""``pypm ci``."""

from __future__ import annotations

import click

from pypm._stamp import key_of
from pypm.cli.options import Common, common, selection, world
from pypm.cli.syncing import arguments_of, show
from pypm.ops.locking import Locking
from pypm.ops.selection import Selection
from pypm.ops.sync import SyncOptions, sync


@click.command()
@click.option("--dry-run", is_flag=True, help="Change nothing: print the plan.")
@click.option("--force", is_flag=True, help="Replace an environment that pypm did not make.")
@selection
@common
def command(common: Common, selection: Selection, dry_run: bool, force: bool) -> int:
    """Make .venv exactly what pypm.lock says, or fail if the lock is not what the manifests give."""
    options = SyncOptions(
        selection=selection,
        locking=Locking(locked=True),
        dry_run=dry_run,
        force=force,
        stamp_key=key_of(arguments_of(selection, False)),
    )
    with world(common) as here:
        report = sync(here, options)
    show(common, report)
    return 0
