"""The versions of locks as preferences for the next one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pypm_model import markers
from pypm_model.later import later
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName
from pypm_model.records import as_dict
from pypm_model.requests import Preference
from pypm_model.sources import IndexSource

if TYPE_CHECKING:
    from pypm_model import lock_reach
else:
    lock_reach = later("pypm_model.lock_reach")

Pins = tuple[tuple[NormalizedName, tuple[Preference, ...]], ...]
"""As `Request.preferences`: sorted by name."""


def pins_of(lock: Lock) -> Pins:
    """The versions of a lock, where it has several of a package each with the environments (and, if
    it is split by them, choices) it is for."""
    found: dict[NormalizedName, list[int]] = {}
    for position, package in enumerate(lock.packages):
        if isinstance(package.source, IndexSource):
            found.setdefault(package.name, []).append(position)
    where: Mapping[int, markers.Diagram] = {}
    if any(len(positions) > 1 for positions in found.values()):
        # Of a lock that is split by what is chosen, it is for choices, too, that a version is there.
        by_choice = any("dependency_groups" in split for split in lock.splits)
        where = lock_reach.reach(lock, None if by_choice else lock_reach.everything(lock))

    def preference(position: int, *, alone: bool) -> Preference:
        package = lock.packages[position]
        assert isinstance(package.source, IndexSource)
        marker = "" if alone else markers.text(where.get(position, markers.FALSE))
        return Preference(package.version, package.source.index, marker)

    return tuple(
        (name, tuple(preference(each, alone=len(found[name]) == 1) for each in found[name]))
        for name in sorted(found)
    )


def union(pins: Iterable[Pins]) -> Pins:
    """The pins of several locks together, the same whatever their order."""
    found: dict[NormalizedName, set[Preference]] = {}
    for each in pins:
        for name, preferences in each:
            found.setdefault(name, set()).update(preferences)
    return tuple((name, tuple(sorted(found[name], key=_order))) for name in sorted(found))


def _order(preference: Preference) -> tuple[str, ...]:
    return tuple(as_dict(preference).values())


def splits_of(locks: Iterable[Lock]) -> tuple[str, ...]:
    """The regions that locks were split into: of one as it has them, of several together the same
    whatever their order."""
    every = dict.fromkeys(lock.splits for lock in locks if lock.splits)
    if len(every) == 1:
        return next(iter(every))
    return tuple(sorted({split for splits in every for split in splits}))
