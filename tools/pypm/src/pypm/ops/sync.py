"""``pypm sync``: lock if needed, then make the environment match."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pypm import _stamp
from pypm._verbs import VERSION
from pypm.ops.counting import count
from pypm.ops.locking import Locked, Locking, lock_workspace, write_lock
from pypm.ops.opening import LOCK, open_workspace
from pypm.ops.partial import MembersAbsent, open_partly
from pypm.ops.provisioning import provide, renewed
from pypm.ops.roots import roots_of
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import VENV, Tools
from pypm.ops.world import World, switch
from pypm_env.apply import Changes, apply
from pypm_env.dists import Installed, LinkMode, Wanted, WantedDist
from pypm_env.finding import PIN_FILE
from pypm_env.installed import inspect
from pypm_env.interpreters import Interpreter
from pypm_env.plan import Plan, plan, recreate_reason, refuse_foreign
from pypm_env.state_file import JOURNAL, STATE
from pypm_env.venv import base_python
from pypm_model import specifiers
from pypm_model.errors import PypmError
from pypm_model.lock_diff import LockDiff, diff
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_select import ChoicesExclude, select
from pypm_model.locks import Lock, Pin, Root
from pypm_model.names import ROOT, normalize
from pypm_model.records import record, replace
from pypm_model.sources import MemberSource
from pypm_store.tree import Tree
from pypm_workspace.workspace import Workspace


@record
class SyncOptions:
    """What to install, and how."""

    selection: Selection = Selection()
    locking: Locking = Locking()
    inexact: bool = False
    reinstall: tuple[str, ...] = ()
    reinstall_all: bool = False
    dry_run: bool = False
    force: bool = False
    """Replace an environment that pypm did not make."""
    editable: bool = True
    compile: bool = False
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

    def to_json(self) -> dict[str, Any]:
        return {
            **self.plan.to_json(),
            "lock-changed": self.lock_changed,
            "lock-diff": self.lock_diff.to_json(),
            "members": self.members,
            "packages": self.packages,
            "dry-run": self.dry_run,
        }


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
    venv = environment_folder(workspace)
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
    mode = _link_mode(workspace)
    reinstall = True if options.reinstall_all else [normalize(name) for name in options.reinstall]
    changes: Changes | None = None
    with tools.store.using():
        installed = inspect(venv)
        refuse_foreign(installed, adopt=options.force)
        if not options.dry_run:
            write_lock(workspace, locked)
        trees: Mapping[str, Tree] = {}
        if options.dry_run:
            dists = announced(tools, pins, installed)
        else:
            anew = recreate_reason(Wanted(interpreter, (), mode), installed)
            keeps = not (anew or reinstall or installed.unfinished)
            present = {one.dist.tree for one in installed.dists} if keeps else set()
            provided = provide(
                tools,
                pins,
                interpreter,
                editable=options.editable,
                present=present,
                # All at once are looked at as they are put in.
                look=options.compile or not anew,
            )
            dists, trees = provided.dists, provided.trees
        requested = asked_by_members(lock)
        dists = tuple(replace(dist, requested=dist.name in requested) for dist in dists)
        todo = plan(
            Wanted(interpreter, dists, mode),
            installed,
            inexact=options.inexact,
            reinstall=reinstall,
            adopt=options.force,
        )
        if not options.dry_run:
            _stamp.remove(workspace.root)
            if options.compile and not todo.is_empty:
                _compile(trees, interpreter)
            changes = apply(
                todo,
                tools.store,
                pypm_version=VERSION,
                trees=trees,
                renew=lambda digests: renewed(tools, pins, interpreter, digests),
                listener=world.listener,
                prompt=workspace.name,
            )
            todo = changes.plan
    members = sum(1 for p in lock.packages if isinstance(p.source, MemberSource) and p.name != ROOT)
    report = SyncReport(
        str(venv),
        interpreter.version,
        todo,
        locked.is_new,
        diff(locked.old, lock) if locked.is_new else LockDiff(),
        members,
        len(dists),
        options.dry_run,
    )
    if options.stamp_key is not None and not (options.dry_run or workspace.absent):
        _leave_stamp(workspace, interpreter, venv, options.stamp_key, report)
    if changes is not None and changes.uncompiled and switch(world, "PYPM_BACKGROUND_COMPILE", default=True):
        from pypm_env.compiling import compile_in_background

        compile_in_background([tools.store.tree_path(digest) for digest in changes.uncompiled], interpreter)
    return report


def environment_folder(workspace: Workspace) -> Path:
    """Where the workspace's environment is: a link the user put there stays, and is followed."""
    folder = Path(workspace.root) / VENV
    return Path(os.path.realpath(folder)) if folder.is_symlink() else folder


def _compile(trees: Mapping[str, Tree], interpreter: Interpreter) -> None:
    from pypm_env.compiling import compile_trees

    compile_trees(trees.values(), interpreter.path, interpreter.cache_tag)


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


def announced(tools: Tools, pins: Iterable[Pin], installed: Installed) -> tuple[WantedDist, ...]:
    """What would be installed, without fetching or building: a project counts as unchanged if it is
    installed already."""
    present = {one.name: one.dist for one in installed.dists}
    found = []
    for pin in pins:
        package = pin.package
        if isinstance(package.source, MemberSource) and tools.member_at(package.source.path).build is None:
            continue
        if pin.file is not None and pin.file.is_wheel:
            found.append(WantedDist(package.name, package.version, pin.file.sha256))
        else:
            now = present.get(package.name)
            same = now is not None and package.version in ("", now.version)
            found.append(now if now is not None and same else WantedDist(package.name, package.version, ""))
    return tuple(found)


def _link_mode(workspace: Workspace) -> LinkMode:
    match workspace.settings.link_mode:
        case "hardlink" | "reflink" | "copy" as mode:
            return mode
        case _:
            return "auto"


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
    own = [LOCK, f"{VENV}/pyvenv.cfg", f"{VENV}/{STATE}", interpreter.real_path]
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
