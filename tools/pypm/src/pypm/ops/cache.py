"""``pypm cache``: look at the store, and clean it."""

from __future__ import annotations

from typing import Any

from pypm.ops.opening import open_store
from pypm.ops.world import World


def cache_folder(world: World) -> str:
    """The store's folder."""
    return str(open_store(world).root)


def cache_size(world: World) -> dict[str, Any]:
    """Bytes by kind, and in all."""
    usage = open_store(world).size()
    return {**usage.kinds, "total": usage.total}


def prune(world: World) -> dict[str, Any]:
    """Removes what no environment uses; what was removed."""
    pruned = open_store(world).prune()
    return {**pruned.counts, "freed": pruned.bytes}


def clean(world: World) -> int:
    """Removes everything; bytes that were freed."""
    return open_store(world).clean()
