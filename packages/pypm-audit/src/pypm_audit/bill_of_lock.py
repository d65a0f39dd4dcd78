"""The bill of materials of what is locked: a component for each package, with who needs it.

What the lock does not say (licences, authors, what is inside of wheels) is given by the caller, as far as it
is at hand: see `Described`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from pypm_audit.bill import Bill, Component
from pypm_audit.core_metadata import About
from pypm_audit.embedded import Embedded
from pypm_audit.licenses import license_of
from pypm_audit.purls import address_of, purl_of
from pypm_model.artifacts import Artifact
from pypm_model.lock_reach import covered, reach
from pypm_model.locks import Edge, Lock, LockedPackage, Root
from pypm_model.markers import FALSE, Diagram, TooComplex, both, text
from pypm_model.names import ROOT, NormalizedName
from pypm_model.records import record, replace
from pypm_model.sources import IndexSource, MemberSource, PathSource, UrlSource

DEFAULT_INDEX = "pypi"


@record
class Described:
    """What is known of a package besides what the lock says."""

    about: About = About()
    embedded: tuple[Embedded, ...] = ()
    """What bills inside of its wheel say (PEP 770)."""
    file: Artifact | None = None
    """The one file that is meant; None: any of those that are locked."""
    is_whole: bool = True
    """Every wheel of it was looked into."""


@record
class Subject:
    """What a bill is of, and how it is made."""

    name: str
    """Of the workspace: the subject, unless a bill is of one member."""
    tool: str
    moment: str = ""


def bill_of_lock(
    lock: Lock,
    roots: Sequence[Root],
    described: Mapping[int, Described],
    subject: Subject,
    *,
    only: Collection[int] | None = None,
    extra: Iterable[Component] = (),
) -> Bill:
    """The bill of what *roots* need, in every environment that *lock* is for, or, by position, *only* those
    packages; and of *extra* components.

    The subject is the member that *roots* begin at, or the workspace, which needs those members.
    """
    region = covered(lock)
    met = {at: both(where, region) for at, where in reach(lock, roots).items()}
    met = {at: where for at, where in met.items() if where != FALSE and (only is None or at in only)}
    running = reach(lock, [replace(root, groups=()) for root in roots if root.project])
    walk = _Walk(lock, roots, met)
    refs = _refs(lock, met)
    found: dict[int, Component] = {}
    for at in sorted(met):
        package = lock.packages[at]
        if package.name == ROOT:
            continue
        marker = "" if only is not None else _text(met[at], region)
        asked = walk.needs(at) | walk.groups.get(package.name, set())
        needs = tuple(sorted({refs[target] for target in asked} - {refs[at]}))
        one = _component(package, refs[at], described.get(at, Described()), needs, marker)
        found[at] = replace(one, is_excluded=at not in running)
    more = tuple(extra)
    start = [at for at in found if lock.packages[at].name in {r.member for r in roots if r.project}]
    there = {lock.packages[at].name for at in found}
    lone = [targets for name, targets in walk.groups.items() if name not in there]
    begun = {refs[at] for targets in lone for at in targets} | {each.ref for each in more}
    if len(roots) == 1 and len(start) == 1:
        top = found.pop(start[0])
        top = replace(top, kind="application", needs=tuple(sorted({*top.needs, *begun} - {top.ref})))
    else:
        begun |= {refs[at] for at in start}
        top = Component(
            f"workspace:{subject.name}", subject.name, kind="application", needs=tuple(sorted(begun))
        )
    every = sorted([*found.values(), *more], key=lambda one: one.ref)
    is_complete = all(
        at in described and described[at].is_whole for at in met if lock.packages[at].name != ROOT
    )
    return Bill(top, tuple(every), subject.tool, subject.moment, is_complete)


def newest_upload(lock: Lock, positions: Iterable[int]) -> str:
    """When the youngest of their files was uploaded, as the lock has it; empty: it does not say."""
    return max((file.uploaded for at in positions for file in lock.packages[at].files), default="")


def _text(where: Diagram, region: Diagram) -> str:
    try:
        return text(where, region)
    except TooComplex:
        return ""


def _refs(lock: Lock, positions: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    taken: set[str] = set()
    for at in sorted(positions):
        package = lock.packages[at]
        match package.source:
            case MemberSource():
                ref = f"member:{package.name}"
            case PathSource(path):
                ref = f"path:{path}"
            case _:
                ref = purl_of(package)
        if ref in taken and isinstance(package.source, IndexSource):
            ref += f"#{package.source.index}"
        number = 2
        while ref in taken:
            ref = f"{ref}#{number}"
            number += 1
        taken.add(ref)
        found[at] = ref
    return found


def _component(
    package: LockedPackage, ref: str, described: Described, needs: tuple[str, ...], marker: str
) -> Component:
    about, source = described.about, package.source
    properties = []
    if isinstance(source, IndexSource) and source.index != DEFAULT_INDEX:
        properties.append(("pypm:index", source.index))
    if marker:
        properties.append(("pypm:marker", marker))
    if isinstance(source, MemberSource | PathSource):
        properties.append(("pypm:path", source.path))
    license = license_of(about)
    if license.origin:
        properties.append(("pypm:license-from", license.origin))
    files = package.files if described.file is None else (described.file,)
    hashes = [("SHA-256", files[0].sha256)] if len(files) == 1 else []
    if isinstance(source, UrlSource) and source.sha256:
        hashes = [("SHA-256", source.sha256)]
    parts = _parts(ref, described.embedded)
    inside = {each for one in described.embedded for each in one.tops(ref)}
    return Component(
        ref,
        package.name,
        package.version or about.version,
        "library",
        purl_of(package),
        "",
        about.summary,
        about.author,
        license,
        about.links,
        tuple(hashes),
        files,
        address_of(package),
        False,
        tuple(sorted(properties)),
        tuple(sorted({*needs, *inside})),
        parts,
    )


def _parts(ref: str, embedded: Sequence[Embedded]) -> tuple[Component, ...]:
    """What the bills inside of one wheel name, each thing once."""
    found: dict[str, Component] = {}
    for one in embedded:
        for part in one.under(ref):
            before = found.get(part.ref)
            if before is None:
                found[part.ref] = part
            else:
                found[part.ref] = replace(before, needs=tuple(sorted({*before.needs, *part.needs})))
    return tuple(found[key] for key in sorted(found))


class _Walk:
    """Which package needs which, among those that are there."""

    def __init__(self, lock: Lock, roots: Sequence[Root], here: Collection[int]) -> None:
        self._lock = lock
        self._by_name: dict[str, list[int]] = {}
        for at in sorted(here):
            self._by_name.setdefault(lock.packages[at].name, []).append(at)
        members = {p.name: at for at, p in enumerate(lock.packages) if p.manifest is not None}
        self._extras: dict[int, set[str]] = {}
        waiting: list[tuple[int, str]] = []
        self.groups: dict[NormalizedName, set[int]] = {}
        """What the chosen groups of members ask for."""
        for root in roots:
            at = members[root.member]
            if root.project:
                waiting += [(at, ""), *((at, extra) for extra in root.extras)]
            groups = dict(lock.packages[at].groups)
            for group in root.groups:
                for edge in groups[group]:
                    self.groups.setdefault(root.member, set()).update(self._targets(edge))
                    waiting += self._entered(edge)
        while waiting:
            at, extra = waiting.pop()
            seen = self._extras.setdefault(at, set())
            if extra not in seen:
                seen.add(extra)
                for edge in self._edges(at, extra):
                    waiting += self._entered(edge)

    def needs(self, at: int) -> set[int]:
        """The packages that the one at this position needs with the extras that are asked of it."""
        every = [edge for extra in self._extras.get(at, ()) for edge in self._edges(at, extra)]
        return {target for edge in every for target in self._targets(edge)}

    def _edges(self, at: int, extra: str) -> tuple[Edge, ...]:
        package = self._lock.packages[at]
        return (
            package.dependencies if not extra else dict[str, tuple[Edge, ...]](package.extras).get(extra, ())
        )

    def _entered(self, edge: Edge) -> list[tuple[int, str]]:
        return [(at, extra) for at in self._targets(edge) for extra in ("", *edge.extras)]

    def _targets(self, edge: Edge) -> list[int]:
        packages = self._lock.packages
        return [at for at in self._by_name.get(edge.name, ()) if edge.leads_to(packages[at])]
