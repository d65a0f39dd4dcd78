"""Parsed manifests kept between runs, so that one changed member costs one parse.

A snapshot is a line with a checksum and JSON: plain values, safe to read from anywhere. Every entry
is keyed by the digest of the file it came from; one that cannot be read (other records, damage)
counts as absent. Requirements are stored once each, since members of a workspace ask for much the
same: reading 1,000 members back takes about 15 ms.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, Self
from zlib import crc32

from pypm_model import names
from pypm_model.digests import blake2b
from pypm_model.events import Warned
from pypm_model.names import NormalizedName
from pypm_model.records import field_names, record, replace
from pypm_model.requirements import Requirement
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource
from pypm_workspace.checks import Checked
from pypm_workspace.configuration import (
    Asked,
    AuditIgnore,
    AuditSettings,
    BoundaryRule,
    Build,
    CatalogEntry,
    CheckSettings,
    ConflictItem,
    IndexSetting,
    LicenseException,
    LicenseSettings,
    Member,
    PluginPin,
    Settings,
    SourceRule,
    StatedMetadata,
    Task,
    Written,
)
from pypm_workspace.inputs import FileSeen

RACY_NS = 100_000_000
"""A file changed this shortly before the snapshot was written may change again within the same tick
of the file system's clock: its digest is compared, not its times."""

_records: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        AuditIgnore,
        AuditSettings,
        BoundaryRule,
        CatalogEntry,
        CheckSettings,
        ConflictItem,
        GitSource,
        IndexSetting,
        IndexSource,
        LicenseException,
        LicenseSettings,
        MemberSource,
        PathSource,
        PluginPin,
        Settings,
        SourceRule,
        StatedMetadata,
        Task,
        UrlSource,
        Written,
    )
}


def _format() -> str:
    """Names the layout of every record: a snapshot of other fields is none of ours."""
    layout = [
        (kind.__name__, getattr(kind, "_fields", None) or field_names(kind))
        for kind in (Member, Build, Asked, *_records.values())
    ]
    return f"2-{crc32(repr(layout).encode()):08x}"


FORMAT = _format()


@record
class Remembered:
    """What one manifest said. A manifest is a member's, the workspace's (settings), or both."""

    seen: FileSeen
    digest: str
    """BLAKE2b-128 of the bytes, hexadecimal."""
    member: Member | None
    settings: Settings | None
    warnings: tuple[Warned, ...] = ()


class Known(Protocol):
    """What is known from earlier of the manifests of one workspace."""

    @property
    def root(self) -> str:
        """Of the workspace, absolute."""

    def digest(self, path: str) -> str | None:
        """The digest *path* had, or None if it was not read."""

    def trusts(self, seen: FileSeen) -> bool:
        """Whether *seen*, freshly looked at, proves that the file still has its digest."""

    def recall(self, seen: FileSeen) -> Remembered | None:
        """What was remembered of the file, as seen now; None if there is nothing."""

    def checked(self, state: str) -> Checked | None:
        """The result of the checks, if they were made in *state*."""


class Held:
    """What this process itself remembers: the entries as they are."""

    def __init__(
        self,
        root: str,
        remembered: Iterable[Remembered],
        state: str,
        checked: Checked,
        *,
        began_ns: int,
    ) -> None:
        """*began_ns* is the time when the files began to be read."""
        self.root = root
        self._entries = {entry.seen.path: entry for entry in remembered}
        self._state = state
        self._checked = checked
        self._began_ns = began_ns
        self._suspects: Collection[str] = ()

    def doubting(self, paths: Collection[str]) -> Self:
        """The same, but what it has of *paths* is read again whatever the files' times say."""
        doubting = self.__class__.__new__(self.__class__)
        doubting.__dict__.update(self.__dict__)
        doubting._suspects = paths
        return doubting

    def digest(self, path: str) -> str | None:
        entry = self._entries.get(path)
        return entry.digest if entry is not None else None

    def trusts(self, seen: FileSeen) -> bool:
        entry = self._entries.get(seen.path)
        return (
            entry is not None
            and entry.seen == seen
            and 0 <= seen.mtime_ns < self._began_ns - RACY_NS
            and seen.path not in self._suspects
        )

    def recall(self, seen: FileSeen) -> Remembered | None:
        entry = self._entries.get(seen.path)
        return entry if entry is None or entry.seen == seen else replace(entry, seen=seen)

    def checked(self, state: str) -> Checked | None:
        return self._checked if state == self._state else None


class Snapshot:
    """What an earlier run remembered, decoded entry by entry as it is asked for."""

    def __init__(self, data: Mapping[str, Any], written_ns: int) -> None:
        self.root: str = data["root"]
        self._files: dict[str, Any] = data["files"]
        self._requirements = [
            Requirement(names.normalize(n), tuple(map(names.normalize, e)), s, m, u)
            for n, e, s, m, u in data["requirements"]
        ]
        self._written_ns = written_ns
        self._checked = data["checked"]

    def digest(self, path: str) -> str | None:
        """The digest *path* had, or None if it was not read."""
        row = self._files.get(path)
        return str(row["digest"]) if row else None

    def trusts(self, seen: FileSeen) -> bool:
        """Whether *seen*, freshly looked at, proves that the file still has its digest."""
        row = self._files.get(seen.path)
        return (
            row is not None
            and row["seen"] == [seen.mtime_ns, seen.size, seen.inode]
            and 0 <= seen.mtime_ns < self._written_ns - RACY_NS
        )

    def recall(self, seen: FileSeen) -> Remembered | None:
        """What was remembered of the file, as seen now; None if the entry cannot be used."""
        try:
            row = self._files[seen.path]
            member = _member_back(row["member"], self._requirements) if "member" in row else None
            settings = _back(row["settings"], self._requirements) if "settings" in row else None
            warnings = tuple(Warned(code, message) for code, message in row.get("warnings", ()))
            return Remembered(seen, row["digest"], member, settings, warnings)
        except (KeyError, IndexError, TypeError, ValueError):
            return None

    def checked(self, state: str) -> Checked | None:
        """The result of the checks, if they were made in *state* (see `state_of`)."""
        if self._checked["state"] != state:
            return None
        return Checked(
            tuple(
                (names.normalize(n) if n != "(root)" else NormalizedName(n), p)
                for n, p in self._checked["pythons"]
            ),
            tuple(Warned(code, message) for code, message in self._checked["warnings"]),
        )


def members_from_snapshot(data: bytes, *, written_ns: int = 0, root: str = "") -> Snapshot | None:
    """The snapshot in *data*, or None if it is none of ours.

    *written_ns* is when it was written (the snapshot file's mtime): entries are then trusted by the
    times of their files; with 0 every file is read and its digest compared. With *root* it is taken for
    one of the workspace there: what another clone has, where its files have the same content.
    """
    checksum, _, body = data.partition(b"\n")
    if checksum != _checksum(body):
        return None
    try:
        found = json.loads(body)
        if found["format"] != FORMAT:
            return None
        return Snapshot({**found, "root": root} if root else found, written_ns)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def to_snapshot(root: str, remembered: Iterable[Remembered], state: str, checked: Checked) -> bytes:
    """The bytes from which `members_from_snapshot` brings back what was *remembered*."""
    table: dict[Requirement, int] = {}
    files = {
        entry.seen.path: {
            "seen": entry.seen[1:],
            "digest": entry.digest,
            **({"member": _member_out(entry.member, table)} if entry.member else {}),
            **({"settings": _out(entry.settings, table)} if entry.settings else {}),
            **({"warnings": [[w.code, w.message] for w in entry.warnings]} if entry.warnings else {}),
        }
        for entry in remembered
    }
    data = {
        "format": FORMAT,
        "root": root,
        "files": files,
        "requirements": [list(requirement) for requirement in table],
        "checked": {
            "state": state,
            "pythons": checked.pythons,
            "warnings": [[w.code, w.message] for w in checked.warnings],
        },
    }
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    return _checksum(body) + b"\n" + body


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).hexdigest().encode()


def _asked_out(asked: tuple[Asked, ...], table: dict[Requirement, int]) -> list[Any]:
    """Runs of one table in order are one row: [table, first item, requirement numbers...]."""
    rows: list[Any] = []
    for requirement, where, item in asked:
        number = table.setdefault(requirement, len(table))
        if rows and rows[-1][0] == where and rows[-1][1] + len(rows[-1]) - 2 == item:
            rows[-1].append(number)
        else:
            rows.append([where, item, number])
    return rows


def _asked_back(rows: list[Any], requirements: list[Requirement]) -> tuple[Asked, ...]:
    return tuple(
        [
            Asked(requirements[number], row[0], item)
            for row in rows
            for item, number in enumerate(row[2:], row[1])
        ]
    )


def _named_back(
    rows: list[Any], requirements: list[Requirement]
) -> tuple[tuple[NormalizedName, tuple[Asked, ...]], ...]:
    return tuple((names.normalize(name), _asked_back(asked, requirements)) for name, asked in rows)


def _member_out(member: Member, table: dict[Requirement, int]) -> list[Any]:
    build = member.build
    return [
        member.name,
        member.display_name,
        member.path,
        member.version,
        member.requires_python,
        _asked_out(member.dependencies, table),
        [[name, _asked_out(asked, table)] for name, asked in member.extras],
        [[name, _asked_out(asked, table)] for name, asked in member.groups],
        member.group_pythons,
        [_asked_out(build.requires, table), build.backend, build.backend_path] if build else None,
        member.dynamic,
        [_rule_out(rule, member, table) for rule in member.sources],
        _out(member.indexes, table),
        member.default_groups,
        _out(member.tasks, table),
        member.tags,
        None if member.check == _NO_CHECK else _out(member.check, table),
        _out(member.conflicts, table),
        member.managed,
    ]


def _rule_out(rule: SourceRule, member: Member, table: dict[Requirement, int]) -> Any:
    """A rule that says ``{ workspace = true }`` under its normalised name is just that name: by far
    the most frequent kind."""
    return rule.name if rule == _sibling_rule(rule.name, member.file) else _out(rule, table)


def _sibling_rule(name: NormalizedName, file: str) -> SourceRule:
    return SourceRule(name, _MEMBER, f"tool.uv.sources.{name}", file)


def _member_back(row: list[Any], requirements: list[Requirement]) -> Member:
    build, folder = row[9], row[2]
    file = "pyproject.toml" if folder == "." else f"{folder}/pyproject.toml"
    return Member(
        NormalizedName(row[0]),
        row[1],
        row[2],
        row[3],
        row[4],
        _asked_back(row[5], requirements),
        _named_back(row[6], requirements) if row[6] else (),
        _named_back(row[7], requirements) if row[7] else (),
        tuple((NormalizedName(name), text) for name, text in row[8]),
        Build(_asked_back(build[0], requirements), build[1], tuple(build[2])) if build else None,
        tuple(row[10]),
        tuple(
            [
                _sibling_rule(names.normalize(r), file) if isinstance(r, str) else _back(r, requirements)
                for r in row[11]
            ]
        ),
        _back(row[12], requirements),
        None if row[13] is None else tuple(row[13]),
        _back(row[14], requirements),
        tuple(row[15]),
        _NO_CHECK if row[16] is None else _back(row[16], requirements),
        _back(row[17], requirements),
        row[18],
    )


_MEMBER = MemberSource("")
_NO_CHECK = CheckSettings()


def _out(value: Any, table: dict[Requirement, int]) -> Any:
    """Any of our records, or a tuple of them, as JSON values."""
    if isinstance(value, Asked):
        return {"?": _asked_out((value,), table)[0]}
    kind = type(value).__name__
    if kind in _records:
        parts = (
            value
            if isinstance(value, tuple)
            else [getattr(value, name) for name in field_names(value.__class__)]
        )
        return {kind: [_out(part, table) for part in parts]}
    if isinstance(value, tuple):
        return [_out(part, table) for part in value]
    return value


def _back(value: Any, requirements: list[Requirement]) -> Any:
    """What `_out` was given."""
    if isinstance(value, list):
        return tuple([_back(part, requirements) for part in value])
    if isinstance(value, dict):
        [(kind, parts)] = value.items()
        if kind == "?":
            return _asked_back([parts], requirements)[0]
        return _records[kind](*[_back(part, requirements) for part in parts])
    return value
