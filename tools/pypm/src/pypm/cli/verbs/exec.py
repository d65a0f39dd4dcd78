"""``pypm exec``."""

from __future__ import annotations

from pypm.cli.arguments import argument, option, verb
from pypm.cli.options import COMMON, SELECTION, Common, world
from pypm.cli.syncing import sync_first
from pypm.ops.command import command_in
from pypm.ops.selection import Selection


@verb(
    option("--no-sync", help="Run in the environment as it is."),
    option("--frozen", help="Sync from the lock as it is."),
    argument("command", rest=True),
    SELECTION,
    COMMON,
)
def command(
    common: Common, selection: Selection, no_sync: bool, frozen: bool, command: tuple[str, ...]
) -> int:
    """Run COMMAND in the workspace's environment, synced first; with -p in that of one member.

    Where members share no environment, it is that of the member in the current folder. Options of pypm
    stand before COMMAND; everything after it is the command's own.
    """
    with world(common) as here:
        venv = sync_first(here, selection, synced=not no_sync, frozen=frozen)
        process = command_in(venv, here, command)
    return process.become()
