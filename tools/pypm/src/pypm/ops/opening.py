"""Opens what verbs work on: the workspace, the store, the indexes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pypm.ops.remembered import keep_snapshot, recall_snapshot
from pypm.ops.world import World
from pypm_workspace.discover import discover, find_root
from pypm_workspace.snapshot import Snapshot
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

    Parsed manifests are remembered beside the store, so that a run with one changed manifest parses one, also
    in a clone that is new; without *remember* nothing is written.
    """
    found = find_root(world.cwd, world.environ)
    snapshot = recall_snapshot(world, found.root)
    workspace = discover(found.root, snapshot=snapshot)
    if remember and (snapshot is None or not _covers(snapshot, workspace)):
        keep_snapshot(world, workspace)
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
            pip_config=pip_config.reader(world.environ),
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


def _covers(snapshot: Snapshot, workspace: Workspace) -> bool:
    """Whether the next run would gain nothing from a newer snapshot."""
    trusted = all(snapshot.trusts(entry.seen) for entry in workspace.remembered)
    return trusted and snapshot.checked(workspace.state) is not None
