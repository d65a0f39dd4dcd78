"""Choices of a lock that do not go together, as a list without choices cannot hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from pypm_model.activation import extra_flag, group_flag, member_flag
from pypm_model.lock_reach import covered, reach
from pypm_model.locks import Lock, Root
from pypm_model.markers import FALSE, both
from pypm_model.names import NormalizedName
from pypm_model.records import record


@record
class Side:
    """One of the versions that would be there together."""

    version: str
    choices: tuple[str, ...]
    """Which of the choices lead to it, spelled as in `pypm_model.activation`."""

    def __str__(self) -> str:
        more = f" and {len(self.choices) - _TOLD} more" if len(self.choices) > _TOLD else ""
        return f"{self.version} ({', '.join(self.choices[:_TOLD])}{more})"


_TOLD = 3


def clashing(lock: Lock, roots: Sequence[Root]) -> tuple[int, ...]:
    """The positions of packages of one name, the first there is, of which some environment would get several
    if *roots* were installed together; none if they go together."""
    region = covered(lock)
    several: dict[NormalizedName, list[int]] = {}
    for position, package in enumerate(lock.packages):
        several.setdefault(package.name, []).append(position)
    if len(several) == len(lock.packages):
        return ()
    met = reach(lock, roots)
    for positions in several.values():
        pairs = combinations([p for p in positions if p in met], 2)
        found = {p for a, b in pairs if both(both(met[a], met[b]), region) != FALSE for p in (a, b)}
        if found:
            return tuple(sorted(found))
    return ()


def sides(lock: Lock, roots: Sequence[Root], positions: Sequence[int]) -> tuple[Side, ...]:
    """For each of *positions*, which `clashing` found, who of *roots* needs it."""
    who: dict[int, list[str]] = {position: [] for position in positions}
    for choice, alone, besides in _choices(roots):
        met = reach(lock, [alone], beside=roots)
        without = reach(lock, [besides], beside=roots) if besides else {}
        for position in positions:
            if position in met and met[position] != without.get(position):
                who[position].append(choice)
    return tuple(Side(lock.packages[position].version, tuple(found)) for position, found in who.items())


def _choices(roots: Sequence[Root]) -> Iterator[tuple[str, Root, Root | None]]:
    """Each choice by itself, and what comes with it that is another choice."""
    for root in roots:
        member = Root(root.member)
        if root.project:
            yield member_flag(root.member), member, None
        for extra in root.extras:
            yield extra_flag(root.member, extra), Root(root.member, (extra,)), member
        for group in root.groups:
            yield group_flag(root.member, group), Root(root.member, (), (group,), project=False), None
