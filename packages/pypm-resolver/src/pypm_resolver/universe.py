"""Packages and their dependencies, made from facts on demand and shared by all regions."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, combinations

from pypm_model.facts import Absent, Direct, DirectKey, Key, Listing, ListingKey, Metadata, NoMetadata
from pypm_model.markers import FALSE, Diagram, InvalidMarker, any_of, minus, parse, without_extras
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requirements import Requirement
from pypm_model.sources import GitSource, IndexSource, PathSource, Source, UrlSource
from pypm_resolver.direct_urls import direct_source
from pypm_resolver.incompatibility import Depends, Wanted
from pypm_resolver.knowledge import Knowledge
from pypm_resolver.package import Package
from pypm_resolver.problem import Item, ItemKey, Problem, source_of


@record
class Dependency:
    """One thing a candidate, an extra of it, or an item depends on, and where."""

    name: NormalizedName
    extras: tuple[NormalizedName, ...]
    specifier: str
    marker: Diagram
    source: Source | None
    cause: Depends | Wanted
    refused: str = ""
    """Why the dependency makes its owner unusable, where it does."""


@record
class Unusable:
    """The candidate can not be used, whatever else is chosen."""

    reason: str
    needs_build: bool = False
    """A build would tell, and is not allowed."""


class Universe:
    """What a problem's names stand for, according to the facts fed so far."""

    def __init__(self, problem: Problem, knowledge: Knowledge) -> None:
        self.problem = problem
        self.knowledge = knowledge
        self._packages: dict[NormalizedName, Package] = {}
        self._dependencies: dict[tuple[Key, str], tuple[Dependency, ...]] = {}
        self._joint: dict[Key, tuple[NormalizedName, ...]] = {}
        self._items: dict[ItemKey, tuple[Dependency, ...]] = {}
        self._complete: set[int] = set()

    def listings(self, name: NormalizedName) -> tuple[ListingKey, ...]:
        """The listings that are needed to know all candidates of *name*, in order."""
        problem = self.problem
        pins = problem.pins(name)
        keys: list[ListingKey] = []
        if minus(problem.where, any_of(pin.where for pin in pins)) != FALSE:
            keys.append(ListingKey(name))
        keys += [ListingKey(name, pin.source.index) for pin in pins if isinstance(pin.source, IndexSource)]
        return tuple(keys)

    def package(self, name: NormalizedName) -> Package | tuple[Key, ...]:
        """The package *name*, or what must be fed first: its listings, or the direct sources that the
        workspace provides (`Problem.unmet`)."""
        package = self._packages.get(name)
        if package is not None:
            return package
        unmet = self.problem.unmet(name)
        if unmet:
            return unmet
        keys = self.listings(name)
        missing = tuple(key for key in keys if key not in self.knowledge.listings)
        if missing:
            return missing
        facts: list[tuple[Listing | Absent | Direct, Source | None]] = []
        if keys and not keys[0].index:
            facts.append((self.knowledge.listings[keys[0]], None))
        for pin in self.problem.pins(name):
            match pin.source:
                case IndexSource(index=index):
                    facts.append((self.knowledge.listings[ListingKey(name, index)], pin.source))
                case PathSource() | UrlSource() | GitSource():
                    facts.append((self.knowledge.directs[DirectKey(name, pin.source)], pin.source))
                case _:
                    pass
        package = Package(name, tuple(facts), self.problem.request.build, self.problem.expected.wasm)
        self._packages[name] = package
        return package

    def has_all(self, dependencies: tuple[Dependency, ...]) -> bool:
        """Whether all candidates of all *dependencies* are known: asked again for each region."""
        key = id(dependencies)  # they live as long as this does
        if key in self._complete:
            return True
        for dependency in dependencies:
            if dependency.name not in self._packages and dependency.name not in self.problem.members:
                return False
        self._complete.add(key)
        return True

    def of_item(self, item: Item) -> tuple[Dependency, ...]:
        """What a member, extra or group asks for, in the order written."""
        found = self._items.get(item.key)
        if found is None:
            found = tuple(
                Dependency(
                    wanted.requirement.name,
                    wanted.requirement.extras,
                    wanted.requirement.specifier,
                    parse(wanted.requirement.marker),
                    source_of(wanted),
                    wanted,
                )
                for wanted in item.asks
            )
            self._items[item.key] = found
        return found

    def of_candidate(
        self, package: Package, index: int, extra: NormalizedName | None = None
    ) -> tuple[Dependency, ...] | Unusable | None:
        """What candidate *index* depends on; with *extra*, only what that extra adds. Several names with
        commas between them: only what they add where all are asked for (`joint`).

        None: its metadata must be fed first (`Package.key`).
        """
        key = package.key(index)
        fact = self._fact(key)
        if fact is None:
            return None
        if isinstance(fact, NoMetadata):
            return Unusable(fact.reason, fact.needs_build)
        if isinstance(fact, Metadata) and fact.invalid:
            return Unusable(f"has a requirement that can not be read: {fact.invalid[0]!r}")
        found = self._dependencies.get((key, extra or ""))
        if found is None:
            try:
                found = tuple(self._made(fact, extra))
            except InvalidMarker as error:
                return Unusable(f"has a requirement that can not be read: {error}")
            self._dependencies[(key, extra or "")] = found
        return found

    def extras(self, package: Package, index: int) -> frozenset[NormalizedName]:
        """The extras candidate *index* provides; its metadata must have been fed."""
        fact = self._fact(package.key(index))
        assert isinstance(fact, (Metadata, Direct))
        return frozenset(fact.extras)

    def joint(self, package: Package, index: int) -> tuple[NormalizedName, ...]:
        """Extras of candidate *index* that add something only together, as `of_candidate` takes them."""
        key = package.key(index)
        found = self._joint.get(key)
        if found is None:
            fact = self._fact(key)
            assert isinstance(fact, (Metadata, Direct))
            markers = (requirement.marker for requirement in fact.requires)
            sets = (_joint(m, fact.extras) for m in markers if m.count("extra") > 1)
            found = self._joint[key] = tuple(dict.fromkeys(chain.from_iterable(sets)))
        return found

    def requires_python(self, package: Package, index: int) -> str:
        """Requires-Python of candidate *index* as its metadata says; empty if not fed or not given."""
        fact = self._fact(package.key(index))
        return fact.requires_python if isinstance(fact, (Metadata, Direct)) else ""

    def _fact(self, key: Key) -> Metadata | NoMetadata | Direct | None:
        match key:
            case DirectKey():
                return self.knowledge.directs.get(key)
            case ListingKey():
                return None
            case _:
                return self.knowledge.metadata.get(key)

    def _made(self, fact: Metadata | Direct, extra: NormalizedName | None) -> list[Dependency]:
        excludes = self.problem.request.excludes
        made: list[Dependency] = []
        for requirement in fact.requires:
            marker = requirement.marker
            if requirement.name in excludes:
                continue
            where = _base(marker) if extra is None else _added(marker, extra)
            if where == FALSE:
                continue
            made += self._replaced(requirement, where, extra, fact)
        return made

    def _replaced(
        self, requirement: Requirement, where: Diagram, extra: NormalizedName | None, fact: Metadata | Direct
    ) -> list[Dependency]:
        overrides = self.problem.overrides.get(requirement.name)
        if overrides is not None and requirement.name not in self.problem.members:
            return [
                Dependency(
                    o.requirement.name,
                    o.requirement.extras,
                    o.requirement.specifier,
                    parse(o.requirement.marker),
                    o.source,
                    Wanted(o, o.requirement),
                )
                for o in overrides
            ]
        source: Source | None = None
        refused = ""
        if requirement.url and requirement.name not in self.problem.members:
            direct = direct_source(requirement.url)
            source = self.problem.pinned_direct(requirement.name, direct)
            if source is None:
                refused = (
                    f"depends on {requirement.name} at an address of its own, which only a member or "
                    "a direct source may do"
                )
        return [
            Dependency(
                requirement.name,
                requirement.extras,
                requirement.specifier,
                where,
                source,
                Depends(requirement, extra),
                refused,
            )
        ]


@lru_cache(maxsize=65536)
def _base(marker: str) -> Diagram:
    """Where a marker holds when no extra is asked for."""
    whole = parse(marker)
    return without_extras(whole, frozenset()) if "extra" in marker else whole


def _added(marker: str, extra: str) -> Diagram:
    """Where a marker holds when the extras in *extra* are asked for, and not when one of them is not."""
    names = extra.split(",")
    if any(f"'{name}'" not in marker for name in names):
        return FALSE
    whole = parse(marker)
    less = any_of(without_extras(whole, frozenset(names) - {name}) for name in names)
    return minus(without_extras(whole, frozenset(names)), less)


@lru_cache(maxsize=4096)
def _joint(marker: str, extras: tuple[NormalizedName, ...]) -> tuple[NormalizedName, ...]:
    """The least sets of *extras*, of two and more, that make a marker hold where their parts do not."""
    names = sorted(extra for extra in extras if f"'{extra}'" in marker)
    most = min(len(names), marker.count(" and ") + 1)
    sets = chain.from_iterable(combinations(names, size) for size in range(2, most + 1))
    found = [",".join(some) for some in sets if _added(marker, ",".join(some)) != FALSE]
    return tuple(map(NormalizedName, found))
