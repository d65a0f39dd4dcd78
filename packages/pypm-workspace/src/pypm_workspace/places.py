"""Lines found when somebody wants to read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pypm_model.errors import Place
from pypm_model.later import later
from pypm_model.requests import Origin
from pypm_workspace.configuration import Written

if TYPE_CHECKING:
    from pypm_workspace import positions
else:
    positions = later("pypm_workspace.positions")


class Places:
    """Where requirements and settings stand, in texts that *read* gives by path; each text is
    scanned once. If those are not what is in the files, *on_disk* gives what is: the user has its lines."""

    def __init__(self, read: Callable[[str], str], on_disk: Callable[[str], str] | None = None) -> None:
        self._read = read
        self._on_disk = on_disk
        self._known: dict[str, positions.Positions] = {}
        self._known_on_disk: dict[str, positions.Positions] = {}

    def of(self, origin: Origin | Written) -> Place:
        """File and line; of something that is not in the text (any more), the nearest table's line."""
        path = positions.undotted(origin.table)
        if isinstance(origin, Origin) and origin.item >= 0:
            path = (*path, origin.item)
        if origin.file not in self._known:
            self._known[origin.file] = positions.Positions(self._read(origin.file))
        known = self._known[origin.file]
        if self._on_disk is None:
            return Place(origin.file, *(known.find(path) or (None, None)))
        if origin.file not in self._known_on_disk:
            self._known_on_disk[origin.file] = positions.Positions(self._on_disk(origin.file))
        there = self._known_on_disk[origin.file]
        if known.text == there.text:
            return Place(origin.file, *(there.find(path) or (None, None)))
        found = _same(known, path, there)
        return Place(origin.file, unwritten=True) if found is None else Place(origin.file, *found)


def _same(
    known: positions.Positions, path: positions.KeyPath, there: positions.Positions
) -> tuple[int, int] | None:
    """Where what *known* has at *path* stands in another state of the text; None if it does not."""
    spot = known.spots.get(path)
    if spot is None or not isinstance(path[-1], int):
        return there.find(path)
    value = known.text[spot.start : spot.end]
    number = 0
    while (other := there.spots.get((*path[:-1], number))) is not None:
        if there.text[other.start : other.end] == value:
            return there.line_column(other.key)
        number += 1
    return None
