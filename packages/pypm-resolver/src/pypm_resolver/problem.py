"""A request made ready for solving: which environments, which entry points, which sources.

Everything here is the same in all regions. Members, their extras and their groups are *items*; an
item is entered from the root under its flag (`pypm_model.activation`). The flag is the constant truth
where all are installed together, and a variable where they are alternatives: members that do not share
an environment, and whatever takes part in a declared conflict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property

from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.facts import DirectKey
from pypm_model.markers import (
    FALSE,
    TRUE,
    Diagram,
    all_of,
    any_of,
    assume,
    both,
    disjoint,
    either,
    flag,
    hangs_on,
    minus,
    negate,
    parse,
    requires_python,
    without_extras,
)
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.records import record
from pypm_model.requests import Ask, Request
from pypm_model.requirements import Requirement
from pypm_model.sources import (
    DirectSource,
    GitSource,
    IndexSource,
    MemberSource,
    PathSource,
    Source,
    UrlSource,
)
from pypm_model.specifiers import exact_pins
from pypm_resolver.clusters import united
from pypm_resolver.direct_urls import direct_source, same_place
from pypm_resolver.files import Expected, expected
from pypm_resolver.incompatibility import Wanted
from pypm_resolver.knowledge import Knowledge

ItemKey = tuple[NormalizedName, str, str]
"""(member, extra or "", group or "")."""


_MANY = 5
"""Conflicts of which it is not believed that all combinations have something to do with each other."""


@record
class Item:
    """A member, one of its extras or one of its groups."""

    key: ItemKey
    where: Diagram
    """The member's own Requires-Python, upper bounds included."""
    flag: Diagram
    """Under which the item is entered from the root."""
    asks: tuple[Wanted, ...]


@record
class Pin:
    """A source that members ask for or the workspace provides, and the region in which they do."""

    source: Source
    where: Diagram


class Problem:
    """A request with its markers parsed and its names indexed."""

    def __init__(self, request: Request, met: Collection[NormalizedName] = ()) -> None:
        """*met* are names that something was found to ask for, of those that the workspace provides directly:
        what nobody asks for need not be there."""
        self.request = request
        self.warnings: list[str] = []
        self.members = {member.name: member for member in sorted(request.members, key=lambda m: m.name)}
        self.overrides = _by_name(request.overrides)
        self.constraints = _by_name(request.constraints)
        own = pythons_of({name: member.requires_python for name, member in self.members.items()})
        self.pythons = own
        self.items = self._items(own)
        covered = environment_of(own.values(), request.environments)
        self.environment: Diagram = covered
        """Without the choices members, extras and groups leave."""
        self._excluded = self._exclusions()
        self.where: Diagram = both(covered, all_of(excluded for _, excluded in self._excluded))
        self.expected: Expected = expected(covered, request.environments, request.required_environments)
        self.splits = self._preferred_splits()
        """Regions of the old lock."""
        self.preferences = {
            name: tuple((p.version, p.index, parse(p.marker)) for p in preferences)
            for name, preferences in request.preferences
        }
        self.locked: Diagram = parse(request.preferred_where) if request.preferred_where else FALSE
        """What the old lock was for."""
        self.possible: dict[Diagram, bool] = {}
        """What `pypm_resolver.choices.is_possible` has answered."""
        self._pins: dict[NormalizedName, tuple[Pin, ...]] | None = None
        self.provisions: dict[NormalizedName, list[Pin]] = {}
        """What the workspace provides, and where it says so."""
        for provision in request.provisions:
            if provision.name not in self.members:
                pin = Pin(provision.source, parse(provision.marker))
                self.provisions.setdefault(provision.name, []).append(pin)
        self._met = frozenset(met)
        self.direct: dict[NormalizedName, Diagram] = {}
        self.exact: dict[NormalizedName, list[tuple[str, Diagram]]] = {}
        self._index_asks()

    @property
    def are_apart(self) -> bool:
        """Whether there are members that are never installed together unless one depends on another."""
        return not self.request.shared_environment and len(self.members) > 1

    @cached_property
    def by_flag(self) -> Mapping[str, ItemKey]:
        """The item of each flag, by its name as markers have it."""
        return {normalize(flag_name(key)): key for key in self.items}

    # Items

    def _items(self, own: dict[NormalizedName, Diagram]) -> dict[ItemKey, Item]:
        listed: list[tuple[ItemKey, tuple[Ask, ...]]] = []
        for name, member in self.members.items():
            listed.append(((name, "", ""), member.dependencies))
        for name, member in self.members.items():
            listed += [((name, extra, ""), asks) for extra, asks in member.extras]
        for name, member in self.members.items():
            listed += [((name, "", group), asks) for group, asks in member.groups]
        optional = self._optional(dict(listed))
        return {
            key: Item(
                key,
                own[key[0]],
                flag(flag_name(key)) if key in optional else TRUE,
                tuple(
                    [
                        each
                        for ask in _sorted(asks)
                        for each in self._wanted(ask)
                        if _may_hold(each, own[key[0]])
                    ]
                ),
            )
            for key, asks in listed
        }

    def _wanted(self, ask: Ask) -> Iterable[Wanted]:
        """What an ask comes down to after overrides and excludes."""
        name = ask.requirement.name
        if name in self.request.excludes:
            return ()
        overrides = self.overrides.get(name)
        if overrides is None or name in self.members:
            return (Wanted(ask, ask.requirement),)
        return tuple(
            Wanted(Ask(override.requirement, ask.origin, override.source or ask.source), override.requirement)
            for override in overrides
        )

    def _optional(self, listed: dict[ItemKey, tuple[Ask, ...]]) -> frozenset[ItemKey]:
        """Items whose flag is a variable; also finds `self._rivals`, the sets of item sets of which
        at most one may be active."""
        self._rivals: list[list[list[ItemKey]]] = []
        keys = list(listed)
        if not self.request.conflicts:
            return frozenset(() if self.request.shared_environment else keys)
        holders: dict[ItemKey, set[ItemKey]] = {key: {key} for key in keys}
        direct = {key: self._included(key, asks) & holders.keys() for key, asks in listed.items()}
        for key in keys:
            open_keys = [key]
            seen = {key}
            while open_keys:
                for inner in direct[open_keys.pop()] - seen:
                    seen.add(inner)
                    holders[inner].add(key)
                    open_keys.append(inner)
        optional: set[ItemKey] = set()
        for conflict in self.request.conflicts:
            sets = [
                sorted(holders[item]) for item in ((m, e, g) for m, e, g in conflict.items) if item in holders
            ]
            if len(sets) > 1:
                self._rivals.append(sets)
                optional.update(key for keys_ in sets for key in keys_)
        if not self.request.shared_environment:
            optional.update(keys)
        return frozenset(optional)

    def _included(self, key: ItemKey, asks: tuple[Ask, ...]) -> set[ItemKey]:
        """Items that come with the item *key* in every environment."""
        member, extra, group = key
        included: set[ItemKey] = set()
        if extra:
            included.add((member, "", ""))
        for ask in asks:
            requirement = ask.requirement
            if requirement.name in self.members and not requirement.marker:
                included.add((requirement.name, "", ""))
                included.update((requirement.name, name, "") for name in requirement.extras)
            table, _, inner = ask.origin.table.rpartition(".")
            if group and table == "dependency-groups" and ask.origin.member == member:
                included.add((member, "", normalize(inner)))
        return included

    def exclusions(self, *regions: Diagram) -> Diagram:
        """Of the declared conflicts, what they say of the flags that *regions* hang on."""
        names = frozenset().union(*(names for names, _ in self._excluded))
        asked = {name for name in names if any(hangs_on(region, name) for region in regions)}
        return all_of(
            assume(excluded, dict.fromkeys(names - asked, False))
            for names, excluded in self._excluded
            if names & asked
        )

    def _preferred_splits(self) -> tuple[Diagram, ...]:
        """The regions of the old lock, but not those of one from before independent choices were put
        together: it has one for every combination of many, which says nothing."""
        splits = tuple(map(parse, self.request.preferred_splits))
        components = united(self.rivals())
        asked = sum(any(hangs_on(s, name) for s in splits for name in names) for names in components)
        if asked < _MANY or len(splits) < 2**asked:
            return splits
        seen = FALSE
        for split in splits:
            inside = both(split, self.where)
            if both(seen, inside) != FALSE:
                return splits
            seen = either(seen, inside)
        return ()

    def rivals(self) -> list[frozenset[str]]:
        """The flags that each declared conflict of two sides speaks of."""
        return [names for names, _ in self._excluded]

    def _exclusions(self) -> tuple[tuple[frozenset[str], Diagram], ...]:
        """The declared conflicts, each with the flags it speaks of: of every set, the holders of at most one
        item are active."""
        exclusions: list[tuple[frozenset[str], Diagram]] = []
        for sets in self._rivals:
            for position, first in enumerate(sets):
                for second in sets[position + 1 :]:
                    names = frozenset(map(flag_name, (*first, *second)))
                    shared = set(first) & set(second)
                    active = [any_of(self.items[key].flag for key in keys) for keys in (first, second)]
                    nobody = [negate(self.items[key].flag) for key in sorted(shared)]
                    exclusions.append((names, all_of((*nobody, negate(both(*active))))))
                    for key in sorted(shared):
                        self.warnings.append(
                            f"{flag_name(key)} can not be installed: it includes items declared to conflict"
                        )
        self.warnings = list(dict.fromkeys(self.warnings))
        return tuple(exclusions)

    # Sources

    def missing(self, knowledge: Knowledge) -> tuple[DirectKey, ...]:
        """Direct sources not looked into yet, roots first; empty when all are known."""
        missing: list[DirectKey] = []
        for key, _ in self._direct_sources(knowledge):
            if key not in knowledge.directs and key not in missing:
                missing.append(key)
        return tuple(missing)

    def _direct_sources(self, knowledge: Knowledge) -> list[tuple[DirectKey, Diagram]]:
        """Every direct source members ask for, and those that direct sources ask for in turn; not what is
        asked for only where nothing is locked, which need not be there."""
        found: list[tuple[DirectKey, Diagram]] = []
        for item in self.items.values():
            for wanted in item.asks:
                source = source_of(wanted)
                name = wanted.requirement.name
                if isinstance(source, (PathSource, UrlSource, GitSource)) and name not in self.members:
                    where = self._asked(item, wanted)
                    if not disjoint(where, self.where):
                        found.append((DirectKey(name, source), where))
        found += self._provided_directly()
        extras = self._extras_of_directs(knowledge)
        seen: set[tuple[DirectKey, Diagram]] = set()
        position = 0
        while position < len(found):
            key, where = found[position]
            position += 1
            direct = knowledge.directs.get(key)
            if direct is None or (key, where) in seen:
                continue
            seen.add((key, where))
            for requirement in direct.requires:
                if requirement.url and requirement.name not in self.members:
                    if not _is_wanted(requirement.marker, extras.get(key.name, set())):
                        continue
                    inner = self._as_met(DirectKey(requirement.name, direct_source(requirement.url)), found)
                    inside = both(where, parse(_without_extra(requirement.marker)))
                    if not disjoint(inside, self.where):
                        found.append((inner, inside))
        return found

    def _provided_directly(self) -> Iterable[tuple[DirectKey, Diagram]]:
        """The direct sources that the workspace provides, of names that are asked for."""
        for name, pins in self.provisions.items():
            for pin in pins if self.is_met(name) else ():
                if isinstance(pin.source, (PathSource, UrlSource, GitSource)):
                    where = minus(pin.where, self._own_sources.get(name, FALSE))
                    if not disjoint(where, self.where):
                        yield DirectKey(name, pin.source), where

    def is_met(self, name: NormalizedName) -> bool:
        """Whether *name* is known to be asked for: by a member, or as somebody found out."""
        return name in self._met or name in self.direct

    def unmet(self, name: NormalizedName) -> tuple[DirectKey, ...]:
        """The direct sources of *name* that the workspace provides, if nobody was known to ask for it."""
        if name not in self.provisions or self.is_met(name):
            return ()
        pins = (pin.source for pin in self.provisions[name])
        return tuple(DirectKey(name, s) for s in pins if isinstance(s, (PathSource, UrlSource, GitSource)))

    @cached_property
    def _own_sources(self) -> Mapping[NormalizedName, Diagram]:
        """Where members ask for a name that the workspace provides from elsewhere."""
        found: dict[NormalizedName, Diagram] = {}
        for item in self.items.values() if self.provisions else ():
            for wanted in item.asks:
                name, source = wanted.requirement.name, source_of(wanted)
                provided = [pin.source for pin in self.provisions.get(name, ())]
                if provided and source is not None and source not in provided:
                    found[name] = either(found.get(name, FALSE), self._asked(item, wanted))
        return found

    def _extras_of_directs(self, knowledge: Knowledge) -> dict[NormalizedName, set[NormalizedName]]:
        """Extras that members and direct sources ask for, by name: what others bring need not be there."""
        found: dict[NormalizedName, set[NormalizedName]] = {}
        if not knowledge.directs:
            return found
        asked = [wanted.requirement for item in self.items.values() for wanted in item.asks]
        for requirement in (*asked, *(ask.requirement for ask in self.request.overrides)):
            found.setdefault(requirement.name, set()).update(requirement.extras)
        grown = True
        while grown:
            grown = False
            for key, direct in knowledge.directs.items():
                own = found.get(key.name, set())
                for requirement in direct.requires:
                    known = found.setdefault(requirement.name, set())
                    if not known.issuperset(requirement.extras) and _is_wanted(requirement.marker, own):
                        known.update(requirement.extras)
                        grown = True
        return found

    @staticmethod
    def _as_met(inner: DirectKey, found: Iterable[tuple[DirectKey, Diagram]]) -> DirectKey:
        """*inner*, or the same place as it was asked for before: by a member, say, who wants it editable."""
        for key, _ in found:
            if key.name == inner.name and same_place(inner.source, key.source):
                return key
        return inner

    def _asked(self, item: Item, wanted: Wanted) -> Diagram:
        """Where *item*, if it is active, makes the ask."""
        return all_of((item.where, self._active(item.key), parse(wanted.requirement.marker)))

    def settle_sources(self, knowledge: Knowledge) -> None:
        """Fix which source serves which name where; to be called once nothing is `missing`."""
        pins: dict[NormalizedName, dict[Source, Diagram]] = {}
        for item in self.items.values():
            for wanted in item.asks:
                source = source_of(wanted)
                name = wanted.requirement.name
                if source is None or isinstance(source, MemberSource) or name in self.members:
                    continue
                if isinstance(source, (PathSource, UrlSource, GitSource)):
                    continue
                where = self._asked(item, wanted)
                if disjoint(where, self.where):
                    continue
                known = pins.setdefault(name, {})
                known[source] = either(known.get(source, FALSE), where)
        for name, provided in self.provisions.items():
            for pin in provided:
                where = minus(pin.where, self._own_sources.get(name, FALSE))
                if isinstance(pin.source, IndexSource) and not disjoint(where, self.where):
                    known = pins.setdefault(name, {})
                    known[pin.source] = either(known.get(pin.source, FALSE), where)
        for key, where in self._direct_sources(knowledge):
            known = pins.setdefault(key.name, {})
            known[key.source] = either(known.get(key.source, FALSE), where)
        self._pins = {
            name: tuple(Pin(source, where) for source, where in found.items()) for name, found in pins.items()
        }

    def pins(self, name: NormalizedName) -> tuple[Pin, ...]:
        """The sources of *name* that members ask for, in the order they are met, and the workspace's."""
        assert self._pins is not None
        return self._pins.get(name, ())

    def pinned_direct(self, name: NormalizedName, source: DirectSource) -> Source | None:
        """The source of *name* that is the same place as *source*, if members ask for it."""
        for pin in self.pins(name):
            if isinstance(pin.source, (PathSource, UrlSource, GitSource)) and same_place(source, pin.source):
                return pin.source
        return None

    def _active(self, key: ItemKey) -> Diagram:
        """Where the item is active, entered from the root or through another item."""
        if all(item.flag == TRUE for item in self.items.values()):
            return TRUE
        return self._activity()[key]

    def _activity(self) -> dict[ItemKey, Diagram]:
        if not hasattr(self, "_known_activity"):
            active = {key: item.flag for key, item in self.items.items()}
            changed = list(active)
            while changed:
                key = changed.pop()
                for target, marker in self._item_edges(key):
                    grown = either(active[target], both(active[key], marker))
                    if grown != active[target]:
                        active[target] = grown
                        changed.append(target)
            self._known_activity = active
        return self._known_activity

    def _item_edges(self, key: ItemKey) -> list[tuple[ItemKey, Diagram]]:
        item = self.items[key]
        edges: list[tuple[ItemKey, Diagram]] = [((key[0], "", ""), TRUE)] if key[1] else []
        for wanted in item.asks:
            requirement = wanted.requirement
            if requirement.name in self.members:
                marker = parse(requirement.marker)
                edges.append(((requirement.name, "", ""), marker))
                edges += [((requirement.name, extra, ""), marker) for extra in requirement.extras]
        return [(target, marker) for target, marker in edges if target in self.items]

    def _index_asks(self) -> None:
        for item in self.items.values():
            for wanted in item.asks:
                requirement = wanted.requirement
                where = both(item.where, parse(requirement.marker))
                name = requirement.name
                self.direct[name] = either(self.direct.get(name, FALSE), where)
                self._note_pins(requirement, where)
        for asks in (*self.constraints.values(), *self.overrides.values()):
            for ask in asks:
                self._note_pins(ask.requirement, parse(ask.requirement.marker))

    def _note_pins(self, requirement: Requirement, where: Diagram) -> None:
        for version in exact_pins(requirement.specifier):
            self.exact.setdefault(requirement.name, []).append((version, where))


def _sorted(asks: Sequence[Ask]) -> Sequence[Ask]:
    """*asks* in an order that does not hang on how they are listed: by what they ask for."""
    if len(asks) < 2:
        return asks
    return sorted(asks, key=lambda ask: (ask.requirement, repr(ask.source) if ask.source else ""))


def _may_hold(wanted: Wanted, pythons: Diagram) -> bool:
    """Whether a member that is for *pythons* asks for it anywhere."""
    marker = wanted.requirement.marker
    return not marker or not disjoint(parse(marker), pythons)


def pythons_of(ranges: Mapping[NormalizedName, str]) -> dict[NormalizedName, Diagram]:
    """The Pythons of each member by its range, upper bounds included: those of the others for a root that
    states none."""
    own = {name: requires_python(text) for name, text in ranges.items()}
    others = [own[name] for name in own if name != ROOT]
    if ROOT in own and not ranges[ROOT] and others:
        own[ROOT] = any_of(others)
    return own


def environment_of(pythons: Iterable[Diagram], environments: Iterable[str]) -> Diagram:
    """All that is locked for, on the *pythons* of the members."""
    own, asked = list(pythons), list(environments)
    covered = any_of(own) if own else TRUE
    return both(covered, any_of(map(parse, asked))) if asked else covered


def flag_name(key: ItemKey) -> str:
    """The item's name in markers and messages: ``acme``, ``acme[http2]``, ``acme:dev``."""
    member, extra, group = key
    if extra:
        return extra_flag(member, NormalizedName(extra))
    if group:
        return group_flag(member, NormalizedName(group))
    return member_flag(member)


def source_of(wanted: Wanted) -> Source | None:
    """The source an ask names: its own, or the address in its requirement."""
    if wanted.ask.source is not None:
        return wanted.ask.source
    return direct_source(wanted.requirement.url) if wanted.requirement.url else None


def _by_name(asks: tuple[Ask, ...]) -> dict[NormalizedName, tuple[Ask, ...]]:
    found: dict[NormalizedName, tuple[Ask, ...]] = {}
    for ask in asks:
        found[ask.requirement.name] = (*found.get(ask.requirement.name, ()), ask)
    return found


def _is_wanted(marker: str, extras: set[NormalizedName]) -> bool:
    """Whether what has *marker* is asked for somewhere if just *extras* are."""
    return "extra" not in marker or without_extras(parse(marker), frozenset(extras)) != FALSE


def _without_extra(marker: str) -> str:
    return "" if "extra" in marker else marker
