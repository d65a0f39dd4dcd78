"""Small package universes in memory, and a server that answers a session's needs from them.

universe = Universe({"a": {"1.0": ["b>=2; sys_platform == 'linux'"], "2.0": Release(yanked="broken")}})
outcome = universe.solve(request(["a"]))
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pypm_model.facts import (
    Absent,
    Direct,
    DirectKey,
    Fact,
    FileClass,
    Key,
    Listing,
    ListingKey,
    Metadata,
    MetadataKey,
    Needs,
    NoMetadata,
)
from pypm_model.markers import atoms
from pypm_model.names import NormalizedName, normalize
from pypm_model.requests import Ask, MemberRequest, Origin, Request
from pypm_model.requirement_text import parse
from pypm_model.resolutions import Outcome, Unsolvable
from pypm_model.sources import DirectSource, Source
from pypm_model.versions import is_prerelease, sort_key
from pypm_resolver.session import Session
from pypm_resolver.trials import Trials

PYPI = "pypi"


@dataclass(frozen=True)
class Release:
    """One version: what it depends on and which files it has."""

    requires: Sequence[str] = ()
    extras: Sequence[str] = ()
    python: str = ""
    """Requires-Python, in the listing and in the metadata."""
    listed_python: str | None = None
    """What the listing says, where that is something else."""
    tags: Sequence[str] | None = ("py3-none-any",)
    """Tags of the wheels; None: no wheel."""
    sdist: bool = True
    yanked: str | None = None
    too_new: bool = False
    needs_build: bool = False
    """Its metadata is unreadable because only a build would tell it."""
    unreadable: str = ""
    """Nothing says what it depends on, for this reason."""


Releases = Mapping[str, Release | Sequence[str]]


@dataclass
class Universe:
    """Packages by index, and what lies at direct sources. Counts what it was asked."""

    packages: Mapping[str, Releases]
    others: Mapping[str, Mapping[str, Releases]] = field(default_factory=dict)
    """Packages on further indexes, by the index's name."""
    directs: Mapping[DirectSource, Direct] = field(default_factory=dict)
    asked: list[Key] = field(default_factory=list)

    def solve(
        self,
        request: Request,
        *,
        speculate: bool = True,
        shuffle: int | None = None,
        ahead: Sequence[Fact] = (),
    ) -> Outcome:
        """Run a session to its end; *shuffle* seeds the order and grouping of the answers, *ahead* is fed
        before the first step."""
        session = Session(request)
        if ahead:
            session.feed(ahead)
        dice = random.Random(shuffle)
        while isinstance(state := session.step(), Needs):
            keys = list(state.keys)
            if speculate:
                keys += state.speculative
            if shuffle is not None:
                extra = [key for key in state.speculative if dice.random() < 0.5]
                keys = [*state.keys, *extra]
                dice.shuffle(keys)
            session.feed([self.answer(key) for key in keys])
        return state

    def explain(self, request: Request, place: Callable[[Origin], str] = str) -> Unsolvable:
        """The conflict that *request* ends in, its remedies tried; *place* says where a hint points."""
        outcome = self.solve(request)
        assert isinstance(outcome, Unsolvable), outcome
        trials = Trials(outcome, self.facts(), place)
        while isinstance(state := trials.step(), Needs):
            trials.feed([self.answer(key) for key in state.keys])
        return state

    def facts(self) -> tuple[Fact, ...]:
        """The answers to everything asked so far."""
        return tuple(self.answer(key, note=False) for key in dict.fromkeys(self.asked))

    def answer(self, key: Key, *, note: bool = True) -> Fact:
        """The fact for *key*."""
        if note:
            self.asked.append(key)
        match key:
            case ListingKey(name=name, index=index):
                releases = self._releases(name, index)
                if releases is None:
                    return Absent(key, (index or PYPI,))
                return listing(key, index or PYPI, releases)
            case MetadataKey(name=name, version=version, index=index):
                releases = self._releases(name, index)
                assert releases is not None, f"metadata of unlisted {name}"
                return metadata(key, release_of(releases[version]))
            case DirectKey():
                return self.directs[key.source]

    def _releases(self, name: str, index: str) -> Releases | None:
        packages = self.packages if index in ("", PYPI) else self.others.get(index, {})
        return packages.get(name)


def release_of(spelling: Release | Sequence[str]) -> Release:
    """The release, from its short form (a list of requirements) too."""
    return spelling if isinstance(spelling, Release) else Release(requires=tuple(spelling))


def listing(key: ListingKey, index: str, releases: Releases) -> Listing:
    """All versions as an index would list them."""
    versions = tuple(sorted(releases, key=sort_key))
    known = [release_of(releases[version]) for version in versions]
    classes: dict[FileClass, int] = {}
    for bit, release in enumerate(known):
        python = release.python if release.listed_python is None else release.listed_python
        kinds: list[FileClass] = [FileClass(python, None)] if release.sdist else []
        if release.tags is not None:
            kinds += [FileClass(python, atoms((tag,))) for tag in release.tags]
        for kind in kinds:
            classes[kind] = classes.get(kind, 0) | 1 << bit

    def mask(flags: Iterable[bool]) -> int:
        return sum(1 << bit for bit, set_ in enumerate(flags) if set_)

    return Listing(
        key,
        key.name,
        index,
        versions,
        tuple(sort_key(version) for version in versions),
        mask(is_prerelease(version) for version in versions),
        mask(release.yanked is not None for release in known),
        mask(release.too_new for release in known),
        tuple(classes.items()),
        tuple((bit, release.yanked) for bit, release in enumerate(known) if release.yanked),
    )


def metadata(key: MetadataKey, release: Release) -> Metadata | NoMetadata:
    """Dependencies of one version."""
    if release.unreadable:
        return NoMetadata(key, release.unreadable, needs_build=release.needs_build)
    return Metadata(
        key,
        tuple(parse(text) for text in release.requires),
        tuple(sorted(normalize(extra) for extra in release.extras)),
        release.python,
        f"{key.name}-{key.version}.whl",
    )


def direct(
    name: str, source: DirectSource, version: str, requires: Sequence[str] = (), **more: object
) -> Direct:
    """What a direct source holds."""
    pinned = more.pop("pinned", source)
    return Direct(
        DirectKey(normalize(name), source),
        pinned,  # type: ignore[arg-type]
        version,
        tuple(parse(text) for text in requires),
        **{"extras": (), **more},  # type: ignore[arg-type]
    )


def ask(
    text: str,
    member: str = "app",
    table: str = "project.dependencies",
    item: int = 0,
    source: Source | None = None,
) -> Ask:
    """A requirement as *member* asks for it."""
    folder = "." if member == "app" else f"packages/{member}"
    file = "pyproject.toml" if folder == "." else f"{folder}/pyproject.toml"
    return Ask(parse(text), Origin(normalize(member), file, table, item), source)


def member(
    name: str,
    requires: Sequence[str | tuple[str, Source]] = (),
    *,
    extras: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, Sequence[str | tuple[str, Source]]] | None = None,
    python: str = ">=3.11",
    version: str | None = "1.0",
    path: str = "",
) -> MemberRequest:
    """A member; a requirement with a source of its own is a pair."""

    def asks(texts: Sequence[str | tuple[str, Source]], table: str) -> tuple[Ask, ...]:
        pairs = [(text, None) if isinstance(text, str) else text for text in texts]
        return tuple(
            ask(text, name, table, position, source) for position, (text, source) in enumerate(pairs)
        )

    return MemberRequest(
        normalize(name),
        path or ("." if name == "app" else f"packages/{name}"),
        version,
        python,
        asks(requires, "project.dependencies"),
        tuple(
            (normalize(extra), asks(texts, f"project.optional-dependencies.{extra}"))
            for extra, texts in sorted((extras or {}).items())
        ),
        tuple(
            (normalize(group), asks(texts, f"dependency-groups.{group}"))
            for group, texts in sorted((groups or {}).items())
        ),
    )


def request(
    requires: Sequence[str | tuple[str, Source]] = (),
    *more: MemberRequest,
    python: str = ">=3.11",
    extras: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    **settings: object,
) -> Request:
    """A workspace whose first member is ``app`` with these requirements; *settings* as in `Request`."""
    app = member("app", requires, python=python, extras=extras, groups=groups)
    members = tuple(sorted((app, *more), key=lambda m: m.name))
    return Request(members, **settings)  # type: ignore[arg-type]


def versions(outcome: Outcome) -> dict[str, list[str]]:
    """Locked versions by name, members left out; for assertions."""
    found: dict[str, list[str]] = {}
    for package in getattr(outcome, "packages", ()):
        if not hasattr(package.source, "path") or not package.source.__class__.__name__.startswith("Member"):
            found.setdefault(package.name, []).append(package.version)
    return found


def names(*texts: str) -> frozenset[NormalizedName]:
    """Normalised names."""
    return frozenset(normalize(text) for text in texts)
