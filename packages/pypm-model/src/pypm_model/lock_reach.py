"""Where each locked package is needed: the marker under which a walk from the members meets it.

A lock is a graph, its edges carry markers. Formats that are lists (PEP 751, requirements files)
need the union over all paths instead; this computes it as marker diagrams over platforms and the
flags of `pypm_model.activation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.dataflow import Edge as Reaching
from pypm_model.dataflow import fixpoint
from pypm_model.locks import Edge, Lock, LockedPackage, Root
from pypm_model.markers import (
    FALSE,
    TRUE,
    Diagram,
    assume,
    both,
    either,
    flag,
    implies,
    parse,
    requires_python,
    text,
)
from pypm_model.names import ROOT, NormalizedName

Node = tuple[int, str]
"""(position in ``Lock.packages``, extra or an empty text for the package itself)."""


def covered(lock: Lock, python: str | None = None) -> Diagram:
    """The environments that *lock* is for, on the Pythons *python* instead of the lock's own if given."""
    region = requires_python(lock.requires_python if python is None else python)
    if lock.environments:
        region = both(region, parse(" or ".join(f"({e})" for e in lock.environments)))
    return region


def reach(
    lock: Lock, roots: Iterable[Root] | None = None, *, beside: Iterable[Root] = ()
) -> Mapping[int, Diagram]:
    """The diagram of environments and flags in which each package, by position, is installed.

    With *roots* these members, extras and groups are taken as chosen (as those *beside* them are, whose
    packages are not followed) and no flag is left over from them; None: every member, extra and group is
    entered under its own flag. A member is entered on the Pythons it is for alone: elsewhere its edges mean
    nothing. Packages that are never reached are left out.
    """
    targets = _Targets(lock)
    chosen = None if roots is None else _flags(lock, (*(roots := tuple(roots)), *beside))
    extras = [dict(package.extras) for package in lock.packages]

    every = requires_python(lock.requires_python)

    def pythons(position: int) -> Diagram:
        manifest = lock.packages[position].manifest
        own = requires_python(manifest.requires_python) if manifest else TRUE
        return TRUE if implies(every, own) else own

    def led_to(edges: Iterable[Edge]) -> list[Reaching[Node]]:
        found: list[Reaching[Node]] = []
        for edge in edges:
            marker = parse(edge.marker)
            if chosen is not None and "dependency_groups" in edge.marker:
                marker = assume(marker, chosen)
            for position in targets.of(edge):
                found += [((position, extra), marker, ()) for extra in ("", *edge.extras)]
        return found

    def edges(node: Node) -> list[Reaching[Node]]:
        position, extra = node
        if extra:
            return led_to(extras[position].get(NormalizedName(extra), ()))
        return led_to(lock.packages[position].dependencies)

    def entered() -> Iterator[tuple[Node, Diagram]]:
        for position, extra, listed, chosen_where in _entries(lock, roots):
            where = both(chosen_where, pythons(position))
            if listed is None:
                yield (position, extra), where
            for node, marker, _ in led_to(listed or ()):
                yield node, both(where, marker)

    known = fixpoint(entered(), edges)
    met: dict[int, Diagram] = {}
    for (position, _), where in known.items():
        met[position] = either(met.get(position, FALSE), where)
    return met


def marker_texts(lock: Lock, found: Mapping[int, Diagram], region: Diagram) -> Mapping[int, str]:
    """The markers of packages, by position, in a list for the environments in *region*, of which *found* has
    those that each is needed in.

    They are short because they may say anything outside of *region*; but there, too, no two entries of one
    name hold together: an installer may look at all environments, or be used where it was not meant to be.
    """
    count = Counter(lock.packages[position].name for position in found)
    taken: dict[NormalizedName, Diagram] = {}
    texts = {}
    for position, where in sorted(found.items()):
        name = lock.packages[position].name
        before = taken.get(name, FALSE)
        texts[position] = text(both(where, region), either(region, before))
        if count[name] > 1:
            taken[name] = either(before, parse(texts[position]))
    return texts


def everything(lock: Lock) -> tuple[Root, ...]:
    """Every member with all its extras and groups."""
    return tuple(
        Root(
            package.name,
            tuple(extra for extra, _ in package.extras),
            tuple(group for group, _ in package.groups),
            project=package.name != ROOT,
        )
        for package in lock.packages
        if package.manifest is not None
    )


def _entries(
    lock: Lock, roots: Iterable[Root] | None
) -> Iterator[tuple[int, str, tuple[Edge, ...] | None, Diagram]]:
    """Where walks begin: (position, extra, None) for a node, (position, "", edges) for a group."""
    members = {p.name: i for i, p in enumerate(lock.packages) if p.manifest is not None}
    if roots is None:
        for name, position in members.items():
            package = lock.packages[position]
            yield position, "", None, flag(member_flag(name))
            for extra, _ in package.extras:
                where = flag(extra_flag(name, extra))
                yield position, "", None, where
                yield position, extra, None, where
            for group, edges in package.groups:
                yield position, "", edges, flag(group_flag(name, group))
        return
    for root in roots:
        position = members[root.member]
        package = lock.packages[position]
        if root.project:
            yield position, "", None, TRUE
            for extra in root.extras:
                yield position, extra, None, TRUE
        groups = dict(package.groups)
        for group in root.groups:
            yield position, "", groups[group], TRUE


def _flags(lock: Lock, roots: Iterable[Root]) -> dict[str, bool]:
    """Every flag of the workspace, set for what *roots* choose."""
    flags: dict[str, bool] = {}
    for package in lock.packages:
        if package.manifest is not None:
            flags[member_flag(package.name)] = False
            flags.update((extra_flag(package.name, e), False) for e, _ in package.extras)
            flags.update((group_flag(package.name, g), False) for g, _ in package.groups)
    for root in roots:
        flags[member_flag(root.member)] |= root.project
        flags.update((extra_flag(root.member, e), True) for e in root.extras)
        flags.update((group_flag(root.member, g), True) for g in root.groups)
    return flags


class _Targets:
    """Which packages an edge may lead to."""

    def __init__(self, lock: Lock) -> None:
        self._packages: dict[str, list[tuple[int, LockedPackage]]] = {}
        for i, package in enumerate(lock.packages):
            self._packages.setdefault(package.name, []).append((i, package))

    def of(self, edge: Edge) -> list[int]:
        return [
            i
            for i, package in self._packages.get(edge.name, [])
            if (not edge.version or edge.version == package.version)
            and (edge.source is None or edge.source == package.source)
        ]
