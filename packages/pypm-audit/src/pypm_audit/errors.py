"""Why it could not be looked: an audit that saw nothing must not look like one that found nothing."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import PypmError


class SnapshotUnreadable(PypmError):
    """What was given as a snapshot of advisories is none."""

    code: ClassVar[str] = "advisories-unreadable"
    exit: ClassVar[int] = 2
    path: str
    reason: str

    def __str__(self) -> str:
        return f"cannot read advisories from {self.path}: {self.reason}"

    @property
    def hint(self) -> str:
        return "a snapshot is a zip file of OSV records, or a folder of them, one JSON file each"


class NoAdvisories(PypmError):
    """There are no advisories on this machine, and no network may be asked."""

    code: ClassVar[str] = "no-advisories"
    exit: ClassVar[int] = 2

    def __str__(self) -> str:
        return "there is no database of advisories on this machine"

    @property
    def hint(self) -> str:
        return (
            "download a snapshot of OSV's records and run `pypm audit --db FILE`, or run it without --offline"
        )
