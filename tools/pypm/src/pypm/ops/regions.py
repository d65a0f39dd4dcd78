"""Where a lock has each of its packages, in words and as markers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property

from pypm_model import markers
from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.lock_reach import everything, reach
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.markers import Diagram
from pypm_model.names import NormalizedName
from pypm_model.records import record


@record
class Where:
    """The part of what a lock covers in which a package is installed; all empty: all of it."""

    words: str
    marker: str
    whom: tuple[str, ...] = ()
    """Where members have environments of their own and not all who need the package get the same: the
    members, extras and groups that get it (``acme``, ``acme[http2]``, ``acme:dev``), which *words* then leave
    out. An extra or group is named if it is not its member that brings the package."""


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
        self._several = Counter(package.name for package in lock.packages)
        self._is_apart = ("shared-environment", "false") in lock.settings.values
        self._known: dict[int, Where] = {}

    @cached_property
    def _reach(self) -> Mapping[int, Diagram]:
        lock = self._lock
        found = dict(reach(lock, everything(lock)))
        if self._is_apart or any(
            "dependency_groups" in edge.marker for package in lock.packages for edge in _edges(package)
        ):
            apart = reach(lock)
            found.update(
                (i, apart.get(i, markers.FALSE))
                for i, package in enumerate(lock.packages)
                if self._several[package.name] > 1
            )
        return found

    def diagram(self, position: int) -> Diagram:
        """Where the package at *position* is, within what the lock covers."""
        return markers.both(self._reach.get(position, markers.FALSE), self._covered)

    def where(self, position: int) -> Where:
        """The same for people and for programs."""
        found = self._known.get(position)
        if found is None:
            found = self._known[position] = self._where(position)
        return found

    def _where(self, position: int) -> Where:
        diagram = self.diagram(position)
        inside = markers.simplify(diagram, self._covered)
        if inside == markers.TRUE:
            return EVERYWHERE
        marker = markers.text(inside)
        if self._is_apart and self._several[self._lock.packages[position].name] > 1:
            whom = tuple(self._whom(diagram))
            inside = markers.simplify(markers.exists(diagram, markers.flags(diagram)), self._covered)
            return Where("" if inside == markers.TRUE else markers.describe(inside), marker, whom)
        return Where(markers.describe(inside), marker)

    def _whom(self, where: Diagram) -> Iterator[str]:
        """Which members, extras and groups, each by itself, get what is locked *where*."""
        items: list[tuple[str, tuple[str, ...]]] = []
        for package in self._lock.packages:
            if package.manifest is not None:
                own = member_flag(package.name)
                extras = [extra_flag(package.name, extra) for extra, _ in package.extras]
                groups = [group_flag(package.name, group) for group, _ in package.groups]
                items += [(own, (own,)), *((e, (own, e)) for e in extras), *((g, (g,)) for g in groups)]
        none = dict.fromkeys((name for name, _ in items), False)
        got: set[str] = set()
        for name, active in items:
            chosen = {**none, **dict.fromkeys(active, True)}
            if got.isdisjoint(active) and markers.assume(where, chosen) != markers.FALSE:
                got.add(name)
                yield name.replace("(root)", "the workspace")

    def of(self, name: NormalizedName, version: str) -> Where:
        """Where a version is; everywhere for what is not locked."""
        position = self._positions.get((name, version))
        return EVERYWHERE if position is None else self.where(position)


def _edges(package: LockedPackage) -> Iterator[Edge]:
    yield from package.dependencies
    for _, edges in (*package.extras, *package.groups):
        yield from edges
