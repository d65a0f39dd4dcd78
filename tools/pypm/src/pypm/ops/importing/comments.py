"""The comments that stand beside dependencies in Poetry's tables, for the lists that these become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tomlkit
from tomlkit.items import Array, Comment, Whitespace

from pypm_model.names import NormalizedName, normalize
from pypm_model.patterns import pattern
from pypm_model.records import record

_name = pattern(r"[A-Za-z0-9][\w.-]*")
MAIN = ""
"""The list of the project's own dependencies, and of its extras: they stand in one table."""


@record
class Comments:
    """What stands about one dependency, as it is written."""

    above: tuple[str, ...] = ()
    beside: str = ""


Found = Mapping[tuple[str, NormalizedName], Comments]
"""By list (`MAIN`, or a group) and dependency."""


def comments_of(text: str) -> Found:
    """The comments in the tables of dependencies of the manifest *text*."""
    poetry: Any = tomlkit.parse(text).unwrap().get("tool", {}).get("poetry", {})
    if not isinstance(poetry, Mapping):
        return {}
    document: Any = tomlkit.parse(text)
    found: dict[tuple[str, NormalizedName], Comments] = {}
    for group, path in _tables(poetry):
        table = document["tool"]["poetry"]
        for key in path:
            table = table[key]
        for name, comments in _in_table(table):
            found.setdefault((group, normalize(name)), comments)
    return found


def _tables(poetry: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(poetry.get("dependencies"), Mapping):
        yield MAIN, ("dependencies",)
    if isinstance(poetry.get("dev-dependencies"), Mapping):
        yield "dev", ("dev-dependencies",)
    groups = poetry.get("group", {})
    for group, table in groups.items() if isinstance(groups, Mapping) else ():
        if isinstance(table, Mapping) and isinstance(table.get("dependencies"), Mapping):
            yield normalize(group), ("group", group, "dependencies")


def _in_table(table: Any) -> Iterator[tuple[str, Comments]]:
    body = getattr(getattr(table, "value", None), "body", None)
    above: list[str] = []
    for key, item in body or ():
        if isinstance(item, Comment):
            above.append(item.as_string().strip())
        elif isinstance(item, Whitespace):
            continue
        elif key is not None:
            comments = Comments(tuple(above), item.trivia.comment.strip())
            above = []
            if comments != Comments():
                yield key.key, comments


def commented(requirements: Iterator[Any] | tuple[Any, ...], group: str, found: Found) -> Array:
    """The list of *requirements* with the comments that *found* has of them in *group*."""
    array = tomlkit.array()
    entries = list(requirements)
    told = [_of(entry, group, found) for entry in entries]
    seen: set[int] = set()
    if not any(told):
        array.extend(entries)
        if len(array) > 1:
            array.multiline(True)
        return array
    for entry, comments in zip(entries, told, strict=True):
        first = comments is not None and id(comments) not in seen
        if comments is not None and first:
            seen.add(id(comments))
            for line in comments.above:
                array.add_line(comment=line.lstrip("# "), indent="    ")
        beside = comments.beside.lstrip("# ") if comments is not None and first else ""
        array.add_line(entry, comment=beside or None, indent="    ")
    array.add_line(indent="")
    return array


def _of(entry: Any, group: str, found: Found) -> Comments | None:
    match = _name.match(entry) if isinstance(entry, str) else None
    return found.get((group, normalize(match[0]))) if match else None
