"""What is remembered of a workspace between runs: a few files in the cache, named by its root.

They save time and nothing hangs on them: each names by digests what it was found out of. So a clone that
is new on this machine (a worktree, a checkout for CI) takes over what another one with the same manifest
at its root has: of that, what differs counts as not remembered.
"""

from __future__ import annotations

from pathlib import Path

from pypm._recipe import own_content
from pypm._verbs import VERSION
from pypm.ops.world import World
from pypm_model.digests import sha256
from pypm_store.atomic import write_atomically
from pypm_store.locations import default_root
from pypm_workspace.discovery import PROJECT, WORKSPACE
from pypm_workspace.snapshot import Snapshot, members_from_snapshot
from pypm_workspace.workspace import Workspace

_STEM = 24
"""Characters of a file's name."""
_LONGEST = 16_000_000
"""Bytes of a file that are taken over."""
_SHARED = (".asked.json", ".fit.json", ".sound.json")
"""What is remembered besides the manifests and says nothing of the place."""


def snapshot_folder(world: World) -> Path:
    """Where parsed manifests are remembered, one file for each workspace."""
    return default_root(world.environ) / "workspaces"


def recall_snapshot(world: World, root: str) -> Snapshot | None:
    """The manifests as they were when `keep_snapshot` was last called for the workspace at *root*, else for
    another clone of it; None if for none."""
    try:
        file = _snapshot_file(world, root)
        written = file.stat().st_mtime_ns
        return members_from_snapshot(file.read_bytes(), written_ns=written)
    except OSError:
        pass
    clone = _clone(_clones_file(world, root))
    data = None if clone is None else own_content(clone, _LONGEST)
    return None if data is None else members_from_snapshot(data, root=root)


def keep_snapshot(world: World, workspace: Workspace) -> None:
    """Remembers the manifests of *workspace*, and, if that is the first time, what its clone knew."""
    root = workspace.root
    file = _snapshot_file(world, root)
    pointer = _clones_file(world, root)
    clone = None if file.exists() else _clone(pointer)
    if clone is not None:
        for kind in _SHARED:
            content = own_content(clone.with_suffix(kind), _LONGEST)
            if content is not None:
                keep(file.with_suffix(kind), content, mode=0o600)
    keep(file, workspace.snapshot(), mode=0o600)
    if pointer is not None:
        keep(pointer, file.stem.encode(), mode=0o600)


def _clone(pointer: Path | None) -> Path | None:
    """The snapshot of the workspace that *pointer*, of `_clones_file`, names; None if it names none."""
    stem = None if pointer is None else own_content(pointer, _STEM)
    if pointer is None or stem is None or not stem.isalnum():
        return None
    return pointer.with_name(f"{stem.decode()}.json")


def _clones_file(world: World, root: str) -> Path | None:
    """Where it is remembered which workspace has such a manifest at its root."""
    for name in (WORKSPACE, PROJECT):
        try:
            with open(f"{root}/{name}", "rb") as file:
                content = file.read()
        except OSError:
            continue
        digest = sha256(f"{VERSION} {name} ".encode() + content).hexdigest()[:_STEM]
        return snapshot_folder(world) / f"{digest}.clone.json"
    return None


def _snapshot_file(world: World, root: str) -> Path:
    # With the version: what another pypm found out about the same manifests may differ.
    digest = sha256(f"{VERSION} {root}".encode("utf-8", "surrogateescape")).hexdigest()[:_STEM]
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


def keep(file: Path, data: bytes, *, mode: int | None = None) -> None:
    """Keeps what was found out where that is possible: it saves time, nothing hangs on it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, data, mode=mode)
    except OSError:
        pass
