"""What two locks with a common ancestor ask together: their members' manifests and settings, merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pypm_model.ask_texts import member_request
from pypm_model.locks import Lock, LockedPackage, LockSettings, Manifest
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.records import record
from pypm_model.requests import MemberRequest
from pypm_model.sources import MemberSource

_T = TypeVar("_T")
_K = TypeVar("_K", bound=str)
_name = pattern(r"[a-z0-9-]*")


class Disagreement(Exception):
    """Both sides changed the same thing, each in its own way; *what* says which."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@record
class Asked:
    """What a lock was asked for."""

    members: tuple[MemberRequest, ...]
    """Sorted by name."""
    settings: LockSettings
    environments: tuple[str, ...]
    required_environments: tuple[str, ...]


def merged(base: Lock, ours: Lock, theirs: Lock) -> Asked:
    """What *ours* and *theirs*, which both began as *base*, were asked for together. Raises
    `Disagreement`.

    Merged is what members say, requirement by requirement, not lines; it is what a merge of the
    manifests gives where that has no conflict.
    """
    sides = (base, ours, theirs)
    members: dict[NormalizedName, tuple[str, str, Manifest]] = {}
    rows = [_members(lock) for lock in sides]
    for name in sorted({name for each in rows for name in each}):
        found = _member(name, *(each.get(name) for each in rows))
        if found is not None:
            members[name] = found
    folders = {name: path for name, (path, _, _) in members.items()}
    requests = []
    for name, (path, version, manifest) in members.items():
        request = member_request(name, path, version, manifest, folders)
        if request is None:
            raise Disagreement(f"what {name} asks for")
        requests.append(request)
    settings = _tables("a setting", *(dict(lock.settings.values) for lock in sides))
    return Asked(
        tuple(requests),
        LockSettings(tuple(sorted(settings.items()))),
        _one("environments", *(lock.environments for lock in sides)),
        _one("required-environments", *(lock.required_environments for lock in sides)),
    )


def _members(lock: Lock) -> dict[NormalizedName, LockedPackage]:
    return {package.name: package for package in lock.packages if isinstance(package.source, MemberSource)}


def _member(
    name: NormalizedName, base: LockedPackage | None, ours: LockedPackage | None, theirs: LockedPackage | None
) -> tuple[str, str, Manifest] | None:
    """Folder, version and manifest; None if the member is gone."""
    asked = [None if each is None else _asked(each) for each in (base, ours, theirs)]
    if None in asked or asked.count(asked[0]) > 1:
        return _one(str(name), *asked)
    (path, version, old), (our_path, our_version, mine), (their_path, their_version, yours) = (
        each for each in asked if each is not None
    )
    manifest = Manifest(
        _one(f"the Pythons of {name}", old.requires_python, mine.requires_python, yours.requires_python),
        _rows(name, old.dependencies, mine.dependencies, yours.dependencies),
        _row_tables(name, old.extras, mine.extras, yours.extras),
        _row_tables(name, old.groups, mine.groups, yours.groups),
    )
    return (
        _one(f"the folder of {name}", path, our_path, their_path),
        _one(f"the version of {name}", version, our_version, their_version),
        manifest,
    )


def _asked(package: LockedPackage) -> tuple[str, str, Manifest]:
    assert isinstance(package.source, MemberSource)
    return package.source.path, package.version, package.manifest or Manifest()


def _one(what: str, base: _T, ours: _T, theirs: _T) -> _T:
    """The value that one side changed, or both in the same way."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    raise Disagreement(what)


def _tables(what: str, base: Mapping[_K, _T], ours: Mapping[_K, _T], theirs: Mapping[_K, _T]) -> dict[_K, _T]:
    """Tables merged entry by entry."""
    found = {}
    for key in sorted({*base, *ours, *theirs}):
        value = _one(f"{what}: {key}", base.get(key), ours.get(key), theirs.get(key))
        if value is not None:
            found[key] = value
    return found


def _rows(what: str, base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> tuple[str, ...]:
    """Requirements merged: those on one name are one thing."""
    found = _tables(what, *(_by_name(rows) for rows in (base, ours, theirs)))
    return tuple(sorted(text for texts in found.values() for text in texts))


def _by_name(rows: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        match = _name.match(row)
        name = match[0] if match else row
        found[name] = (*found.get(name, ()), row)
    return found


RowTables = Sequence[tuple[NormalizedName, tuple[str, ...]]]


def _row_tables(
    what: str, base: RowTables, ours: RowTables, theirs: RowTables
) -> tuple[tuple[NormalizedName, tuple[str, ...]], ...]:
    """Extras or groups merged, those that both sides have row by row."""
    old, mine, yours = dict(base), dict(ours), dict(theirs)
    found = []
    for name in sorted({*old, *mine, *yours}):
        if name in mine and name in yours:
            found.append((name, _rows(f"{what}: {name}", old.get(name, ()), mine[name], yours[name])))
        elif (rows := _one(f"{what}: {name}", *(each.get(name) for each in (old, mine, yours)))) is not None:
            found.append((name, rows))
    return tuple(found)
