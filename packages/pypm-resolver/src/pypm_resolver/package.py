"""All candidates of one name: the versions of every source it may come from, as bits."""

from __future__ import annotations

import weakref

from pypm_model.facts import Absent, Direct, DirectKey, FileClass, Listing, MetadataKey
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import BuildPolicy
from pypm_model.sources import IndexSource, PathSource, Source
from pypm_model.specifiers import InvalidSpecifier, bits, lenient
from pypm_model.versions import is_prerelease, sort_key
from pypm_resolver.files import Cover, covers


@record
class Origin:
    """Where some of the candidates come from: the bits from *offset* up to *end*."""

    fact: Listing | Absent | Direct
    pinned: Source | None
    """The source as a member asked for it; None: the default indexes."""
    offset: int
    end: int

    @property
    def mask(self) -> int:
        return (1 << self.end) - (1 << self.offset)


class Package:
    """The candidates of one name; immutable, the same in every region.

    Bit *i* of every mask speaks of ``versions[i]``; candidates of one origin are neighbours, ascending.
    """

    def __init__(
        self,
        name: NormalizedName,
        facts: tuple[tuple[Listing | Absent | Direct, Source | None], ...],
        build: BuildPolicy,
        wasm: bool = False,
    ) -> None:
        """*wasm*: the lock is for a system too where nothing is built (`pypm_resolver.files`)."""
        self.name = name
        versions: list[str] = []
        keys: list[str] = []
        origins: list[Origin] = []
        groups: list[tuple[Cover, int]] = []
        self.prereleases = self.yanked = self.too_new = 0
        wheels, sdists = build.takes_wheels(name), build.takes_sdists(name)
        for fact, pinned in facts:
            offset = len(versions)
            match fact:
                case Listing():
                    versions += fact.versions
                    keys += fact.keys
                    self.prereleases |= fact.prereleases << offset
                    self.yanked |= fact.yanked << offset
                    self.too_new |= fact.too_new << offset
                    found = _listing_covers(fact, wheels, sdists, wasm)
                    groups += [(cover, mask << offset) for cover, mask in found]
                case Direct():
                    versions.append(fact.version)
                    keys.append(sort_key(fact.version))
                    if is_prerelease(fact.version):
                        self.prereleases |= 1 << offset
                    files = FileClass(fact.requires_python, fact.tags if fact.is_wheel else None)
                    found = covers(((files, 1),), 1, wasm=wasm and not is_folder(fact.source))
                    groups += [(cover, mask << offset) for cover, mask in found]
                case Absent():
                    pass
            origins.append(Origin(fact, pinned, offset, len(versions)))
        self.versions = tuple(versions)
        self.keys = tuple(keys)
        self.origins = tuple(origins)
        self.covers = tuple((cover, mask) for cover, mask in groups if mask)
        self.every = (1 << len(versions)) - 1
        self._bits: dict[tuple[str, Source | None], int] = {}
        self._keys: dict[int, MetadataKey | DirectKey] = {}
        self._positions: dict[str, tuple[int, ...]] = {}

    def bits(self, specifier: str, source: Source | None = None) -> int:
        """The candidates *specifier* allows; with *source*, only those that come from it."""
        found = self._bits.get((specifier, source))
        if found is None:
            found = 0
            for origin in self.origins:
                if source is not None and origin.pinned != source:
                    continue
                versions = self.versions[origin.offset : origin.end]
                keys = self.keys[origin.offset : origin.end]
                found |= _bits(specifier, versions, keys) << origin.offset
            self._bits[(specifier, source)] = found
        return found

    def positions(self, version: str) -> tuple[int, ...]:
        """The candidates of *version*, as it is spelled: several if it comes from several places."""
        found = self._positions.get(version)
        if found is None:
            at, places = -1, []
            for _ in range(self.versions.count(version)):
                at = self.versions.index(version, at + 1)
                places.append(at)
            found = self._positions[version] = tuple(places)
        return found

    def origin(self, index: int) -> Origin:
        """Where candidate *index* comes from."""
        for origin in self.origins:
            if index < origin.end:
                return origin
        raise IndexError(index)

    def source(self, index: int) -> Source:
        """The source of candidate *index*, pinned down."""
        fact = self.origin(index).fact
        if isinstance(fact, Listing):
            return IndexSource(fact.index)
        assert isinstance(fact, Direct)
        return fact.source

    def key(self, index: int) -> MetadataKey | DirectKey:
        """What to ask for the dependencies of candidate *index*."""
        key = self._keys.get(index)
        if key is None:
            fact = self.origin(index).fact
            assert not isinstance(fact, Absent)
            if isinstance(fact, Listing):
                key = MetadataKey(self.name, self.versions[index], fact.index)
            else:
                key = fact.key
            self._keys[index] = key
        return key

    @property
    def absent(self) -> tuple[str, ...] | None:
        """The indexes that were asked and do not have the name, if nothing has it."""
        asked: list[str] = []
        for origin in self.origins:
            if not isinstance(origin.fact, Absent):
                return None
            asked += origin.fact.asked
        return tuple(asked)


_known: dict[tuple[int, bool, bool, bool], tuple[weakref.ref[Listing], tuple[tuple[Cover, int], ...]]] = {}
"""Covers by the identity of a listing, for a process that resolves again and again (a watcher): making
them is a quarter of a resolution. An entry goes with its listing."""


def is_folder(source: Source) -> bool:
    """Whether *source* is a folder of the workspace's own: installed as it lies there, like a member."""
    return isinstance(source, PathSource) and not source.sha256


def _listing_covers(
    listing: Listing, wheels: bool, sdists: bool, wasm: bool
) -> tuple[tuple[Cover, int], ...]:
    key = (id(listing), wheels, sdists, wasm)
    known = _known.get(key)
    if known is None or known[0]() is not listing:
        found = covers(listing.classes, listing.all, wheels=wheels, sdists=sdists, wasm=wasm)
        known = _known[key] = (weakref.ref(listing, lambda _: _known.pop(key, None)), found)
    return known[1]


def _bits(specifier: str, versions: tuple[str, ...], keys: tuple[str, ...]) -> int:
    if not specifier:
        return (1 << len(versions)) - 1
    try:
        return bits(specifier, versions, keys)
    except InvalidSpecifier:
        return bits(lenient(specifier), versions, keys)


def cover_of(package: Package, index: int) -> Cover:
    """Where candidate *index* can be used."""
    for cover, mask in package.covers:
        if mask >> index & 1:
            return cover
    raise IndexError(index)
