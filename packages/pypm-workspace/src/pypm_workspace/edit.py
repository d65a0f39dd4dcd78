"""Manifests edited in place: only what must change changes.

Lists are edited as text, at the exact spans `positions` gives, so every other byte stays: comments,
order, indentation, quotes, line ends, byte order mark. tomlkit makes what has no place in the text
yet and no plain line to stand on (tables written inline or by dotted keys).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import tomlkit
from pypm_model import names, requirement_text
from pypm_model.errors import Place, PypmError
from pypm_model.requirement_text import InvalidRequirement
from pypm_model.requirements import Requirement

from pypm_workspace.faults import Fault, InvalidManifest
from pypm_workspace.positions import KeyPath, Positions, Spot
from pypm_workspace.toml_reading import read_toml

_BOM = "\ufeff"
_comma = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*,")
_line_rest = re.compile(r"[ \t]*,?[ \t]*(?:#[^\r\n]*)?(?=\r?\n|\Z)")


@dataclass(frozen=True, slots=True)
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


@dataclass(eq=False)
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


@dataclass(eq=False)
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
    return _edited(text, lambda body: _add(body, requirement, wanted, target, file))


def remove(text: str, name: str, target: Target = Target(), *, file: str = "pyproject.toml") -> str:
    """The manifest *text* without the entries for *name* in the list of *target*.

    Comments above an entry stay, the one behind it goes. Raises `NotAsked`, `InvalidManifest`,
    `NotEditable`.
    """
    return _edited(text, lambda body: _remove(body, names.normalize(name), target, file))


def where(text: str, name: str) -> tuple[Target, ...]:
    """The lists that have an entry for *name*, in the order dependencies, extras, groups."""
    found = _document(text.removeprefix(_BOM), "")
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
        if isinstance(items, list) and any(_name_of(item) == wanted for item in items)
    )


def _edited(text: str, change: Callable[[str], str]) -> str:
    mark = _BOM if text.startswith(_BOM) else ""
    return mark + change(text.removeprefix(_BOM))


def _document(text: str, file: str) -> dict[str, Any]:
    _, found = read_toml(text.encode(), file)
    if isinstance(found, Fault):
        raise InvalidManifest((found,))
    return found


def _add(text: str, written: str, wanted: Requirement, target: Target, file: str) -> str:
    document = _document(text, file)
    positions = Positions(text)
    path = _list_path(document, target, file)
    items = _at(document, path)
    if items is None:
        return _with_new_list(text, positions, path, written, document, target, file)
    spot = positions.spots[path]
    for number, item in enumerate(items):
        known = _parsed(item)
        if known is not None and known.name == wanted.name and known.marker == wanted.marker:
            entry = positions.spots[(*path, number)]
            return text[: entry.start] + _quoted(written, text[entry.start]) + text[entry.end :]
    return _inserted(
        text, spot, [positions.spots[(*path, n)] for n in range(len(items))], items, written, path
    )


def _remove(text: str, name: str, target: Target, file: str) -> str:
    document = _document(text, file)
    path = _list_path(document, target, file)
    found = [n for n, item in enumerate(_at(document, path) or ()) if _name_of(item) == name]
    if not found:
        raise NotAsked(file, name, str(target), tuple(str(other) for other in where(text, name)))
    for number in reversed(found):
        positions = Positions(text)
        entries: list[Spot] = []
        while (*path, len(entries)) in positions.spots:
            entries.append(positions.spots[(*path, len(entries))])
        text = _without(text, positions.spots[path], entries, number)
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


def _parsed(item: object) -> Requirement | None:
    try:
        return requirement_text.parse(item) if isinstance(item, str) else None
    except InvalidRequirement:
        return None


def _name_of(item: object) -> str | None:
    parsed = _parsed(item)
    return parsed.name if parsed else None


def _quoted(written: str, like: str = '"') -> str:
    """*written* as a TOML string, in the quotes its neighbours have if it can bear them."""
    if like == "'" and "'" not in written:
        return f"'{written}'"
    if '"' in written and "'" not in written:
        return f"'{written}'"
    return '"' + written.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _newline(text: str) -> str:
    found = text.find("\n")
    return "\r\n" if found > 0 and text[found - 1] == "\r" else "\n"


def _indent(text: str, at: int) -> str:
    """The blanks at the start of the line that holds offset *at*."""
    start = text.rfind("\n", 0, at) + 1
    return text[start : start + len(text[start:]) - len(text[start:].lstrip(" \t"))]


def _first_on_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _rank(item: object) -> tuple[str, str]:
    return (_name_of(item) or "", str(item))


def _slot(items: list[Any], written: str) -> int:
    """Where *written* goes: its place among the texts if they are sorted, else the end."""
    ranks = [(number, _rank(item)) for number, item in enumerate(items) if isinstance(item, str)]
    order = [rank for _, rank in ranks]
    if order and order == sorted(order):
        mine = _rank(written)
        return next((number for number, rank in ranks if rank > mine), ranks[-1][0] + 1)
    return len(items)


def _inserted(
    text: str, spot: Spot, entries: list[Spot], items: list[Any], written: str, path: KeyPath
) -> str:
    newline = _newline(text)
    value = _quoted(written, text[entries[-1].start] if entries else '"')
    inner = text[spot.start + 1 : spot.end - 1]
    if not entries:
        if not inner.strip() and _first_on_line(text, spot.key):  # nothing in it, not even a comment
            indent = _indent(text, spot.key)
            return f"{text[: spot.start]}[{newline}{indent}    {value},{newline}{indent}]{text[spot.end :]}"
        if "\n" not in inner:
            return f"{text[: spot.start]}[{value}]{text[spot.end :]}"
        close = spot.end - 1
        start = text.rfind("\n", 0, close) + 1
        indent = _indent(text, close) + "    "
        return f"{text[:start]}{indent}{value},{newline}{text[start:]}"
    slot = _slot(items, written)
    if slot < len(entries):
        after = entries[slot]
        if not _first_on_line(text, after.start):
            return f"{text[: after.start]}{value}, {text[after.start :]}"
        indent = _indent(text, after.start)
        at = text.rfind("\n", 0, after.start) + 1
        if slot:  # comments above an entry belong to it: go above them
            at = text.index("\n", _line_end(text, entries[slot - 1].end)) + 1
        return f"{text[:at]}{indent}{value},{newline}{text[at:]}"
    last = entries[-1]
    comma = _comma.match(text, last.end, spot.end - 1)
    if "\n" in text[last.end : spot.end] and _first_on_line(text, last.start):
        indent = _indent(text, last.start)
        if comma is None:
            text = f"{text[: last.end]},{text[last.end :]}"
        at = _line_end(text, max(last.end + (comma is None), comma.end() if comma else 0))
        return f"{text[:at]}{newline}{indent}{value}{',' if comma else ''}{text[at:]}"
    if "\n" in inner and _first_on_line(text, last.start):  # the closing bracket follows on the last line
        separator = f",{newline}{_indent(text, last.start)}"
    else:
        separator = ", "
    if comma is not None:
        return f"{text[: last.end]}{separator}{value},{text[comma.end() :]}"
    return f"{text[: last.end]}{separator}{value}{text[last.end :]}"


def _line_end(text: str, at: int) -> int:
    """The end of the line at *at*, a comma and a comment included, if nothing else is on it."""
    match = _line_rest.match(text, at)
    return match.end() if match else at


def _without(text: str, spot: Spot, entries: list[Spot], number: int) -> str:
    entry = entries[number]
    comma = _comma.match(text, entry.end, spot.end - 1)
    is_last = number == len(entries) - 1
    begin, end = entry.start, comma.end() if comma else entry.end
    tail = _line_rest.match(text, end)
    if _first_on_line(text, entry.start) and tail is not None and "\n" in text[tail.end() : tail.end() + 2]:
        begin = text.rfind("\n", 0, entry.start) + 1
        end = text.index("\n", tail.end()) + 1
    elif not is_last:
        end = entries[number + 1].start if not _first_on_line(text, entries[number + 1].start) else end
    elif number and not _first_on_line(text, entry.start):
        begin = entries[number - 1].end
        end = entry.end  # a trailing comma stays one
    shortened = text[:begin] + text[end:]
    if is_last and comma is None and number and begin > entries[number - 1].end:
        # the list had no trailing comma: the entry before it must not get one
        before = _comma.match(shortened, entries[number - 1].end)
        if before is not None:
            shortened = shortened[: before.end() - 1] + shortened[before.end() :]
    if len(entries) == 1:
        close = spot.end - 1 - (end - begin)
        if not shortened[spot.start + 1 : close].strip():
            shortened = f"{shortened[: spot.start]}[]{shortened[close + 1 :]}"
    return shortened


def _with_new_list(
    text: str,
    positions: Positions,
    path: KeyPath,
    written: str,
    document: dict[str, Any],
    target: Target,
    file: str,
) -> str:
    newline = _newline(text)
    key = _key(str(path[-1]))
    lines = f"{key} = [{newline}    {_quoted(written)},{newline}]{newline}"
    parent = positions.spots.get(target.parent)
    if parent is not None and parent.kind == "table":
        return _below(text, parent.end, lines, newline)
    if parent is None and _plain_tables(positions):
        header = ".".join(str(part) for part in target.parent)
        home = [
            spot
            for where, spot in positions.spots.items()
            if where
            and spot.kind == "table"
            and where[0] == ("project" if target.kind == "extra" else where[0])
        ]
        if target.kind == "group":
            project = [s for w, s in positions.spots.items() if s.kind == "table" and w[0] == "project"]
            home = project or home
        end = max((spot.end for spot in home), default=len(text))
        return _below(text, end, f"{newline}[{header}]{newline}{lines}", newline)
    changed = tomlkit.parse(text)
    table: Any = changed
    for part in target.parent:
        if part not in table:
            table[part] = tomlkit.table()
        table = table[part]
    table[str(path[-1])] = [written]
    return tomlkit.dumps(changed)


def _plain_tables(positions: Positions) -> bool:
    """Whether ``project`` is written under headers, so that another header can follow."""
    spot = positions.spots.get(("project",))
    return spot is None or (spot.kind in ("table", "implied") and positions.text[spot.key] == "[")


def _below(text: str, at: int, lines: str, newline: str) -> str:
    """*text* with *lines* after the line that holds offset *at*."""
    end = text.find("\n", at)
    if end < 0:
        return text + (newline if text else "") + lines.removeprefix(newline if not text else "")
    return text[: end + 1] + lines + text[end + 1 :]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else '"' + name.replace('"', '\\"') + '"'


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


def write_manifest(path: str | os.PathLike[str], text: str) -> None:
    """Write *text* to *path* so that a reader sees the old text or the new one: beside and renamed.

    The file keeps its mode; a symbolic link is followed, not replaced. Folders are made.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    os.makedirs(folder, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", dir=folder)
    try:
        with open(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            mode = os.stat(target).st_mode & 0o7777
        except FileNotFoundError:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        os.chmod(beside, mode)
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise
