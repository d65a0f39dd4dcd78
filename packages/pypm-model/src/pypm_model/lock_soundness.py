"""Whether a lock holds together, judged by its text alone: what a merge by lines may have broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pypm_model.lock_select import LockUnsound
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.sources import IndexSource
from pypm_model.specifiers import InvalidSpecifier, contains

Table = tuple[tuple[Edge, ...], Sequence[str]]
"""Edges, and the requirement texts they answer: none but for members."""


def flaw(lock: Lock) -> LockUnsound | None:
    """The first thing that is wrong in *lock*: an edge that leads nowhere or to several entries, or a
    version that the requirement of a member does not allow. None does not prove that it is right: what
    packages from elsewhere require is not in a lock.
    """
    entries: dict[NormalizedName, list[LockedPackage]] = {}
    for package in lock.packages:
        entries.setdefault(package.name, []).append(package)
    overridden = _named(dict(lock.settings.values).get("overrides", ()))
    followed: set[int] = set()
    compared: set[tuple[str, int]] = set()
    for package in lock.packages:
        for edges, texts in _tables(package):
            for edge in edges:
                if id(edge) not in followed:  # readers make one record of equal edges
                    followed.add(id(edge))
                    if (found := _astray(edge, entries)) is not None:
                        return found
            for text in texts:
                for target in _answers(text, edges, entries, overridden):
                    if (text, id(target)) not in compared:
                        compared.add((text, id(target)))
                        if (found := _refused(package, text, target)) is not None:
                            return found
    return None


def _tables(package: LockedPackage) -> Iterator[Table]:
    manifest = package.manifest
    yield package.dependencies, manifest.dependencies if manifest else ()
    extras = dict(manifest.extras) if manifest else {}
    for name, edges in package.extras:
        yield edges, extras.get(name, ())
    groups = dict(manifest.groups) if manifest else {}
    for name, edges in package.groups:
        yield edges, groups.get(name, ())


def _targets(edge: Edge, entries: dict[NormalizedName, list[LockedPackage]]) -> list[LockedPackage]:
    found = entries.get(edge.name, [])
    if not edge.version and edge.source is None:
        return found
    return [
        package
        for package in found
        if edge.version in ("", package.version) and edge.source in (None, package.source)
    ]


def _astray(edge: Edge, entries: dict[NormalizedName, list[LockedPackage]]) -> LockUnsound | None:
    targets = _targets(edge, entries)
    if len(targets) == 1:
        return None
    wanted = f"{edge.name} {edge.version}".rstrip()
    reason = f"is locked {len(targets)} times as {wanted}" if targets else f"is missing ({wanted})"
    return LockUnsound(edge.name, reason)


def _answers(
    text: str,
    edges: Iterable[Edge],
    entries: dict[NormalizedName, list[LockedPackage]],
    overridden: frozenset[NormalizedName],
) -> Iterator[LockedPackage]:
    """The entries that answer a requirement which holds everywhere and bounds versions of an index."""
    if ";" in text or " @ " in text or not any(sign in text for sign in "<>=!~"):
        return
    try:
        name = parse(text).name
    except InvalidRequirement:
        return
    if name in overridden:
        return
    for edge in edges:
        if edge.name == name:
            yield from (each for each in _targets(edge, entries) if isinstance(each.source, IndexSource))


def _refused(member: LockedPackage, text: str, target: LockedPackage) -> LockUnsound | None:
    try:
        if contains(parse(text).specifier, target.version):
            return None
    except (InvalidSpecifier, ValueError):
        return None
    return LockUnsound(target.name, f"is locked as {target.version}, {member.name} asks for {text}")


def _named(texts: str | Iterable[str]) -> frozenset[NormalizedName]:
    found = set()
    for text in [texts] if isinstance(texts, str) else texts:
        try:
            found.add(parse(text.partition(" @ ")[0]).name)
        except InvalidRequirement:
            continue
    return frozenset(found)
