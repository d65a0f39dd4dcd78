"""What a page of the simple API says, whatever it was written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from pypm_model.records import NamedTuple, record

NO_METADATA = "-"
"""Said of a file beside which there is no metadata file."""


class FileRecord(NamedTuple):
    """One link of a project page. Unknown facts are empty or None."""

    filename: str
    url: str
    """Absolute, without fragment and without credentials."""
    sha256: str = ""
    """Lower-case hexadecimal."""
    size: int | None = None
    """Bytes."""
    uploaded: str = ""
    """RFC 3339 in UTC, whole seconds (fractions are cut off)."""
    requires_python: str = ""
    """As written."""
    yanked: str | None = None
    """The reason (may be empty) if the file is yanked."""
    metadata: str | None = None
    """Whether a metadata file (PEP 658) is beside this one: None, the page does not say; `NO_METADATA`;
    empty, yes, its digest not given; else yes, and this is its sha256."""
    provenance: str = ""
    """Absolute address of its attestations (PEP 740)."""


Light = tuple[str, str, str, str | None, Any]
"""What deciding between versions needs of a link: file name, time of upload, Requires-Python as written,
reason for a yank (None: not yanked), and the rest, for `Page.record`, which waits until it is asked for.

A page may have ten thousand links, of which a lock uses ten: a plain tuple is made in a third of the time.
"""


@record
class Page:
    """A project page."""

    lights: Sequence[Light]
    """In the order of the page."""
    record: Callable[[Any], FileRecord]
    """The whole record of a light's last item."""
    speaks_of_metadata: bool
    """Whether any link says if a metadata file is beside it: then silence about a file means no."""
    status: str = ""
    """PEP 792: ``archived``, ``deprecated``, ``quarantined``; empty for active."""
    reason: str = ""
    """Why it has that status, if the index says so."""
    newer: str = ""
    """The API version, if its minor number is newer than what is understood here."""

    @classmethod
    def of(cls, files: Iterable[FileRecord], status: str = "", reason: str = "", newer: str = "") -> Self:
        """A page of whole records."""
        records = tuple(files)
        lights = [(file.filename, file.uploaded, file.requires_python, file.yanked, file) for file in records]
        speaks = any(file.metadata is not None for file in records)
        return cls(lights, _itself, speaks, status, reason, newer)

    @property
    def files(self) -> tuple[FileRecord, ...]:
        """All records, in the order of the page."""
        return tuple([self.record(raw) for *_, raw in self.lights])


def _itself(record: FileRecord) -> FileRecord:
    return record


class UnreadablePage(ValueError):
    """The page cannot be understood; the text is one clause (``its JSON is broken at line 3``)."""


UNDERSTOOD = (1, 4)
"""The newest version of the simple API this reads (PEP 629 says how versions are compared)."""


def check_api_version(version: str) -> str:
    """*version* if its minor number is newer than what is understood, else empty.

    Raises `UnreadablePage` for a newer major number.
    """
    major, _, minor = version.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise UnreadablePage(f"its API version {version[:40]!r} is no version")
    if int(major) > UNDERSTOOD[0]:
        raise UnreadablePage(
            f"it speaks version {version} of the simple API, and this pypm reads {UNDERSTOOD[0]}.x"
        )
    return version if (int(major), int(minor)) > UNDERSTOOD else ""
