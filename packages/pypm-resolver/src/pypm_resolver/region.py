"""The search in one region: facts become incompatibilities, choices become decisions.

Inside a region every dependency whose marker can hold somewhere in it is taken as if it held
everywhere. What is found is therefore valid in every environment of the region; what is not found
may be due to requirements that never hold together, and then the region is cut (`pypm_resolver.regions`).
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from pypm_model.markers import FALSE, Diagram, any_of, both, implies, minus
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_resolver.candidates import kept
from pypm_resolver.choices import entered
from pypm_resolver.choosing import Choosing
from pypm_resolver.expansion import Expansion, Missing
from pypm_resolver.files import strict_region
from pypm_resolver.fitting import MISSES, Cut, Fitting
from pypm_resolver.graph import Graph, NodeKey
from pypm_resolver.incompatibility import Depends, Incompatibility, Structure, leaves
from pypm_resolver.package import Package, cover_of
from pypm_resolver.problem import ItemKey
from pypm_resolver.reach import reach
from pypm_resolver.universe import Universe

PATIENCE = 5
"""Conflicts between two packages after which the rejected one is chosen before the other."""


Pair = tuple[ItemKey, ItemKey]
"""Two extras or groups of one member, sorted."""


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
    left: tuple[ItemKey, ...] = ()
    """Items that do not go with those entered before them: it is found for the part without them."""
    pairs: tuple[Pair, ...] = ()
    """Pairs that are known to exclude each other because of that."""


@record
class Exclude:
    """Pairs of extras or groups of one member exclude each other wherever both are active."""

    pairs: tuple[Pair, ...]


@record
class Apart:
    """Nothing is left of the region without the items that do not go with others."""

    left: tuple[ItemKey, ...]


class Exhausted:
    """The budget of steps is used up."""


EXHAUSTED = Exhausted()
_LOOKS = 64
"""Incompatibilities that are looked at in about the time of a step."""
Outcome = Missing | Failed | Cut | Found | Exclude | Apart | Exhausted


class Region:
    """One search; `advance` goes on until something is needed or the end is reached.

    *entered* are the items it is about, *first* those of them that are entered before others; *earlier* the
    candidates regions solved before have chosen, by name; *ranks*, shared by all regions,
    which packages choose first. With *around*, a wider region, it is enough that a candidate has a file
    there, where nothing that is allowed has one here.
    """

    def __init__(
        self,
        universe: Universe,
        where: Diagram,
        entered: Mapping[ItemKey, bool],
        first: Container[ItemKey],
        earlier: dict[NormalizedName, list[int]],
        ranks: dict[NodeKey, int],
        budget: int,
        around: Diagram | None = None,
    ) -> None:
        self.universe = universe
        self.problem = universe.problem
        self.where = where
        self.graph = Graph(universe, where, entered, ranks, first)
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
        self._entered = 0
        """How many of the graph's choices have been looked at since decisions were last taken back."""
        self._has_chosen = False
        self._looked_at: list[int] = []
        self._blamed: dict[int, Pair | None] = {}

    @property
    def steps(self) -> int:
        """What the search has cost so far: nothing of it hangs on the machine."""
        solver = self.solver
        return solver.decisions + solver.conflicts + self._steps + solver.looked_at // _LOOKS

    @property
    def detours(self) -> int:
        """How often something was in the way of what would have been chosen."""
        return self.solver.conflicts + self._steps + self.choosing.passed

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
                    self._entered = 0
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
            # 3. Enter the next item, if it goes with those before it; others are for another region.
            missing = self._enter()
            if missing is not None:
                return missing
            if not solver.settled or solver.fixed:
                continue
            if not self._has_chosen:
                unfit = self._without_left()
                if unfit is not None:
                    return unfit
                if self._entered < len(self.graph.choices):
                    continue
            # 4. Choose a version for the next package.
            node = solver.next_open()
            if node is None:
                finished = self._finish()
                if finished is None:
                    continue
                return finished
            self._has_chosen = True
            choice = self.choosing.choose(node, self.expansion.siblings)
            if choice is None:
                continue
            if isinstance(choice, Cut):
                return choice
            # 5. Look at what it brings before choosing it: a version that clashes with what is
            # chosen already is left out without going back.
            stopped = self.expansion.look_ahead(node, choice)
            if stopped is not None:
                return stopped
            if solver.bits[node] >> choice & 1:
                if solver.settled:
                    solver.decide(node, choice)
            else:
                self._note_rejection(node)

    def _enter(self) -> Missing | None:
        """Decide that one more item is active, unless what it asks for clashes with those that are."""
        choices, solver = self.graph.choices, self.solver
        while self._entered < len(choices) and solver.settled:
            node = choices[self._entered]
            if solver.bits[node] == solver.everything[node]:
                missing = self.expansion.look_at_item(node)
                if missing is not None:
                    return missing
                if not solver.settled:
                    return None
                solver.decide(node, 0)
            self._entered += 1
        return None

    def _left(self) -> list[int]:
        """Nodes of the items that do not go with the others."""
        return [node for node in self.graph.choices if not self.solver.bits[node] & 1]

    def _without_left(self) -> Apart | Exclude | None:
        """What to do before the region is solved without the items that are left out."""
        left = self._left()
        if left == self._looked_at:
            return None
        self._looked_at = left
        pairs = self._pairs(left)
        if pairs and len(pairs) == len(left):
            return Exclude(tuple(dict.fromkeys(pairs)))
        keys = tuple(self.graph.item(node).key for node in left)
        rest = minus(self.where, any_of(self.problem.items[key].flag for key in keys))
        if not entered(self.problem, rest):
            return Apart(keys)
        self.choosing.narrow(rest)
        return None

    def _pairs(self, left: list[int]) -> tuple[Pair, ...]:
        """The pairs that exclude each other, one for each item that is left out because of such a one."""
        if self.problem.request.shared_environment:
            return ()
        new = [node for node in left if node not in self._blamed]
        for node in new:
            self._blamed[node] = self.pair(self.solver.blame(node))
        unsure = [node for node in new if self._blamed[node] is None]
        for node in unsure:
            self._blamed[node] = self._pair_alone(node)
        if unsure:
            self._take_back()
        return tuple(pair for node in left if (pair := self._blamed[node]) is not None)

    def _blamed_pairs(self) -> tuple[Pair, ...]:
        """Of the items that are left out in the end, the pairs that are plain without searching anew."""
        if self.problem.request.shared_environment:
            return ()
        pairs = {self._blamed.get(node) or self.pair(self.solver.blame(node)): None for node in self._left()}
        return tuple(pair for pair in pairs if pair is not None)

    def _pair_alone(self, node: int) -> Pair | None:
        """The pair, if what has been added so far says that its own member's items leave no room for it."""
        member = self.graph.keys[node][1]
        own = [n for n in self.graph.choices if self.graph.keys[n][1] == member and n != node]
        self._take_back()
        for each in (*own, node):
            while not self.solver.settled:
                if self.solver.propagate() is not None:
                    return None
            if self.solver.bits[each] == self.solver.everything[each]:
                self.solver.decide(each, 0)
        while not self.solver.settled:
            if self.solver.propagate() is not None:
                return None
        return None if self.solver.bits[node] & 1 else self.pair(self.solver.blame(node))

    def _take_back(self) -> None:
        self.solver.restart()
        self._entered = 0

    def pair(self, proof: Incompatibility) -> Pair | None:
        """The two extras or groups of one member that the proof hangs on, if it is these that exclude each
        other in all of the region, and members do not share an environment."""
        if self.problem.request.shared_environment:
            return None
        found = leaves(proof)
        if any(leaf.markers for leaf in found):
            return None
        nodes = {node for node, _ in proof.terms}
        entries = (leaf for leaf in found if isinstance(leaf.cause, Structure) and len(leaf.terms) == 1)
        nodes |= {leaf.terms[0][0] for leaf in entries}
        if any(self.graph.keys[node][0] != "item" for node in nodes):
            return None
        active = [self.graph.item(node).key for node in nodes]
        pair = sorted(key for key in active if key[1] or key[2])
        if len(pair) != 2 or len({key[0] for key in active}) != 1:
            return None
        known = any(set(pair) <= set(conflict.items) for conflict in self.problem.request.conflicts)
        return None if known else (pair[0], pair[1])

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
        self._take_back()

    def _needless(
        self, chosen: Mapping[NormalizedName, int], reached: Mapping[int, Diagram]
    ) -> Diagram | None:
        """The marker of a requirement that keeps a version of the old lock from being chosen, and holds
        nowhere that who has it is needed: where it is cut out, the lock can stay as it is.

        Such a requirement was taken to hold, as all are. A lock that was found by cutting the region into
        parts that then turned out alike is one region now, in which it can be in the way again.
        """
        for name, preferences in self.problem.preferences.items():
            index = chosen.get(name)
            if index is None:
                continue
            node = self.graph.node(("package", name))
            package = self.graph.packages[node]
            if len(preferences) == 1 and index in package.positions(preferences[0][0]):
                continue  # as nearly always
            wanted = kept(self.problem, package, self.choosing.inside)
            if index in wanted:
                continue
            for version in wanted:
                proof = self.solver.why_not(node, version)
                for leaf in leaves(proof) if proof is not None else ():
                    if not leaf.markers or not isinstance(leaf.cause, Depends):
                        continue
                    if both(reached.get(leaf.terms[0][0], FALSE), leaf.marker) == FALSE:
                        return leaf.marker
        return None

    def _finish(self) -> Found | Cut | Apart | None:
        """Everything is chosen: check the files against where each package is really needed; None if one has
        none there, which is a fact now."""
        left = tuple(self.graph.item(node).key for node in self._left())
        inside = minus(self.where, any_of(self.problem.items[key].flag for key in left))
        if left and not entered(self.problem, inside):
            return Apart(left)
        pairs = self._blamed_pairs()
        reached = reach(self.graph, inside)
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
            if self.fitting.is_whole(cover):
                # That is of the usual environments; it may be needed in others alone.
                if both(scope, cover.files) == FALSE:
                    return self.choosing.without_files(node, 1 << index, scope)
            else:
                allowed = self.choosing.alternatives(node, package)
                around = self.choosing.around(node, scope)
                verdict = self.choosing.judge(node, index, cover, scope, around, allowed)
                if verdict is MISSES:
                    return self.choosing.without_files(node, 1 << index, scope)
                if isinstance(verdict, Cut):
                    return verdict
            chosen[package.name] = index
        needless = self._needless(chosen, reached)
        if needless is not None:
            return Cut(needless)
        return Found(chosen, {self.graph.keys[node]: where for node, where in reached.items()}, left, pairs)
