"""``pypm sync`` of the environment that the members share: ``.venv`` at the workspace's root."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from pypm.ops.common_python import check_common_python
from pypm.ops.dependence import installed_by
from pypm.ops.in_step import write_in_step
from pypm.ops.installing import InstallOptions, Target, compile_later, install, link_mode_for
from pypm.ops.locking import Locked, Locking
from pypm.ops.malware import known_now, with_known
from pypm.ops.pinned import pinned_files
from pypm.ops.recipes import keep, nothing_to_do
from pypm.ops.roots import roots_of
from pypm.ops.selection import Selection
from pypm.ops.stamping import Stamped, leave_stamp
from pypm.ops.synced import SyncReport
from pypm.ops.tools import Tools
from pypm.ops.venvs import environment_in, needed_outside
from pypm_env.plan import Plan
from pypm_env.venv import base_python
from pypm_model import specifiers
from pypm_model.errors import PypmError
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_select import ChoicesExclude, select
from pypm_model.locks import Lock, Root
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_workspace.inputs import FileSeen
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_env.compiling import Then


@record
class SyncOptions:
    """What to install, and how."""

    selection: Selection = Selection()
    locking: Locking = Locking()
    how: InstallOptions = InstallOptions()
    each: bool = False
    """An environment for each member, instead of the one they share."""
    stamp_key: str | None = None
    """Leave a stamp under this key (`pypm._stamp.key_of`); None: no stamp."""


class MembersApart(PypmError):
    """The workspace's members do not share an environment, and these cannot be installed together."""

    code: ClassVar[str] = "members-apart"
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"these {len(self.members)} members need different versions of the same packages"

    @property
    def hint(self) -> str:
        return "choose members that fit together with -p; `shared-environment = false` locks them apart"


def sync_locked(tools: Tools, workspace: Workspace, locked: Locked, options: SyncOptions) -> SyncReport:
    """Makes ``.venv`` at the workspace's root what the lock and *options* say. The lock is written as soon
    as nothing speaks against the environment: what can be refused is refused before anything has changed."""
    world, lock = tools.world, locked.lock
    known = known_now(tools)
    venv = environment_in(workspace.root)
    roots = roots_of(world, workspace, lock, options.selection)
    python = pythons_of(lock, roots)
    check_common_python(workspace, _ranges(lock, roots))
    interpreter = tools.interpreter(python, prefer=base_python(venv))
    try:
        pins = select(lock, interpreter.environment, roots, build=tools.build_policy)
    except (ChoicesExclude, LockUnsound):
        if workspace.settings.shared_environment or len(roots) < 2:
            raise
        raise MembersApart(tuple(root.member for root in roots)) from None
    exports: tuple[str, ...] = ()
    writes = not (options.locking.frozen or options.locking.locked)

    def write() -> None:
        nonlocal exports
        if writes:
            exports = write_in_step(tools, workspace, locked)

    mode = link_mode_for(tools, options.how.link_mode, venv, of_member=False)
    target = Target(venv, workspace.name, mode, asked_by(lock))
    done = install(tools, pins, interpreter, target, options.how, agreed=write)
    report = SyncReport(
        str(venv),
        interpreter.version,
        done.plan,
        locked.is_new,
        diff(locked.old, lock) if locked.is_new else LockDiff(),
        lock.member_count,
        done.packages,
        options.how.dry_run,
        exports,
    )
    in_step = writes or not workspace.settings.lock_export
    then: Then | None = None
    if options.stamp_key is not None and in_step and not options.how.dry_run:
        then = _remember(tools, workspace, locked, done.plan, target, options.stamp_key, report, known)
    compile_later(tools, done, interpreter, then)
    return report


def pythons_of(lock: Lock, roots: Iterable[Root]) -> str:
    """The Pythons that all of *roots* run on."""
    text = lock.requires_python
    for each in _ranges(lock, roots).values():
        text = specifiers.merge(text, each)
    return text


def _ranges(lock: Lock, roots: Iterable[Root]) -> dict[NormalizedName, str]:
    """What each of *roots* is locked for."""
    chosen = {root.member for root in roots}
    return {
        package.name: package.manifest.requires_python
        for package in lock.packages
        if package.name in chosen and package.manifest is not None
    }


def asked_by(lock: Lock, roots: Iterable[Root] | None = None) -> frozenset[str]:
    """Names that a member itself asks for: one of *roots*, or any."""
    chosen = None if roots is None else {root.member for root in roots}
    found: set[str] = set()
    for package in lock.packages:
        if package.manifest is not None and (chosen is None or package.name in chosen):
            tables = [package.dependencies, *(e for _, e in package.extras), *(e for _, e in package.groups)]
            found.update(edge.name for edges in tables for edge in edges)
            found.add(package.name)
    return frozenset(found)


def _remember(
    tools: Tools,
    workspace: Workspace,
    locked: Locked,
    done: Plan,
    target: Target,
    key: str,
    report: SyncReport,
    known: tuple[FileSeen, ...],
) -> Then | None:
    """For the next sync: that nothing is to be done while nothing changes, and how it is done again; what is
    worth doing for that when nobody waits."""
    root, inputs = workspace.root, workspace.inputs
    also = installed_by(workspace, locked.lock)
    if also is None:
        return None
    needs = needed_outside(tools.store, target.venv, target.mode)
    stamped = [Stamped(".", done.wanted.interpreter, needs)]
    pinned = pinned_files(tools, workspace)
    seen = with_known(inputs, known)
    leave_stamp(
        tools.store, root, seen, also, key, nothing_to_do(report), stamped, of_members=False, pinned=pinned
    )
    if workspace.warnings or pinned or workspace.settings.audit.database:
        return None
    return keep(
        tools.world,
        tools.store,
        key,
        root,
        inputs,
        locked.text,
        also,
        report.members,
        done,
        target.prompt,
    )
