"""Where a lock has each of its packages, in words and as markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property

from pypm_model import markers
from pypm_model.lock_reach import everything, reach
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.markers import Diagram
from pypm_model.names import NormalizedName
from pypm_model.records import record


@record
class Where:
    """The part of what a lock covers in which a package is installed; both empty: all of it."""

    words: str
    marker: str


EVERYWHERE = Where("", "")


class Regions:
    """Where each package of *lock* is needed, every member, extra and group chosen.

    Where versions of one name are for different members, extras or groups, these are part of the answer.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        covered = markers.requires_python(lock.requires_python)
        if lock.environments:
            covered = markers.both(covered, markers.any_of(map(markers.parse, lock.environments)))
        self._covered = covered
        self._positions = {(p.name, p.version): i for i, p in enumerate(lock.packages)}
        self._known: dict[int, Where] = {}

    @cached_property
    def _reach(self) -> Mapping[int, Diagram]:
        lock = self._lock
        found = dict(reach(lock, everything(lock)))
        several = Counter(package.name for package in lock.packages)
        if any("dependency_groups" in edge.marker for package in lock.packages for edge in _edges(package)):
            apart = reach(lock)
            found.update(
                (i, apart.get(i, markers.FALSE))
                for i, package in enumerate(lock.packages)
                if several[package.name] > 1
            )
        return found

    def diagram(self, position: int) -> Diagram:
        """Where the package at *position* is, within what the lock covers."""
        return markers.both(self._reach.get(position, markers.FALSE), self._covered)

    def where(self, position: int) -> Where:
        """The same for people and for programs."""
        found = self._known.get(position)
        if found is None:
            inside = markers.simplify(self.diagram(position), self._covered)
            everywhere = inside == markers.TRUE
            found = EVERYWHERE if everywhere else Where(markers.describe(inside), markers.text(inside))
            self._known[position] = found
        return found

    def of(self, name: NormalizedName, version: str) -> Where:
        """Where a version is; everywhere for what is not locked."""
        position = self._positions.get((name, version))
        return EVERYWHERE if position is None else self.where(position)


def _edges(package: LockedPackage) -> Iterator[Edge]:
    yield from package.dependencies
    for _, edges in (*package.extras, *package.groups):
        yield from edges
