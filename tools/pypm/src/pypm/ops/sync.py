"""``pypm sync``: lock if needed, then make the environment match."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from pypm import _stamp
from pypm.ops.counting import count
from pypm.ops.in_step import write_in_step
from pypm.ops.installing import InstallOptions, Target, compile_later, environment_in, install, link_mode_of
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.opening import LOCK, open_workspace
from pypm.ops.partial import MembersAbsent, open_partly
from pypm.ops.roots import roots_of
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import VENV, Tools
from pypm.ops.world import World
from pypm_env.finding import PIN_FILE
from pypm_env.interpreters import Interpreter
from pypm_env.plan import Plan
from pypm_env.state_file import JOURNAL, STATE
from pypm_env.venv import base_python
from pypm_model import specifiers
from pypm_model.errors import PypmError
from pypm_model.lock_diff import LockDiff, diff
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_select import ChoicesExclude, select
from pypm_model.locks import Lock, Root
from pypm_model.records import record
from pypm_model.sources import MemberSource
from pypm_workspace.workspace import Workspace


@record
class SyncOptions:
    """What to install, and how."""

    selection: Selection = Selection()
    locking: Locking = Locking()
    how: InstallOptions = InstallOptions()
    stamp_key: str | None = None
    """Leave a stamp under this key (`pypm._stamp.key_of`); None: no stamp."""


@record
class SyncReport:
    """What was done, or with *dry_run* would be."""

    environment: str
    python: str
    plan: Plan
    lock_changed: bool
    lock_diff: LockDiff
    members: int
    packages: int
    dry_run: bool = False
    exports: tuple[str, ...] = ()
    """Files of ``[lock] export`` that were written."""

    def to_json(self) -> dict[str, Any]:
        return {
            **self.plan.to_json(),
            "lock-changed": self.lock_changed,
            "lock-diff": self.lock_diff.to_json(),
            "members": self.members,
            "packages": self.packages,
            "dry-run": self.dry_run,
        } | ({"exports": list(self.exports)} if self.exports else {})


class MembersApart(PypmError):
    """The workspace's members do not share an environment, and these cannot be installed together."""

    code: ClassVar[str] = "members-apart"
    members: tuple[str, ...]

    def __str__(self) -> str:
        return f"these {len(self.members)} members need different versions of the same packages"

    @property
    def hint(self) -> str:
        return "choose members that fit together with -p; `shared-environment = false` locks them apart"


def sync(world: World, options: SyncOptions) -> SyncReport:
    """Makes ``.venv`` at the workspace's root what the lock and *options* say."""
    partly = options.locking.frozen and options.selection.members
    workspace = open_partly(world) if partly else open_workspace(world)
    with open_tools(world, workspace) as tools:
        locked = lock_workspace(tools, workspace, options.locking)
        return sync_locked(tools, workspace, locked, options)


def sync_locked(tools: Tools, workspace: Workspace, locked: Locked, options: SyncOptions) -> SyncReport:
    """The environment's half of `sync`. The lock is written as soon as nothing speaks against the
    environment: what can be refused is refused before anything has changed."""
    world, lock = tools.world, locked.lock
    venv = environment_in(workspace.root)
    roots = roots_of(world, workspace, lock, options.selection)
    python = pythons_of(lock, roots)
    interpreter = tools.interpreter(python, prefer=base_python(venv))
    try:
        pins = select(lock, interpreter.environment, roots, build=tools.build_policy)
    except (ChoicesExclude, LockUnsound):
        if workspace.settings.shared_environment or len(roots) < 2:
            raise
        raise MembersApart(tuple(root.member for root in roots)) from None
    if workspace.absent:
        needed = {pin.package.source.path for pin in pins if isinstance(pin.package.source, MemberSource)}
        if missing := needed & set(workspace.absent):
            raise MembersAbsent(tuple(sorted(missing)))
    exports: tuple[str, ...] = ()
    writes = not (options.locking.frozen or options.locking.locked)

    def write() -> None:
        nonlocal exports
        if writes:
            exports = write_in_step(tools, workspace, locked)

    done = install(
        tools,
        pins,
        interpreter,
        Target(venv, workspace.name, link_mode_of(workspace.settings), asked_by_members(lock)),
        options.how,
        agreed=write,
    )
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
    if options.stamp_key is not None and in_step and not (options.how.dry_run or workspace.absent):
        _leave_stamp(workspace, interpreter, venv, options.stamp_key, report)
    compile_later(tools, done, interpreter)
    return report


def pythons_of(lock: Lock, roots: Iterable[Root]) -> str:
    """The Pythons that all of *roots* run on."""
    chosen = {root.member for root in roots}
    text = lock.requires_python
    for package in lock.packages:
        if package.name in chosen and package.manifest is not None:
            text = specifiers.merge(text, package.manifest.requires_python)
    return text


def asked_by_members(lock: Lock) -> frozenset[str]:
    """Names that a member itself asks for."""
    found: set[str] = set()
    for package in lock.packages:
        if package.manifest is not None:
            tables = [package.dependencies, *(e for _, e in package.extras), *(e for _, e in package.groups)]
            found.update(edge.name for edges in tables for edge in edges)
            found.add(package.name)
    return frozenset(found)


def _leave_stamp(
    workspace: Workspace, interpreter: Interpreter, venv: Path, key: str, report: SyncReport
) -> None:
    """Writes down what the result depends on, so that the next run need only look whether it changed.

    Manifests are written down as they were when they were read: one that has changed since is noticed.
    """
    files: list[tuple[str, int, int, int]] = []
    missing: list[str] = []
    for seen in workspace.inputs.files:
        if seen.mtime_ns < 0:
            missing.append(seen.path)
        else:
            files.append((seen.path, seen.mtime_ns, seen.size, seen.inode))
    folders = [(seen.path, seen.mtime_ns) for seen in workspace.inputs.folders if seen.mtime_ns >= 0]
    missing += [seen.path for seen in workspace.inputs.folders if seen.mtime_ns < 0]
    site = interpreter.layout.site_packages
    own = [LOCK, *workspace.settings.lock_export]
    own += [f"{VENV}/pyvenv.cfg", f"{VENV}/{STATE}", interpreter.real_path]
    for path in own:
        status = os.stat(os.path.join(workspace.root, path))
        files.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
    folders.append((f"{VENV}/{site}", os.stat(venv / site).st_mtime_ns))
    missing.append(f"{VENV}/{JOURNAL}")
    pin = Path(workspace.root) / PIN_FILE
    if pin.exists():
        status = pin.stat()
        files.append((PIN_FILE, status.st_mtime_ns, status.st_size, status.st_ino))
    else:
        missing.append(PIN_FILE)
    say = f"Nothing to do: {count(report.members, 'member')}, {count(report.packages, 'package')} in {VENV}"
    _stamp.write(workspace.root, key, say, files, folders, missing)
