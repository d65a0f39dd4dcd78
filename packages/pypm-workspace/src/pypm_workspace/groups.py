"""Dependency groups (PEP 735): ``include-group`` expanded in place, every fault with its line."""

from __future__ import annotations

from pypm_model import names
from pypm_model.names import NormalizedName
from pypm_workspace.configuration import Asked
from pypm_workspace.faults import Complaints, nearest
from pypm_workspace.fields import array_at, described, name_at, requirement_at, table_at
from pypm_workspace.positions import dotted
from pypm_workspace.toml_reading import Table

TABLE = "dependency-groups"

_Item = Asked | tuple[NormalizedName, int]
"""A requirement, or the group that is included at a position."""


def read_groups(
    document: Table, complaints: Complaints
) -> tuple[tuple[NormalizedName, tuple[Asked, ...]], ...]:
    """All groups, sorted by name, in the order of their texts with includes expanded; a requirement
    that is reached twice stands once."""
    written: dict[NormalizedName, tuple[str, tuple[_Item, ...]]] = {}
    for key in table_at(document, (TABLE,), complaints):
        name = name_at(key, (TABLE, key), complaints)
        if name is None:
            continue
        if name in written:
            complaints.add(
                (TABLE, key), f"groups `{written[name][0]}` and `{key}` are the same name after normalisation"
            )
            continue
        written[name] = (key, _items(document[TABLE], key, complaints))
    expanded: dict[NormalizedName, tuple[Asked, ...]] = {}
    for name in written:
        _expand(name, written, expanded, [], complaints)
    return tuple(sorted(expanded.items()))


def _items(table: Table, key: str, complaints: Complaints) -> tuple[_Item, ...]:
    found: list[_Item] = []
    where = dotted((TABLE, key))
    for position, value in enumerate(array_at(table, (TABLE, key), complaints)):
        path = (TABLE, key, position)
        if isinstance(value, str):
            requirement = requirement_at(value, path, complaints)
            if requirement is not None:
                found.append(Asked(requirement, where, position))
        elif isinstance(value, dict) and set(value) == {"include-group"}:
            name = name_at(value["include-group"], path, complaints)
            if name is not None:
                found.append((name, position))
        elif isinstance(value, dict):
            keys = ", ".join(f"`{k}`" for k in value) or "no key"
            complaints.add(path, f"a group item has only the key `include-group`, not {keys}")
        else:
            complaints.add(path, f"a group item is a requirement or an include, not {described(value)}")
    return tuple(found)


def _expand(
    name: NormalizedName,
    written: dict[NormalizedName, tuple[str, tuple[_Item, ...]]],
    expanded: dict[NormalizedName, tuple[Asked, ...]],
    chain: list[NormalizedName],
    complaints: Complaints,
) -> tuple[Asked, ...]:
    """The requirements of group *name*; recursive: as deep as includes go."""
    if name in expanded:
        return expanded[name]
    key, items = written[name]
    found: dict[Asked, None] = {}
    for item in items:
        if isinstance(item, Asked):
            found[item] = None
            continue
        included, position = item
        path = (TABLE, key, position)
        if included not in written:
            complaints.add(
                path, f"group `{included}` is included but not defined", nearest(included, written)
            )
        elif included == name or included in chain:
            ring = [*chain[chain.index(included) :], name] if included in chain else [name]
            complaints.add(path, "groups include each other in a circle: " + " -> ".join([*ring, included]))
        else:
            for asked in _expand(included, written, expanded, [*chain, name], complaints):
                found[asked] = None
    if not chain or not complaints:
        expanded[name] = tuple(found)
    return tuple(found)


def merge_group(
    groups: tuple[tuple[NormalizedName, tuple[Asked, ...]], ...], name: str, more: tuple[Asked, ...]
) -> tuple[tuple[NormalizedName, tuple[Asked, ...]], ...]:
    """*groups* with the requirements *more* at the end of group *name*."""
    if not more:
        return groups
    by_name = dict(groups)
    key = names.normalize(name)
    by_name[key] = (*by_name.get(key, ()), *more)
    return tuple(sorted(by_name.items()))
