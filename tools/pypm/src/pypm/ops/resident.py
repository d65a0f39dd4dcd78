"""The lock, made again and again in one process: what `pypm lock` does, with all that can be kept kept.

    resident = Resident(world)
    while True:
        done = resident.relock()        # None: nothing has changed since the last time
        ...                             # wait until something in `resident.folders` changes

The lock that is written is the one that `pypm lock` would write, byte for byte: what is kept between two
times is what was read and parsed (manifests by their digests, the lock by its text, what indexes said for as
long as nobody has written to the cache since), never what was concluded from it.
"""

from __future__ import annotations

import gc
import os
import posixpath
import time
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from pypm.ops.folders import folder_manifests, stale_folders
from pypm.ops.in_step import write_in_step
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.old_lock import lock_text
from pypm.ops.opening import open_store
from pypm.ops.retained import Retained
from pypm.ops.sync import SyncOptions
from pypm.ops.synced import MembersReport, SyncReport
from pypm.ops.syncing import bring_along
from pypm.ops.toolbox import open_tools
from pypm.ops.world import LOCK, World
from pypm_env.own_files import PIN_FILE
from pypm_model.errors import Place, PypmError
from pypm_model.freshness import Stale
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.locks import Lock
from pypm_model.records import record, replace
from pypm_store.metadata_memory import MetadataMemory
from pypm_workspace.discover import Looked, find_root, look
from pypm_workspace.discovery import PROJECT, WORKSPACE
from pypm_workspace.inputs import Inputs
from pypm_workspace.snapshot import Held
from pypm_workspace.workspace import Workspace

OTHERS = ("setup.py", "setup.cfg")
"""Files beside a manifest that a build backend may read."""
_WHOLE = 100
"""Times after which garbage is looked for among all that is kept, and not only in what is new."""


@record
class _State:
    """All that a lock hangs on, but for what indexes and build backends say."""

    manifests: str
    """The digest over them."""
    lock: str | None
    """The text."""
    pins: tuple[str, ...]
    """The texts of the files that choose an interpreter."""
    exports: tuple[str | None, ...]
    folders: tuple[Stale, ...]
    """What has changed in folders that are no members since they were locked."""


@record(slots=False)
class Relocked:
    """What one time came to: the lock fits the manifests now."""

    workspace: Workspace
    locked: Locked
    before: Lock | None
    """The lock as this process knew it, None at first."""
    wrote: bool
    """The lock was not the one the manifests give, and has been written."""
    foreign: bool
    """The lock in the file was not the one this process knew: somebody else has written it."""
    manifests: tuple[str, ...]
    """Files that say something else than the last time, are new or gone; sorted. At first none."""
    exports: tuple[str, ...]
    """Files of ``[lock] export`` that were written."""
    seconds: float

    @cached_property
    def diff(self) -> LockDiff:
        """What is different from the lock as this process knew it, or at first as it was in the file."""
        return diff(self.before if self.before is not None else self.locked.old, self.locked.lock)


class HalfWritten(PypmError):
    """A manifest is empty: an editor that writes files in place may not have come to the end."""

    code: ClassVar[str] = "half-written"
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.files)} {'is' if len(self.files) == 1 else 'are'} empty"

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(Place(file) for file in self.files)


class ChangedMeanwhile(PypmError):
    """Manifests or the lock changed while a new lock was being made: it has not been written."""

    code: ClassVar[str] = "changed-meanwhile"

    def __str__(self) -> str:
        return "the manifests or the lock changed while they were being locked"


class Resident:
    """The workspace around the current folder, kept in memory. Use it as a context manager."""

    def __init__(self, world: World) -> None:
        """Raises what finding the workspace raises."""
        self.world = world
        self.root = find_root(world.cwd, world.environ).root
        self._cache = MetadataMemory(open_store(world).path)
        self._retained = Retained(self._cache)
        self._looked: Looked | None = None
        self._held: Held | None = None
        self._done: Relocked | None = None
        self._state: _State | None = None
        self._digests: dict[str, str] = {}
        self._times = 0
        self._collects = False

    def __enter__(self) -> Self:
        # What is kept lives long and has next to no cycles: see `settle`.
        self._collects = gc.isenabled()
        gc.disable()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cache.close()
        if self._collects:
            gc.enable()

    # -- locking -------------------------------------------------------------------------------------

    def relock(
        self, suspects: Collection[str] = (), *, force: bool = False, hasty: bool = False
    ) -> Relocked | None:
        """Looks at the manifests, and locks if the lock is not the one they give; None if nothing has changed
        since the last time that this led to a lock.

        Manifests among *suspects* (absolute paths) are read again whatever their times say. With *force* the
        lock is judged even if nothing seems to have changed. Raises what `pypm.ops.lock.lock` raises; and
        unless *hasty* `HalfWritten`, and `ChangedMeanwhile` rather than write over what somebody else has
        just written.
        """
        began = time.monotonic()
        workspace = self._look(suspects)
        if not hasty and (empty := [seen.path for seen in workspace.inputs.files if seen.size == 0]):
            raise HalfWritten(tuple(empty))
        state = self._state_of(workspace)
        known = self._state
        if known == state and not force:
            return None
        # Until this has led to a lock it is not done, whatever comes in between.
        self._state = None
        with open_tools(self.world, workspace, self._retained) as tools:
            locked = lock_workspace(tools, workspace, Locking())
            if locked.is_new and not hasty and self._has_changed(workspace, state):
                raise ChangedMeanwhile
            exports = write_in_step(tools, workspace, locked)
        digests = {entry.seen.path: entry.digest for entry in workspace.remembered}
        changed = {path for path, _ in self._digests.items() ^ digests.items()} if self._done else set()
        changed |= {one.file for one in state.folders}
        done = Relocked(
            workspace=workspace,
            locked=locked,
            before=self._done.locked.lock if self._done is not None else None,
            wrote=locked.is_new,
            foreign=self._done is not None and state.lock != self._done.locked.text,
            manifests=tuple(sorted(changed)),
            exports=exports,
            seconds=time.monotonic() - began,
        )
        self._done, self._digests = replace(done, before=None), digests
        self._state = replace(state, lock=locked.text, exports=self._exports(workspace), folders=())
        if known == state and not (locked.is_new or exports):
            return None
        return done

    def sync(self, options: SyncOptions) -> SyncReport | MembersReport:
        """Brings environments in step with the lock of the last time. Raises what `pypm.ops.syncing.sync`
        raises."""
        assert self._done is not None
        workspace, locked = self._done.workspace, self._done.locked
        # It is written.
        locked = replace(locked, old_text=locked.text)
        with open_tools(self.world, workspace, self._retained) as tools:
            return bring_along(tools, workspace, locked, options)

    def settle(self) -> None:
        """Does now what would cost time when the next change comes: for when nobody waits."""
        if self._done is not None:
            self._retained.pins(self._retained.read(self._done.locked.text))
        self._times += 1
        gc.collect(2 if self._times % _WHOLE == 1 else 0)

    # -- what is looked at ---------------------------------------------------------------------------

    @property
    def is_readable(self) -> bool:
        """Whether the manifests made a workspace when they were last looked at."""
        return self._looked is not None and isinstance(self._looked.outcome, Workspace)

    @property
    def folders(self) -> frozenset[str]:
        """The folders in which a change may lead to another lock: absolute, there or not."""
        inputs = self._looked.inputs if self._looked is not None else Inputs()
        found = {posixpath.dirname(seen.path) or "." for seen in inputs.files}
        found |= {seen.path for seen in inputs.folders}
        for folder in list(found):
            # A folder that is missing shows in the one where it would be.
            found.add(posixpath.dirname(folder) or ".")
        places = {os.path.normpath(os.path.join(self.root, folder)) for folder in found}
        places |= {str(file.parent) for file in self._pin_files}
        if self._done is not None:
            root = Path(self.root)
            others = (*self._done.workspace.settings.lock_export, *folder_manifests(self._done.locked.lock))
            places |= {os.path.normpath((root / file).parent) for file in others}
        return frozenset(places)

    def concerns(self, paths: Collection[str]) -> bool:
        """Whether a change of some of *paths* (absolute) may lead to another lock."""
        names = {PROJECT, WORKSPACE, LOCK, PIN_FILE, *OTHERS}
        if self._looked is None or self._done is None:
            return bool(paths)
        names |= {posixpath.basename(file) for file in self._done.workspace.settings.lock_export}
        listed = {self._place(seen.path) for seen in self._looked.inputs.folders}
        listed |= {os.path.dirname(self._place(seen.path)) for seen in self._looked.inputs.folders}
        # The folder of a member that went away, or came back.
        listed |= {os.path.dirname(os.path.dirname(self._place(s.path))) for s in self._looked.inputs.files}
        return self.unfathomable(paths) or any(
            os.path.basename(path) in names or (os.path.dirname(path) in listed and not os.path.isfile(path))
            for path in paths
        )

    def unfathomable(self, paths: Collection[str] | None = None) -> bool:
        """Whether the lock also hangs on files nobody can name, which only build backends know; with *paths*
        only if some of these may be such."""
        if self._done is None:
            return False
        places = [self._place(m.path) for m in self._done.workspace.members if m.unstated]
        return bool(places) if paths is None else any(os.path.dirname(path) in places for path in paths)

    # -- within --------------------------------------------------------------------------------------

    def _place(self, path: str) -> str:
        return os.path.normpath(os.path.join(self.root, path))

    def _look(self, suspects: Collection[str]) -> Workspace:
        """The workspace as it is now; raises what is wrong with it."""
        began = time.time_ns()
        held = self._held
        if held is not None and suspects:
            held = held.doubting({os.path.relpath(path, self.root).replace(os.sep, "/") for path in suspects})
        self._looked = look(self.root, held)
        match self._looked.outcome:
            case Workspace() as workspace:
                self._held = Held(
                    workspace.root,
                    workspace.remembered,
                    workspace.state,
                    workspace.checked,
                    began_ns=began,
                )
                for warning in workspace.warnings:
                    self.world.listener(warning)
                return workspace
            case PypmError() as error:
                raise error

    @cached_property
    def _pin_files(self) -> tuple[Path, ...]:
        """Where a wish for an interpreter may stand: see `pypm_env.finding`."""
        root, cwd = Path(self.root), Path(os.path.abspath(self.world.cwd))
        above = [folder for folder in (cwd, *cwd.parents) if folder.is_relative_to(root)]
        return tuple(folder / PIN_FILE for folder in dict.fromkeys((cwd, *above, root)))

    def _state_of(self, workspace: Workspace) -> _State:
        pins = tuple(_text(file) or "" for file in self._pin_files)
        folders = stale_folders(self.root, self._done.locked.lock) if self._done is not None else ()
        return _State(workspace.state, lock_text(workspace), pins, self._exports(workspace), tuple(folders))

    def _has_changed(self, workspace: Workspace, state: _State) -> bool:
        """Whether a file that the new lock is made from is not as it was read."""
        files = [self._place(seen.path) for seen in workspace.inputs.files]
        seen = [(seen.mtime_ns, seen.size, seen.inode) for seen in workspace.inputs.files]
        return [_seen(file) for file in files] != seen or lock_text(workspace) != state.lock

    def _exports(self, workspace: Workspace) -> tuple[str | None, ...]:
        return tuple(_text(Path(workspace.root) / file) for file in workspace.settings.lock_export)


def _seen(file: str) -> tuple[int, int, int]:
    try:
        status = os.stat(file)
    except OSError:
        return -1, -1, -1
    return status.st_mtime_ns, status.st_size, status.st_ino


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
