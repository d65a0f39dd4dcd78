"""``pypm lock``: write the lock, check it, or say what would change."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pypm.ops import incremental
from pypm.ops.in_step import write_in_step
from pypm.ops.known_fit import known_fit, note_fit
from pypm.ops.lock_faults import LockMissing, MembersLeftOut, stale_error
from pypm.ops.locking import Locking, check_lock, check_members, lock_workspace
from pypm.ops.old_lock import lock_text
from pypm.ops.opening import open_workspace
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.world import LOCK, World
from pypm_model.errors import PypmError
from pypm_model.freshness import Stale
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.lock_errors import LockConflicted, LockUnreadable
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.sources import MemberSource
from pypm_workspace.workspace import Workspace


@record
class LockOptions:
    """*dry_run* (and ``--diff``) writes nothing."""

    dry_run: bool = False
    upgrade: bool = False
    upgrade_packages: tuple[str, ...] = ()


@record
class LockReport:
    """What became of the lock."""

    file: str
    changed: bool
    created: bool
    packages: int
    """Without members."""
    members: int
    diff: LockDiff
    stale: tuple[Stale, ...] = ()
    dry_run: bool = False
    exports: tuple[str, ...] = ()
    """Files of ``[lock] export`` that were written."""

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "changed": self.changed,
            "created": self.created,
            "packages": self.packages,
            "members": self.members,
            "diff": self.diff.to_json(),
            "stale": [reason.to_json() for reason in self.stale],
            "dry-run": self.dry_run,
        } | ({"exports": list(self.exports)} if self.exports else {})


@record
class CheckReport:
    """Whether the lock is the one the manifests give."""

    root: str
    """Of the workspace, absolute."""
    file: str
    members: int
    problem: PypmError | None = None
    """Why it is not: `LockMissing`, `LockStale`, `LockUnsound`, `LockConflicted`, `LockUnreadable`,
    `MembersLeftOut`, `ExportStale` or `ExportApart`."""

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "fresh": self.problem is None,
            "members": self.members,
            "error": self.problem.to_json() if self.problem else None,
        }


@record
class CheckOptions:
    """What to judge: *members* as they are spelled, all if none is. With *frozen* a member whose folder is
    not there, in a checkout of some members, is taken to be as the lock has it."""

    frozen: bool = False
    members: tuple[str, ...] = ()


def check(world: World, options: CheckOptions) -> CheckReport:
    """Judges the lock of the workspace around the current folder, which is not touched. No index is asked."""
    if options.frozen:
        from pypm.ops.partial import open_partly

        workspace = open_partly(world)
    else:
        workspace = open_workspace(world)
    names = None
    if options.members:
        from pypm.ops.roots import selected_members

        chosen = selected_members(world, workspace, Selection(members=options.members))
        names = {member.name for member in chosen}
    text = lock_text(workspace)
    if known_fit(world, workspace, text):
        problem = None
    else:
        with open_tools(world, workspace) as tools:
            problem = problem_of(tools, workspace, names)
            if text is not None and problem is None and names is None:
                note_fit(world, workspace, text, tools.retained.read(text))
    return CheckReport(workspace.root, LOCK, len(workspace.members if names is None else names), problem)


def problem_of(
    tools: Tools, workspace: Workspace, names: Collection[NormalizedName] | None = None
) -> PypmError | None:
    """Why the lock, or what is kept in step with it, is not what the manifests (of the members *names*,
    if given) ask for; None if it is."""
    try:
        judged = check_lock(tools, workspace, names)
        check_members(tools, workspace, judged.reasons)
    except (LockMissing, LockConflicted, LockUnreadable, MembersLeftOut) as error:
        return error
    if judged.reasons:
        return stale_error(workspace, judged.reasons)
    return judged.unsound or _export_problem(tools, workspace, judged.lock)


def _export_problem(tools: Tools, workspace: Workspace, lock: Lock) -> PypmError | None:
    """Which exports are out of step with *lock*, which fits, or cannot be made of it. In a checkout of
    some members that is not asked: the exports are of all."""
    if not workspace.settings.lock_export or workspace.absent:
        return None
    from pypm.ops.exporting import ExportApart, ExportStale, stale_exports

    try:
        stale = stale_exports(tools, workspace, lock)
    except ExportApart as error:
        return error
    return ExportStale(stale) if stale else None


def lock(world: World, options: LockOptions) -> LockReport:
    """Locks the workspace around the current folder."""
    workspace = open_workspace(world)
    is_plain = not (options.upgrade or options.upgrade_packages)
    if is_plain:
        counts = known_fit(world, workspace, lock_text(workspace), in_packages=True)
        if counts is not None:
            return LockReport(LOCK, False, False, *counts, LockDiff(), dry_run=options.dry_run)
    with open_tools(world, workspace) as tools:
        how = Locking(options.upgrade, options.upgrade_packages, heals=is_plain)
        locked = lock_workspace(tools, workspace, how)
        exports = () if options.dry_run else write_in_step(tools, workspace, locked)
        is_known = incremental.is_known(tools, locked.text)
    if is_plain and not options.dry_run:
        note_fit(world, workspace, locked.text, locked.lock, in_packages=is_known)
    return LockReport(
        LOCK,
        locked.is_new,
        locked.old_text is None,
        sum(1 for p in locked.lock.packages if not isinstance(p.source, MemberSource)),
        locked.lock.member_count,
        diff(locked.old, locked.lock) if locked.is_new else LockDiff(),
        locked.stale,
        options.dry_run,
        exports,
    )
