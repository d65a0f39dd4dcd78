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
    scanned once."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._known: dict[str, positions.Positions] = {}

    def of(self, origin: Origin | Written) -> Place:
        """File and line; of something that is not in the text (any more), the nearest table's line."""
        path = positions.undotted(origin.table)
        if isinstance(origin, Origin) and origin.item >= 0:
            path = (*path, origin.item)
        if origin.file not in self._known:
            self._known[origin.file] = positions.Positions(self._read(origin.file))
        return Place(origin.file, *(self._known[origin.file].find(path) or (None, None)))
