"""Pipenv: ``Pipfile`` and ``Pipfile.lock``."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from pypm.ops.importing import constraints
from pypm.ops.importing.addresses import file_address, index_address, is_default_index, repository_address
from pypm.ops.importing.local import name_in
from pypm.ops.importing.records import CannotImport, Draft, Lost, NewIndex, Pins, Read, Source, pins_of
from pypm.ops.importing.toml_text import tables
from pypm_model.names import NormalizedName, normalize
from pypm_model.patterns import pattern
from pypm_model.requests import Preference

_digest = pattern(r"[0-9a-f]{7}")
_own = {"source", "packages", "dev-packages", "requires", "scripts", "pipenv"}
_fields = (
    "os_name", "sys_platform", "platform_machine", "platform_python_implementation", "platform_release",
    "platform_system", "platform_version", "python_version", "python_full_version", "implementation_name",
    "implementation_version",
)  # fmt: skip


def read_pipfile_lock(text: str, file: str = "Pipfile.lock") -> Pins:
    """The versions it has from indexes, of all its categories."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CannotImport(file, f"not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise CannotImport(file, "is no JSON object")
    found: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    lost = []
    for category, entries in document.items():
        if category == "_meta" or not isinstance(entries, dict):
            continue
        for name, entry in entries.items():
            version = entry.get("version") if isinstance(entry, dict) else None
            if isinstance(version, str) and version.startswith("=="):
                found.setdefault(normalize(name), []).append(Preference(version.removeprefix("==")))
                hashes.setdefault(normalize(name), []).extend(map(str, entry.get("hashes", ())))
            elif isinstance(entry, dict) and not (entry.get("path") or entry.get("editable")):
                lost.append(Lost(file, f"{category}.{name}", "has no version: what is there now is locked"))
    return pins_of(file, found, lost, hashes)


def read_pipfile(text: str, file: str = "Pipfile", read: Read = lambda path: None) -> Draft:
    """The project that the file describes; *read* gives the files of projects it has from folders."""
    return _Reader(tables(text, file), file, read).draft()


class _Reader:
    def __init__(self, document: Mapping[str, Any], file: str, read: Read) -> None:
        self.document = document
        self.file = file
        self.read = read
        self.lost: list[Lost] = []
        self.sources: dict[str, list[Source]] = {}

    def lose(self, key: str, reason: str) -> None:
        self.lost.append(Lost(self.file, key, reason))

    def draft(self) -> Draft:
        document = self.document
        groups = []
        for key, entries in document.items():
            if key == "packages" or not isinstance(entries, Mapping):
                continue
            # Every further table is a category of packages.
            if key == "dev-packages" or key not in _own:
                name = "dev" if key == "dev-packages" else normalize(key)
                groups.append((name, tuple(self.requirements(key, entries))))
        if "pipenv" in document:
            self.lose("pipenv", "is Pipenv's own, left out")
        dependencies = tuple(self.requirements("packages", document.get("packages", {})))
        return Draft(
            file=self.file,
            requires_python=self.python(),
            dependencies=dependencies,
            groups=tuple((name, entries) for name, entries in groups if entries),
            sources=tuple((name, tuple(found)) for name, found in self.sources.items()),
            tasks=tuple(self.tasks()),
            indexes=tuple(self.indexes()),
            lost=tuple(self.lost),
        )

    def python(self) -> str:
        requires = self.document.get("requires", {})
        if requires.get("python_full_version"):
            return f"=={requires['python_full_version']}"
        version = str(requires.get("python_version", ""))
        return "" if version in ("", "*") else f"=={version}.*"

    def tasks(self) -> Iterator[tuple[str, str]]:
        for name, command in self.document.get("scripts", {}).items():
            if isinstance(command, str):
                yield name, command
            elif isinstance(command, Mapping) and "call" in command:
                self.lose(f"scripts.{name}", "calls a function; write a command as [tool.pypm.tasks]")
            else:
                self.lose(f"scripts.{name}", "is no command; left out")

    def indexes(self) -> Iterator[NewIndex]:
        for number, entry in enumerate(self.document.get("source", ())):
            name = str(entry.get("name", f"index-{number}"))
            url, reason = index_address(str(entry.get("url", "")))
            if reason:
                self.lose(f"source.{name}", reason)
            if entry.get("verify_ssl") is False:
                self.lose(f"source.{name}", "verify_ssl = false: pypm always looks at certificates")
            # The first is for all names, the others only for those that say so.
            if number == 0 and is_default_index(url):
                continue
            yield NewIndex(name, url, explicit=number > 0, default=number == 0)

    def requirements(self, category: str, entries: Mapping[str, Any]) -> Iterator[str]:
        for name, value in entries.items():
            key = f"{category}.{name}"
            table: Mapping[str, Any] = {"version": value} if isinstance(value, str) else value
            try:
                wanted = constraints.parse(str(table.get("version", "*")))
            except constraints.BadConstraint as error:
                self.lose(key, f"{error}; left out")
                continue
            conditions = [f"{field} {table[field]}" for field in _fields if field in table]
            marker = constraints.all_of(*conditions, str(table.get("markers", "")))
            source = self.source(table, key)
            if source is None and any(kind in table for kind in ("hg", "svn", "bzr")):
                self.lose(key, "is in a repository that is not git; left out")
                continue
            path = str(source.get("path", "")) if source is not None else ""
            if path and posixpath.normpath(path) == ".":
                self.lose(key, "is the project itself, which is always there; left out")
                continue
            if path:
                # Pipenv's key for what comes from a path is often a digest of the path.
                named = name_in(self.read, posixpath.normpath(path))
                if named is None and _digest.fullmatch(name):
                    self.lose(key, f"{path} does not tell its name; add it with `pypm add`")
                    continue
                name = named or name
            if source is not None:
                entry = {**source, **({"marker": marker} if marker else {})}
                self.sources.setdefault(name, []).append(entry)
            extras = f"[{','.join(table['extras'])}]" if table.get("extras") else ""
            specifier = "" if source is not None and "index" not in source else wanted.specifier
            yield f"{name}{extras}{specifier}" + (f"; {marker}" if marker else "")

    def source(self, table: Mapping[str, Any], key: str) -> Source | None:
        if table.get("git"):
            address, reason = repository_address(str(table["git"]))
            if reason:
                self.lose(key, reason)
            ref = {"rev": table["ref"]} if table.get("ref") else {}
            folder = {"subdirectory": table["subdirectory"]} if table.get("subdirectory") else {}
            return {"git": address, **ref, **folder}
        if table.get("path"):
            return {"path": table["path"], **({"editable": True} if table.get("editable") else {})}
        if table.get("file"):
            if "://" not in str(table["file"]):
                return {"path": table["file"]}
            address, reason = file_address(str(table["file"]))
            if reason:
                self.lose(key, reason)
            return {"url": address}
        if table.get("index") and table["index"] != "pypi":
            return {"index": table["index"]}
        return None
