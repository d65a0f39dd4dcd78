"""The text of a `pylock.toml` (PEP 751) as records, whoever wrote it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pypm_model import names, specifiers, versions
from pypm_model.lock_toml import InvalidToml, loads
from pypm_model.markers import InvalidMarker
from pypm_model.markers import parse as parse_marker
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.pylock_records import (
    Pylock,
    PylockCommit,
    PylockFile,
    PylockFolder,
    PylockInvalid,
    PylockPackage,
    PylockTooNew,
    PylockUnsupported,
)

T = TypeVar("T")

_version = pattern(r"(\d+)\.(\d+)")
_sha256 = pattern(r"[0-9a-f]{64}")
_commit = pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_kinds: dict[type[Any], str] = {
    str: "a text", int: "a whole number", bool: "true or false", list: "a list", dict: "a table",
}  # fmt: skip


def read_pylock(text: str, file: str) -> Pylock:
    """Reads *text*, the content of *file*. Unknown keys mean nothing.

    Raises `PylockTooNew`, `PylockInvalid`, and `PylockUnsupported` for a repository that is not git.
    """
    try:
        document = loads(text.removeprefix("\ufeff"))
    except InvalidToml as fault:
        raise PylockInvalid(file, f"not valid TOML: {fault.message}", fault.line) from None
    return _Reader(file).document(document)


class _Reader:
    """Takes values out of tables, saying where one is wrong."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.owner = ""

    def fault(self, reason: str) -> PylockInvalid:
        return PylockInvalid(self.file, f"{self.owner}: {reason}" if self.owner else reason)

    def get(self, table: Mapping[str, Any], key: str, kind: type[T], default: T) -> T:
        value = table.get(key, default)
        if value is default or (isinstance(value, kind) and (kind is not int or not isinstance(value, bool))):
            return value
        raise self.fault(f"`{key}` must be {_kinds[kind]}")

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        values = self.get(table, key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise self.fault(f"`{key}` must be a list of texts")
        return tuple(values)

    def name(self, text: str, key: str) -> NormalizedName:
        if not names.is_valid(text):
            raise self.fault(f"`{key}` has {text!r}, which is no name")
        return names.normalize(text)

    def names(self, table: Mapping[str, Any], key: str) -> tuple[NormalizedName, ...]:
        return tuple(self.name(text, key) for text in self.texts(table, key))

    def marker(self, text: str, key: str) -> str:
        try:
            parse_marker(text) if text else None
        except InvalidMarker as error:
            raise self.fault(f"`{key}` is no marker: {error}") from None
        return text

    def python(self, table: Mapping[str, Any]) -> str:
        text = self.get(table, "requires-python", str, "")
        try:
            return specifiers.canonical(text)
        except specifiers.InvalidSpecifier as error:
            raise self.fault(f"`requires-python` is no range: {error}") from None

    def document(self, table: Mapping[str, Any]) -> Pylock:
        version = self.get(table, "lock-version", str, "")
        match = _version.fullmatch(version)
        if match is None:
            raise self.fault(
                f"`lock-version` is {version!r}, not like 1.0" if version else "there is no `lock-version`"
            )
        if match[1] != "1":
            raise PylockTooNew(self.file, version)
        if not self.get(table, "created-by", str, ""):
            raise self.fault("there is no `created-by`")
        if "packages" not in table:
            raise self.fault("there are no `packages`")
        packages = self.get(table, "packages", list, [])
        if not all(isinstance(each, dict) for each in packages):
            raise self.fault("`packages` must be a list of tables")
        environments = tuple(self.marker(each, "environments") for each in self.texts(table, "environments"))
        python = self.python(table)
        extras, groups = self.names(table, "extras"), self.names(table, "dependency-groups")
        defaults = self.names(table, "default-groups")
        return Pylock(
            self.file,
            version,
            environments,
            python,
            extras,
            groups,
            defaults,
            tuple(self.package(each) for each in packages),
        )

    def package(self, table: Mapping[str, Any]) -> PylockPackage:
        self.owner = ""
        text = self.get(table, "name", str, "")
        if not text:
            raise self.fault("a package has no `name`")
        self.owner = text
        version = self.get(table, "version", str, "")
        if version and not versions.is_valid(version):
            raise self.fault(f"`version` {version!r} is none")
        sources = [key for key in ("vcs", "directory", "archive") if key in table]
        release = [key for key in ("sdist", "wheels") if key in table]
        if len(sources) > 1 or (sources and release):
            raise self.fault(f"{' and '.join([*sources, *release])} exclude each other")
        found = PylockPackage(
            self.name(text, "name"),
            version,
            self.marker(self.get(table, "marker", str, ""), "marker"),
            self.python(table),
            self.commit(table["vcs"]) if "vcs" in table else None,
            self.folder(table["directory"]) if "directory" in table else None,
            self.artifact(table, "archive") if "archive" in table else None,
            self.artifact(table, "sdist") if "sdist" in table else None,
            self.wheels(self.get(table, "wheels", list, [])),
        )
        self.owner = ""
        return found

    def commit(self, table: object) -> PylockCommit:
        if not isinstance(table, dict):
            raise self.fault("`vcs` must be a table")
        kind = self.get(table, "type", str, "")
        if kind != "git":
            raise PylockUnsupported(
                self.file, self.owner, f"is in a {kind or 'nameless'} repository, not git"
            )
        commit = self.get(table, "commit-id", str, "")
        if _commit.fullmatch(commit) is None:
            raise self.fault("`vcs.commit-id` must be a whole commit id")
        url, path = self.address(table, "vcs")
        requested = self.get(table, "requested-revision", str, "")
        return PylockCommit(url, path, requested, commit, self.subdirectory(table))

    def folder(self, table: object) -> PylockFolder:
        if not isinstance(table, dict) or not self.get(table, "path", str, ""):
            raise self.fault("`directory` must be a table with a `path`")
        editable = self.get(table, "editable", bool, False)
        return PylockFolder(self.get(table, "path", str, ""), editable, self.subdirectory(table))

    def wheels(self, tables: list[Any]) -> tuple[PylockFile, ...]:
        found = tuple(self.artifact({"wheels": each}, "wheels") for each in tables)
        for file in found:
            if not file.name.endswith(".whl"):
                raise self.fault(f"{file.name!r} among its `wheels` is none")
        return found

    def artifact(self, owner: Mapping[str, Any], key: str) -> PylockFile:
        table = self.get(owner, key, dict, {})
        url, path = self.address(table, key)
        name = self.get(table, "name", str, "") or re.split(r"[?#]", path or url)[0].rpartition("/")[2]
        hashes = self.get(table, "hashes", dict, {})
        if not hashes or not all(isinstance(value, str) for value in hashes.values()):
            raise self.fault(f"`{key}.hashes` must be a table of texts that is not empty")
        digest = str(hashes.get("sha256", "")).lower()
        if _sha256.fullmatch(digest) is None:
            known = ", ".join(hashes)
            raise PylockUnsupported(self.file, self.owner, f"has no sha256 for {name}, only {known}")
        size = self.get(table, "size", int, -1)
        subdirectory = self.subdirectory(table) if key == "archive" else ""
        return PylockFile(name, url, path, None if size < 0 else size, digest, subdirectory)

    def address(self, table: Mapping[str, Any], key: str) -> tuple[str, str]:
        url, path = self.get(table, "url", str, ""), self.get(table, "path", str, "")
        if not (url or path):
            raise self.fault(f"`{key}` has neither a `url` nor a `path`")
        return url, path

    def subdirectory(self, table: Mapping[str, Any]) -> str:
        text = self.get(table, "subdirectory", str, "")
        if text.startswith("/") or ".." in text.split("/"):
            raise self.fault(f"`subdirectory` {text!r} leads out of the tree")
        return text
