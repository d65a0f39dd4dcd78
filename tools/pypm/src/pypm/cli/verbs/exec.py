"""``pypm exec``."""

from __future__ import annotations

from pathlib import Path

import click

from pypm.cli.options import Common, common, selection, world
from pypm.cli.syncing import sync_first
from pypm.ops.execute import command_in
from pypm.ops.selection import Selection


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("--no-sync", is_flag=True, help="Run in the environment as it is.")
@click.option("--frozen", is_flag=True, help="Sync from the lock as it is.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@selection
@common
def command(
    common: Common, selection: Selection, no_sync: bool, frozen: bool, command: tuple[str, ...]
) -> int:
    """Run COMMAND in the workspace's environment, synced first.

    Options of pypm stand before COMMAND; everything after it is the command's own.
    """
    with world(common) as here:
        root = Path(sync_first(here, selection, sync=not no_sync, frozen=frozen))
        process = command_in(root, here, command)
    return process.become()
