"""Why a lock cannot be used."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import Place, PypmError
from pypm_model.locks import FORMAT
from pypm_model.names import NormalizedName
from pypm_model.records import record


class LockTooNew(PypmError):
    """The lock was written by a newer pypm, in a format this one does not know."""

    code: ClassVar[str] = "lock-too-new"
    exit: ClassVar[int] = 2
    file: str
    found: int
    supported: int = FORMAT

    def __str__(self) -> str:
        return f"{self.file} has format {self.found}, this pypm reads formats up to {self.supported}"

    @property
    def hint(self) -> str:
        return "use a newer pypm"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file),)


@record
class LockFault:
    """One thing that is wrong in a lock's text. *line* (from 1) is None where it is not known."""

    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


class LockUnreadable(PypmError):
    """The text is no TOML, or its tables are no lock; *faults* has at least one."""

    code: ClassVar[str] = "lock-unreadable"
    exit: ClassVar[int] = 2
    file: str
    faults: tuple[LockFault, ...]

    def __str__(self) -> str:
        first, *others = self.faults
        more = f" (and {len(others)} more)" if others else ""
        return f"{self.places[0]}: {first.message}{more}"

    @property
    def hint(self) -> str:
        return "'pypm lock' writes it again and keeps the versions it can read"

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple([Place(self.file, fault.line, fault.column) for fault in self.faults])

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple([fault.message for fault in self.faults]) if len(self.faults) > 1 else ()


class LockConflicted(PypmError):
    """The text holds the conflict markers of a merge; *lines* are where conflicts begin."""

    code: ClassVar[str] = "lock-conflicted"
    exit: ClassVar[int] = 2
    file: str
    lines: tuple[int, ...]

    def __str__(self) -> str:
        number = "a merge conflict" if len(self.lines) == 1 else f"{len(self.lines)} merge conflicts"
        return f"{self.places[0]}: {self.file} holds {number}"

    @property
    def hint(self) -> str:
        return "'pypm lock' resolves it: both sides serve as preferences"

    @property
    def places(self) -> tuple[Place, ...]:
        return tuple([Place(self.file, line) for line in self.lines])


class LockUnsound(PypmError):
    """The lock contradicts itself, as after a merge that no longer fits."""

    code: ClassVar[str] = "lock-unsound"
    exit: ClassVar[int] = 2
    package: NormalizedName
    reason: str

    def __str__(self) -> str:
        return f"the lock is not sound: {self.package} {self.reason}"

    @property
    def hint(self) -> str:
        return "run 'pypm lock', it keeps the versions that fit"
