"""Trees that were damaged and made anew: who holds files of one by hard link still holds the damaged ones.

For each there is an empty file in the store, as old as the new tree: what was linked before it is stale
(`pypm_env.stale`). Owners of leases are touched, so that no stamp says of them that there is nothing to do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pypm_store.atomic import write_atomically
from pypm_store.lease_file import LEASES, REMADE
from pypm_store.leases import read_leases

_COMPARED = "pyvenv.cfg"
"""Every environment has it, and stamps hold its time."""
_TICK = 0.02
"""Seconds: longer than the steps that a file system's clock goes in."""


def remade(store: Path) -> Mapping[str, int]:
    """When trees (by digest) were made anew, in nanoseconds; *store* is the layout's folder."""
    folder = store / REMADE
    found: dict[str, int] = {}
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                found[name] = os.stat(folder / name).st_mtime_ns
    return found


def note_remade(store: Path, digest: str) -> None:
    """Says that nobody can link the files any more that the tree *digest* had until now, and tells those who
    may hold them. What is linked when this returns is younger. Raises OSError."""
    folder = store / REMADE
    folder.mkdir(exist_ok=True)
    # Always another file: the folder's time tells that something was noted.
    write_atomically(folder / digest, b"")
    for lease in read_leases(store / LEASES):
        if digest in lease.digests:
            with suppress(OSError):  # it is gone, or another user's
                os.utime(lease.owner / _COMPARED)
    time.sleep(_TICK)


def forget_remade(store: Path, used: frozenset[str]) -> None:
    """Drops what is noted of trees that are not *used* by anybody."""
    for digest in remade(store).keys() - used:
        (store / REMADE / digest).unlink(missing_ok=True)
