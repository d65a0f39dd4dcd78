"""Why a package is here: every path from a member to it, with what is asked on each edge."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush

from pypm_model.errors import Place
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.markers import disjoint, parse
from pypm_model.names import NormalizedName
from pypm_model.records import field, record
from pypm_model.requests import Origin
from pypm_model.requirement_text import to_text
from pypm_model.requirements import Requirement
from pypm_model.sources import MemberSource
from pypm_model.specifiers import contains, readable
from pypm_workspace.edges import asked_by
from pypm_workspace.workspace import Workspace

LIMIT = 100
"""Paths shown unless told otherwise."""
_SEARCH = 50_000
"""Partial paths looked at before giving up on finding more."""


@record
class Node:
    """A member, or one version of another package (no version: not locked)."""

    name: NormalizedName
    version: str = ""
    member: bool = False


@record
class Step:
    """*parent* asks for *child*."""

    parent: Node
    child: Node
    kind: str
    """``runtime``, ``extra``, ``group`` or ``build``."""
    label: str
    """The extra or group of *parent* that asks, else empty."""
    requirement: str
    """As asked, normalised; for packages that are no members, as far as the lock records it."""
    origin: Origin | None
    """In which manifest; None for packages that are no members."""
    extras: frozenset[str] = field(default=frozenset(), compare=False)
    """The extras of *child* that this asks for, those that they ask for in turn included."""

    def leads_to(self, onward: Step) -> bool:
        """Whether asking for *child* in this way is a reason for what *onward*, a step from it, asks: an
        extra's requirements count for those who ask for the extra, a group's and a build's for nobody.
        """
        return onward.kind == "runtime" or (onward.kind == "extra" and onward.label in self.extras)


@record
class Why:
    """The answer. No paths: the package is not in the graph."""

    name: NormalizedName
    paths: tuple[tuple[Step, ...], ...]
    """Shortest first, then by the names on the way; each starts at a member and holds no node twice."""
    more: bool = False
    """There are more paths than are listed."""


def why(
    workspace: Workspace,
    lock: Lock | None,
    name: NormalizedName,
    *,
    limit: int = LIMIT,
    asked: Callable[[LockedPackage, Edge], str] | None = None,
) -> Why:
    """Every path from a member to *name*: through members alone, or, with a *lock*, through all packages.

    *asked* may give the requirement behind a locked edge where somebody still knows it.
    """
    into: dict[Node, list[Step]] = {}
    for step in sorted(_steps(workspace, lock, asked), key=_rank):
        if step.parent != step.child:
            into.setdefault(step.child, []).append(step)
    far = _distances(into)
    targets = sorted({node for node in into if node.name == name}, key=lambda node: node.version)
    # Best first by the length the whole path will have, and of equal ones the nearest to being whole:
    # paths come out shortest first, and a dense graph is not searched in breadth.
    heap: list[tuple[int, int, tuple[tuple[str, ...], ...], int, tuple[Step, ...], Node]] = []
    number = 0
    for target in targets:
        heappush(heap, (far.get(target, 0), 0, (), number, (), target))
        number += 1
    found: list[tuple[Step, ...]] = []
    looked = 0
    while heap:
        _, _, _, _, path, head = heappop(heap)
        looked += 1
        if looked > _SEARCH:
            return Why(name, _ordered(found), True)
        if path and head.member:
            if len(found) == limit:
                return Why(name, _ordered(found), True)
            found.append(path)
        seen = {head, *(step.child for step in path)}
        for step in into.get(head, ()):
            if step.parent in seen or (not step.parent.member and step.parent not in far):
                continue
            if path and not step.leads_to(path[0]):
                continue
            longer = (step, *path)
            order = tuple(_rank(s) for s in longer)
            whole = len(longer) + far.get(step.parent, 0)
            heappush(heap, (whole, -len(longer), order, number, longer, step.parent))
            number += 1
    return Why(name, _ordered(found))


def _ordered(paths: list[tuple[Step, ...]]) -> tuple[tuple[Step, ...], ...]:
    return tuple(sorted(paths, key=lambda path: (len(path), [_rank(step) for step in path])))


def _rank(step: Step) -> tuple[str, ...]:
    return (
        step.parent.name,
        step.parent.version,
        step.kind,
        step.label,
        step.child.name,
        step.child.version,
        step.requirement,
    )


def _distances(into: dict[Node, list[Step]]) -> dict[Node, int]:
    """Steps from the nearest member to each node that a member reaches; members are at 0."""
    out: dict[Node, list[Node]] = {}
    for child, steps in into.items():
        for step in steps:
            out.setdefault(step.parent, []).append(child)
    far = {node: 0 for node in out if node.member}
    waiting = deque(far)
    while waiting:
        node = waiting.popleft()
        for child in out.get(node, ()):
            if child not in far:
                far[child] = 0 if child.member else far[node] + 1
                waiting.append(child)
    return far


def _steps(
    workspace: Workspace, lock: Lock | None, asked: Callable[[LockedPackage, Edge], str] | None
) -> Iterator[Step]:
    members = {member.name: Node(member.name, member.version or "", True) for member in workspace.members}
    versions: dict[NormalizedName, list[LockedPackage]] = {}
    locked_edges: dict[NormalizedName, dict[tuple[str, str, NormalizedName], list[Edge]]] = {}
    if lock is not None:
        for package in lock.packages:
            versions.setdefault(package.name, []).append(package)
            if isinstance(package.source, MemberSource):
                locked_edges[package.name] = _edges_by_asker(package)
    own: dict[Node, list[_OwnAsk]] = {}
    for member in workspace.members:
        parent = members[member.name]
        own[parent] = [
            (kind, label, frozenset(item.requirement.extras))
            for kind, label, item in asked_by(member)
            if item.requirement.name == member.name
        ]
    for package in (each for found in versions.values() for each in found):
        if package.name not in members:
            own[Node(package.name, package.version)] = [
                (kind, label, frozenset(extra for edge in edges for extra in edge.extras))
                for (kind, label, name), edges in _edges_by_asker(package).items()
                if name == package.name
            ]
    for member in workspace.members:
        parent = members[member.name]
        for kind, label, item in asked_by(member):
            requirement = item.requirement
            origin = Origin(member.name, member.file, item.table, item.item)
            text = to_text(requirement._replace(specifier=readable(requirement.specifier)))
            edges = locked_edges.get(member.name, {}).get((kind, label, requirement.name), [])
            known = members.get(requirement.name)
            for child in (known,) if known else _children(requirement, edges, versions):
                extras = _with_own(requirement.extras, own.get(child, []))
                yield Step(parent, child, kind, label, text, origin, extras)
    for packages in versions.values():
        for package in packages:
            if package.name in members:
                continue
            parent = Node(package.name, package.version)
            for (kind, label, name), edges in _edges_by_asker(package).items():
                for edge in edges:
                    told = (asked(package, edge) if asked else "") or _said(edge)
                    for target in _targets(edge, versions):
                        child = members.get(name, target)
                        extras = _with_own(edge.extras, own.get(child, []))
                        yield Step(parent, child, kind, label, told, None, extras)


_OwnAsk = tuple[str, str, frozenset[NormalizedName]]
"""What a package asks of itself (``name[all]`` asks for ``name[fast]``): kind, label, extras."""


def _with_own(extras: Iterable[NormalizedName], own: list[_OwnAsk]) -> frozenset[str]:
    """*extras* with those that they, or the package in any case, ask for of the package itself."""
    found: set[str] = set(extras)
    grown = True
    while grown:
        before = len(found)
        for kind, label, more in own:
            if kind == "runtime" or (kind == "extra" and label in found):
                found |= more
        grown = len(found) > before
    return frozenset(found)


def _edges_by_asker(package: LockedPackage) -> dict[tuple[str, str, NormalizedName], list[Edge]]:
    found: dict[tuple[str, str, NormalizedName], list[Edge]] = {}
    tables = [("runtime", "", package.dependencies)]
    tables += [("extra", name, edges) for name, edges in package.extras]
    tables += [("group", name, edges) for name, edges in package.groups]
    for kind, label, edges in tables:
        for edge in edges:
            found.setdefault((kind, label, edge.name), []).append(edge)
    return found


def _children(
    requirement: Requirement, edges: list[Edge], versions: dict[NormalizedName, list[LockedPackage]]
) -> list[Node]:
    """The locked versions a member's requirement leads to; the bare name if nothing is locked."""
    where = parse(requirement.marker)
    there = [edge for edge in edges if not disjoint(where, parse(edge.marker))]
    found = {node: None for edge in there or edges for node in _targets(edge, versions)}
    asked_for = [node for node in found if contains(requirement.specifier, node.version)]
    found = dict.fromkeys(asked_for) or found  # none: an override says which
    if not found and len(versions.get(requirement.name, ())) == 1:
        found = {Node(requirement.name, versions[requirement.name][0].version): None}
    return list(found) or [Node(requirement.name)]


def _targets(edge: Edge, versions: dict[NormalizedName, list[LockedPackage]]) -> list[Node]:
    fitting = [package for package in versions.get(edge.name, ()) if edge.leads_to(package)]
    return [Node(edge.name, package.version) for package in fitting] or [Node(edge.name, edge.version)]


def _said(edge: Edge) -> str:
    extras = f"[{','.join(edge.extras)}]" if edge.extras else ""
    return f"{edge.name}{extras}" + (f"; {edge.marker}" if edge.marker else "")


def place_of(workspace: Workspace, step: Step) -> Place | None:
    """The file and line that ask, where a manifest does."""
    return workspace.place(step.origin) if step.origin is not None else None
