"""By which way a locked package comes into each member: ``web -> fastapi -> starlette``."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence

from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.sources import MemberSource

Kind = str
"""Of what a member asks through: ``runtime``, ``extra`` or ``group``."""


@record
class Chain:
    """The shortest way from a member to a package."""

    member: NormalizedName
    kind: Kind
    label: str
    """The extra or group of the member that asks, else empty."""
    names: tuple[NormalizedName, ...]
    """From the member to the package, both included."""
    is_direct: bool
    """No other member is on the way."""

    def __str__(self) -> str:
        first = f"{self.member} ({self.kind} {self.label})" if self.label else str(self.member)
        return " -> ".join((first, *self.names[1:]))


class Chains:
    """The ways through one lock, whatever the environment."""

    def __init__(
        self, lock: Lock, members: Collection[NormalizedName] | None = None, *, groups: bool = True
    ) -> None:
        """Only ways from *members* count, if given; without *groups* none that begins at a group."""
        self._packages = lock.packages
        self._by_name: dict[NormalizedName, list[int]] = {}
        for position, package in enumerate(lock.packages):
            self._by_name.setdefault(package.name, []).append(position)
        self._into: dict[_Node, list[tuple[_Node, Kind, str]]] = {}
        self._starts: dict[_Node, NormalizedName] = {}
        for position, package in enumerate(lock.packages):
            self._add(position, package, groups)
            if package.manifest is not None and (members is None or package.name in members):
                self._starts[position, ""] = package.name
                self._starts |= {(position, extra): package.name for extra, _ in package.extras}
                self._starts |= {(position, f"({group}"): package.name for group, _ in package.groups}
        self._reached = self._forward()

    @property
    def reached(self) -> tuple[LockedPackage, ...]:
        """The packages that some way leads to and that are no members, in the lock's order."""
        found = {position for position, _ in self._reached}
        return tuple(
            package
            for position, package in enumerate(self._packages)
            if position in found and not isinstance(package.source, MemberSource)
        )

    def to(self, name: NormalizedName, version: str) -> tuple[Chain, ...]:
        """The shortest way from each member, direct ones first, then by length and names. One walk over what
        leads to the package."""
        ends = [p for p in self._by_name.get(name, ()) if self._packages[p].version == version]
        queue: deque[tuple[_Node, tuple[_Node, ...], Kind, str]] = deque()
        seen: set[_Node] = set()
        best: dict[NormalizedName, Chain] = {}
        for node in self._nodes(ends):
            seen.add(node)
            queue.append((node, (node,), "runtime", ""))
        while queue:
            node, way, kind, label = queue.popleft()
            if node in self._starts and len(way) > 1:
                member = self._starts[node]
                best.setdefault(member, self._chain(member, way, kind, label))
            for parent, parent_kind, parent_label in self._into.get(node, ()):
                if parent not in seen:
                    seen.add(parent)
                    queue.append((parent, (parent, *way), parent_kind, parent_label))
        return tuple(sorted(best.values(), key=lambda c: (not c.is_direct, len(c.names), c.names, c.label)))

    def _nodes(self, positions: Sequence[int]) -> Iterator[_Node]:
        for position in positions:
            yield position, ""
            for extra, _ in self._packages[position].extras:
                yield position, extra

    def _chain(self, member: NormalizedName, way: Sequence[_Node], kind: Kind, label: str) -> Chain:
        positions = [position for position, _ in way]
        kept = [p for n, p in enumerate(positions) if n == 0 or positions[n - 1] != p]
        names = tuple(self._packages[position].name for position in kept)
        others = (self._packages[position] for position in kept[1:])
        is_direct = not any(isinstance(package.source, MemberSource) for package in others)
        return Chain(member, kind, label, names, is_direct)

    def _add(self, position: int, package: LockedPackage, groups: bool) -> None:
        tables: list[tuple[_Node, Kind, str, Iterable[Edge]]] = [
            ((position, ""), "runtime", "", package.dependencies)
        ]
        tables += [((position, extra), "extra", extra, edges) for extra, edges in package.extras]
        if groups:
            tables += [((position, f"({group}"), "group", group, edges) for group, edges in package.groups]
        for node, kind, label, edges in tables:
            for edge in edges:
                for child in self._targets(edge):
                    for extra in ("", *edge.extras):
                        self._into.setdefault((child, extra), []).append((node, kind, label))

    def _targets(self, edge: Edge) -> list[int]:
        return [at for at in self._by_name.get(edge.name, ()) if edge.leads_to(self._packages[at])]

    def _forward(self) -> set[_Node]:
        out: dict[_Node, list[_Node]] = {}
        for child, parents in self._into.items():
            for parent, _, _ in parents:
                out.setdefault(parent, []).append(child)
        reached = set(self._starts)
        waiting = list(reached)
        while waiting:
            for child in out.get(waiting.pop(), ()):
                if child not in reached:
                    reached.add(child)
                    waiting.append(child)
        return reached


_Node = tuple[int, str]
"""(position in the lock, and an empty text for the package itself, an extra, or a group after ``(``)."""
