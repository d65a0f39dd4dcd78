"""Diagrams along the edges of a graph: the least fixpoint, each node taken up when what leads to it is known.

Nodes are visited in reverse postorder (Kildall 1973; Kam and Ullman 1976): in a graph without cycles each
once. Taken as they come, a node that a thousand members lead to would be gone through a thousand times,
and everything behind it as often.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from heapq import heappop, heappush
from typing import TypeVar

from pypm_model.markers import FALSE, Diagram, any_of, both, either

N = TypeVar("N", bound=Hashable)
Edge = tuple[N, Diagram, tuple[N, ...]]
"""Where an edge leads, the marker under which it does, and other nodes that have to be reached there too."""


def fixpoint(roots: Iterable[tuple[N, Diagram]], edges: Callable[[N], list[Edge[N]]]) -> dict[N, Diagram]:
    """Where each node is reached; those that are reached nowhere are left out.

    *roots* are nodes with where they are reached from outside, *edges* gives those that leave a node; an edge
    with other nodes has to leave each of them. In the order in which nodes were taken up first.
    """
    given: dict[N, list[Diagram]] = {}
    for node, where in roots:
        given.setdefault(node, []).append(where)
    leaving: dict[N, list[Edge[N]]] = {}
    places = _places(given, edges, leaving)
    known: dict[N, Diagram] = {}
    queue = sorted((places[node], node) for node in given)
    while queue:
        _, node = heappop(queue)
        before = known.get(node, FALSE)
        parts = given.pop(node)
        after = either(before, parts[0]) if len(parts) == 1 else any_of({before, *parts})
        if after == before:
            continue
        known[node] = after
        for target, marker, others in leaving[node]:
            where = both(after, marker)
            for other in others:
                where = both(where, known.get(other, FALSE))
            if where == FALSE:
                continue
            if target in given:
                given[target].append(where)
            else:
                given[target] = [where]
                heappush(queue, (places[target], target))
    return known


def _places(
    roots: Iterable[N], edges: Callable[[N], list[Edge[N]]], leaving: dict[N, list[Edge[N]]]
) -> dict[N, int]:
    """The place of each node in reverse postorder: before all that it leads to, but where edges go round.
    The edges that leave each are noted in *leaving*."""
    done: list[N] = []
    for root in roots:
        if root in leaving:
            continue
        leaving[root] = found = edges(root)
        path = [(root, iter(found))]
        while path:
            node, rest = path[-1]
            for target, _, _ in rest:
                if target not in leaving:
                    leaving[target] = found = edges(target)
                    path.append((target, iter(found)))
                    break
            else:
                done.append(node)
                path.pop()
    return {node: -place for place, node in enumerate(done)}
