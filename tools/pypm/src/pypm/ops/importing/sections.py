"""Tables taken out of a TOML text, with everything else left as it is, comments too."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tomlkit

from pypm_model.patterns import pattern

Path = tuple[str, ...]
_gap = pattern(r"\A((?:\s*#.*\n)*\s*\[.*\n)\s*\n")
"""The blank lines under a header whose first keys are gone."""

Goes = Callable[[Path], bool]
"""Whether the table or value at a path is taken out."""


def without(text: str, goes: Goes) -> str | None:
    """*text* without what *goes*, at any depth; None if that cannot be done without a change to the rest."""
    wanted = _pruned(tomllib.loads(text), (), goes)
    for way in (_by_section, _by_document):
        result = way(text, goes)
        try:
            if result is not None and _pruned(tomllib.loads(result), (), goes) == wanted:
                return result
        except tomllib.TOMLDecodeError:
            continue
    return None


def _by_section(text: str, goes: Goes) -> str | None:
    """Whole sections, from their header to the comment before the next one."""
    kept = []
    for path, lines in _sections(text):
        if any(goes(path[:depth]) for depth in range(1, len(path) + 1)):
            continue
        section = "".join(lines)
        if path:
            try:
                keys = list(_at(tomllib.loads(section), path))
            except tomllib.TOMLDecodeError:
                return None
            if any(goes((*path, key)) for key in keys):
                if all(goes((*path, key)) for key in keys):
                    continue
                section = _without_keys(section, path, goes)
        kept.append(section)
    return "".join(kept)


def _sections(text: str) -> Iterator[tuple[Path, list[str]]]:
    """(path of its header, lines) of each section; the first has no header. Comments right above a header
    are its own."""
    path: Path = ()
    held: list[str] = []
    for line in text.splitlines(keepends=True):
        header = _header(line)
        if header is None or not _is_toml("".join(held)):  # in a text of several lines it is none
            held.append(line)
            continue
        at = len(held)
        while at and held[at - 1].lstrip().startswith("#"):
            at -= 1
        yield path, held[:at]
        path, held = header, [*held[at:], line]
    yield path, held


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _header(line: str) -> Path | None:
    if not line.lstrip().startswith("["):
        return None
    try:
        table: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return None
    path: list[str] = []
    while table:
        if isinstance(table, list):
            table = table[0]
            continue
        ((key, table),) = table.items()
        path.append(key)
    return tuple(path)


def _without_keys(section: str, path: Path, goes: Goes) -> str:
    document: Any = tomlkit.parse(section)
    table = _at(document, path)
    for key in [key for key in table if goes((*path, key))]:
        del table[key]
    return _gap.sub(r"\1", tomlkit.dumps(document))


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
        if isinstance(document, list):
            document = document[-1]
    return document


def _by_document(text: str, goes: Goes) -> str | None:
    """By tomlkit, which loses comments between tables now and then."""
    document: Any = tomlkit.parse(text)
    _prune(document, (), goes)
    return tomlkit.dumps(document)


def _prune(table: Any, path: Path, goes: Goes) -> None:
    for key in list(table):
        if goes((*path, key)):
            del table[key]
        elif isinstance(table[key], dict):
            had = len(table[key])
            _prune(table[key], (*path, key), goes)
            if had and not len(table[key]):
                del table[key]


def _pruned(table: Mapping[str, Any], path: Path, goes: Goes) -> dict[str, Any]:
    """The plain tables without what *goes*, and without tables that this leaves empty."""
    found = {}
    for key, value in table.items():
        if goes((*path, key)):
            continue
        inner = _pruned(value, (*path, key), goes) if isinstance(value, dict) else value
        if inner != {} or value == {}:
            found[key] = inner
    return found
