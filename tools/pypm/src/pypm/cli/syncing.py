"""What verbs that sync share: telling what was done, and syncing before a command is run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pypm._stamp import key_of, nothing_to_do
from pypm.cli.arguments import UsageError
from pypm.cli.options import Common, world
from pypm.cli.render.report import diff_lines, say, sync_lines
from pypm.ops.installing import InstallOptions
from pypm.ops.locking import Locking
from pypm.ops.selection import Selection
from pypm.ops.sync import SyncOptions, SyncReport
from pypm.ops.sync import sync as sync_workspace
from pypm.ops.world import World
from pypm_workspace.discover import find_root

if TYPE_CHECKING:
    from pypm.ops.pylock_sync import PylockOptions


def show(common: Common, report: SyncReport) -> None:
    """Tells what a sync did."""
    if common.json:
        sys.stdout.write(json.dumps(report.to_json(), sort_keys=True) + "\n")
    elif not common.quiet:
        wrote = report.lock_changed and not report.dry_run
        for file in (["pypm.lock"] if wrote else []) + list(report.exports):
            say(f"Wrote {file}")
        if wrote and report.lock_diff and report.plan.recreate == "":
            for line in diff_lines(report.lock_diff):
                say(line)
        for line in sync_lines(report):
            say(line)


def pylock_options(file: str, selection: Selection, how: InstallOptions) -> PylockOptions:
    """*how* to install from a pylock file. Raises a usage error for what such a file does not know."""
    from pypm.ops.pylock_sync import PylockOptions

    if selection.members or selection.only_groups:
        raise UsageError("--lock goes with neither --member nor --only-group: a pylock file knows no members")
    return PylockOptions(file, selection, how)


def sync_from(common: Common, options: PylockOptions) -> int:
    """Installs from a pylock file and tells what was done."""
    from pypm.ops.pylock_sync import sync_pylock

    with world(common) as here:
        report = sync_pylock(here, options)
    show(common, report)
    return 0


def sync_first(world: World, selection: Selection, *, sync: bool = True, frozen: bool = False) -> str:
    """Makes the environment match unless the stamp says it does, saying as little as possible; the
    workspace's root."""
    root = find_root(world.cwd, world.environ).root
    arguments = arguments_of(selection, frozen)
    if not sync or nothing_to_do(arguments) is not None:
        return root
    options = SyncOptions(selection=selection, locking=Locking(frozen=frozen), stamp_key=key_of(arguments))
    report = sync_workspace(world, options)
    if not report.plan.is_empty:
        say(sync_lines(report)[0])
    return root


def arguments_of(selection: Selection, frozen: bool) -> list[str]:
    """The options of ``pypm sync`` that mean *selection*."""
    arguments = [f"--member={name}" for name in selection.members]
    arguments += [f"--extra={name}" for name in selection.extras]
    arguments += [f"--group={name}" for name in selection.groups]
    arguments += [f"--only-group={name}" for name in selection.only_groups]
    flags = {
        "--all-extras": selection.all_extras,
        "--all-groups": selection.all_groups,
        "--no-default-groups": selection.no_default_groups,
        "--frozen": frozen,
    }
    return arguments + [flag for flag, on in flags.items() if on]
