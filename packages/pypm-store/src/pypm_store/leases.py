"""Who uses what of the store: one small file per owner, by its path.

An owner is an environment that uses trees, or a script or remembered tool that uses an environment of
the store. It uses what it has a lease for as long as its path is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pypm_model.records import record
from pypm_store.atomic import write_atomically
from pypm_store.lease_file import NEEDS, lease_name, lease_text


@record
class Lease:
    """What one owner (an environment's folder) uses."""

    owner: Path
    digests: frozenset[str]
    """sha256 of wheels, or names of environments in the store."""
    needs: bool = False
    """It holds links to them: without them it is broken, not merely to be fetched again."""

    @property
    def is_alive(self) -> bool:
        """Whether the owner is still there."""
        return os.path.lexists(self.owner)


def write_lease(folder: Path, lease: Lease) -> None:
    """Writes or replaces the owner's lease in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    content = lease_text(os.fspath(lease.owner), lease.digests, needs=lease.needs)
    write_atomically(_place(folder, lease.owner), content)


def drop_lease(folder: Path, owner: Path) -> None:
    """Ends the owner's lease, if it has one."""
    _place(folder, owner).unlink(missing_ok=True)


def read_leases(folder: Path) -> list[Lease]:
    """All leases, also of owners that are gone, in the order of their paths."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        if name.startswith("."):
            continue
        try:
            content = (folder / name).read_bytes()
        except FileNotFoundError:
            continue
        lines, _, owner = (b"\n" + content).partition(b"\n\n")
        words = frozenset(lines.decode().split())
        found.append(Lease(Path(os.fsdecode(owner)), words - {NEEDS}, NEEDS in words))
    return sorted(found, key=lambda lease: lease.owner)


def _place(folder: Path, owner: Path) -> Path:
    return folder / lease_name(os.fspath(owner))


def drop_dead_leases(folder: Path) -> int:
    """Removes the leases of owners that are gone; how many."""
    dead = [lease for lease in read_leases(folder) if not lease.is_alive]
    for lease in dead:
        drop_lease(folder, lease.owner)
    return len(dead)


def leased(leases: Iterable[Lease]) -> frozenset[str]:
    """What the owners that are still there use together."""
    return frozenset().union(*(lease.digests for lease in leases if lease.is_alive))
