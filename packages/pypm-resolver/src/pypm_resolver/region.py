"""The search in one region: facts become incompatibilities, choices become decisions.

Inside a region every dependency whose marker can hold somewhere in it is taken as if it held
everywhere. What is found is therefore valid in every environment of the region; what is not found
may be due to requirements that never hold together, and then the region is cut (`pypm_resolver.regions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pypm_model.facts import Key, Listing
from pypm_model.markers import (
    FALSE,
    TRUE,
    Diagram,
    all_of,
    any_of,
    both,
    either,
    implies,
    minus,
    negate,
    parse,
)
from pypm_model.names import NormalizedName
from pypm_model.specifiers import InvalidSpecifier, bits
from pypm_model.versions import InvalidVersion, sort_key

from pypm_resolver.candidates import bars_prereleases, best, in_order, is_lowest, is_mixed, kept
from pypm_resolver.files import Cover, strict_region
from pypm_resolver.fitting import MISSES, Cut, Fits, Fitting
from pypm_resolver.incompatibility import Barred, Cause, Constrained, Depends, Incompatibility, Structure
from pypm_resolver.package import Package, cover_of
from pypm_resolver.problem import Item, ItemKey
from pypm_resolver.solver import Solver
from pypm_resolver.universe import Dependency, Universe, Unusable

NodeKey = tuple[str, ...]
"""``("package", name)``, ``("extra", name, extra)`` or ``("item", member, extra, group)``."""

PATIENCE = 5
"""Conflicts between two packages after which the rejected one is chosen before the other."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The search can not go on without these facts."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no solution; *proof* has no terms. Without markers it fails in all of the region."""

    proof: Incompatibility


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency that was followed: by the node it is kept under, on *target*."""

    target: int
    marker: Diagram
    mask: int
    """Candidates of the target it allows."""
    dependency: Dependency | None


@dataclass(frozen=True, slots=True)
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

    *rivals* are members whose items are not entered here, because another one is
    installed alone; *earlier* the candidates regions solved before have chosen, by name.
    """

    def __init__(
        self,
        universe: Universe,
        where: Diagram,
        rivals: frozenset[NormalizedName],
        earlier: dict[NormalizedName, list[int]],
        ranks: dict[NodeKey, int],
        budget: int,
    ) -> None:
        self.universe = universe
        self.problem = universe.problem
        self.where = where
        self.solver = Solver()
        self.keys: list[NodeKey] = []
        self.rejections: dict[int, int] = {}
        """Conflicts by the node whose version was rejected."""
        self._rivals = rivals
        self._earlier = earlier
        self._ranks = ranks
        self._budget = budget
        self._fitting = Fitting(where, self.problem.expected)
        self._nodes: dict[NodeKey, int] = {}
        self._packages: dict[int, Package] = {}
        self._edges: dict[tuple[int, int], list[Edge]] = {}
        self._siblings: set[int] = set()
        self._kept: dict[int, tuple[int, ...]] = {}
        self._clashes: dict[tuple[int, int], int] = {}
        self._checked: set[tuple[int, int]] = set()
        self._steps = 0
        self._incoming: dict[int, list[tuple[int, int, Edge]]] = {}
        self._extras: dict[NormalizedName, list[tuple[NormalizedName, int]]] = {}
        self._roots = [item for item in self.problem.items.values() if item.key[0] not in rivals]
        for item in self.problem.items.values():
            self._node(("item", *item.key), 1)
        for item in self.problem.items.values():
            self._enter(item)

    @property
    def steps(self) -> int:
        return self.solver.decisions + self.solver.conflicts + self._steps

    def node_package(self, node: int) -> Package | None:
        """The package whose candidates the node's bits are; None for extras and items."""
        return self._packages.get(node)

    def open_packages(self) -> Iterable[tuple[Package, int]]:
        """Packages met so far with the candidates still possible."""
        for node, package in self._packages.items():
            yield package, self.solver.bits[node] & package.every

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
                stopped = self._expand(solver.fixed[0])
                if stopped is not None:
                    return stopped
                if solver.fixed:
                    solver.fixed.pop(0)
                continue
            # 3. Choose a version for the next package.
            node = solver.next_open()
            if node is None:
                return self._finish()
            choice = self._choose(node)
            if isinstance(choice, Cut):
                return choice
            # 4. Look at what it brings before choosing it: a version that clashes with what is
            # chosen already is left out without going back.
            stopped = self._look_ahead(node, choice)
            if stopped is not None:
                return stopped
            if solver.bits[node] >> choice & 1:
                if solver.settled:
                    solver.decide(node, choice)
            else:
                self._note_rejection(node)

    # Nodes

    def _node(self, key: NodeKey, versions: int) -> int:
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = self.solver.add_node(versions, self._ranks.get(key, 1))
            self.keys.append(key)
        return node

    def _package_node(self, package: Package) -> int:
        key = ("package", package.name)
        node = self._nodes.get(key)
        if node is None:
            node = self._node(key, len(package.versions))
            self._packages[node] = package
            self._bar(node, package)
        return node

    def _extra_node(self, name: NormalizedName, extra: NormalizedName) -> int:
        key = ("extra", name, extra)
        node = self._nodes.get(key)
        if node is None:
            node = self._node(key, 1)
            self._extras.setdefault(name, []).append((extra, node))
        return node

    def _enter(self, item: Item) -> None:
        node = self._nodes[("item", *item.key)]
        if item.key[1]:
            member = self._nodes[("item", item.key[0], "", "")]
            self._add(((node, 1), (member, 2)), Structure(), TRUE)
        if item.key[0] in self._rivals:
            return
        where = both(item.flag, item.where)
        if both(self.where, where) == FALSE:
            return
        marker = item.where if implies(self.where, item.flag) else item.flag
        self._add(((node, 2),), Structure(), marker)

    def _add(self, terms: Iterable[tuple[int, int]], cause: Cause, marker: Diagram) -> None:
        """Add a leaf that holds under *marker*; terms that are always true are dropped, one that is never
        true drops the leaf."""
        if both(self.where, marker) == FALSE:
            return
        merged: dict[int, int] = {}
        for node, term in terms:
            merged[node] = merged.get(node, self.solver.everything[node]) & term
        if not all(merged.values()):
            return
        kept_terms = tuple(
            (node, term) for node, term in merged.items() if term != self.solver.everything[node]
        )
        constant = implies(self.where, marker)
        self.solver.add(
            Incompatibility(
                kept_terms,
                cause,
                frozenset() if constant else frozenset((marker,)),
                marker,
            )
        )

    # Facts about all candidates of a package

    def _bar(self, node: int, package: Package) -> None:
        def bar(mask: int, kind: str, detail: str = "", marker: Diagram = TRUE) -> None:
            if mask:
                self._add(((node, mask),), Barred(kind, detail), marker)

        problem = self.problem
        listed = 0
        pinned_anywhere = any_of(pin.where for pin in problem.pins(package.name))
        regions = {pin.source: pin.where for pin in problem.pins(package.name)}
        for origin in package.origins:
            if isinstance(origin.fact, Listing):
                listed |= origin.mask
            if origin.pinned is not None:
                bar(origin.mask, "source", "", negate(regions[origin.pinned]))
            elif pinned_anywhere != FALSE:
                bar(origin.mask, "source", "", pinned_anywhere)
        bar(package.too_new, "too-new", problem.request.exclude_newer)
        if bars_prereleases(problem.request.prereleases, package.name):
            bar(package.prereleases & listed, "prerelease")
        for kind, mask in self._unfit(package).items():
            bar(mask, kind)
        self._bar_yanked(package, bar)
        for ask in problem.constraints.get(package.name, ()):
            allowed = package.bits(ask.requirement.specifier)
            marker = parse(ask.requirement.marker)
            if package.every & ~allowed:
                self._add(((node, package.every & ~allowed),), Constrained(ask), marker)

    def _unfit(self, package: Package) -> dict[str, int]:
        unfit: dict[str, int] = {}
        for cover, mask in package.covers:
            kind = self._fitting.barred(cover)
            if kind:
                unfit[kind] = unfit.get(kind, 0) | mask
        return unfit

    def _bar_yanked(self, package: Package, bar: Callable[..., None]) -> None:
        yanked = package.yanked
        if not yanked:
            return
        allowed: dict[int, Diagram] = {}
        for version, where in self.problem.exact.get(package.name, ()):
            try:
                mask = package.bits(f"=={version}")
            except (InvalidSpecifier, InvalidVersion):
                mask = package.bits(f"==={version}")
            _walk_mask(mask & yanked, allowed, where)
        for version, _, where in self.problem.preferences.get(package.name, ()):
            mask = sum(1 << i for i, known in enumerate(package.versions) if known == version)
            _walk_mask(mask & yanked, allowed, where)
        for index, where in allowed.items():
            yanked &= ~(1 << index)
            bar(1 << index, "yanked", "", negate(where))
        bar(yanked, "yanked")

    # Dependencies

    def _expand(self, node: int) -> Outcome | None:
        """Add what comes with a fixed node; None when done, else what stopped it."""
        solver = self.solver
        if not solver.is_fixed(node):
            return None
        key = self.keys[node]
        match key[0]:
            case "item":
                if (node, 0) in self._edges:
                    return None
                item = self.problem.items[_item_key(key)]
                return self._follow(node, ((node, 1),), 0, self.universe.of_item(item))
            case "extra":
                owner = self._nodes[("package", key[1])]
                if not solver.is_fixed(owner):
                    return None
                index = solver.bits[owner].bit_length() - 1
                return self._expand_candidate(owner, index, NormalizedName(key[2]), node)
            case _:
                return self._look_ahead(node, solver.bits[node].bit_length() - 1)

    def _look_ahead(self, node: int, index: int) -> Outcome | None:
        """Add what comes with a candidate that is about to be chosen."""
        stopped = self._expand_candidate(node, index, None, node)
        for extra, other in self._extras.get(self._packages[node].name, ()):
            if stopped is None and self.solver.is_fixed(other):
                stopped = self._expand_candidate(node, index, extra, other)
        return stopped

    def _expand_candidate(
        self, owner: int, index: int, extra: NormalizedName | None, node: int
    ) -> Outcome | None:
        package = self._packages[owner]
        if (node, index) in self._edges:
            return None
        dependencies = self.universe.of_candidate(package, index, extra)
        if dependencies is None:
            key = package.key(index)
            return Missing((key,))
        terms = ((owner, 1 << index),) if extra is None else ((owner, 1 << index), (node, 1))
        if isinstance(dependencies, Unusable):
            self._add(terms[:1], Barred("metadata", dependencies.reason), TRUE)
            self._edges[(node, index)] = []
            return None
        if extra is None:
            stopped = self._check_python(package, owner, index)
            if stopped is not None:
                return stopped
        return self._follow(node, terms, index, dependencies)

    def _check_python(self, package: Package, node: int, index: int) -> Cut | None:
        """Requires-Python of the metadata, for indexes whose listings do not say it."""
        if (node, index) in self._checked:
            return None
        strict = strict_region(self.universe.requires_python(package, index))
        listed = cover_of(package, index).strict
        if not implies(both(self.where, listed), strict):
            if both(self.where, strict) == FALSE:
                self._add(((node, 1 << index),), Barred("python"), TRUE)
            else:
                scope = self._scope(node)
                if both(scope, strict) == FALSE and scope != FALSE:
                    return Cut(scope)
                if not implies(scope, strict):
                    return Cut(strict)
        self._checked.add((node, index))
        return None

    def _follow(
        self, node: int, terms: tuple[tuple[int, int], ...], slot: int, dependencies: tuple[Dependency, ...]
    ) -> Missing | None:
        """Add the dependencies kept under (node, slot): one incompatibility each with *terms*."""
        problem = self.problem
        where = self.where
        active = [d for d in dependencies if both(where, d.marker) != FALSE]
        missing: list[Key] = []
        for dependency in active:
            if not dependency.refused and dependency.name not in problem.members:
                package = self.universe.package(dependency.name)
                if not isinstance(package, Package):
                    missing += package
        if missing:
            return Missing(tuple(dict.fromkeys(missing)))
        edges: list[Edge] = []
        masks: dict[int, tuple[Diagram, int]] = {}
        for dependency in active:
            marker = dependency.marker
            if dependency.refused:
                self._add(terms, Barred("url", dependency.refused), marker)
                continue
            if dependency.name in problem.members:
                self._follow_member(terms, dependency, edges)
                continue
            package = self.universe.package(dependency.name)
            assert isinstance(package, Package)
            target = self._package_node(package)
            allowed = package.bits(dependency.specifier, dependency.source)
            self._add((*terms, (target, self.solver.everything[target] & ~allowed)), dependency.cause, marker)
            edges.append(Edge(target, marker, allowed, dependency))
            if masks.setdefault(target, (marker, allowed)) != (marker, allowed):
                self._siblings.add(target)
            for extra in dependency.extras:
                other = self._extra_node(package.name, extra)
                self._add((*terms, (other, 2)), dependency.cause, marker)
                edges.append(Edge(other, marker, 1, dependency))
        self._edges[(node, slot)] = edges
        for edge in edges:
            self._incoming.setdefault(edge.target, []).append((node, slot, edge))
        return None

    def _follow_member(
        self, terms: tuple[tuple[int, int], ...], dependency: Dependency, edges: list[Edge]
    ) -> None:
        member = self.problem.members[dependency.name]
        node = self._nodes[("item", member.name, "", "")]
        # What a member asks of a sibling is served by the sibling whatever its version: a range is
        # what its publication will say, and is warned about (`merge`). Others have to mean this one.
        others = isinstance(dependency.cause, Depends)
        if others and not fits_member(dependency.specifier, member.version):
            self._add(terms, dependency.cause, dependency.marker)
            return
        marker = both(dependency.marker, self.problem.pythons[member.name])
        if both(self.where, marker) == FALSE:
            return
        self._add((*terms, (node, 2)), dependency.cause, dependency.marker)
        edges.append(Edge(node, marker, 1, dependency))
        for extra in dependency.extras:
            other = self._nodes.get(("item", member.name, extra, ""))
            if other is not None:
                self._add((*terms, (other, 2)), dependency.cause, dependency.marker)
                edges.append(Edge(other, marker, 1, dependency))

    # Choosing

    def _choose(self, node: int) -> int | Cut:
        package = self._packages[node]
        allowed = self.solver.bits[node]
        lowest = is_lowest(self.problem, package.name, self.where)
        mixed = is_mixed(self.problem.request.prereleases, package.name)
        scope: Diagram | None = None
        later: Cut | None = None
        if lowest or node in self._siblings:
            cut = self._cut_for_quality(node, package, lowest, mixed)
            if cut is not None:
                return cut
        for index in in_order(package, allowed, self._first(node, package), lowest, mixed):
            cover = cover_of(package, index)
            if self._fitting.is_whole(cover):
                return index
            if scope is None:
                scope = self._scope(node)
            match self._judge(package, index, cover, scope, allowed):
                case Fits():
                    return index
                case Cut() as cut:
                    if self.problem.request.fork_strategy != "fewest":
                        return cut
                    later = later or cut
        if later is not None:
            return later
        assert scope is not None
        return Cut(scope)

    def _judge(self, package: Package, index: int, cover: Cover, scope: Diagram, allowed: int) -> object:
        stable = not package.prereleases >> index & 1
        others = allowed & ~(1 << index) & ~(package.prereleases if stable else 0)
        return self._fitting.judge(package, cover, scope, others)

    def _first(self, node: int, package: Package) -> tuple[int, ...]:
        found = self._kept.get(node)
        if found is None:
            found = kept(self.problem, package, self.where)
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
        for parent, slot, edge in self._incoming.get(node, ()):
            if self._in_force(parent, slot):
                by_parent.setdefault(parent, []).append(edge)
                everything.append(edge)
        groups = [
            mine
            for parent, mine in by_parent.items()
            if len(mine) > 1 or (lowest and self.keys[parent][0] == "item")
        ]
        if all(implies(self.where, edge.marker) for mine in groups for edge in mine):
            return None
        barred = 0
        for mask in self._unfit(package).values():
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

    def _in_force(self, parent: int, slot: int) -> bool:
        """Whether what is kept under (parent, slot) belongs to the present partial solution."""
        solver = self.solver
        if not solver.is_fixed(parent):
            return False
        key = self.keys[parent]
        if key[0] == "item":
            return True
        owner = self._nodes[("package", key[1])]
        return solver.bits[owner] == 1 << slot

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
        if affected == culprit or affected not in self._packages or culprit not in self._packages:
            return
        clash = (affected, culprit)
        count = self._clashes[clash] = self._clashes.get(clash, 0) + 1
        if count != PATIENCE or self._ranks.get(self.keys[affected], 1) == 0:
            return
        for node, rank in ((affected, 0), (culprit, 2)):
            if rank == 2 and self._ranks.get(self.keys[node], 1) == 0:
                continue
            self._ranks[self.keys[node]] = rank
            self.solver.rerank(node, rank)
        self.solver.restart()

    # Reach

    def reach(self) -> dict[int, Diagram]:
        """Where each node is needed, by what the present partial solution has chosen."""
        known: dict[int, Diagram] = {}
        changed: list[int] = []

        def grow(node: int, where: Diagram) -> None:
            before = known.get(node, FALSE)
            after = either(before, where) if before != FALSE else where
            if after != before:
                known[node] = after
                changed.append(node)

        for item in self._roots:
            where = all_of((self.where, item.flag, item.where))
            if where != FALSE:
                grow(self._nodes[("item", *item.key)], where)
        solver = self.solver
        while changed:
            node = changed.pop()
            where = known[node]
            key = self.keys[node]
            if not solver.is_fixed(node):
                continue
            if key[0] == "item":
                if key[2]:
                    grow(self._nodes[("item", key[1], "", "")], where)
                edges = self._edges.get((node, 0), ())
            else:
                owner = node if key[0] == "package" else self._nodes[("package", key[1])]
                if not solver.is_fixed(owner):
                    continue
                edges = self._edges.get((node, solver.bits[owner].bit_length() - 1), ())
            for edge in edges:
                inside = both(where, edge.marker)
                if inside != FALSE:
                    grow(edge.target, inside)
        return known

    def _scope(self, node: int) -> Diagram:
        """Where *node* is needed, by what is chosen so far."""
        return self.where if self._is_needed_everywhere(node) else self.reach().get(node, FALSE)

    def _is_needed_everywhere(self, node: int) -> bool:
        """Whether a chain of requirements that hold in all of the region leads to *node*: the usual
        case, and much cheaper to see than the reach of everything."""
        seen = {node}
        unseen = [node]
        while unseen:
            for parent, slot, edge in self._incoming.get(unseen.pop(), ()):
                if parent in seen or not implies(self.where, edge.marker) or not self._in_force(parent, slot):
                    continue
                if self._is_entered_everywhere(parent):
                    return True
                seen.add(parent)
                unseen.append(parent)
        return False

    def _is_entered_everywhere(self, node: int) -> bool:
        key = self.keys[node]
        if key[0] != "item" or key[1] in self._rivals:
            return False
        item = self.problem.items[_item_key(key)]
        return implies(self.where, both(item.flag, item.where))

    def _finish(self) -> Found | Cut:
        """Everything is chosen: check the files against where each package is really needed."""
        reach = self.reach()
        chosen: dict[NormalizedName, int] = {}
        for node, package in self._packages.items():
            scope = reach.get(node, FALSE)
            if scope == FALSE:
                continue
            index = self.solver.bits[node].bit_length() - 1
            cover = cover_of(package, index)
            strict = strict_region(self.universe.requires_python(package, index))
            if not implies(scope, strict):
                return Cut(strict if both(scope, strict) != FALSE else scope)
            if not self._fitting.is_whole(cover):
                allowed = self._alternatives(node, package)
                verdict = self._judge(package, index, cover, scope, allowed)
                if verdict is MISSES:
                    return Cut(scope)
                if isinstance(verdict, Cut):
                    return verdict
            chosen[package.name] = index
        return Found(chosen, {self.keys[node]: where for node, where in reach.items()})

    def _alternatives(self, node: int, package: Package) -> int:
        """The candidates the requirements in force would have allowed."""
        allowed = package.every & ~package.too_new & ~package.yanked
        for parent, slot, edge in self._incoming.get(node, ()):
            if self._in_force(parent, slot):
                allowed &= edge.mask
        return allowed


def _item_key(key: NodeKey) -> ItemKey:
    return (NormalizedName(key[1]), key[2], key[3])


def _walk_mask(mask: int, allowed: dict[int, Diagram], where: Diagram) -> None:
    while mask:
        index = mask.bit_length() - 1
        mask &= ~(1 << index)
        allowed[index] = either(allowed.get(index, FALSE), where)


def fits_member(specifier: str, version: str | None) -> bool:
    """Whether a member's version is in a range; a dynamic one is in all."""
    if not specifier or version is None:
        return True
    return bool(bits(specifier, (version,), (sort_key(version),)))
