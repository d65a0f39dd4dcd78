"""What can go wrong with a memory. No error carries a value or a key that was kept: errors get into logs."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import PypmError


class BadArgument(PypmError):
    """An operation was asked for with something it does not take; nothing was changed."""

    argument: str
    reason: str

    code: ClassVar[str] = "memory-argument"
    exit: ClassVar[int] = 2

    def __str__(self) -> str:
        return f"{self.argument} {self.reason}"


class ValueTooLarge(PypmError):
    """A value is above the limit; what was kept under its key is still there."""

    size: int
    limit: int

    code: ClassVar[str] = "memory-value-too-large"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"the value has {self.size} bytes, the memory takes at most {self.limit}"

    @property
    def hint(self) -> str | None:
        return "keep the large thing in a file, and its path in the memory"


class MemoryUnusable(PypmError):
    """The file cannot be read or written; what was acknowledged before is in it."""

    path: str
    reason: str
    full: bool = False
    """No space is left, or a quota or size limit is reached."""
    busy: bool = False
    """Other processes did not let go of it for too long."""

    code: ClassVar[str] = "memory-unusable"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"cannot use the memory {self.path}: {self.reason}"

    @property
    def hint(self) -> str | None:
        if self.full:
            return "free some space; nothing that was acknowledged is lost"
        if self.busy:
            return "look for a stopped process that has it open, and try again"
        return "check the folder and who owns it, or choose another file"


class NotAMemory(PypmError):
    """The file is something else, or damaged; it was not touched."""

    path: str
    reason: str

    code: ClassVar[str] = "not-a-memory"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"{self.path} is no memory of pypm: {self.reason}"

    @property
    def hint(self) -> str | None:
        return "choose another file, or move this one away to begin anew"


class NewerMemory(PypmError):
    """The file was written by a newer pypm; it was not touched."""

    path: str
    found: int
    known: int

    code: ClassVar[str] = "newer-memory"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"{self.path} has schema {self.found}, and this pypm knows schemas up to {self.known}"

    @property
    def hint(self) -> str | None:
        return "use the newer pypm, or choose another file"


class UnknownPromise(PypmError):
    """The session has no such promise, or it was kept long ago and is forgotten."""

    promise_id: str

    code: ClassVar[str] = "unknown-promise"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"no such promise in this session: {self.promise_id}"

    @property
    def hint(self) -> str | None:
        return "peek at the key again"


class PromiseFailed(PypmError):
    """The work failed; nothing is kept, and the next to ask may try again."""

    promise_id: str
    reason: str
    """What the one who was at work said of it."""

    code: ClassVar[str] = "promise-failed"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"the work of promise {self.promise_id} failed: {self.reason}"


class PromiseLost(PypmError):
    """The lease ran out and another one has taken the work over; what came late is not kept."""

    promise_id: str

    code: ClassVar[str] = "promise-lost"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"the lease of promise {self.promise_id} ran out, and another one is at the work now"

    @property
    def hint(self) -> str | None:
        return "wait for the other's result, and ask for a longer lease the next time"


class PromiseOverdue(PypmError):
    """The work was not done in the time one wanted to wait for it."""

    promise_id: str
    seconds: float

    code: ClassVar[str] = "promise-overdue"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"promise {self.promise_id} was not kept within {self.seconds:g} seconds"


class PromiseCycle(PypmError):
    """The work for a key waits for itself: it asked for its own key."""

    promise_id: str

    code: ClassVar[str] = "promise-cycle"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"the work of promise {self.promise_id} asks for its own result"
