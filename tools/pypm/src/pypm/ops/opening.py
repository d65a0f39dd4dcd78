"""Opens what verbs work on: the workspace, the store, the indexes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pypm._verbs import VERSION
from pypm.ops.world import World
from pypm_model.digests import sha256
from pypm_store.atomic import write_atomically
from pypm_store.locations import default_root
from pypm_workspace.discover import discover, find_root
from pypm_workspace.snapshot import Snapshot, members_from_snapshot
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_index.settings import Indexes
    from pypm_store.store import Store


def open_store(world: World) -> Store:
    """The machine's store: ``PYPM_CACHE_DIR``, else the platform's cache folder."""
    from pypm_store.store import Store

    return Store.open(environ=world.environ)


def open_workspace(world: World, *, remember: bool = True) -> Workspace:
    """The workspace around the current folder; its warnings are sent to the listener.

    Parsed manifests are remembered beside the store, so that a run with one changed manifest parses one;
    without *remember* nothing is written.
    """
    found = find_root(world.cwd, world.environ)
    remembered = _snapshot_file(world, found.root)
    snapshot = _read_snapshot(remembered)
    workspace = discover(found.root, snapshot=snapshot)
    if remember and (snapshot is None or not _covers(snapshot, workspace)):
        keep(remembered, workspace.snapshot())
    for warning in workspace.warnings:
        world.listener(warning)
    return workspace


def indexes_of(world: World, workspace: Workspace | None) -> Indexes:
    """The indexes a workspace names, with the machine's settings applied."""
    from pypm_index import pip_config
    from pypm_index.errors import BadIndex
    from pypm_index.settings import Index, Indexes

    named = [
        Index(setting.name, setting.url, explicit=setting.explicit, default=setting.default)
        for setting in (workspace.indexes if workspace else ())
    ]
    try:
        return Indexes.from_settings(
            named,
            workspace.settings.find_links if workspace else (),
            environ=world.environ,
            pip_config=pip_config.read(world.environ),
            root=Path(workspace.root) if workspace else world.cwd,
        )
    except BadIndex as error:
        if workspace is not None:
            written = [each.written for each in workspace.indexes if each.name == error.index]
            error.askers = tuple(workspace.place(each) for each in written if each.file)
        raise


def folder_in(workspace: Workspace, world: World) -> str:
    """The current folder relative to the workspace's root, with ``/``; ``.`` outside of it."""
    try:
        inside = world.cwd.resolve().relative_to(Path(workspace.root).resolve())
    except ValueError:
        return "."
    return inside.as_posix()


def snapshot_folder(world: World) -> Path:
    """Where parsed manifests are remembered, one file for each workspace."""
    return default_root(world.environ) / "workspaces"


def _snapshot_file(world: World, root: str) -> Path:
    # With the version: what another pypm found out about the same manifests may differ.
    digest = sha256(f"{VERSION} {root}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return snapshot_folder(world) / f"{digest}.json"


def merges_file(world: World, root: str) -> Path:
    """Where it is remembered which merged lock of the workspace at *root* was looked into."""
    return _snapshot_file(world, root).with_suffix(".merged.json")


def sound_file(world: World, root: str) -> Path:
    """Where it is remembered which lock of the workspace at *root* was found sound."""
    return _snapshot_file(world, root).with_suffix(".sound.json")


def asked_file(world: World, root: str) -> Path:
    """Where it is remembered what resolving the workspace at *root* had to know."""
    return _snapshot_file(world, root).with_suffix(".asked.json")


def fit_file(world: World, root: str) -> Path:
    """Where it is remembered which lock fits the manifests of the workspace at *root*."""
    return _snapshot_file(world, root).with_suffix(".fit.json")


def own_content(file: Path, most: int) -> bytes | None:
    """The first *most* bytes of *file* if nobody but the user can have written it: a folder for caches may
    be shared."""
    try:
        with open(file, "rb") as opened:
            seen = os.fstat(opened.fileno())
            if os.name == "posix" and (
                seen.st_uid != os.getuid() or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            ):
                return None
            return opened.read(most)
    except OSError:
        return None


def _read_snapshot(file: Path) -> Snapshot | None:
    try:
        return members_from_snapshot(file.read_bytes(), written_ns=file.stat().st_mtime_ns)
    except OSError:
        return None


def _covers(snapshot: Snapshot, workspace: Workspace) -> bool:
    """Whether the next run would gain nothing from a newer snapshot."""
    trusted = all(snapshot.trusts(entry.seen) for entry in workspace.remembered)
    return trusted and snapshot.checked(workspace.state) is not None


def keep(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Keeps what was found out where that is possible: it saves time, nothing hangs on it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, data, mode=mode)
    except OSError:
        pass
