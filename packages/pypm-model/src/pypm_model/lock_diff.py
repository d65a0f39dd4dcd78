"""What changed between two locks: which versions came and went, and which members that touches."""

from __future__ import annotations

from collections.abc import Mapping

from pypm_model.lock_changes import Change, LockDiff
from pypm_model.lock_order import package_order
from pypm_model.locks import Edge, Lock, LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource


def diff(old: Lock | None, new: Lock) -> LockDiff:
    """What is in *new* that was not in *old*, and the other way round; without *old* all is added."""
    before, after = _by_name(old or Lock()), _by_name(new)
    added: list[Change] = []
    removed: list[Change] = []
    changed: list[Change] = []
    refreshed: list[NormalizedName] = []
    for name in sorted({*before, *after}):
        was, now = before.get(name, []), after.get(name, [])
        if was == now:
            continue
        if {(p.version, p.source) for p in was} == {(p.version, p.source) for p in now}:
            refreshed.append(name)
            continue
        old_texts, new_texts = _versions(was), _versions(now)
        if old_texts == new_texts:
            old_texts, new_texts = _versions(was, sources=True), _versions(now, sources=True)
        change = Change(name, old_texts, new_texts)
        (changed if was and now else added if now else removed).append(change)
    names = tuple(sorted(change.name for change in (*added, *removed, *changed)))
    bits: dict[Key, int] = {}
    of_name: dict[NormalizedName, int] = {}
    for name in names:
        for package in (*before.get(name, ()), *after.get(name, ())):
            bit = bits.setdefault(_key(package), 1 << len(bits))
            of_name[name] = of_name.get(name, 0) | bit
    old_touched, new_touched = _touched(before, bits), _touched(after, bits)
    members = []
    for name in sorted({*old_touched, *new_touched}):
        mask = old_touched.get(name, 0) ^ new_touched.get(name, 0)
        touched = tuple(other for other in names if mask & of_name[other] and other != name)
        if touched:
            members.append((name, touched))
    return LockDiff(tuple(added), tuple(removed), tuple(changed), tuple(refreshed), tuple(members))


ByName = Mapping[NormalizedName, list[LockedPackage]]


def _by_name(lock: Lock) -> ByName:
    found: dict[NormalizedName, list[LockedPackage]] = {}
    for package in sorted(lock.packages, key=package_order):
        found.setdefault(package.name, []).append(package)
    return found


def _members(packages: ByName) -> set[NormalizedName]:
    return {
        name for name, found in packages.items() if any(isinstance(p.source, MemberSource) for p in found)
    }


def _versions(packages: list[LockedPackage], *, sources: bool = False) -> tuple[str, ...]:
    texts = []
    for package in packages:
        text = package.version or "(dynamic)"
        texts.append(f"{text} ({_place(package.source)})" if sources else text)
    return tuple(texts)


def _place(source: Source) -> str:
    match source:
        case IndexSource(index):
            return f"index {index}"
        case MemberSource(path):
            return f"member {path}"
        case PathSource(path):
            return f"path {path}"
        case UrlSource(url):
            return f"url {url}"
        case GitSource(url, _, commit):
            return f"git {url} {commit[:12]}".rstrip()


Node = tuple[int, str]
"""(identity of a package, extra or an empty text for the package itself)."""


Key = tuple[NormalizedName, str, Source]
"""What makes a package another one."""


def _key(package: LockedPackage) -> Key:
    return package.name, package.version, package.source


def _touched(packages: ByName, bits: Mapping[Key, int]) -> dict[NormalizedName, int]:
    """Which of the packages that *bits* are for each member leads to (itself included), whatever the
    environment and whatever is chosen. Masks flow against the edges until none grows: for all members
    together the cost is about that of walking the lock a few times."""
    masks: dict[Node, int] = {}
    parents: dict[Node, list[Node]] = {}
    for package in (each for found in packages.values() for each in found):
        tables = [("", package.dependencies), *package.extras]
        for extra, edges in tables:
            node = (id(package), str(extra))
            masks[node] = bits.get(_key(package), 0)
            for target, wanted in _targets(packages, edges):
                parents.setdefault((id(target), wanted), []).append(node)
    waiting = [node for node, mask in masks.items() if mask]
    while waiting:
        node = waiting.pop()
        mask = masks.get(node, 0)
        for parent in parents.get(node, ()):
            if mask & ~masks[parent]:
                masks[parent] |= mask
                waiting.append(parent)
    found: dict[NormalizedName, int] = {}
    for name in _members(packages):
        mask = 0
        for package in packages[name]:
            starts = [(package, ""), *((package, extra) for extra, _ in package.extras)]
            starts += [target for _, edges in package.groups for target in _targets(packages, edges)]
            for target, extra in starts:
                mask |= masks.get((id(target), str(extra)), 0)
        found[name] = mask
    return found


def _targets(packages: ByName, edges: tuple[Edge, ...]) -> list[tuple[LockedPackage, str]]:
    """What *edges* lead to: the packages (an empty text) and their extras."""
    return [
        (package, extra)
        for edge in edges
        for package in packages.get(edge.name, ())
        if (not edge.version or edge.version == package.version)
        and (edge.source is None or edge.source == package.source)
        for extra in ("", *edge.extras)
    ]
