"""Where names come from, edited in place: ``[tool.pypm.sources]`` and ``[tool.uv.sources]`` of a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pypm_model import names
from pypm_workspace.edit import NotEditable, document_of, keeping_mark
from pypm_workspace.positions import KeyPath, Positions
from pypm_workspace.requirement_lists import quoted
from pypm_workspace.table_pairs import with_new_pair, without_pair

PYPM: KeyPath = ("tool", "pypm", "sources")
UV: KeyPath = ("tool", "uv", "sources")

Source = Mapping[str, str | bool]
"""The keys of one source: ``{"git": "https://...", "tag": "v1"}``."""


def inline(source: Source) -> str:
    """*source* as a TOML inline table."""
    pairs = (f"{key} = {_value(value)}" for key, value in source.items())
    return "{ " + ", ".join(pairs) + " }"


def _value(value: str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else quoted(value)


def with_source(
    text: str, name: str, source: Source, *, uv: bool = False, file: str = "pyproject.toml"
) -> str:
    """The manifest *text* with *source* as the only source of *name*.

    It stands where *name* has one already; else in the one table of the two that is there; else, or if
    both are, in uv's table if *uv*, in pypm's if not. Raises `InvalidManifest`, `NotEditable`.
    """
    return keeping_mark(text, lambda body: _with(body, name, inline(source), uv, file))


def without_source(text: str, name: str, *, file: str = "pyproject.toml") -> str:
    """The manifest *text* without any source of *name*, and without a table of sources that this leaves
    empty. Raises `InvalidManifest`."""
    return keeping_mark(text, lambda body: _without(body, name, file))


def _with(text: str, name: str, value: str, uv: bool, file: str) -> str:
    document = document_of(text, file)
    known = list(_keys(document, name))
    if known:
        path = known[0]
        spot = Positions(text).spots[path]
        if spot.kind in ("inline", "array", "value"):
            return text[: spot.start] + value + text[spot.end :]
        text = without_pair(text, path)
    else:
        there = [table for table in (PYPM, UV) if _at(document, table) is not None]
        table = there[0] if len(there) == 1 else UV if uv else PYPM
        path = (*table, name)
    for length in range(1, len(path)):
        if not isinstance(_at(document, path[:length]), (dict, type(None))):
            raise NotEditable(file, f"the source of `{name}`", "it would stand in something that is no table")
    return with_new_pair(text, Positions(text), path, value)


def _without(text: str, name: str, file: str) -> str:
    for path in list(_keys(document_of(text, file), name)):
        text = without_pair(text, path)
        spot = Positions(text).spots.get(path[:-1])
        if spot is not None and _at(document_of(text, file), path[:-1]) == {} and _is_bare(text, spot.start):
            text = without_pair(text, path[:-1])
    return text


def _is_bare(text: str, at: int) -> bool:
    """Whether nothing, not even a comment, stands from offset *at* to the next header or the end."""
    rest = text[at:].lstrip()
    return not rest or rest[0] in "[{"


def _keys(document: dict[str, Any], name: str) -> Iterator[KeyPath]:
    """The paths of sources for *name*, by the spelling the text has; the strongest first."""
    wanted = names.normalize(name)
    for table in (PYPM, UV):
        found = _at(document, table)
        for key in found if isinstance(found, dict) else ():
            if names.normalize(key) == wanted:
                yield (*table, key)


def _at(document: Any, path: KeyPath) -> Any:
    for key in path:
        if not isinstance(document, dict):
            return document
        document = document.get(str(key))
    return document
