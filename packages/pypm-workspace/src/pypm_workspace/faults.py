"""What is wrong in manifests, as values: collected per file, reported all together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from pypm_model.errors import Place, PypmError
from pypm_model.later import later
from pypm_model.records import record

if TYPE_CHECKING:
    import difflib

    from pypm_workspace import positions
    from pypm_workspace.positions import KeyPath
else:
    difflib = later("difflib")
    positions = later("pypm_workspace.positions")


@record
class Fault:
    """One thing that is wrong in one file."""

    place: Place
    message: str
    """A clause without the place, lower case, no full stop."""
    remedy: str | None = None
    """What was probably meant, or what would help."""

    @property
    def note(self) -> str:
        """The message with the remedy, without the place."""
        return self.message + (f" ({self.remedy})" if self.remedy else "")

    def __str__(self) -> str:
        return f"{self.place}: {self.note}"


class InvalidManifest(PypmError):
    """One or more manifests cannot be used; *faults* holds everything found, in order of the text."""

    code: ClassVar[str] = "invalid-manifest"
    exit: ClassVar[int] = 2
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        first = str(self.faults[0])
        more = len(self.faults) - 1
        return first if not more else f"{first}; and {more} more fault{'s' if more > 1 else ''}"

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple(fault.place for fault in self.faults)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(fault.note for fault in self.faults) if len(self.faults) > 1 else ()


class Complaints:
    """Faults and warnings of one file, gathered by key path while it is read.

    Lines are looked up at the end and only if there is something to say: most files are fine.
    """

    def __init__(self, file: str, text: str, *, above: KeyPath = ()) -> None:
        """*above* is what the paths of the complaints have, and those of the file do not."""
        self.file = file
        self.text = text
        self._above = above
        self._faults: list[tuple[KeyPath, str, str | None]] = []
        self._warnings: list[tuple[str, tuple[KeyPath, str, str | None]]] = []

    def __bool__(self) -> bool:
        """Whether there are faults."""
        return bool(self._faults)

    def muted(self) -> Complaints:
        """A listener for a second look at what somebody else already complains about."""
        return Complaints(self.file, self.text, above=self._above)

    def add(self, path: KeyPath, message: str, remedy: str | None = None) -> None:
        """The value at *path* is wrong. Only the first word on one path is kept."""
        path = self._own(path)
        if all(path != known for known, _, _ in self._faults):
            self._faults.append((path, message, remedy))

    def warn(self, path: KeyPath, message: str, remedy: str | None = None) -> None:
        """The value at *path* is odd, but can be used."""
        self.warn_as("unknown-key", path, message, remedy)

    def warn_as(self, code: str, path: KeyPath, message: str, remedy: str | None = None) -> None:
        """`warn`, under a code of its own."""
        self._warnings.append((code, (self._own(path), message, remedy)))

    def _own(self, path: KeyPath) -> KeyPath:
        size = len(self._above)
        return path[size:] if size and path[:size] == self._above else path

    def faults(self) -> tuple[Fault, ...]:
        """The faults with their places, in the text's order."""
        return _located(self.file, self.text, self._faults)

    def warnings(self) -> tuple[tuple[str, Fault], ...]:
        """The warnings with their codes and places: by code, then in the text's order."""
        codes = sorted({code for code, _ in self._warnings})
        return tuple(
            (code, fault)
            for code in codes
            for fault in _located(self.file, self.text, [found for c, found in self._warnings if c == code])
        )


def _located(file: str, text: str, found: list[tuple[KeyPath, str, str | None]]) -> tuple[Fault, ...]:
    if not found:
        return ()
    places = positions.Positions(text)
    faults = [
        Fault(Place(file, *(places.find(path) or (None, None))), message, remedy)
        for path, message, remedy in found
    ]
    return tuple(sorted(faults, key=lambda fault: (fault.place.line or 0, fault.place.column or 0)))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """A remedy that names the known word most like *word*, or None if none is like it."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None
