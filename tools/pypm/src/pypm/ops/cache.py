"""``pypm cache``: look at the store, and clean it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pypm.ops.answers import FOLDER
from pypm.ops.lone_environment import answer_in
from pypm.ops.opening import open_store
from pypm.ops.remembered import snapshot_folder
from pypm.ops.world import World
from pypm_env.installed import trees_named
from pypm_env.sandbox.place import reap
from pypm_model.records import record
from pypm_store.store import Store

UNUSED_DAYS = 90
"""How long what an index said is kept without anybody asking for it."""


@record
class SizeReport:
    """Bytes in the store."""

    kinds: dict[str, int]
    """By kind of file: what they take on the disk."""
    metadata: dict[str, int]
    """What indexes said, by part: the texts alone, without sqlite's share of the file."""

    @property
    def total(self) -> int:
        return sum(self.kinds.values())

    def to_json(self) -> dict[str, Any]:
        return {**self.kinds, "total": self.total, "metadata-parts": self.metadata}


def cache_folder(world: World) -> str:
    """The store's folder."""
    return str(open_store(world).root)


def cache_size(world: World) -> SizeReport:
    """What the store takes, by kind, and its metadata by part."""
    store = open_store(world)
    parts: dict[str, int] = {}
    if _metadata_files(store):
        from pypm_store.metadata_cache import MetadataCache

        with MetadataCache(store.path) as cache:
            parts = cache.measure()
    return SizeReport(store.size().kinds, parts)


def prune(world: World, *, unused_days: int = UNUSED_DAYS) -> dict[str, Any]:
    """Removes what no environment uses, and what was not asked for in *unused_days*: what indexes said of
    a name, parsed manifests of a workspace, which environment answers for a tool or script, and what killed
    sandboxes left.
    Gives the numbers of what was removed."""
    store = open_store(world)
    before = time.time() - unused_days * 86400
    reaped = reap(store.path)
    forgotten = _forget(store, before)
    pruned = store.prune(trees_named)
    if forgotten:
        pruned.counts["tools"] = forgotten
    if reaped:
        pruned.counts["sandboxes"] = reaped
    for file in snapshot_folder(world).glob("*.json"):
        status = file.stat()
        if status.st_mtime < before:
            if not file.with_suffix("").suffix:  # the others go with the one of their workspace
                pruned.add("workspaces")
            pruned.bytes += status.st_size
            file.unlink(missing_ok=True)
    pruned.bytes += _remove_old(store.path / FOLDER, before)
    if _metadata_files(store):
        from pypm_store.metadata_cache import MetadataCache

        size = _size(_metadata_files(store))
        with MetadataCache(store.path) as cache:
            names = cache.forget_pages(before)
        if names:
            pruned.counts["names"] = names
            pruned.bytes += max(size - _size(_metadata_files(store)), 0)
    return {**pruned.counts, "freed": pruned.bytes}


def _remove_old(folder: Path, before: float) -> int:
    """Removes the files in *folder*, if it is there, that are from before; the bytes they took."""
    freed = 0
    for file in folder.glob("*"):
        status = file.stat()
        if status.st_mtime < before:
            file.unlink(missing_ok=True)
            freed += status.st_size
    return freed


def _forget(store: Store, before: float) -> int:
    """Lets tools go that nobody used since *before*; how many. What answers a script that is still there
    is remembered."""
    gone = 0
    folder = store.folder("tools")
    scripts = [lease for lease in store.references() if lease.is_alive and lease.owner.parent != folder]
    kept = frozenset().union(*(lease.digests for lease in scripts))
    for file in folder.iterdir():
        if file.stat().st_mtime < before and answer_in(file) not in kept:
            file.unlink(missing_ok=True)
            gone += 1
    return gone


def clean(world: World) -> int:
    """Removes everything; bytes that were freed."""
    return open_store(world).clean(trees_named)


def _metadata_files(store: Store) -> list[Path]:
    return list(store.path.glob("meta-*.sqlite*"))


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files)
