"""Manifests edited in place: only what must change changes.

Edits are made in the text, at the exact spans `positions` gives, so every other byte stays: comments,
order, indentation, quotes, line ends, byte order mark. (tomlkit, which writes our templates, loses
keys of dotted tables when it adds to them.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar

from pypm_model import names, requirement_text
from pypm_model.errors import Place, PypmError
from pypm_model.records import record
from pypm_model.requirements import Requirement
from pypm_workspace.faults import Fault, InvalidManifest
from pypm_workspace.positions import KeyPath, Positions, Spot
from pypm_workspace.requirement_lists import inserted, name_of, parsed, quoted, with_new_list, without
from pypm_workspace.toml_reading import read_toml

_BOM = "\ufeff"


@record
class Target:
    """A list of requirements in a manifest."""

    kind: str = "dependencies"
    """``dependencies``, ``extra`` or ``group``."""
    name: str = ""
    """Of the extra or group."""

    @property
    def parent(self) -> KeyPath:
        """The table that holds the list."""
        match self.kind:
            case "extra":
                return ("project", "optional-dependencies")
            case "group":
                return ("dependency-groups",)
            case _:
                return ("project",)

    def __str__(self) -> str:
        return self.kind if self.kind == "dependencies" else f"{self.kind} `{self.name}`"


class NotEditable(PypmError):
    """The list cannot be edited: it is no list, or the build backend makes it."""

    code: ClassVar[str] = "not-editable"
    exit: ClassVar[int] = 2
    file: str
    target: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.target} cannot be edited: {self.reason}"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file),)


class NotAsked(PypmError):
    """A requirement is to be removed from where it is not."""

    code: ClassVar[str] = "not-asked"
    exit: ClassVar[int] = 1
    file: str
    name: str
    target: str
    elsewhere: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}: `{self.name}` is not in {self.target}"

    @property
    def hint(self) -> str | None:
        return f"it is in {', '.join(self.elsewhere)}" if self.elsewhere else None

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file),)


def add(text: str, requirement: str, target: Target = Target(), *, file: str = "pyproject.toml") -> str:
    """The manifest *text* with *requirement* in the list of *target*.

    An entry for the same name (and marker) is replaced where it stands; a new one goes to its
    alphabetic place if the list is sorted, else to the end. Missing lists and tables are made.
    Raises `InvalidManifest`, `NotEditable`, `InvalidRequirement` (the caller's text).
    """
    wanted = requirement_text.parse(requirement)
    return keeping_mark(text, lambda body: _add(body, requirement, wanted, target, file))


def remove(text: str, name: str, target: Target = Target(), *, file: str = "pyproject.toml") -> str:
    """The manifest *text* without the entries for *name* in the list of *target*.

    Comments above an entry stay, the one behind it goes. Raises `NotAsked`, `InvalidManifest`,
    `NotEditable`.
    """
    return keeping_mark(text, lambda body: _remove(body, names.normalize(name), target, file))


def where(text: str, name: str) -> tuple[Target, ...]:
    """The lists that have an entry for *name*, in the order dependencies, extras, groups."""
    found = document_of(text.removeprefix(_BOM), "")
    wanted = names.normalize(name)
    project = found.get("project")
    tables: list[tuple[str, Any]] = []
    if isinstance(project, dict):
        tables += [
            ("dependencies", {"": project.get("dependencies")}),
            ("extra", project.get("optional-dependencies")),
        ]
    tables.append(("group", found.get("dependency-groups")))
    return tuple(
        Target(kind, key)
        for kind, table in tables
        if isinstance(table, dict)
        for key, items in table.items()
        if isinstance(items, list) and any(name_of(item) == wanted for item in items)
    )


def keeping_mark(text: str, change: Callable[[str], str]) -> str:
    """*text* after *change*, which sees it without a byte order mark."""
    mark = _BOM if text.startswith(_BOM) else ""
    return mark + change(text.removeprefix(_BOM))


def document_of(text: str, file: str) -> dict[str, Any]:
    """The TOML document in *text*. Raises `InvalidManifest`."""
    _, found = read_toml(text.encode(), file)
    if isinstance(found, Fault):
        raise InvalidManifest((found,))
    return found


def _add(text: str, written: str, wanted: Requirement, target: Target, file: str) -> str:
    document = document_of(text, file)
    positions = Positions(text)
    path = _list_path(document, target, file)
    items = _at(document, path)
    if items is None:
        return with_new_list(text, positions, path, written)
    spot = positions.spots[path]
    for number, item in enumerate(items):
        known = parsed(item)
        if known is not None and known.name == wanted.name and known.marker == wanted.marker:
            entry = positions.spots[(*path, number)]
            return text[: entry.start] + quoted(written, text[entry.start]) + text[entry.end :]
    return inserted(
        text, spot, [positions.spots[(*path, n)] for n in range(len(items))], items, written, path
    )


def _remove(text: str, name: str, target: Target, file: str) -> str:
    document = document_of(text, file)
    path = _list_path(document, target, file)
    found = [n for n, item in enumerate(_at(document, path) or ()) if name_of(item) == name]
    if not found:
        raise NotAsked(file, name, str(target), tuple(str(other) for other in where(text, name)))
    for number in reversed(found):
        positions = Positions(text)
        entries: list[Spot] = []
        while (*path, len(entries)) in positions.spots:
            entries.append(positions.spots[(*path, len(entries))])
        text = without(text, positions.spots[path], entries, number)
    return text


def _list_path(document: dict[str, Any], target: Target, file: str) -> KeyPath:
    """The path of the list, by the spelling the text has for its name."""
    if target.kind == "group":
        table = document.get("dependency-groups", {})
    else:
        table = document.get("project")
        if not isinstance(table, dict):
            raise NotEditable(file, str(target), "there is no [project] table")
        field = "dependencies" if target.kind == "dependencies" else "optional-dependencies"
        dynamic = table.get("dynamic")
        if field not in table and isinstance(dynamic, list) and field in dynamic:
            raise NotEditable(file, str(target), f"`{field}` is dynamic, the build backend decides it")
        if target.kind == "dependencies":
            found: KeyPath = ("project", "dependencies")
            table = {"dependencies": table.get("dependencies", [])}
        else:
            table = table.get("optional-dependencies", {})
    if not isinstance(table, dict):
        raise NotEditable(file, str(target), "it stands in something that is no table")
    if target.kind != "dependencies":
        wanted = names.normalize(target.name)
        key = next((key for key in table if names.normalize(key) == wanted), target.name)
        found = (*target.parent, key)
    value = table.get(str(found[-1]), [])
    if not isinstance(value, list):
        raise NotEditable(file, str(target), "it is no array")
    return found


def _at(document: Any, path: KeyPath) -> list[Any] | None:
    for key in path:
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[str(key)]
    return document if isinstance(document, list) else None


def read_manifest(path: str | os.PathLike[str]) -> str:
    """The text of a manifest for editing, with its line ends and byte order mark as they are.

    Raises `InvalidManifest` if it is not UTF-8, OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fault = Fault(Place(os.fspath(path), line), "not UTF-8 text", "save the file as UTF-8")
        raise InvalidManifest((fault,)) from None
