"""Which candidate of a package to try next, and when to cut the region instead."""

from __future__ import annotations

from pypm_model.markers import FALSE, TRUE, Diagram, all_of, both, implies, minus
from pypm_model.names import NormalizedName
from pypm_resolver.bars import unfit
from pypm_resolver.candidates import best, in_order, is_lowest, is_mixed, is_settled, kept
from pypm_resolver.files import Cover
from pypm_resolver.fitting import Cut, Fits, Fitting, Misses
from pypm_resolver.graph import Edge, Graph
from pypm_resolver.incompatibility import Barred
from pypm_resolver.package import Package, cover_of
from pypm_resolver.reach import reach
from pypm_resolver.reach import scope as scope_of


class Choosing:
    """Chooses candidates in one region; *earlier* are those that regions solved before have chosen."""

    def __init__(self, graph: Graph, fitting: Fitting, earlier: dict[NormalizedName, list[int]]) -> None:
        self.graph = graph
        self.fitting = fitting
        self.problem = graph.problem
        self.solver = graph.solver
        self.where = graph.where
        self._earlier = earlier
        self._kept: dict[int, tuple[int, ...]] = {}
        self.inside = self.where
        """The region without the items that are left out of it."""
        self.passed = 0
        """How often a candidate was passed over, or the region was to be cut, for where it has files."""

    def narrow(self, inside: Diagram) -> None:
        """Choose for *inside* from now on."""
        if inside != self.inside:
            self.inside = inside
            self._kept.clear()

    def choose(self, node: int, siblings: frozenset[int] | set[int]) -> int | Cut | None:
        """The candidate to try next for the package at *node*, or where the region must be cut first; None
        if it has been added to the facts that nothing fits."""
        package = self.graph.packages[node]
        allowed = self.solver.bits[node]
        lowest = is_lowest(self.problem, package.name, self.where)
        mixed = is_mixed(self.problem.request.prereleases, package.name)
        scope: Diagram | None = None
        later: Cut | None = None
        without: int | None = None
        around: Diagram = FALSE
        if lowest or node in siblings:
            cut = self._cut_for_quality(node, package, lowest, mixed)
            if cut is not None:
                return cut
        for index in in_order(package, allowed, self._first(node, package), lowest, mixed):
            cover = cover_of(package, index)
            if self.fitting.is_whole(cover):
                return index
            if scope is None:
                scope = scope_of(self.graph, node)
                around = self.around(node, scope)
            verdict = self.judge(node, index, cover, scope, around, allowed)
            self.passed += not isinstance(verdict, Fits)
            match verdict:
                case Fits() if scope != FALSE and both(scope, cover.files) == FALSE:
                    without = index if without is None else without
                case Fits():
                    return index
                case Cut() as cut:
                    if self.problem.request.fork_strategy != "fewest":
                        return cut
                    later = later or cut
        if later is not None:
            return later
        if without is not None:
            return without
        assert scope is not None
        return self.without_files(node, allowed, scope)

    def without_files(self, node: int, mask: int, scope: Diagram) -> Cut | None:
        """What to do about candidates that have no file in *scope*: cut it out of the region; None if it is
        all of it, and they are barred now. (That is so only where files are judged for a wider region.)"""
        if not implies(self.where, scope):
            return Cut(scope)
        self.graph.add(((node, mask),), Barred("files"), TRUE)
        return None

    def around(self, node: int, scope: Diagram) -> Diagram:
        """Where the package at *node* must have a file: in *scope*, where it is needed in the region, or in
        what would be that in the wider region that files are judged for."""
        if self.fitting.around == self.where:
            return scope
        return reach(self.graph, self.fitting.around).get(node, FALSE)

    def judge(
        self, node: int, index: int, cover: Cover, scope: Diagram, around: Diagram, allowed: int
    ) -> Fits | Misses | Cut:
        """Whether a candidate serves *scope* and has a file in *around*, *allowed* being what could be chosen
        instead."""
        package = self.graph.packages[node]
        if is_settled(self.problem, package, index, scope):
            return self.fitting.judge(package, cover, scope, around, 0)
        mask = ~(1 << index)
        if not package.prereleases >> index & 1:
            mask &= ~package.prereleases
        return self.fitting.judge(
            package, cover, scope, around, allowed & mask, lambda part: self._elsewhere(node, part) & mask
        )

    def _elsewhere(self, node: int, part: Diagram) -> int:
        """The candidates that requirements would allow if only those were in force that are in *part*: all
        are taken to hold in all of the region (see `pypm_resolver.regions`). 0 if none excludes any."""
        package = self.graph.packages[node]
        free = package.every & ~package.too_new & ~package.yanked
        if part == FALSE or self.alternatives(node, package) == free:
            return 0
        reached = reach(self.graph)
        allowed = free
        for parent, slot, edge in self.graph.incoming.get(node, ()):
            is_there = all_of((reached.get(parent, FALSE), edge.marker, part)) != FALSE
            if is_there and self.graph.is_in_force(parent, slot):
                allowed &= edge.mask
        return allowed

    def _first(self, node: int, package: Package) -> tuple[int, ...]:
        found = self._kept.get(node)
        if found is None:
            found = kept(self.problem, package, self.inside)
            if self.problem.request.strategy == "highest" or package.name not in self.problem.direct:
                found += tuple(self._earlier.get(package.name, ()))
            self._kept[node] = found
        return found

    def _cut_for_quality(self, node: int, package: Package, lowest: bool, mixed: bool) -> Cut | None:
        """Whether requirements with different markers, taken apart, would lead to different versions.

        For the newest version only siblings count (requirements of one parent), for the oldest all
        requirements of members: their lower bounds are what these strategies are to show.
        """
        by_parent: dict[int, list[Edge]] = {}
        everything: list[Edge] = []
        for parent, slot, edge in self.graph.incoming.get(node, ()):
            if self.graph.is_in_force(parent, slot):
                by_parent.setdefault(parent, []).append(edge)
                everything.append(edge)
        groups = [
            mine
            for parent, mine in by_parent.items()
            if len(mine) > 1 or (lowest and self.graph.keys[parent][0] == "item")
        ]
        if all(implies(self.where, edge.marker) for mine in groups for edge in mine):
            return None
        barred = 0
        for mask in unfit(self.fitting, package).values():
            barred |= mask
        usable = package.every & ~barred & ~package.too_new & ~package.yanked
        for group in groups:
            for edge in group:
                if implies(self.where, edge.marker):
                    continue
                picks = []
                for part in (both(self.where, edge.marker), minus(self.where, edge.marker)):
                    allowed, needed = usable, False
                    for other in everything:
                        if both(part, other.marker) != FALSE:
                            allowed &= other.mask
                            needed = True
                    if needed:
                        picks.append(best(package, allowed, lowest, mixed))
                if len(picks) == 2 and picks[0] != picks[1] and None not in picks:
                    return Cut(edge.marker)
        return None

    def alternatives(self, node: int, package: Package) -> int:
        """The candidates the requirements in force would have allowed."""
        allowed = package.every & ~package.too_new & ~package.yanked
        for parent, slot, edge in self.graph.incoming.get(node, ()):
            if self.graph.is_in_force(parent, slot):
                allowed &= edge.mask
        return allowed
