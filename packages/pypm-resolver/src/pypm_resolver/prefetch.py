"""What will probably be asked next: a walk along first choices, ahead of the search.

Only speed hangs on it. The walk looks at whatever facts have arrived, so its order is not
reproducible, and nothing it finds out may reach the search.
"""

from __future__ import annotations

from pypm_model.facts import Key
from pypm_model.markers import FALSE, both
from pypm_model.names import NormalizedName
from pypm_resolver.candidates import bars_prereleases, best, is_lowest, is_mixed, kept
from pypm_resolver.package import Package
from pypm_resolver.region import Region
from pypm_resolver.universe import Dependency, Universe, Unusable

REJECTIONS = 5
"""After so many rejected versions of a package, the next ones are asked for in bulk."""

BULK = 50


class Prefetch:
    """A walk over names, each visited with the extras and the first specifier it was met with."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self._known: set[tuple[NormalizedName, str]] = set()
        self._open: list[tuple[Dependency, NormalizedName | None]] = []
        self._guesses: dict[NormalizedName, int | None] = {}
        self._started = False

    def keys(self, region: Region | None) -> tuple[Key, ...]:
        """Keys worth asking for now; some may be underway already."""
        if not self._started:
            self._started = True
            for item in self.universe.problem.items.values():
                self._meet(self.universe.of_item(item))
        wanted: dict[Key, None] = {}
        while self._open:
            waiting: list[tuple[Dependency, NormalizedName | None]] = []
            todo, self._open = self._open, []
            for dependency, extra in todo:
                missing = self._look(dependency, extra)
                if missing:
                    waiting.append((dependency, extra))
                    wanted.update(dict.fromkeys(missing))
            if not self._open:
                self._open = waiting
                break
            self._open += waiting
        if region is not None:
            wanted.update(dict.fromkeys(self._bulk(region)))
        return tuple(wanted)

    def _look(self, dependency: Dependency, extra: NormalizedName | None) -> tuple[Key, ...]:
        """Go one step further along *dependency*; what is missing for it, or nothing when it is done."""
        universe = self.universe
        package = universe.package(dependency.name)
        if not isinstance(package, Package):
            return package
        if dependency.name not in self._guesses:
            self._guesses[dependency.name] = self._guess(package, dependency)
        index = self._guesses[dependency.name]
        if index is None:
            return ()
        found = universe.of_candidate(package, index, extra)
        if found is None:
            return (package.key(index),)
        if not isinstance(found, Unusable):
            self._meet(found)
        return ()

    def _meet(self, dependencies: tuple[Dependency, ...]) -> None:
        problem = self.universe.problem
        for dependency in dependencies:
            if dependency.refused or dependency.name in problem.members:
                continue
            if both(problem.where, dependency.marker) == FALSE:
                continue
            for extra in (None, *dependency.extras):
                if (dependency.name, extra or "") not in self._known:
                    self._known.add((dependency.name, extra or ""))
                    self._open.append((dependency, extra))

    def _guess(self, package: Package, dependency: Dependency) -> int | None:
        """The candidate the search will probably choose."""
        problem = self.universe.problem
        policy = problem.request.prereleases
        allowed = package.bits(dependency.specifier, dependency.source)
        for ask in problem.constraints.get(package.name, ()):
            allowed &= package.bits(ask.requirement.specifier)
        for index in kept(problem, package, problem.where):
            if allowed >> index & 1:
                return index
        allowed &= ~package.yanked & ~package.too_new
        for cover, mask in package.covers:
            if both(cover.files, problem.where) == FALSE:
                allowed &= ~mask
        if bars_prereleases(policy, package.name):
            allowed &= ~package.prereleases
        lowest = is_lowest(problem, package.name, problem.where)
        return best(package, allowed, lowest, is_mixed(policy, package.name))

    def _bulk(self, region: Region) -> list[Key]:
        """Metadata of the next versions of packages that keep being rejected."""
        keys: list[Key] = []
        for node, count in region.rejections.items():
            package = region.node_package(node)
            if package is None or count < REJECTIONS:
                continue
            allowed = region.solver.bits[node] & package.every
            lowest = is_lowest(self.universe.problem, package.name, region.where)
            for _ in range(BULK):
                index = best(package, allowed, lowest, False)
                if index is None:
                    break
                allowed &= ~(1 << index)
                key = package.key(index)
                if not self.universe.knowledge.knows(key):
                    keys.append(key)
        return keys
