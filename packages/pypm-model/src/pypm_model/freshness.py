"""Whether a lock is still the one that the manifests ask for, judged without an index.

A lock carries what every member asked when it was made and the settings it was made under. The same
functions make these texts when a lock is written and when it is checked, so a lock is fresh exactly if
the texts are the same, or say the same of other spelling (`pypm_model.respelling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pypm_model import specifiers, versions
from pypm_model.locks import Lock, LockedPackage, LockSettings, Manifest
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.records import record
from pypm_model.requests import (
    Ask,
    Conflict,
    MemberRequest,
    Origin,
    PrereleasePolicy,
    Provision,
    Request,
    asks_of,
)
from pypm_model.requirement_text import to_text
from pypm_model.respelling import (
    kept_manifest,
    kept_settings,
    kept_texts,
    marker_texts,
    same_environments,
)
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource
from pypm_model.specifiers import InvalidSpecifier
from pypm_model.versions import InvalidVersion

Kind = Literal[
    "requirement-added",
    "requirement-removed",
    "requirement-changed",
    "table-added",
    "table-removed",
    "member-added",
    "member-removed",
    "member-moved",
    "version-changed",
    "requires-python-changed",
    "environments-changed",
    "setting-changed",
]


@record
class Stale:
    """One difference between a lock and what is asked now."""

    kind: Kind
    member: NormalizedName | Literal[""] = ""
    """Empty for settings of the workspace."""
    file: str = ""
    """The member's manifest, relative to the workspace root; empty for settings."""
    table: str = ""
    """The TOML table (``project.dependencies``, ``dependency-groups.dev``), or the name of the setting."""
    old: str = ""
    """What the lock says; empty if nothing."""
    new: str = ""
    """What is asked now; empty if nothing."""
    origin: Origin | None = None
    """Where the requirement is that was added or changed."""

    def __str__(self) -> str:
        if not self.member:
            return self.clause
        if self.table and self.kind != "version-changed":
            return f"{self.member}: {self.file} {self.clause}"
        return f"{self.member} {self.clause}"

    @property
    def clause(self) -> str:
        """The difference without the member and its file."""
        where = f"[{self.table}]"
        match self.kind:
            case "requirement-added":
                return f"{where} asks for {self.new}, which is not in the lock"
            case "requirement-removed":
                return f"{where} no longer asks for {self.old}"
            case "requirement-changed":
                return f"{where} asks for {self.new}, the lock has {self.old}"
            case "table-added":
                return f"{where} is not in the lock"
            case "table-removed":
                return f"{where} is no longer there"
            case "member-added":
                return "is not in the lock"
            case "member-removed":
                return "is in the lock but no longer a member"
            case "member-moved":
                return f"has moved from {self.old} to {self.new}"
            case "version-changed":
                new, old = self.new or "(dynamic)", self.old or "(dynamic)"
                return f"has version {new}, the lock has {old}"
            case "requires-python-changed":
                new, old = self.new or "any Python", self.old or "any Python"
                return f"{where} asks for Python {new}, the lock has {old}"
            case "environments-changed" | "setting-changed":
                new, old = self.new or "not set", self.old or "not set"
                return f"the setting {self.table} is {new}, the lock was made with {old}"

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready data, with the sentence."""
        return {
            "kind": self.kind,
            "message": str(self),
            "member": self.member,
            "file": self.file,
            "table": self.table,
            "old": self.old,
            "new": self.new,
        }


def ask_text(ask: Ask) -> str:
    """What *ask* asks for, source included: ``httpx>=0.28``, ``acme-core @ member``,
    ``torch>=2; sys_platform == 'linux' @ index pytorch``, ``x @ git https://example.test/x ref=main``.

    Where a member is and what a git reference means for the moment are facts of their own, left out here.
    """
    requirement = ask.requirement
    if ask.source is None:
        return to_text(requirement)
    return f"{to_text(requirement._replace(url=''))} @ {_source_text(ask.source)}"


def _source_text(source: Source) -> str:
    match source:
        case IndexSource(index):
            return f"index {index}"
        case MemberSource():
            return "member"
        case PathSource(path, editable, sha256):
            parts = [f"path {path}", "editable" if editable else "", f"sha256={sha256}" if sha256 else ""]
        case UrlSource(url, subdirectory, sha256):
            sub = f"subdirectory={subdirectory}" if subdirectory else ""
            parts = [f"url {url}", sub, f"sha256={sha256}" if sha256 else ""]
        case GitSource(url, ref, _, subdirectory):
            sub = f"subdirectory={subdirectory}" if subdirectory else ""
            parts = [f"git {url}", f"ref={ref}" if ref else "", sub]
    return " ".join([part for part in parts if part])


def manifest_of(member: MemberRequest) -> Manifest:
    """What *member* asks, as its lock entry records it."""
    return Manifest(
        requires_python=_specifier(member.requires_python),
        dependencies=_texts(member.dependencies),
        extras=tuple(sorted([(name, _texts(asks)) for name, asks in member.extras])),
        groups=tuple(sorted([(name, _texts(asks)) for name, asks in member.groups])),
    )


def _texts(asks: Iterable[Ask]) -> tuple[str, ...]:
    return tuple(sorted({ask_text(ask) for ask in asks}))


def _specifier(text: str) -> str:
    try:
        return specifiers.canonical(text)
    except InvalidSpecifier:
        return text.strip()


Setting = str | tuple[str, ...]


def settings_of(request: Request, more: Mapping[str, Setting] | None = None) -> LockSettings:
    """The settings in *request* that are not their defaults, as its lock records them.

    *more* holds settings of the workspace that a request has no field for, in the user's words:
    ``exclude-newer`` or ``cooldown`` (a request only has the moment it comes to now), ``indexes``; empty
    values are left out.
    """
    values: dict[str, Setting] = {
        "strategy": "" if request.strategy == "highest" else request.strategy,
        "fork-strategy": "" if request.fork_strategy == "requires-python" else request.fork_strategy,
        "prereleases": _prereleases(request.prereleases),
        "constraints": _texts(request.constraints),
        "overrides": _texts(request.overrides),
        "sources": _provisions(request),
        "excludes": tuple(sorted(request.excludes)),
        "shared-environment": "" if request.shared_environment else "false",
        "conflicts": tuple(sorted(map(_conflict, request.conflicts))),
        "build": "all" if request.build.default else tuple(sorted(request.build.allow)),
        "no-binary": tuple(sorted(request.build.no_binary)),
        "no-build": tuple(sorted(request.build.no_build)),
        **(more or {}),
    }
    return LockSettings(tuple([(key, values[key]) for key in sorted(values) if values[key]]))


def _prereleases(policy: PrereleasePolicy) -> Setting:
    if policy.mode == "only":
        return ("only", *sorted(policy.names))
    return "" if policy.mode == "if-necessary" else policy.mode


def _provisions(request: Request) -> tuple[str, ...]:
    """What the workspace provides of names that no member asks for from there: what one asks for says so."""
    if not request.provisions:
        return ()
    asked = {(ask.requirement.name, ask.source) for ask in asks_of(request) if ask.source is not None}
    unasked = [each for each in request.provisions if (each.name, each.source) not in asked]
    return tuple(sorted(map(_provision, unasked)))


def _provision(provision: Provision) -> str:
    marker = f"; {provision.marker}" if provision.marker else ""
    return f"{provision.name}{marker} @ {_source_text(provision.source)}"


def _conflict(conflict: Conflict) -> str:
    items = []
    for member, extra, group in conflict.items:
        items.append(f"{member}[{extra}]" if extra else f"{member}:{group}" if group else str(member))
    return ", ".join(sorted(items))


def stale(lock: Lock, request: Request, settings: LockSettings | None = None) -> tuple[Stale, ...]:
    """Every difference between what *lock* was made for and *request*; empty if the lock is fresh.

    *settings* is what `settings_of` gave for the request, if more than the request went into it. In
    order: settings, then members by name, in each its tables in their order in a manifest.
    """
    found = [*_stale_settings(lock, request, settings_of(request) if settings is None else settings)]
    locked = {p.name: p for p in lock.packages if isinstance(p.source, MemberSource)}
    asked = {member.name: member for member in request.members}
    for name in sorted({*locked, *asked}):
        if name not in asked:
            source = locked[name].source
            path = source.path if isinstance(source, MemberSource) else ""
            found.append(Stale("member-removed", name, _manifest_file(path), old=path))
        elif name not in locked:
            member = asked[name]
            found.append(Stale("member-added", name, _manifest_file(member.path), new=member.path))
        else:
            found += _stale_member(locked[name], asked[name])
    return tuple(found)


def _manifest_file(path: str) -> str:
    return "pyproject.toml" if path in ("", ".") else f"{path}/pyproject.toml"


def _stale_settings(lock: Lock, request: Request, settings: LockSettings) -> Iterator[Stale]:
    pairs = (
        ("environments", lock.environments, request.environments),
        ("required-environments", lock.required_environments, request.required_environments),
    )
    for name, before, now in pairs:
        if not same_environments(before, now):
            old, new = _shown(marker_texts(before)), _shown(marker_texts(now))
            yield Stale("environments-changed", table=name, old=old, new=new)
    old_values = dict(lock.settings.values)
    new_values = dict(kept_settings(lock.settings, settings).values)
    for name in sorted({*old_values, *new_values}):
        was, value = old_values.get(name, ""), new_values.get(name, "")
        if was != value:
            yield Stale("setting-changed", table=name, old=_shown(was), new=_shown(value))


def _shown(value: Setting) -> str:
    return value if isinstance(value, str) else ", ".join(value)


def _stale_member(locked: LockedPackage, member: MemberRequest) -> Iterator[Stale]:
    old = locked.manifest or Manifest()
    new = kept_manifest(old, manifest_of(member))
    name, file = member.name, _manifest_file(member.path)
    if isinstance(locked.source, MemberSource) and locked.source.path != member.path:
        yield Stale("member-moved", name, file, old=locked.source.path, new=member.path)
    if _version(locked.version) != _version(member.version or ""):
        yield Stale("version-changed", name, file, "project", locked.version, member.version or "")
    if old.requires_python != new.requires_python:
        yield Stale(
            "requires-python-changed", name, file, "project", old.requires_python, new.requires_python
        )
    yield from _stale_table(
        name, file, "project.dependencies", old.dependencies, new.dependencies, member.dependencies
    )
    yield from _stale_tables(
        name, file, "project.optional-dependencies", old.extras, new.extras, member.extras
    )
    yield from _stale_tables(name, file, "dependency-groups", old.groups, new.groups, member.groups)


def stale_folder(
    locked: LockedPackage, version: str, requires: Iterable[str], requires_python: str
) -> tuple[Stale, ...]:
    """Every difference between the project in a folder as it was locked and what its manifest says now:
    its *version*, requirement texts, and the least Python (as in `LockedPackage.requires_python`)."""
    assert isinstance(locked.source, PathSource)
    name, file = locked.name, _manifest_file(locked.source.path)
    found = []
    if _version(locked.version) != _version(version):
        found.append(Stale("version-changed", name, file, "project", locked.version, version))
    if locked.requires_python != requires_python:
        old = locked.requires_python
        found.append(Stale("requires-python-changed", name, file, "project", old, requires_python))
    now = kept_texts(locked.requires, sorted(set(requires)))
    found += _stale_table(name, file, "project.dependencies", locked.requires, now, ())
    return tuple(found)


def _version(text: str) -> str:
    try:
        return versions.canonical(text) if text else ""
    except InvalidVersion:
        return text


Texts = tuple[tuple[NormalizedName, tuple[str, ...]], ...]


def _stale_tables(
    member: NormalizedName,
    file: str,
    table: str,
    old: Texts,
    new: Texts,
    asks: Sequence[tuple[NormalizedName, tuple[Ask, ...]]],
) -> Iterator[Stale]:
    before, now, asked = dict(old), dict(new), dict(asks)
    for name in sorted({*before, *now}):
        full = f"{table}.{name}"
        if name not in now:
            yield Stale("table-removed", member, file, full, old=", ".join(before[name]))
        elif name not in before:
            origin = asked[name][0].origin if asked[name] else None
            yield Stale("table-added", member, file, full, new=", ".join(now[name]), origin=origin)
        else:
            yield from _stale_table(member, file, full, before[name], now[name], asked[name])


_leading_name = pattern(r"[a-z0-9-]*")


def leading_name(text: str) -> NormalizedName:
    """The name that the text of a requirement (`ask_text`) begins with."""
    match = _leading_name.match(text)
    return NormalizedName(match[0] if match else text)


def _stale_table(
    member: NormalizedName,
    file: str,
    table: str,
    old: Sequence[str],
    new: Sequence[str],
    asks: Sequence[Ask],
) -> Iterator[Stale]:
    """Differences of one table; a name that goes once and comes once has changed."""
    if tuple(old) == tuple(new):
        return
    origins = {ask_text(ask): ask.origin for ask in reversed(asks)}
    gone, come = _by_name(set(old) - set(new)), _by_name(set(new) - set(old))
    for name in sorted({*gone, *come}):
        before, now = gone.get(name, []), come.get(name, [])
        if len(before) == len(now) == 1:
            origin = origins.get(now[0])
            yield Stale("requirement-changed", member, file, table, before[0], now[0], origin)
            continue
        for text in before:
            yield Stale("requirement-removed", member, file, table, old=text)
        for text in now:
            yield Stale("requirement-added", member, file, table, new=text, origin=origins.get(text))


def _by_name(texts: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in sorted(texts):
        found.setdefault(leading_name(text), []).append(text)
    return found
