"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from pypm_model.records import field, record

if TYPE_CHECKING:
    from pypm.ops.doctor.patient import Patient

Verdict = Literal["ok", "note", "issue", "unknown"]
"""``note``: worth knowing, never counted; ``unknown``: it could not be found out."""


@record
class Finding:
    """One thing that was looked at."""

    name: str
    """Of the check."""
    verdict: Verdict
    message: str
    """One line."""
    fix: str = ""
    """What to type, or to do; empty where there is nothing to do."""
    repair: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    """Does what *fix* says, where that is safe; may raise OSError and `PypmError`."""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "verdict": self.verdict,
            "message": self.message,
            "fix": self.fix or None,
            "repairable": self.repair is not None,
        }


@record
class Said:
    """A finding before it is known whose it is."""

    verdict: Verdict
    message: str
    fix: str = ""
    repair: Callable[[], None] | None = field(default=None, compare=False, repr=False)


def ok(message: str) -> Said:
    """All is well."""
    return Said("ok", message)


def note(message: str, fix: str = "", repair: Callable[[], None] | None = None) -> Said:
    """Worth knowing; is not counted."""
    return Said("note", message, fix, repair)


def issue(message: str, fix: str, repair: Callable[[], None] | None = None) -> Said:
    """Something will go wrong, or does already; is counted."""
    return Said("issue", message, fix, repair)


def unknown(message: str, fix: str = "") -> Said:
    """It could not be found out, and why; is not counted."""
    return Said("unknown", message, fix)


def missing(needed_by: str, message: str, fix: str) -> Said:
    """A capability that is not there: an issue where something needs it, else nothing to speak of."""
    if needed_by:
        return issue(f"{message}: {needed_by}", fix)
    return ok(f"{message}, and nothing here needs it")


@record
class Check:
    """One thing to look at."""

    name: str
    group: str
    about: str
    """One line for the list: what is looked at."""
    run: Callable[[Patient], Iterable[Said]]
    """Reads, and changes nothing. Called in a thread of its own; whatever it raises is told as its answer."""
    of_workspace: bool = False
    """There is nothing to look at outside of a workspace."""
