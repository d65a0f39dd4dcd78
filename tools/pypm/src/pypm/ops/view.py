"""``tree`` and ``why``: what is there and why."""

from __future__ import annotations

from typing import Any

from pypm.ops.old_lock import lock_text
from pypm.ops.opening import open_workspace
from pypm.ops.regions import EVERYWHERE, Regions, Where
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.world import LOCK, World
from pypm_model import markers
from pypm_model.errors import Place
from pypm_model.lock_text import read
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import field, record
from pypm_workspace.configuration import Member
from pypm_workspace.why import LIMIT, Node, Step, Why, place_of, why
from pypm_workspace.workspace import Workspace


@record
class Answer:
    """Why a package is there, with a place for each step that a manifest asks for."""

    why: Why
    places: dict[Step, Place]
    is_locked: bool
    """Whether there was a lock to look into: without, only members are known."""
    regions: dict[Node, Where] = field(default_factory=dict)
    """Where the lock has a version, for those that it does not have everywhere."""

    def to_json(self) -> dict[str, Any]:
        def node(each: Node) -> dict[str, Any]:
            where = self.regions.get(each, EVERYWHERE)
            return {
                "name": each.name,
                "version": each.version or None,
                "member": each.member,
                "region": where.marker or None,
                "region-in-words": where.words or None,
                "for": list(where.whom),
            }

        def step(each: Step) -> dict[str, Any]:
            place = self.places.get(each)
            return {
                "from": node(each.parent),
                "to": node(each.child),
                "kind": each.kind,
                "label": each.label or None,
                "requirement": each.requirement,
                "file": place.file if place else None,
                "line": place.line if place else None,
            }

        return {
            "name": self.why.name,
            "paths": [[step(each) for each in path] for path in self.why.paths],
            "more": self.why.more,
        }


def why_package(world: World, name: str, limit: int = LIMIT) -> Answer:
    """Every path from a member to the package, by the lock if there is one."""
    workspace = open_workspace(world)
    lock = current_lock(workspace)
    found = why(workspace, lock, normalize(name), limit=limit)
    places = {}
    for path in found.paths:
        for step in path:
            place = place_of(workspace, step)
            if place is not None:
                places[step] = place
    return Answer(found, places, lock is not None, _regions(lock, found) if lock is not None else {})


def _regions(lock: Lock, found: Why) -> dict[Node, Where]:
    regions = Regions(lock)
    nodes = {step.child: None for path in found.paths for step in path if not step.child.member}
    where = {node: regions.of(node.name, node.version) for node in nodes}
    return {node: one for node, one in where.items() if one != EVERYWHERE}


def current_lock(workspace: Workspace) -> Lock | None:
    """The workspace's lock as it is in its file, or None."""
    text = lock_text(workspace)
    return None if text is None else read(text, LOCK)


@record
class Branch:
    """One line of a tree."""

    depth: int
    text: str
    repeated: bool = False
    """Its branches are shown elsewhere."""
    name: str = ""
    """Of the package; empty for the line of an extra or group."""
    version: str = ""
    marker: str = ""
    """Where what is one level up asks for it."""
    region: str = ""
    """The marker of where the lock has this version at all; empty: everywhere."""
    region_words: str = ""
    whom: tuple[str, ...] = ()
    """Who gets this version, see `Where`."""

    def to_json(self) -> dict[str, Any]:
        return {
            "depth": self.depth,
            "text": self.text,
            "repeated": self.repeated,
            "name": self.name or None,
            "version": self.version or None,
            "marker": self.marker or None,
            "region": self.region or None,
            "region-in-words": self.region_words or None,
            "for": list(self.whom),
        }


def tree(world: World, selection: Selection, depth: int | None) -> tuple[Branch, ...]:
    """The selected members with what they lead to, by the lock if there is one: every package's branches
    are shown once. Extras and groups have a branch of their own."""
    workspace = open_workspace(world)
    members = selected_members(world, workspace, selection)
    lock = current_lock(workspace)
    if lock is None:
        return _without_lock(workspace, members)
    return _Tree(lock, depth).of([member.name for member in members])


def _without_lock(workspace: Workspace, members: tuple[Member, ...]) -> tuple[Branch, ...]:
    branches = []
    for member in members:
        text = f"{member.name} {member.version or ''}".strip()
        branches.append(Branch(0, text, name=member.name, version=member.version or ""))
        branches += [
            Branch(1, edge.child, True, edge.child) for edge in workspace.edges if edge.parent == member.name
        ]
    return tuple(branches)


class _Tree:
    """Draws a lock's graph, depth first, without recursion."""

    def __init__(self, lock: Lock, depth: int | None) -> None:
        self._packages: dict[NormalizedName, list[LockedPackage]] = {}
        for package in lock.packages:
            self._packages.setdefault(package.name, []).append(package)
        self._depth = depth
        self._regions = Regions(lock)
        self._shown: set[tuple[str, str, tuple[str, ...]]] = set()
        self._tops: frozenset[NormalizedName] = frozenset()

    def of(self, names: list[NormalizedName]) -> tuple[Branch, ...]:
        self._tops = frozenset(names)
        found: list[Branch] = []
        for name in names:
            for package in self._packages.get(name, []):
                found += self._member(package)
        return tuple(found)

    def _member(self, package: LockedPackage) -> list[Branch]:
        text = f"{package.name} {package.version}".strip()
        found = [Branch(0, text, name=package.name, version=package.version)]
        found += self._below(package.dependencies, 1)
        for kind, tables in (("extra", package.extras), ("group", package.groups)):
            for name, edges in tables:
                if self._depth is None or self._depth >= 1:
                    found.append(Branch(1, f"({kind} {name})"))
                    found += self._below(edges, 2)
        return found

    def _below(self, edges: tuple[Edge, ...], depth: int) -> list[Branch]:
        found: list[Branch] = []
        waiting = [(edge, depth) for edge in reversed(edges)]
        while waiting:
            edge, level = waiting.pop()
            if self._depth is not None and level > self._depth:
                continue
            for package in self._targets(edge):
                key = (package.name, package.version, edge.extras)
                is_top = package.manifest is not None and package.name in self._tops
                repeated = key in self._shown or is_top
                extras = f"[{','.join(edge.extras)}]" if edge.extras else ""
                where = f" {markers.describe(markers.parse(edge.marker))}" if edge.marker else ""
                text = f"{package.name}{extras} {package.version}".strip()
                has_more = bool(package.dependencies or edge.extras)
                region = self._regions.of(package.name, package.version)
                found.append(
                    Branch(
                        level,
                        f"{text}{where}",
                        repeated and has_more,
                        package.name,
                        package.version,
                        edge.marker,
                        region.marker,
                        region.words,
                        region.whom,
                    )
                )
                if not repeated:
                    self._shown.add(key)
                    extra_edges = [e for name, es in package.extras if name in edge.extras for e in es]
                    below = [*package.dependencies, *extra_edges]
                    waiting += [(each, level + 1) for each in reversed(below)]
        return found

    def _targets(self, edge: Edge) -> list[LockedPackage]:
        return [package for package in self._packages.get(edge.name, []) if edge.leads_to(package)]
