"""The search in one region: facts become incompatibilities, choices become decisions.

Inside a region every dependency whose marker can hold somewhere in it is taken as if it held
everywhere. What is found is therefore valid in every environment of the region; what is not found
may be due to requirements that never hold together, and then the region is cut (`pypm_resolver.regions`).
"""

from __future__ import annotations

from pypm_model.markers import FALSE, Diagram, both, implies
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_resolver.choosing import Choosing
from pypm_resolver.expansion import Expansion, Missing
from pypm_resolver.files import strict_region
from pypm_resolver.fitting import MISSES, Cut, Fitting
from pypm_resolver.graph import Graph, NodeKey
from pypm_resolver.incompatibility import Incompatibility
from pypm_resolver.package import Package, cover_of
from pypm_resolver.reach import reach
from pypm_resolver.universe import Universe

PATIENCE = 5
"""Conflicts between two packages after which the rejected one is chosen before the other."""


@record
class Failed:
    """There is no solution; *proof* has no terms. Without markers it fails in all of the region."""

    proof: Incompatibility


@record
class Found:
    """One candidate for everything the region needs."""

    chosen: dict[NormalizedName, int]
    """Candidates by name, what no environment of the region needs left out."""
    reach: dict[NodeKey, Diagram]
    """Where each node is needed; what is needed nowhere is left out."""


class Exhausted:
    """The budget of steps is used up."""


EXHAUSTED = Exhausted()
Outcome = Missing | Failed | Cut | Found | Exhausted


class Region:
    """One search; `advance` goes on until something is needed or the end is reached.

    *rivals* are members whose items are not entered here, because another one is installed alone;
    *earlier* the candidates regions solved before have chosen, by name; *ranks*, shared by all regions,
    which packages choose first. With *around*, a wider region, it is enough that a candidate has a file
    there, where nothing that is allowed has one here.
    """

    def __init__(
        self,
        universe: Universe,
        where: Diagram,
        rivals: frozenset[NormalizedName],
        earlier: dict[NormalizedName, list[int]],
        ranks: dict[NodeKey, int],
        budget: int,
        around: Diagram | None = None,
    ) -> None:
        self.universe = universe
        self.problem = universe.problem
        self.where = where
        self.graph = Graph(universe, where, rivals, ranks)
        self.solver = self.graph.solver
        self.fitting = Fitting(where, self.problem.expected, around)
        self.expansion = Expansion(self.graph, self.fitting)
        self.choosing = Choosing(self.graph, self.fitting, earlier)
        self.rejections: dict[int, int] = {}
        """Conflicts by the node whose version was rejected."""
        self._ranks = ranks
        self._budget = budget
        self._steps = 0
        self._clashes: dict[tuple[int, int], int] = {}

    @property
    def steps(self) -> int:
        return self.solver.decisions + self.solver.conflicts + self._steps

    def node_package(self, node: int) -> Package | None:
        """The package whose candidates the node's bits are; None for extras and items."""
        return self.graph.packages.get(node)

    def advance(self) -> Outcome:
        """Search until the end, or until facts are missing; may be called again once they are fed."""
        solver = self.solver
        while True:
            # 1. Draw all consequences.
            while not solver.settled:
                before = solver.conflicts
                proof = solver.propagate()
                if proof is not None:
                    return Failed(proof)
                if solver.conflicts != before:
                    self._note_conflict()
            if self.steps > self._budget:
                return EXHAUSTED
            # 2. What is fixed brings its dependencies with it.
            if solver.fixed:
                stopped = self.expansion.expand(solver.fixed[0])
                if stopped is not None:
                    return stopped
                if solver.fixed:
                    solver.fixed.pop(0)
                continue
            # 3. Choose a version for the next package.
            node = solver.next_open()
            if node is None:
                finished = self._finish()
                if finished is None:
                    continue
                return finished
            choice = self.choosing.choose(node, self.expansion.siblings)
            if choice is None:
                continue
            if isinstance(choice, Cut):
                return choice
            # 4. Look at what it brings before choosing it: a version that clashes with what is
            # chosen already is left out without going back.
            stopped = self.expansion.look_ahead(node, choice)
            if stopped is not None:
                return stopped
            if solver.bits[node] >> choice & 1:
                if solver.settled:
                    solver.decide(node, choice)
            else:
                self._note_rejection(node)

    def _note_conflict(self) -> None:
        conflict = self.solver.last_conflict
        if conflict is not None:
            self._note_clash(*conflict)

    def _note_rejection(self, node: int) -> None:
        self._steps += 1
        culprit = self.solver.culprit(node)
        if culprit is not None:
            self._note_clash(node, culprit)

    def _note_clash(self, affected: int, culprit: int) -> None:
        """Count the clash of two packages, and let the loser choose first when it happens too often."""
        self.rejections[affected] = self.rejections.get(affected, 0) + 1
        if affected == culprit or affected not in self.graph.packages or culprit not in self.graph.packages:
            return
        clash = (affected, culprit)
        count = self._clashes[clash] = self._clashes.get(clash, 0) + 1
        if count != PATIENCE or self._ranks.get(self.graph.keys[affected], 1) == 0:
            return
        for node, rank in ((affected, 0), (culprit, 2)):
            if rank == 2 and self._ranks.get(self.graph.keys[node], 1) == 0:
                continue
            self._ranks[self.graph.keys[node]] = rank
            self.solver.rerank(node, rank)
        self.solver.restart()

    def _finish(self) -> Found | Cut | None:
        """Everything is chosen: check the files against where each package is really needed; None if one has
        none there, which is a fact now."""
        reached = reach(self.graph)
        chosen: dict[NormalizedName, int] = {}
        for node, package in self.graph.packages.items():
            scope = reached.get(node, FALSE)
            if scope == FALSE:
                continue
            index = self.solver.bits[node].bit_length() - 1
            cover = cover_of(package, index)
            strict = strict_region(self.universe.requires_python(package, index))
            if not implies(scope, strict):
                return Cut(strict if both(scope, strict) != FALSE else scope)
            if not self.fitting.is_whole(cover):
                allowed = self.choosing.alternatives(node, package)
                around = self.choosing.around(node, scope)
                verdict = self.choosing.judge(package, index, cover, scope, around, allowed)
                if verdict is MISSES:
                    return self.choosing.without_files(node, 1 << index, scope)
                if isinstance(verdict, Cut):
                    return verdict
            chosen[package.name] = index
        return Found(chosen, {self.graph.keys[node]: where for node, where in reached.items()})
