"""Diagrams along the edges of a graph: the least fixpoint, each node taken up when what leads to it is known.

Nodes are visited in reverse postorder (Kildall 1973; Kam and Ullman 1976): in a graph without cycles each
once. Taken as they come, a node that a thousand members lead to would be gone through a thousand times,
and everything behind it as often.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from typing import TypeVar

from pypm_model.markers import FALSE, Diagram, any_of, either

N = TypeVar("N", bound=Hashable)
E = TypeVar("E")

Edges = Callable[[N], list[tuple[N, E]]]
"""The edges that leave a node: where each leads, and what `Flow` makes of it."""
Flow = Callable[[Diagram, E, Mapping[N, Diagram]], Diagram]
"""The part of a node's diagram that an edge lets through; it may look at what is known of other nodes so
far. It has to be monotonic in both."""


def fixpoint(roots: Iterable[tuple[N, Diagram]], edges: Edges[N, E], flow: Flow[E, N]) -> dict[N, Diagram]:
    """Where each node is reached; those that are reached nowhere are left out. *roots* are nodes with where
    they are reached from outside. In the order in which nodes were taken up first."""
    given: dict[N, list[Diagram]] = {}
    for node, where in roots:
        given.setdefault(node, []).append(where)
    leaving: dict[N, list[tuple[N, E]]] = {}
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
        for target, edge in leaving[node]:
            where = flow(after, edge, known)
            if where == FALSE:
                continue
            if target in given:
                given[target].append(where)
            else:
                given[target] = [where]
                heappush(queue, (places[target], target))
    return known


def _places(roots: Iterable[N], edges: Edges[N, E], leaving: dict[N, list[tuple[N, E]]]) -> dict[N, int]:
    """The place of each node in reverse postorder: before all that it leads to, but where edges go round.
    The edges that leave each are noted in *leaving*."""
    done: list[N] = []
    path: list[tuple[N, Iterator[tuple[N, E]]]] = []

    def enter(node: N) -> None:
        leaving[node] = found = edges(node)
        path.append((node, iter(found)))

    for root in roots:
        if root not in leaving:
            enter(root)
        while path:
            node, rest = path[-1]
            for target, _ in rest:
                if target not in leaving:
                    enter(target)
                    break
            else:
                done.append(node)
                path.pop()
    return {node: -place for place, node in enumerate(done)}
