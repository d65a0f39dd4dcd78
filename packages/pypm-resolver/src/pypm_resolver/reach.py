"""Where packages, extras and items are needed, by what a partial solution has chosen."""

from __future__ import annotations

from collections.abc import Iterator

from pypm_model.dataflow import Edge as Reaching
from pypm_model.dataflow import fixpoint
from pypm_model.markers import FALSE, TRUE, Diagram, all_of, both, exists, flags, implies
from pypm_resolver.graph import Graph


def reach(graph: Graph, within: Diagram | None = None) -> dict[int, Diagram]:
    """Where each node is needed, by what the present partial solution has chosen; *within* all of the region
    that is solved (None), a part of it, or, as if that were chosen there too, a wider one."""
    whole = graph.where if within is None else within
    solver = graph.solver
    # What the region says of choices is put in at the end: of a thousand members, a hundred may be left out,
    # and that would be said in each of the sets that are joined on the way.
    outside = exists(whole, flags(whole))

    def roots() -> Iterator[tuple[int, Diagram]]:
        for item in graph.problem.items.values():
            if item.key not in graph.entered or all_of((graph.where, item.flag, item.where)) == FALSE:
                continue
            where = all_of((outside, item.flag, item.where))
            if where != FALSE:
                yield graph.node(("item", *item.key)), where

    def edges(node: int) -> list[Reaching[int]]:
        if not solver.is_fixed(node):
            return []
        key = graph.keys[node]
        slot = 0
        if key[0] != "item":
            owner = graph.owner(node)
            if not solver.is_fixed(owner):
                return []
            slot = solver.bits[owner].bit_length() - 1
        found = [(edge.target, edge.marker, edge.joint) for edge in graph.edges.get((node, slot), ())]
        if key[0] == "item" and key[2]:  # an extra comes with its member
            found.append((graph.node(("item", key[1], "", "")), TRUE, ()))
        return found

    found = fixpoint(roots(), edges)
    if outside == whole:
        return found
    inside = ((node, both(whole, where)) for node, where in found.items())
    return {node: where for node, where in inside if where != FALSE}


def scope(graph: Graph, node: int) -> Diagram:
    """Where *node* is needed, by what is chosen so far."""
    return graph.where if _is_needed_everywhere(graph, node) else reach(graph).get(node, FALSE)


def _is_needed_everywhere(graph: Graph, node: int) -> bool:
    """Whether a chain of requirements that hold in all of the region leads to *node*: the usual
    case, and much cheaper to see than the reach of everything."""
    seen = {node}
    unseen = [node]
    while unseen:
        for parent, slot, edge in graph.incoming.get(unseen.pop(), ()):
            if parent in seen or not implies(graph.where, edge.marker) or not graph.is_in_force(parent, slot):
                continue
            if edge.joint:
                continue
            if _is_entered_everywhere(graph, parent):
                return True
            seen.add(parent)
            unseen.append(parent)
    return False


def _is_entered_everywhere(graph: Graph, node: int) -> bool:
    key = graph.keys[node]
    if key[0] != "item":
        return False
    item = graph.item(node)
    return item.key in graph.entered and implies(graph.where, both(item.flag, item.where))
