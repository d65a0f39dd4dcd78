"""From a fixed candidate, extra or item to what it depends on: facts become incompatibilities."""

from __future__ import annotations

from pypm_model.facts import Key
from pypm_model.markers import FALSE, TRUE, Diagram, both, implies
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.specifiers import bits
from pypm_model.versions import sort_key
from pypm_resolver.bars import bar
from pypm_resolver.files import strict_region
from pypm_resolver.fitting import Cut, Fitting
from pypm_resolver.graph import Edge, Graph
from pypm_resolver.incompatibility import Barred, Depends, Structure
from pypm_resolver.package import Package, cover_of
from pypm_resolver.reach import scope as scope_of
from pypm_resolver.universe import Dependency, Unusable


@record
class Missing:
    """The search can not go on without these facts."""

    keys: tuple[Key, ...]


class Expansion:
    """Adds to a graph what comes with its nodes; everything is added once and for good."""

    def __init__(self, graph: Graph, fitting: Fitting) -> None:
        self.graph = graph
        self.fitting = fitting
        self.universe = graph.universe
        self.problem = graph.problem
        self.solver = graph.solver
        self.where = graph.where
        self.siblings: set[int] = set()
        """Nodes on which one parent has requirements that differ in marker and range."""
        self._checked: set[tuple[int, int]] = set()

    def expand(self, node: int) -> Missing | Cut | None:
        """Add what comes with a fixed node; None when done, else what stopped it."""
        solver = self.solver
        if not solver.is_fixed(node):
            return None
        key = self.graph.keys[node]
        match key[0]:
            case "item":
                return self.look_at_item(node)
            case "extra":
                owner = self.graph.owner(node)
                if not solver.is_fixed(owner):
                    return None
                return self.look_ahead(owner, solver.bits[owner].bit_length() - 1)
            case _:
                return self.look_ahead(node, solver.bits[node].bit_length() - 1)

    def look_at_item(self, node: int) -> Missing | None:
        """Add what an item asks for, before or after it is entered."""
        if (node, 0) in self.graph.edges:
            return None
        dependencies = self.universe.of_item(self.graph.item(node))
        missing = self._unlisted(dependencies)
        if missing:
            return Missing(tuple(dict.fromkeys(missing)))
        self._follow(node, ((node, 1),), 0, dependencies)
        return None

    def look_ahead(self, node: int, index: int) -> Missing | Cut | None:
        """Add what comes with a candidate that is about to be chosen.

        All or nothing: while facts are missing nothing is added, or else the search would depend on
        which facts happen to be there.
        """
        extras = self.graph.extras.get(self.graph.packages[node].name, ())
        parts: list[tuple[NormalizedName | None, int]] = [(None, node)]
        parts += [(extra, other) for extra, other in extras if self.solver.is_fixed(other)]
        parts = [part for part in parts if (part[1], index) not in self.graph.edges]
        missing = [key for extra, _ in parts for key in self._missing_for(node, index, extra)]
        if missing:
            return Missing(tuple(dict.fromkeys(missing)))
        for extra, other in parts:
            stopped = self._expand_candidate(node, index, extra, other)
            if stopped is not None:
                return stopped
        return None

    def _missing_for(self, owner: int, index: int, extra: NormalizedName | None) -> list[Key]:
        package = self.graph.packages[owner]
        dependencies = self.universe.of_candidate(package, index, extra)
        if dependencies is None:
            return [package.key(index)]
        return [] if isinstance(dependencies, Unusable) else self._unlisted(dependencies)

    def _unlisted(self, dependencies: tuple[Dependency, ...]) -> list[Key]:
        """Listings that must be fed before *dependencies* can be added."""
        if self.universe.has_all(dependencies):
            return []
        missing: list[Key] = []
        for dependency in dependencies:
            if dependency.refused or dependency.name in self.problem.members:
                continue
            if self.graph.inside(dependency.marker) != FALSE:
                package = self.universe.package(dependency.name)
                if not isinstance(package, Package):
                    missing += package
        return missing

    def _expand_candidate(
        self, owner: int, index: int, extra: NormalizedName | None, node: int
    ) -> Cut | None:
        """Add one part of a candidate; all its facts are there."""
        package = self.graph.packages[owner]
        dependencies = self.universe.of_candidate(package, index, extra)
        assert dependencies is not None
        terms = ((owner, 1 << index),) if extra is None else ((owner, 1 << index), (node, 1))
        if isinstance(dependencies, Unusable):
            # Why a build is needed names the file: what is said of many versions says the kind alone.
            unfit = Barred("build") if dependencies.needs_build else Barred("metadata", dependencies.reason)
            self.graph.add(terms[:1], unfit, TRUE)
            self.graph.follow(node, index, [])
            return None
        if extra is None:
            cut = self._check_python(package, owner, index)
            if cut is not None:
                return cut
        self._follow(node, terms, index, dependencies)
        if extra is not None:
            self._join(package, owner, index, extra)
        return None

    def _join(self, package: Package, owner: int, index: int, extra: NormalizedName) -> None:
        """Let the extras that add something together, *extra* among them, lead to the node of all."""
        for together in self.universe.joint(package, index):
            names = together.split(",")
            parts = [self.graph.find(("extra", package.name, name)) for name in names]
            nodes = [part for part in parts if part is not None and (part, index) in self.graph.edges]
            if extra not in names or len(nodes) < len(names):
                continue  # the last of them to come does it
            target = self.graph.extra_node(package.name, together)
            terms = ((owner, 1 << index), *((part, 1) for part in nodes), (target, 2))
            self.graph.add(terms, Structure(), TRUE)
            for part in nodes:
                others = tuple(other for other in nodes if other != part)
                self.graph.follow(part, index, [Edge(target, TRUE, 1, others)])

    def _check_python(self, package: Package, node: int, index: int) -> Cut | None:
        """Requires-Python of the metadata, for indexes whose listings do not say it."""
        if (node, index) in self._checked:
            return None
        strict = strict_region(self.universe.requires_python(package, index))
        listed = cover_of(package, index).strict
        if not implies(both(self.where, listed), strict):
            if both(self.where, strict) == FALSE:
                self.graph.add(((node, 1 << index),), Barred("python"), TRUE)
            else:
                scope = scope_of(self.graph, node)
                if both(scope, strict) == FALSE and scope != FALSE:
                    return Cut(scope)
                if not implies(scope, strict):
                    return Cut(strict)
        self._checked.add((node, index))
        return None

    def _target(self, package: Package) -> int:
        node = self.graph.find(("package", package.name))
        if node is None:
            node = self.graph.add_package(package)
            bar(self.graph, self.fitting, node)
        return node

    def _follow(
        self, node: int, terms: tuple[tuple[int, int], ...], slot: int, dependencies: tuple[Dependency, ...]
    ) -> None:
        """Add the dependencies kept under (node, slot): one incompatibility each with *terms*."""
        problem = self.problem
        graph = self.graph
        active = [d for d in dependencies if graph.inside(d.marker) != FALSE]
        edges: list[Edge] = []
        masks: dict[int, tuple[Diagram, int]] = {}
        for dependency in active:
            marker = dependency.marker
            if dependency.refused:
                self.graph.add(terms, Barred("url", dependency.refused), marker)
                continue
            if dependency.name in problem.members:
                self._follow_member(terms, dependency, edges)
                continue
            package = self.universe.package(dependency.name)
            assert isinstance(package, Package)
            target = self._target(package)
            allowed = package.bits(dependency.specifier, dependency.source)
            outside = self.solver.everything[target] & ~allowed
            if target == terms[0][0]:
                graph.add((*terms, (target, outside)), dependency.cause, marker)
            else:
                graph.depend(terms, target, outside, dependency.cause, marker)
            edges.append(Edge(target, marker, allowed))
            if masks.setdefault(target, (marker, allowed)) != (marker, allowed):
                self.siblings.add(target)
            for extra in dependency.extras:
                other = self.graph.extra_node(package.name, extra)
                self.graph.add((*terms, (other, 2)), dependency.cause, marker)
                edges.append(Edge(other, marker, 1))
        self.graph.follow(node, slot, edges)

    def _follow_member(
        self, terms: tuple[tuple[int, int], ...], dependency: Dependency, edges: list[Edge]
    ) -> None:
        member = self.problem.members[dependency.name]
        node = self.graph.node(("item", member.name, "", ""))
        # What a member asks of a sibling is served by the sibling whatever its version: a range is
        # what its publication will say, and is warned about (`merge`). Others have to mean this one.
        others = isinstance(dependency.cause, Depends)
        if others and not fits_member(dependency.specifier, member.version):
            self.graph.add(terms, dependency.cause, dependency.marker)
            return
        marker = both(dependency.marker, self.problem.pythons[member.name])
        if both(self.where, marker) == FALSE:
            return
        self.graph.add((*terms, (node, 2)), dependency.cause, dependency.marker)
        edges.append(Edge(node, marker, 1))
        for extra in dependency.extras:
            other = self.graph.find(("item", member.name, extra, ""))
            if other is not None:
                self.graph.add((*terms, (other, 2)), dependency.cause, dependency.marker)
                edges.append(Edge(other, marker, 1))


def fits_member(specifier: str, version: str | None) -> bool:
    """Whether a member's version is in a range; a dynamic one is in all."""
    if not specifier or version is None:
        return True
    return bool(bits(specifier, (version,), (sort_key(version),)))
