"""Where nodes are reached, against the plainest way to find it out."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_model import dataflow
from pypm_model.dataflow import Edge, fixpoint
from pypm_model.markers import FALSE, TRUE, Diagram, both, either, flag, parse

MARKERS = [
    TRUE,
    FALSE,
    *map(parse, ("sys_platform == 'linux'", "python_version < '3.12'", "os_name == 'nt'")),
]
nodes = st.integers(0, 7)
diagrams = st.sampled_from(MARKERS)


def plainly(roots: list[tuple[int, Diagram]], edges: list[tuple[int, int, Diagram]]) -> Mapping[int, Diagram]:
    known: dict[int, Diagram] = {}
    for node, where in roots:
        known[node] = either(known.get(node, FALSE), where)
    for _ in range(len(edges) + 1):
        for source, target, marker in edges:
            there = both(known.get(source, FALSE), marker)
            known[target] = either(known.get(target, FALSE), there)
    return {node: where for node, where in known.items() if where != FALSE}


@given(
    st.lists(st.tuples(nodes, diagrams), max_size=3), st.lists(st.tuples(nodes, nodes, diagrams), max_size=14)
)
def test_a_fixpoint_is_what_going_on_until_nothing_changes_gives(
    roots: list[tuple[int, Diagram]], edges: list[tuple[int, int, Diagram]]
) -> None:
    found = fixpoint(
        roots, lambda n: [(target, marker, ()) for source, target, marker in edges if source == n]
    )
    assert found == plainly(roots, edges)


def test_an_edge_may_need_several_nodes() -> None:
    """As what two extras bring only together."""
    linux, old = MARKERS[2:4]

    def edges(node: str) -> list[Edge[str]]:
        return [("xy", TRUE, ("y" if node == "x" else "x",))] if node in ("x", "y") else []

    found = fixpoint([("x", linux), ("y", old)], edges)
    assert found == {"x": linux, "y": old, "xy": both(linux, old)}


def test_what_many_lead_to_is_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100 members that each lead to the next one and to a chain of 50 packages, no edge is followed
    twice."""
    links = [*pairwise(f"m{n}" for n in range(100)), *pairwise(f"p{n}" for n in range(50))]
    links += [(f"m{n}", "p0") for n in range(100)]
    followed = []

    def both(where: Diagram, marker: Diagram) -> Diagram:
        followed.append(where)
        return where

    monkeypatch.setattr(dataflow, "both", both)
    roots = [(f"m{n}", flag(f"m{n}")) for n in range(100)]
    found = fixpoint(roots, lambda node: [(there, TRUE, ()) for here, there in links if here == node])
    assert len(found) == 150
    assert len(followed) == len(links)
