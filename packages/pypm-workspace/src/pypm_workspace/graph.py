"""The members' graph, for questions that need one. Heavy: it loads networkx."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import networkx as nx

from pypm_model.names import NormalizedName
from pypm_workspace.configuration import Member
from pypm_workspace.edges import KINDS, MemberEdge
from pypm_workspace.workspace import Workspace


class Graph:
    """Members as nodes, what they ask of each other as edges; several edges may join two members."""

    def __init__(self, workspace: Workspace, kinds: Collection[str] = KINDS) -> None:
        self.workspace = workspace
        self.edges: tuple[MemberEdge, ...] = tuple(edge for edge in workspace.edges if edge.kind in kinds)
        self._graph: nx.MultiDiGraph[NormalizedName] = nx.MultiDiGraph()
        self._graph.add_nodes_from(member.name for member in workspace.members)
        for edge in self.edges:
            if edge.parent != edge.child:  # a member's extra may ask for another of its extras
                self._graph.add_edge(edge.parent, edge.child, edge=edge)

    def order(self) -> tuple[Member, ...]:
        """Members, dependencies first; those in a circle next to each other, ties by name."""
        whole = nx.condensation(self._graph)
        names = {node: tuple(sorted(whole.nodes[node]["members"])) for node in whole}
        order = nx.lexicographical_topological_sort(whole.reverse(), key=lambda node: names[node])
        by_name = self.workspace.by_name
        return tuple(by_name[name] for node in order for name in names[node])

    def dependencies(self, names: Iterable[NormalizedName]) -> frozenset[NormalizedName]:
        """All members that *names* depend on, directly or not."""
        return frozenset().union(*(nx.descendants(self._graph, name) for name in names))

    def edges_from(self, name: NormalizedName) -> tuple[MemberEdge, ...]:
        """What *name* asks of other members, in the order of its manifest."""
        return tuple(edge for edge in self.edges if edge.parent == name)


def graph(workspace: Workspace, kinds: Collection[str] = KINDS) -> Graph:
    """The graph of *workspace*, with edges of these *kinds*."""
    return Graph(workspace, kinds)
