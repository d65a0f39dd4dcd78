"""What verbs that sync share: telling what was done, and syncing before a command is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pypm._stamp import holding, key_of, nothing_to_do
from pypm.cli.arguments import UsageError
from pypm.cli.options import Common, world
from pypm.cli.render.report import say, show_sync, sync_lines
from pypm.ops.installing import InstallOptions
from pypm.ops.locking import Locking
from pypm.ops.malware import allowing
from pypm.ops.places import environment_for
from pypm.ops.selection import Selection, spelled
from pypm.ops.sync import SyncOptions
from pypm.ops.syncing import sync as sync_workspace
from pypm.ops.world import VENV, World
from pypm_model.records import replace
from pypm_workspace.discover import find_root

if TYPE_CHECKING:
    from pypm.ops.pylock_sync import PylockOptions


def pylock_options(file: str, selection: Selection, how: InstallOptions) -> PylockOptions:
    """*how* to install from a pylock file. Raises a usage error for what such a file does not know."""
    from pypm.ops.pylock_sync import PylockOptions

    if selection.members or selection.only_groups:
        raise UsageError("--lock goes with neither --member nor --only-group: a pylock file knows no members")
    return PylockOptions(file, selection, how)


def sync_from(common: Common, options: PylockOptions, allow_malware: bool = False) -> int:
    """Installs from a pylock file and tells what was done."""
    from pypm.ops.pylock_sync import sync_pylock

    with world(common) as here:
        report = sync_pylock(allowing(here) if allow_malware else here, options)
    show_sync(common, report)
    return 0


def sync_first(world: World, selection: Selection, *, sync: bool = True, frozen: bool = False) -> Path:
    """Makes the environment a command runs in match unless a stamp says it does, saying as little as
    possible; its folder: that of the one selected member, the shared one, or, where nothing is shared, that
    of the member in the current folder. Raises `NoOneEnvironment`."""
    arguments = spelled(selection, frozen)
    if not selection.members:
        held = holding(arguments) if sync else None
        if held is not None and not held[0]:
            return Path(find_root(world.cwd, world.environ).root) / VENV
    place = environment_for(world, selection, partly=frozen)
    if place.member:
        selection = replace(selection, members=(place.member,))
        arguments = spelled(selection, frozen)
    if sync and nothing_to_do(arguments) is None:
        bring_in_step(world, selection, frozen=frozen)
    return place.venv


def bring_in_step(world: World, selection: Selection, *, frozen: bool = False, each: bool = False) -> None:
    """Syncs and says in a line what changed, if anything did."""
    arguments = [*spelled(selection, frozen), *(["--each"] if each else [])]
    how = SyncOptions(
        selection=selection, locking=Locking(frozen=frozen), each=each, stamp_key=key_of(arguments)
    )
    report = sync_workspace(world, how)
    if not report.is_unchanged:
        say(sync_lines(report)[0])
