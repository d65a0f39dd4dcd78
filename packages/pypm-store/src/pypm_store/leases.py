"""Who uses what of the store: one small file per owner, by its path.

An owner is an environment that uses trees, or a script or remembered tool that uses an environment of
the store. It uses what it has a lease for as long as it is there: at its path, or, an environment on the
store's device, wherever it was moved (`pypm_store.lease_file`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from pypm_model.records import field, record
from pypm_store.lease_file import (
    is_witness_of,
    is_witnessed,
    lease_name,
    parse_lease,
    put_lease,
    witness_path,
)

Named = Callable[[Path], Iterable[str]]
"""Digests that an owner's own record names."""


def nothing(owner: Path) -> Iterable[str]:
    return ()


@record
class Lease:
    """What one owner (an environment's folder) uses."""

    owner: Path
    """Where it was when it said so."""
    digests: frozenset[str]
    """sha256 of wheels, or names of environments in the store."""
    needs: bool = False
    """It holds links to them: without them it is broken, not merely to be fetched again."""
    has_moved: bool = False
    """Another owner is at its path."""
    witness: Path | None = field(default=None, compare=False, repr=False)
    """A file that is in the environment, too."""
    file: Path | None = field(default=None, compare=False, repr=False)

    @property
    def is_here(self) -> bool:
        """Whether something is where the owner was."""
        return not self.has_moved and os.path.lexists(self.owner)

    @property
    def is_witnessed_here(self) -> bool:
        """Whether the owner is known to be what is where it was."""
        return self.witness is not None and is_witness_of(str(self.witness), os.fspath(self.owner))

    @property
    def is_alive(self) -> bool:
        """Whether the owner is still there, or somewhere else."""
        return self.is_here or (self.witness is not None and is_witnessed(str(self.witness)))


def write_lease(folder: Path, lease: Lease) -> None:
    """Writes or replaces the owner's lease in *folder*. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    put_lease(str(folder), os.fspath(lease.owner), lease.digests, needs=lease.needs)


def drop_lease(folder: Path, owner: Path) -> None:
    """Ends the owner's lease, if it has one."""
    for lease in read_leases(folder):
        if lease.owner == owner and not lease.has_moved:
            _drop(lease)


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
            owner, digests, needs, witness = parse_lease((folder / name).read_bytes())
        except FileNotFoundError:
            continue
        path = Path(witness_path(str(folder), witness)) if witness else None
        found.append(Lease(Path(owner), digests, needs, name != lease_name(owner), path, folder / name))
    return sorted(found, key=lambda lease: (lease.owner, lease.has_moved))


def drop_dead_leases(folder: Path, named: Named = nothing) -> int:
    """Removes the leases of owners that are gone; how many. An environment of pypm's, which has something
    *named*, that has no witness gets one: an older pypm made it, or it was put back from a backup."""
    dead = [lease for lease in read_leases(folder) if not lease.is_alive]
    for lease in dead:
        _drop(lease)
    for lease in read_leases(folder):
        if lease.is_here and not lease.is_witnessed_here and named(lease.owner):
            with suppress(OSError):
                write_lease(folder, lease)
    witnesses = {lease.witness.name for lease in read_leases(folder) if lease.witness is not None}
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if name.startswith(".") and name not in witnesses:
                (folder / name).unlink(missing_ok=True)
    return len(dead)


def _drop(lease: Lease) -> None:
    for file in (lease.file, lease.witness):
        if file is not None:
            file.unlink(missing_ok=True)


def leased(leases: Iterable[Lease], named: Named = nothing) -> frozenset[str]:
    """What the owners that are still there use together: by their leases, and by what is *named* of those
    that are where they were, as one may have been put back from a backup."""
    found: set[str] = set()
    for lease in leases:
        if lease.is_alive:
            found |= lease.digests
            if lease.is_here:
                found.update(named(lease.owner))
    return frozenset(found)
