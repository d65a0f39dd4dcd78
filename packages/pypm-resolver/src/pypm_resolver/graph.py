"""What one region knows: nodes for packages, extras and items, the dependencies followed so far, and the
incompatibilities made from them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from pypm_model.markers import FALSE, TRUE, Diagram, both
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_resolver.incompatibility import Cause, Incompatibility, Structure
from pypm_resolver.package import Package
from pypm_resolver.problem import Item, ItemKey
from pypm_resolver.solver import Solver
from pypm_resolver.universe import Universe

NodeKey = tuple[str, ...]
"""``("package", name)``, ``("extra", name, extra)`` or ``("item", member, extra, group)``. An extra may be
several with commas between them: then the node says whether all of them are asked for."""


@record
class Edge:
    """A dependency that was followed: by the node it is kept under, on *target*."""

    target: int
    marker: Diagram
    mask: int
    """Candidates of the target it allows."""
    joint: tuple[int, ...] = ()
    """Nodes that must be needed, too, for the edge to hold."""


_CONSTANT: frozenset[Diagram] = frozenset()


class Graph:
    """Nodes, the edges followed from them, and the solver that decides about them.

    *entered* are the items that are entered from the root (`pypm_resolver.choices`), *first* those of them
    that count most; *ranks* says which packages choose earlier or later than their turn. Edges are kept
    under a node and a slot: the candidate they belong to, for an extra that of its package, 0 for items.
    """

    def __init__(
        self,
        universe: Universe,
        where: Diagram,
        entered: Mapping[ItemKey, bool],
        ranks: dict[NodeKey, int],
        first: Container[ItemKey] = (),
    ) -> None:
        self.universe = universe
        self.problem = universe.problem
        self.where = where
        self.entered = entered
        self.solver = Solver()
        self.keys: list[NodeKey] = []
        self.packages: dict[int, Package] = {}
        """By node."""
        self.edges: dict[tuple[int, int], list[Edge]] = {}
        self.incoming: dict[int, list[tuple[int, int, Edge]]] = {}
        """(parent, slot, edge) by target, in the order followed."""
        self.extras: dict[NormalizedName, list[tuple[NormalizedName, int]]] = {}
        """(extra, node) by package."""
        self._ranks = ranks
        self._nodes: dict[NodeKey, int] = {}
        self.choices: list[int] = []
        """Nodes of items that are entered in a part of the region only, those of *first* first."""
        self._inside: dict[Diagram, Diagram] = {}
        for item in self.problem.items.values():
            self._add_node(("item", *item.key), 1)
        for item in self.problem.items.values():
            self._enter(item)
        self.choices.sort(key=lambda node: self.item(node).key not in first)

    def node(self, key: NodeKey) -> int:
        """The node with this key; KeyError if there is none yet."""
        return self._nodes[key]

    def find(self, key: NodeKey) -> int | None:
        """The node with this key, if it has been met."""
        return self._nodes.get(key)

    def add_package(self, package: Package) -> int:
        """A node for the candidates of *package*, which has none yet."""
        node = self._add_node(("package", package.name), len(package.versions))
        self.packages[node] = package
        return node

    def extra_node(self, name: NormalizedName, extra: NormalizedName) -> int:
        """The node that says whether an extra of a package is asked for."""
        key = ("extra", name, extra)
        node = self._nodes.get(key)
        if node is None:
            node = self._add_node(key, 1)
            self.extras.setdefault(name, []).append((extra, node))
        return node

    def item(self, node: int) -> Item:
        """The item a node stands for."""
        _, member, extra, group = self.keys[node]
        key: ItemKey = (NormalizedName(member), extra, group)
        return self.problem.items[key]

    def owner(self, node: int) -> int:
        """The package's node, of the package itself or one of its extras."""
        key = self.keys[node]
        return node if key[0] == "package" else self._nodes[("package", key[1])]

    def follow(self, node: int, slot: int, edges: list[Edge]) -> None:
        """Note edges to be kept under (node, slot)."""
        self.edges.setdefault((node, slot), []).extend(edges)
        for edge in edges:
            self.incoming.setdefault(edge.target, []).append((node, slot, edge))

    def is_in_force(self, parent: int, slot: int) -> bool:
        """Whether what is kept under (parent, slot) belongs to the present partial solution."""
        if not self.solver.is_fixed(parent):
            return False
        return self.keys[parent][0] == "item" or self.solver.bits[self.owner(parent)] == 1 << slot

    def add(self, terms: Iterable[tuple[int, int]], cause: Cause, marker: Diagram) -> None:
        """Add a leaf that holds under *marker*; terms that are always true are dropped, one that is
        never true drops the leaf. So does one that never will be: what is ruled out before the first
        decision is so for good, and nothing can follow from the leaf. That is the better half of what
        members ask, who ask for much the same."""
        inside = both(self.where, marker)
        if inside == FALSE:
            return
        everything = self.solver.everything
        merged: dict[int, int] = {}
        for node, term in terms:
            known = merged.get(node)
            merged[node] = term if known is None else known & term
        kept: list[tuple[int, int]] = []
        bits = everything if self.solver.level else self.solver.bits
        for node, term in merged.items():
            if not term & bits[node]:
                return
            if term != everything[node]:
                kept.append((node, term))
        varies = _CONSTANT if inside == self.where else frozenset((marker,))
        self.solver.add(Incompatibility(tuple(kept), cause, varies, marker))

    def depend(
        self, terms: tuple[tuple[int, int], ...], target: int, outside: int, cause: Cause, marker: Diagram
    ) -> None:
        """`add` for the usual leaf, of which there are thousands: *terms*, of nodes that are not the target
        and none of them always true, lead out of the states *outside* of the target."""
        inside = self.inside(marker)
        bits = self.solver.everything if self.solver.level else self.solver.bits
        if not outside & bits[target] or inside == FALSE:
            return
        kept = terms if outside == self.solver.everything[target] else (*terms, (target, outside))
        varies = _CONSTANT if inside == self.where else frozenset((marker,))
        self.solver.add(Incompatibility(kept, cause, varies, marker))

    def inside(self, marker: Diagram) -> Diagram:
        """The part of the region where *marker* holds."""
        found = self._inside.get(marker)
        if found is None:
            found = self._inside[marker] = both(self.where, marker)
        return found

    def _add_node(self, key: NodeKey, versions: int) -> int:
        node = self._nodes[key] = self.solver.add_node(versions, self._ranks.get(key, 1))
        self.keys.append(key)
        return node

    def _enter(self, item: Item) -> None:
        node = self._nodes[("item", *item.key)]
        if item.key[1]:
            member = self._nodes[("item", item.key[0], "", "")]
            self.add(((node, 1), (member, 2)), Structure(), TRUE)
        is_constant = self.entered.get(item.key)
        if is_constant:
            self.add(((node, 2),), Structure(), item.where)
        elif is_constant is not None:
            self.choices.append(node)
