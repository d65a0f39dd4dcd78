"""What verbs that sync share: telling what was done, and syncing before a command is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pypm._command import environment
from pypm._stamp import also_under, key_here, key_of, nothing_to_do
from pypm.cli.arguments import UsageError
from pypm.cli.options import VARIABLES, Common, world
from pypm.cli.render.report import say, show_sync, sync_lines
from pypm.ops.selection import Selection, spelled
from pypm.ops.world import World
from pypm_model.later import later
from pypm_model.records import replace

if TYPE_CHECKING:
    from pypm.ops import locking, malware, places, pylock_sync, sync, syncing
    from pypm.ops.installing import InstallOptions
    from pypm.ops.pylock_sync import PylockOptions
else:
    locking = later("pypm.ops.locking")
    malware = later("pypm.ops.malware")
    places = later("pypm.ops.places")
    pylock_sync = later("pypm.ops.pylock_sync")
    sync = later("pypm.ops.sync")
    syncing = later("pypm.ops.syncing")


def pylock_options(file: str, selection: Selection, how: InstallOptions) -> PylockOptions:
    """*how* to install from a pylock file. Raises a usage error for what such a file does not know."""
    if selection.members or selection.only_groups:
        raise UsageError("--lock goes with neither --member nor --only-group: a pylock file knows no members")
    return pylock_sync.PylockOptions(file, selection, how)


def sync_from(common: Common, options: PylockOptions, allow_malware: bool = False) -> int:
    """Installs from a pylock file and tells what was done."""
    with world(common) as here:
        report = pylock_sync.sync_pylock(malware.allowing(here) if allow_malware else here, options)
    show_sync(common, report)
    return 0


def sync_first(world: World, selection: Selection, *, synced: bool = True, frozen: bool = False) -> Path:
    """Makes the environment a command runs in match (unless it is not to be *synced*) if no stamp says it
    does, saying as little as possible; its folder: that of the one selected member, the shared one, or,
    where nothing is shared, that of the member in the current folder. Raises `NoOneEnvironment`, and
    `NoEnvironment` if there is none and none may be made."""
    arguments = _spelled(world, selection, frozen)
    in_step = environment(arguments)
    if in_step is not None:
        return Path(in_step)
    place = places.environment_for(world, selection, partly=frozen)
    of_one = replace(selection, members=(place.member,)) if place.member else selection
    if synced:
        bring_in_step(world, of_one, frozen=frozen)
        if of_one != selection and not selection.members:
            _remember(arguments, _spelled(world, of_one, frozen))
    elif not (place.venv / "pyvenv.cfg").is_file():
        raise places.NoEnvironment(place.member, str(place.venv))
    return place.venv


def _spelled(world: World, selection: Selection, frozen: bool) -> list[str]:
    """The options of ``pypm sync`` that mean the same: *selection*, and those common to all verbs that choose
    what is installed, which *world* has in its variables and a stamp has by their names."""
    chosen = []
    for option, variable in VARIABLES.items():
        value = world.environ.get(variable, "")
        if value != os.environ.get(variable, ""):
            chosen.append(f"{option}={value}")
    return [*chosen, *spelled(selection, frozen)]


def _remember(arguments: list[str], of_one: list[str]) -> None:
    """That in the current folder *arguments* mean the same as *of_one*, for which there is a stamp."""
    key, own = key_of(arguments), key_of(of_one)
    if key is not None and own is not None:
        also_under(own, key_here(key))


def bring_in_step(world: World, selection: Selection, *, frozen: bool = False) -> None:
    """Syncs unless a stamp says that there is nothing to do, and says in a line what changed, if anything
    did."""
    arguments = _spelled(world, selection, frozen)
    if nothing_to_do(arguments) is not None:
        return
    how = sync.SyncOptions(
        selection=selection, locking=locking.Locking(frozen=frozen), stamp_key=key_of(arguments)
    )
    report = syncing.sync(world, how)
    if not report.is_unchanged:
        say(sync_lines(report)[0])
