"""``pypm lock``: write the lock, check it, or say what would change."""

from __future__ import annotations

from typing import Any

from pypm.ops.locking import Locking, check_lock, lock_workspace, stale_error, write_lock
from pypm.ops.opening import LOCK, open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_model.freshness import Stale
from pypm_model.lock_diff import LockDiff, diff
from pypm_model.names import ROOT
from pypm_model.records import record
from pypm_model.sources import MemberSource


@record
class LockOptions:
    """*check* asks only; *dry_run* (and ``--diff``) writes nothing."""

    check: bool = False
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
        }


def lock(world: World, options: LockOptions) -> LockReport:
    """Locks the workspace around the current folder. With *check*, raises `LockStale` unless it fits."""
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        if options.check:
            reasons = check_lock(tools, workspace)
            if reasons:
                raise stale_error(workspace, reasons)
            return LockReport(LOCK, False, False, 0, len(workspace.members), LockDiff())
        locked = lock_workspace(tools, workspace, Locking(options.upgrade, options.upgrade_packages))
        if not options.dry_run:
            write_lock(workspace, locked)
    members = sum(1 for p in locked.lock.packages if isinstance(p.source, MemberSource) and p.name != ROOT)
    return LockReport(
        LOCK,
        locked.is_new,
        locked.old_text is None,
        sum(1 for p in locked.lock.packages if not isinstance(p.source, MemberSource)),
        members,
        diff(locked.old, locked.lock) if locked.is_new else LockDiff(),
        locked.stale,
        options.dry_run,
    )
