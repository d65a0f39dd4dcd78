"""Lines found when somebody wants to read them."""

from __future__ import annotations

from collections.abc import Callable

from pypm_model.errors import Place
from pypm_model.requests import Origin
from pypm_workspace.configuration import Written
from pypm_workspace.positions import Positions, undotted


class Places:
    """Where requirements and settings stand, in texts that *read* gives by path; each text is
    scanned once."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self._read = read
        self._known: dict[str, Positions] = {}

    def of(self, origin: Origin | Written) -> Place:
        """File and line; of something that is not in the text (any more), the nearest table's line."""
        path = undotted(origin.table)
        if isinstance(origin, Origin) and origin.item >= 0:
            path = (*path, origin.item)
        if origin.file not in self._known:
            self._known[origin.file] = Positions(self._read(origin.file))
        return Place(origin.file, *(self._known[origin.file].find(path) or (None, None)))
