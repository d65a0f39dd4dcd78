"""A draft written into a manifest: one that is made, or one that is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.items import Array, Table

from pypm.ops.importing import pdm, poetry
from pypm.ops.importing.comments import MAIN, Found, commented, comments_of
from pypm.ops.importing.records import NO_VERSION, CannotImport, Draft, Lost, shaped
from pypm.ops.importing.sections import without
from pypm_model import names
from pypm_workspace import edit
from pypm_workspace.edit import Target
from pypm_workspace.source_edit import inline, with_source

MANIFEST = "pyproject.toml"
_TABLES = ("urls", "scripts", "entry-points")
"""Keys of ``[project]`` that are written as tables of their own."""


def converted(text: str, draft: Draft, *, name: str, requires_python: str) -> tuple[str, tuple[Lost, ...]]:
    """The manifest *text* (empty: there is none) with what *draft* says in place of the tables of Poetry and
    PDM that say it otherwise, and what there was no place for. *name* and *requires_python* are for a
    draft that has none. Everything outside of those tables stays as it is. Raises `CannotImport`."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
    result, lost = shaped(MANIFEST, lambda: _converted(plain, draft, name, requires_python))
    if result == plain:
        return text, lost
    return result.replace("\n", "\r\n") if "\r\n" in text else result, lost


def _converted(text: str, draft: Draft, name: str, requires_python: str) -> tuple[str, tuple[Lost, ...]]:
    original = tomllib.loads(text)
    rest = without(text, lambda path: _goes(original, path))
    if rest is None:
        raise CannotImport(draft.file, "the tables of its tools are scattered: put those of each together")
    rest = _respelled(_static(rest, draft.undynamic), draft)
    document = tomllib.loads(rest)
    lost: list[Lost] = []
    comments = comments_of(text)
    head = tomlkit.document()
    if "project" not in document:
        head["project"] = _project(draft, name, requires_python, comments)
    if draft.groups and "dependency-groups" not in document:
        groups = tomlkit.table()
        for group, entries in draft.groups:
            groups[group] = commented(tuple(_group_entry(entry) for entry in entries), group, comments)
        head["dependency-groups"] = groups
    own = _own_table(draft)
    if own and "pypm" not in document.get("tool", {}):
        tool = tomlkit.table(is_super_table=True)
        tool["pypm"] = own
        head["tool"] = tool
    if "project" in document:
        result = _appended(rest, tomlkit.dumps(head))
    else:
        result = _joined(text, tomlkit.dumps(head), rest)
    if "project" in document:
        result = _added_to_project(result, draft, document, lost)
    if "dependency-groups" in document:
        result = _added_to_groups(result, draft, lost)
    if own and "pypm" in document.get("tool", {}):
        result = _added_to_own(result, draft, own, lost)
    if draft.build:
        result = _with_build(result, draft)
    return result, tuple(lost)


def _project(draft: Draft, name: str, requires_python: str, comments: Found) -> Table:
    project = tomlkit.table()
    project["name"] = draft.name if names.is_valid(draft.name) else _name_from(draft.name or name)
    project["version"] = draft.version or NO_VERSION
    more = dict(draft.more)
    for key in ("description", "readme"):
        if key in more:
            project[key] = more.pop(key)
    python = draft.requires_python or requires_python
    if python:
        project["requires-python"] = python
    tables: dict[str, Mapping[str, Any]] = {}
    for key in _TABLES:
        if key in more:
            tables[key] = more.pop(key)
    for key, value in more.items():
        project[key] = _value(value)
    project["dependencies"] = commented(draft.dependencies, MAIN, comments)
    if draft.extras:
        tables["optional-dependencies"] = {
            extra: commented(entries, MAIN, comments) for extra, entries in draft.extras
        }
    for key, value in tables.items():
        project[key] = _table_of(value)
    return project


def _name_from(text: str) -> str:
    """A name made of *text*, say of a folder's."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    return names.normalize(plain or "project")


def _table_of(value: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    for inner, entry in value.items():
        table[inner] = _subtable(entry) if isinstance(entry, Mapping) else entry
    return table


def _subtable(entries: Mapping[str, Any]) -> Table:
    table = tomlkit.table()
    table.update(entries)
    return table


def _own_table(draft: Draft) -> Table | None:
    """``[tool.pypm]``; None if there is nothing to say in it."""
    own = tomlkit.table(is_super_table=draft.default_groups is None and draft.package is None)
    if draft.package is not None:
        own["package"] = draft.package
    if draft.default_groups is not None:
        own["default-groups"] = _array(draft.default_groups)
    if draft.sources:
        sources = tomlkit.table()
        for name, found in draft.sources:
            entries = [_inline(each) for each in found]
            sources[name] = entries[0] if len(entries) == 1 else _array(entries)
        own["sources"] = sources
    if draft.tasks:
        tasks = tomlkit.table()
        for name, command in draft.tasks:
            tasks[name] = command
        own["tasks"] = tasks
    return own if len(own) else None


def _added_to_project(text: str, draft: Draft, document: Mapping[str, Any], lost: list[Lost]) -> str:
    """*text*, which has a ``[project]``, with the draft's requirements added to it."""
    # What the draft has besides is only there where the project does not say it.
    missing = dict(draft.more)
    if draft.requires_python and "requires-python" not in document["project"]:
        missing["requires-python"] = draft.requires_python
    for key, value in missing.items():
        longer = _with_key(text, key, value)
        if longer is None:
            lost.append(Lost(draft.file, f"tool.poetry.{key}", f"write it as `{key}` in [project]"))
        else:
            text = longer
    for requirement in draft.dependencies:
        text = edit.add(text, requirement)
    for extra, entries in draft.extras:
        for requirement in entries:
            text = edit.add(text, requirement, Target("extra", extra))
    return text


def _with_key(text: str, key: str, value: Any) -> str | None:
    """*text* with *key* in its ``[project]``; None if that cannot be done without a change to the rest."""
    expected = tomllib.loads(text)
    expected["project"][key] = value
    document: Any = tomlkit.parse(text)
    document["project"][key] = _table_of(value) if key in _TABLES else _value(value)
    result = tomlkit.dumps(document)
    try:
        return result if tomllib.loads(result) == expected else None
    except tomllib.TOMLDecodeError:
        return None


def _respelled(text: str, draft: Draft) -> str:
    """*text* with the requirements that are to be written otherwise."""
    for old, new in draft.respelled:
        for quote in "\"'":
            text = text.replace(f"{quote}{old}{quote}", f"{quote}{new}{quote}")
    return text


def _static(text: str, keys: Iterable[str]) -> str:
    """*text* whose ``[project]`` does not call *keys* dynamic."""
    gone = set(keys)
    if not gone:
        return text
    document: Any = tomlkit.parse(text)
    left = [key for key in document["project"]["dynamic"] if key not in gone]
    if left:
        document["project"]["dynamic"] = left
    else:
        del document["project"]["dynamic"]
    return tomlkit.dumps(document)


def _added_to_groups(text: str, draft: Draft, lost: list[Lost]) -> str:
    for group, entries in draft.groups:
        for entry in entries:
            if isinstance(entry, str):
                text = edit.add(text, entry, Target("group", group))
            else:
                reason = f"write {dict(entry)} in it"
                lost.append(Lost(draft.file, f"dependency-groups.{group}", reason))
    return text


def _added_to_own(text: str, draft: Draft, own: Table, lost: list[Lost]) -> str:
    known = tomllib.loads(text)["tool"]["pypm"]
    for name, found in draft.sources:
        if len(found) == 1:
            text = with_source(text, name, found[0])
        else:
            lost.append(Lost(draft.file, name, "has several sources: write them in [tool.pypm.sources]"))
    for key in own:
        if key != "sources" and known.get(key) != own.unwrap()[key]:
            value = tomlkit.item(own[key]).as_string()
            lost.append(Lost(draft.file, f"tool.pypm.{key}", f"write there {value}"))
    return text


def _with_build(text: str, draft: Draft) -> str:
    document = tomlkit.parse(text)
    if "build-system" not in document:
        document["build-system"] = tomlkit.table()
    for key, value in draft.build:
        document["build-system"][key] = value
    return tomlkit.dumps(document)


def _goes(document: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether what stands at *path* of the manifest *document* is converted."""
    match path:
        case ("tool", "poetry", _, *_):
            return not poetry.stays(document, path[2:])
        case ("tool", "pdm", key):
            return key in pdm.CONVERTED
        case _:
            return False


def _appended(rest: str, more: str) -> str:
    return rest if not more else rest.rstrip("\n") + "\n\n" + more


def _joined(original: str, head: str, rest: str) -> str:
    """*head* before *rest*, but after the comments with which the file begins: those right above a table
    that is gone, too."""
    lines = original.splitlines(keepends=True)
    first = next(
        (at for at, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")),
        len(lines),
    )
    start = "".join(lines[:first])
    comments = start.rstrip("\r\n")
    if comments and rest.startswith(comments):
        rest = rest.removeprefix(comments)
    end = rest.lstrip("\r\n")
    return (start if comments else "") + head + ("\n" if head and end else "") + end


def _group_entry(entry: str | Mapping[str, str]) -> Any:
    return entry if isinstance(entry, str) else _inline(entry)


def _inline(entries: Mapping[str, Any]) -> Any:
    return tomlkit.value(inline(entries))


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _inline(value)
    if isinstance(value, list):
        return _array(_value(each) for each in value)
    return value


def _array(values: Iterable[Any]) -> Array:
    array = tomlkit.array()
    array.extend(values)
    if len(array) > 1:
        array.multiline(True)
    return array
