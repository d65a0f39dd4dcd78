"""An edit resolved on top of a lock: what the lock has stays, and only what is new is asked.

A lock that fits but for some requirements holds a solution of all others. The requirements that came, of
their members alone, are a small request, for which the locked versions are preferences as ever; with what
the lock has of the rest, its answer is the answer to the whole, wherever the two agree on every package in
every environment. Where they do not, or one of them is parted where the other is not, nothing is concluded
(None), and the whole has to be resolved.

    rest = rest_of(lock, reasons, request)
    found = ...                                 # the resolution of `rest.request`
    resolution = joined(lock, request, rest, found)

This is for members that are installed together, without conflicts that they declare: there are no flags in
such a lock. The lock has to be one that a resolution has made: its edges are believed.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping

from pypm_model.dataflow import Edge as Reaching
from pypm_model.dataflow import fixpoint
from pypm_model.freshness import Stale, leading_name
from pypm_model.lock_order import edge_order, package_order
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.markers import FALSE, Diagram, any_of, both, either, implies, parse, text
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.records import record, replace
from pypm_model.requests import Ask, MemberRequest, Request, asks_of
from pypm_model.resolutions import Resolution
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource
from pypm_resolver.merge import grouped
from pypm_resolver.problem import ItemKey, environment_of, pythons_of

Entry = tuple[NormalizedName, str, Source]
"""(name, version, source)."""
Node = tuple[Entry, str]
"""An entry of a lock, or one of its extras."""

_OWN_SOURCE = pattern(r" @ (?!member(?:, |$))")
"""In what a member asks for (`pypm_model.freshness.ask_text`), or several of these."""
_DIRECT = (PathSource, UrlSource, GitSource)
_ASKS = frozenset(("requirement-added", "requirement-removed", "requirement-changed"))
_TABLES = frozenset(("table-added", "table-removed"))
_EXTRA, _GROUP = "project.optional-dependencies.", "dependency-groups."


@record
class Rest:
    """What a lock does not answer of a request."""

    request: Request
    """The same, but of every member it only has the requirements that the lock does not answer."""
    touched: Mapping[ItemKey, frozenset[NormalizedName]]
    """Names of which a member, an extra or a group asks something else than it did."""

    @property
    def asks(self) -> bool:
        """Whether anything is asked; else requirements have only gone."""
        return any(_asks_of(member) for member in self.request.members)


def rest_of(lock: Lock, reasons: Iterable[Stale], request: Request) -> Rest | None:
    """What *request* asks that *lock* does not answer, where *reasons* are all the differences there are
    (`pypm_model.freshness.stale`). None if they are not only about what members depend on, or if a package is
    from a source of its own: what serves a name there hangs on all who ask for it."""
    if not request.shared_environment or request.conflicts or request.strategy != "highest":
        return None
    if any(isinstance(package.source, _DIRECT) for package in lock.packages):
        return None
    before = {package.requires_python for package in lock.packages if package.manifest is not None}
    if before != {member.requires_python for member in request.members}:
        return None
    reasons = tuple(reasons)
    touched = _touched(lock, reasons, request)
    if touched is None or any(_OWN_SOURCE.search(text) for text in _gone(lock, reasons)):
        return None
    members = tuple([_left(member, touched) for member in request.members])
    left = replace(request, members=members, is_part=True)
    coming = [ask.source for ask in asks_of(left) if ask.source is not None]
    if any(not isinstance(source, MemberSource) for source in coming):
        return None
    return Rest(left, touched)


def _touched(
    lock: Lock, reasons: Iterable[Stale], request: Request
) -> dict[ItemKey, frozenset[NormalizedName]] | None:
    """`Rest.touched`; None if *reasons* are about something else, too."""
    tables = {key: asks for member in request.members for key, asks in _tables(member)}
    locked = {package.name for package in lock.packages}
    touched: dict[ItemKey, set[NormalizedName]] = {}
    for reason in reasons:
        if reason.kind == "member-removed":
            continue
        items: list[ItemKey] = []
        if reason.kind == "member-added" and reason.member not in locked:
            items = [key for key in tables if key[0] == reason.member]
        elif reason.kind in _TABLES and reason.table.startswith(_GROUP):
            items = [_item(reason)]
        elif reason.kind in _ASKS:
            named = {leading_name(text) for text in (reason.old, reason.new) if text}
            touched.setdefault(_item(reason), set()).update(named)
            continue
        if not items:
            return None
        for key in items:
            names = {ask.requirement.name for ask in tables.get(key, ())}
            touched.setdefault(key, set()).update(names)
    return {key: frozenset(names) for key, names in touched.items()}


def _gone(lock: Lock, reasons: Iterable[Stale]) -> Iterator[str]:
    """Texts of what is asked no more."""
    removed = {reason.member for reason in reasons if reason.kind == "member-removed"}
    for package in lock.packages:
        if package.name in removed and package.manifest is not None:
            manifest = package.manifest
            yield from manifest.dependencies
            for _, texts in (*manifest.extras, *manifest.groups):
                yield from texts
    yield from (reason.old for reason in reasons)


def _item(reason: Stale) -> ItemKey:
    """What a table of a member's manifest is."""
    member = NormalizedName(reason.member)
    if reason.table.startswith(_EXTRA):
        return member, reason.table.removeprefix(_EXTRA), ""
    if reason.table.startswith(_GROUP):
        return member, "", reason.table.removeprefix(_GROUP)
    return member, "", ""


def _tables(member: MemberRequest) -> Iterator[tuple[ItemKey, tuple[Ask, ...]]]:
    yield (member.name, "", ""), member.dependencies
    for extra, asks in member.extras:
        yield (member.name, extra, ""), asks
    for group, asks in member.groups:
        yield (member.name, "", group), asks


def _asks_of(member: MemberRequest) -> bool:
    return any(asks for _, asks in _tables(member))


def _left(member: MemberRequest, touched: Mapping[ItemKey, Collection[NormalizedName]]) -> MemberRequest:
    """*member* with what it asks of the names that are *touched*, and with all its extras."""

    def of(extra: str, group: str, asks: tuple[Ask, ...]) -> tuple[Ask, ...]:
        names = touched.get((member.name, extra, group), ())
        return tuple([ask for ask in asks if ask.requirement.name in names]) if names else ()

    groups = [(group, of("", group, asks)) for group, asks in member.groups]
    return replace(
        member,
        dependencies=of("", "", member.dependencies),
        extras=tuple([(extra, of(extra, "", asks)) for extra, asks in member.extras]),
        groups=tuple([(group, asks) for group, asks in groups if asks]),
    )


def joined(lock: Lock, request: Request, rest: Rest, found: Resolution | None) -> Resolution | None:
    """The resolution of *request* that *lock* and *found*, the resolution of `rest.request`, make together;
    None if they do not agree. Without *found* nothing may have been asked (`Rest.asks`).

    Nothing may have been in the way of *found*: what is chosen instead depends on what else there is.

    The packages that the lock has keep their files and publishers.
    """
    return _Joining(lock, request, rest, found).resolution()


class _Side:
    """A graph of locked packages with where each node of it is reached."""

    def __init__(self, packages: Iterable[LockedPackage]) -> None:
        self.members: dict[NormalizedName, LockedPackage] = {}
        self.entries: dict[Entry, LockedPackage] = {}
        self.named: dict[NormalizedName, list[Entry]] = {}
        for package in packages:
            if isinstance(package.source, MemberSource):
                self.members[package.name] = package
            else:
                entry = package.name, package.version, package.source
                self.entries[entry] = package
                self.named.setdefault(package.name, []).append(entry)
        self.reach: Mapping[Node, Diagram] = {}

    def targets(self, edge: Edge) -> list[Entry]:
        """The entries that *edge* leads to: none if it leads to a member."""
        if edge.name in self.members:
            return []
        found = self.named.get(edge.name, [])
        if not edge.version and edge.source is None:
            return found
        return [
            entry
            for entry in found
            if edge.version in ("", entry[1]) and (edge.source is None or edge.source == entry[2])
        ]

    def edges(self, node: Node) -> tuple[Edge, ...]:
        """What leaves *node*."""
        entry, extra = node
        package = self.entries.get(entry)
        if package is None:
            return ()
        if not extra:
            return package.dependencies
        return next((edges for name, edges in package.extras if name == extra), ())

    def led_to(self, edges: Iterable[Edge], within: Diagram | None = None) -> list[Reaching[Node]]:
        """The nodes that *edges* lead to; the edges hold *within* alone."""
        found: list[Reaching[Node]] = []
        for edge in edges:
            marker = parse(edge.marker)
            if within is not None:
                marker = both(marker, within)
            for entry in self.targets(edge):
                found += [((entry, extra), marker, ()) for extra in ("", *edge.extras)]
        return found

    def reach_from(self, items: Mapping[Edge, Diagram]) -> None:
        """Finds out where nodes are reached from the edges of *items*."""
        roots = _roots(self, items)
        self.reach = fixpoint(roots, lambda node: self.led_to(self.edges(node)))


def _roots(side: _Side, items: Mapping[Edge, Diagram]) -> list[tuple[Node, Diagram]]:
    """Where the edges of members lead to, which are followed where *items* says."""
    found = []
    for edge, where in items.items():
        for node, marker, _ in side.led_to((edge,)):
            inside = both(where, marker)
            if inside != FALSE:
                found.append((node, inside))
    return found


class _Joining:
    def __init__(self, lock: Lock, request: Request, rest: Rest, found: Resolution | None) -> None:
        self.lock = lock
        self.request = request
        self.touched = rest.touched
        self.found = found
        self.old = _Side(lock.packages)
        self.new = _Side(found.packages if found is not None else ())
        self.members = {member.name: member for member in request.members}
        ranges = {name: package.requires_python for name, package in self.old.members.items()}
        ranges |= {name: member.requires_python for name, member in self.members.items()}
        self.pythons = pythons_of(ranges)
        self.whole = environment_of(
            (self.pythons[member.name] for member in request.members), request.environments
        )
        self.kept: dict[ItemKey, tuple[Edge, ...]] = {}
        """The edges of members that stay."""
        self.added: dict[ItemKey, tuple[Edge, ...]] = {}
        """Those that come."""
        self.reach: Mapping[Node, Diagram] = {}
        self.named: dict[NormalizedName, list[Entry]] = {}
        """The entries that are reached."""

    def resolution(self) -> Resolution | None:
        if self.found is not None and self.found.detours:
            return None
        self._find_edges()
        self._find_reach()
        if not self._do_agree():
            return None
        packages = [*self._members(), *self._packages()]
        packages.sort(key=package_order)
        found = self.found or Resolution(())
        more = (found.warnings, found.steps, found.detours, found.gaps)
        return Resolution(tuple(packages), self.lock.splits, *more)

    def _find_edges(self) -> None:
        asked = {key for member in self.request.members for key, _ in _tables(member)}
        for key, edges in _items(self.old):
            if key in asked:
                gone = self.touched.get(key, ())
                self.kept[key] = tuple([e for e in edges if e.name not in gone]) if gone else edges
        self.added = {key: edges for key, edges in _items(self.new) if edges}

    def _find_reach(self) -> None:
        before = self._entered(_items(self.old))
        kept, added = self._entered(self.kept.items()), self._entered(self.added.items())
        self.old.reach_from(before)
        self.new.reach_from(added)
        self.reach = fixpoint([*_roots(self.old, kept), *_roots(self.new, added)], self._edges_from)
        for entry, extra in self.reach:
            if not extra:
                self.named.setdefault(entry[0], []).append(entry)

    def _entered(self, items: Iterable[tuple[ItemKey, tuple[Edge, ...]]]) -> dict[Edge, Diagram]:
        """Where each of the edges of *items* is followed."""
        owners: dict[Edge, set[NormalizedName]] = {}
        for key, edges in items:
            for edge in edges:
                owners.setdefault(edge, set()).add(key[0])
        known: dict[frozenset[Diagram], Diagram] = {}
        found = {}
        for edge, names in owners.items():
            pythons = frozenset([self.pythons[name] for name in names])
            if pythons not in known:
                known[pythons] = both(self.whole, any_of(pythons))
            found[edge] = known[pythons]
        return found

    def _edges_from(self, node: Node) -> list[Reaching[Node]]:
        """What leaves *node* on either side: where a side has not reached it, its edges say nothing."""
        found = []
        for side in (self.old, self.new):
            if node in side.reach:
                found += side.led_to(side.edges(node), side.reach[node])
        return found

    def _do_agree(self) -> bool:
        """Whether both sides chose the same wherever both have a say, and the same regions are parted."""
        if any((entry, "") not in self.old.reach for entry in self.old.entries):
            return False  # no resolution has left that
        for name, had in self.old.named.items():
            if len(had) > 1 and set(self.named.get(name, ())) != set(had):
                return False
        several = {name: found for name, found in self.named.items() if len(found) > 1}
        if any(set(found) != set(self.old.named.get(name, ())) for name, found in several.items()):
            return False
        cells = [both(self.whole, parse(split)) for split in self.lock.splits]
        for found in several.values():
            if all(self._is_as_it_was(entry) for entry in found):
                continue
            for cell in cells:
                if sum(both(cell, self.reach[entry, ""]) != FALSE for entry in found) > 1:
                    return False
        gone = self.old.members.keys() - self.members.keys()
        if gone:
            edges = [*self.kept.values(), *(self.old.edges(node) for node in self.reach)]
            if any(edge.name in gone for each in edges for edge in each):
                return False
        moved = [
            entry
            for found in self.named.values()
            for entry in found
            if entry in self.old.entries and not self._is_as_it_was(entry)
        ]
        # Files that are enough somewhere need not be where a package is still needed.
        return self._do_extras_stay(moved) and not any(map(self._may_lack_files, moved))

    def _do_extras_stay(self, moved: Iterable[Entry]) -> bool:
        """Whether nothing is different where packages have several extras: what these bring together depends
        on where they meet, and is kept with the first of them."""
        several = {entry[0] for entry in self.old.entries if len(self._extras(entry)) > 1}
        if not several:
            return True
        before: list[_Asking] = [*_items(self.old)]
        before += [(node, self.old.edges(node)) for node in self.old.reach]
        now: list[_Asking] = [*self.kept.items(), *self.added.items()]
        now += [(node, side.edges(node)) for side in (self.old, self.new) for node in self.reach]
        is_moved = any(entry[0] in several for entry in moved)
        return not is_moved and _asking(before, several) == _asking(now, several)

    def _may_lack_files(self, entry: Entry) -> bool:
        """Whether *entry*, which the lock has, may have no file where it is still needed."""
        if not isinstance(entry[2], IndexSource) or implies(self.old.reach[entry, ""], self.reach[entry, ""]):
            return False
        return not any(file.filename.endswith("-none-any.whl") for file in self.old.entries[entry].files)

    def _extras(self, entry: Entry) -> list[NormalizedName]:
        """The extras of *entry* that either side has."""
        packages = [side.entries[entry] for side in (self.old, self.new) if entry in side.entries]
        return sorted({extra for package in packages for extra, _ in package.extras})

    def _is_as_it_was(self, entry: Entry) -> bool:
        """Whether *entry* is reached, with its extras, where the lock has it."""
        reach, before = self.reach, self.old.reach
        return all(
            reach.get((entry, extra)) == before.get((entry, extra)) for extra in ("", *self._extras(entry))
        )

    def _members(self) -> Iterator[LockedPackage]:
        touched = {key[0] for key in self.touched}
        for name, member in self.members.items():
            old = self.old.members.get(name)
            if old is not None and name not in touched:
                yield old
                continue
            tables = {key: self._item_edges(key) for key, _ in _tables(member)}
            yield LockedPackage(
                name,
                member.version or "",
                MemberSource(member.path),
                member.requires_python,
                tables[name, "", ""],
                tuple([(extra, tables[name, extra, ""]) for extra, _ in sorted(member.extras)]),
                tuple([(group, tables[name, "", group]) for group, _ in sorted(member.groups)]),
            )

    def _item_edges(self, key: ItemKey) -> tuple[Edge, ...]:
        added = map(self._told_apart, self.added.get(key, ()))
        return tuple(sorted((*self.kept.get(key, ()), *added), key=edge_order))

    def _told_apart(self, edge: Edge) -> Edge:
        """*edge*, of the new side, with its version if the lock has others too."""
        if edge.version or len(self.named.get(edge.name, ())) < 2:
            return edge
        (entry,) = self.new.targets(edge)
        return self._edge(entry, edge.extras, edge.marker)

    def _edge(self, entry: Entry, extras: Iterable[NormalizedName], marker: str) -> Edge:
        name, version, source = entry
        others = self.named.get(name, ())
        if len(others) < 2:
            return Edge(name, tuple(extras), marker)
        is_alone = sum(other[1] == version for other in others) == 1
        return Edge(name, tuple(extras), marker, version, None if is_alone else source)

    def _packages(self) -> Iterator[LockedPackage]:
        for found in self.named.values():
            for entry in found:
                old, new = self.old.entries.get(entry), self.new.entries.get(entry)
                if old is not None and self._is_as_it_was(entry):
                    yield old
                elif old is None:
                    assert new is not None
                    yield replace(
                        new,
                        dependencies=tuple(map(self._told_apart, new.dependencies)),
                        extras=tuple([(e, tuple(map(self._told_apart, edges))) for e, edges in new.extras]),
                    )
                else:
                    extras = [extra for extra in self._extras(entry) if (entry, extra) in self.reach]
                    yield replace(
                        old,
                        dependencies=self._edges((entry, "")),
                        extras=tuple([(extra, self._edges((entry, extra))) for extra in extras]),
                    )

    def _edges(self, node: Node) -> tuple[Edge, ...]:
        """What leaves *node* where it is reached now, as `pypm_resolver.merge` says it."""
        given = self.reach[node]
        conditions: dict[Entry | NormalizedName, dict[NormalizedName | None, Diagram]] = {}
        for side in (self.old, self.new):
            if node not in side.reach:
                continue
            zone = both(given, side.reach[node])
            for edge in side.edges(node):
                inside = both(zone, parse(edge.marker))
                if inside == FALSE:
                    continue
                targets: list[Entry] | list[NormalizedName] = side.targets(edge) or [edge.name]
                for target in targets:
                    known = conditions.setdefault(target, {})
                    for extra in (None, *edge.extras):
                        known[extra] = either(known.get(extra, FALSE), inside)
        edges = []
        for led_to, by_extra in conditions.items():
            for where, extras in grouped(by_extra).items():
                marker = text(where, given)
                if isinstance(led_to, tuple):
                    edges.append(self._edge(led_to, sorted(extras), marker))
                else:
                    edges.append(Edge(led_to, tuple(sorted(extras)), marker))
        return tuple(sorted(edges, key=edge_order))


_Asking = tuple[ItemKey | Node, tuple[Edge, ...]]


def _asking(owners: Iterable[_Asking], names: Container[NormalizedName]) -> set[tuple[ItemKey | Node, Edge]]:
    """Which of *owners* ask for extras of *names*, and how."""
    return {(owner, edge) for owner, edges in owners for edge in edges if edge.extras and edge.name in names}


def _items(side: _Side) -> Iterator[tuple[ItemKey, tuple[Edge, ...]]]:
    """The members of *side*, their extras and their groups, each with its edges."""
    for name, package in side.members.items():
        yield (name, "", ""), package.dependencies
        for extra, edges in package.extras:
            yield (name, extra, ""), edges
        for group, edges in package.groups:
            yield (name, "", group), edges
