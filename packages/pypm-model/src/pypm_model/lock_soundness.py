"""Whether a lock holds together, judged by its text alone: what a merge by lines may have broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pypm_model.lock_errors import LockUnsound
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.sources import IndexSource, MemberSource
from pypm_model.specifiers import InvalidSpecifier, contains

Table = tuple[tuple[Edge, ...], Sequence[str]]
"""Edges, and the requirement texts they answer: none but for members."""


def flaw(lock: Lock) -> LockUnsound | None:
    """The first thing that is wrong in *lock*: an edge that leads nowhere or to several entries, an entry
    that none leads to, a member twice, a requirement of a member that no edge answers, or one that does
    not allow the version which does. None does not prove that it is right: what packages from elsewhere
    require is not in a lock.
    """
    return _Look(lock).flaw()


@record
class _Asked:
    """A requirement text that holds everywhere."""

    name: NormalizedName
    specifier: str
    """Empty where every version will do, or a version is not what is asked for."""
    is_met: bool
    """The name is locked once, in a version that is allowed."""


class _Look:
    """Everything is looked at once: the same requirements and edges occur in hundreds of members."""

    def __init__(self, lock: Lock) -> None:
        self.lock = lock
        self.entries: dict[NormalizedName, list[LockedPackage]] = {}
        for package in lock.packages:
            self.entries.setdefault(package.name, []).append(package)
        settings = dict(lock.settings.values)
        self.free = _named(settings.get("overrides", ())) | _named(settings.get("excludes", ()))
        """Names that are not as members ask for them."""
        self.asked: dict[str, _Asked | None] = {}

    def flaw(self) -> LockUnsound | None:
        followed: set[int] = set()  # readers make one record of equal edges
        led_to: set[int] = set()
        for package in self.lock.packages:
            for edges, texts in _tables(package):
                for edge in edges:
                    if id(edge) in followed:
                        continue
                    followed.add(id(edge))
                    targets = self.targets(edge)
                    if len(targets) != 1:
                        return _astray(edge, targets)
                    led_to.add(id(targets[0]))
                if texts and (found := self.unanswered(package, edges, texts)) is not None:
                    return found
        for package in self.lock.packages:
            if not isinstance(package.source, MemberSource):
                if id(package) not in led_to:
                    return LockUnsound(package.name, f"is locked as {package.version}, and nothing needs it")
            elif len(self.entries[package.name]) > 1:
                return LockUnsound(package.name, "is a member, and locked more than once")
        return None

    def targets(self, edge: Edge) -> list[LockedPackage]:
        """The entries that *edge* leads to."""
        found = self.entries.get(edge.name, [])
        if not edge.version and edge.source is None:
            return found
        return [package for package in found if edge.leads_to(package)]

    def unanswered(
        self, member: LockedPackage, edges: Sequence[Edge], texts: Sequence[str]
    ) -> LockUnsound | None:
        """The first requirement that *edges* do not answer, or with a version it does not allow."""
        names = {edge.name for edge in edges}
        for text in texts:
            if text in self.asked:
                asked = self.asked[text]
            else:
                asked = self.asked[text] = self.read(text)
            if asked is None or (asked.is_met and asked.name in names):
                continue
            if asked.name not in names:
                if asked.name == member.name:
                    continue
                return LockUnsound(asked.name, f"is asked for by {member.name}, and no entry answers")
            for target in (each for edge in edges if edge.name == asked.name for each in self.targets(edge)):
                if not _allows(asked.specifier, target):
                    reason = f"is locked as {target.version}, {member.name} asks for {text}"
                    return LockUnsound(asked.name, reason)
        return None

    def read(self, text: str) -> _Asked | None:
        """What *text* asks; None if it holds somewhere only, or the lock need not be as it says."""
        plain, at, _ = text.partition(" @ ")
        try:
            requirement = None if ";" in text else parse(plain)
        except InvalidRequirement:
            return None
        if requirement is None or requirement.name in self.free:
            return None
        entries = self.entries.get(requirement.name, ())
        specifier = "" if at else requirement.specifier
        is_met = len(entries) == 1 and _allows(specifier, entries[0])
        return _Asked(requirement.name, specifier, is_met)


def _tables(package: LockedPackage) -> Iterator[Table]:
    manifest = package.manifest
    yield package.dependencies, manifest.dependencies if manifest else ()
    for mine, asked in (
        (package.extras, manifest.extras if manifest else ()),
        (package.groups, manifest.groups if manifest else ()),
    ):
        if mine:
            texts = dict(asked)
            for name, edges in mine:
                yield edges, texts.get(name, ())


def _astray(edge: Edge, targets: Sequence[LockedPackage]) -> LockUnsound:
    wanted = f"{edge.name} {edge.version}".rstrip()
    reason = f"is locked {len(targets)} times as {wanted}" if targets else f"is missing ({wanted})"
    return LockUnsound(edge.name, reason)


def _allows(specifier: str, target: LockedPackage) -> bool:
    if not specifier or not isinstance(target.source, IndexSource):
        return True
    try:
        return contains(specifier, target.version)
    except InvalidSpecifier:
        return True  # it was locked by somebody who understood it


def _named(texts: str | Iterable[str]) -> frozenset[NormalizedName]:
    found = set()
    for text in [texts] if isinstance(texts, str) else texts:
        try:
            found.add(parse(text.partition(" @ ")[0]).name)
        except InvalidRequirement:
            continue
    return frozenset(found)
