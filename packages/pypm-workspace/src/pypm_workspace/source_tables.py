"""Tables that say where names come from: ``[sources]``, ``[tool.pypm.sources]``, ``[tool.uv.sources]``."""

from __future__ import annotations

from typing import Any

from pypm_model import markers
from pypm_model.markers import InvalidMarker
from pypm_model.sources import IndexSource, MemberSource
from pypm_workspace.configuration import SourceRule
from pypm_workspace.direct_reference import KEYS, table_source
from pypm_workspace.faults import Complaints, nearest
from pypm_workspace.fields import described, flag_at, name_at, text_at
from pypm_workspace.positions import KeyPath, dotted
from pypm_workspace.toml_reading import Table

_flags = ("workspace", "editable", "package", "lfs")
_not_ours = ("package", "lfs")


def read_sources(
    table: Table, path: KeyPath, *, base: str, root: str, file: str, complaints: Complaints, strict: bool
) -> tuple[SourceRule, ...]:
    """The rules of the sources table that stands at *path* of *file*, in the order of the text.

    *base* is the manifest's folder relative to the root, *root* the root's absolute path with ``/``.
    *strict*: an unknown key is a fault (pypm's tables); else it is left to its owner (uv's).
    """
    rules: list[SourceRule] = []
    for key, value in table.items():
        here = (*path, key)
        name = name_at(key, here, complaints)
        entries = value if isinstance(value, list) else [value]
        for item, entry in enumerate(entries):
            where: KeyPath = (*here, item) if isinstance(value, list) else here
            if not isinstance(entry, dict):
                complaints.add(
                    where, f'a source is a table such as `{{ git = "..." }}`, not {described(entry)}'
                )
                continue
            rule = _rule(name or key, entry, where, base, root, file, complaints, strict)
            if rule is not None and name is not None:
                rules.append(rule)
        _overlaps(rules, name, here, complaints)
    return tuple(rules)


def _rule(
    name: Any,
    entry: Table,
    path: KeyPath,
    base: str,
    root: str,
    file: str,
    complaints: Complaints,
    strict: bool,
) -> SourceRule | None:
    if entry == {"workspace": True}:  # by far the most frequent in large workspaces
        return SourceRule(name, MemberSource(""), dotted(path), file)
    good = True
    for key in entry:
        if key not in KEYS or (strict and key in _not_ours):
            if strict:
                known = [k for k in KEYS if k not in _not_ours]
                complaints.add((*path, key), f"unknown key `{key}` in source `{name}`", nearest(key, known))
                good = False
        elif key in _flags:
            good &= flag_at(entry, (*path, key), complaints) is not None
        else:
            good &= text_at(entry, (*path, key), complaints) is not None
    if not good:
        return None
    try:
        source = table_source(entry, base=base, root=root)
    except ValueError as error:
        complaints.add(path, f"source `{name}`: {error}")
        return None
    marker = entry.get("marker", "")
    try:
        markers.parse(marker)
    except InvalidMarker as error:
        complaints.add((*path, "marker"), str(error))
        return None
    if entry.get("extra") and entry.get("group"):
        complaints.add(path, f"source `{name}`: `extra` and `group` exclude each other")
    extra = name_at(entry["extra"], (*path, "extra"), complaints) if entry.get("extra") else None
    group = name_at(entry["group"], (*path, "group"), complaints) if entry.get("group") else None
    return SourceRule(name, source, dotted(path), file, marker, extra or "", group or "")


def _overlaps(rules: list[SourceRule], name: str | None, path: KeyPath, complaints: Complaints) -> None:
    """Two sources of one name must not hold in one place."""
    mine = [rule for rule in rules if rule.name == name]
    for position, first in enumerate(mine):
        for second in mine[position + 1 :]:
            if (first.extra, first.group) != (second.extra, second.group):
                continue
            if not markers.disjoint(markers.parse(first.marker), markers.parse(second.marker)):
                complaints.add(
                    path, f"sources of `{name}` overlap: `{_said(first)}` and `{_said(second)}` can both hold"
                )


def _said(rule: SourceRule) -> str:
    kind = (
        rule.source.index if isinstance(rule.source, IndexSource) else type(rule.source).__name__[:-6].lower()
    )
    return f"{kind}; {rule.marker}" if rule.marker else f"{kind}, everywhere"
