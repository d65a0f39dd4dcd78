"""What is known against the versions of a lock, and where that is from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pypm.ops.tools import Tools
from pypm_audit.advisories import Advisory, Malformed
from pypm_audit.database import Database
from pypm_audit.errors import NoAdvisories
from pypm_audit.matching import Subject, Vulnerability, match
from pypm_audit.places import FOLDER
from pypm_model.records import record


@record
class Known:
    """The answer of one source of advisories."""

    vulnerabilities: Mapping[Subject, tuple[Vulnerability, ...]]
    advisories: tuple[Advisory, ...]
    """All about the packages that were asked for, whatever their versions."""
    source: str
    """For the reader: which advisories these are."""
    malformed: tuple[Malformed, ...] = ()
    """Records that could not be read."""


def now() -> str:
    """This moment, RFC 3339 in UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def open_database(tools: Tools) -> Iterator[Database]:
    """The machine's advisories; a warning about the file is sent to the listener."""
    with Database(tools.store.path / FOLDER) as database:
        if database.warning is not None:
            tools.world.listener(database.warning)
        yield database


def from_database(tools: Tools, subjects: Sequence[Subject], snapshot: Path | None) -> Known:
    """What the local database knows; first it is made what *snapshot* has, if one is given. Raises
    `SnapshotUnreadable`, `NoAdvisories`."""
    with open_database(tools) as database:
        if snapshot is not None:
            database.take(snapshot, now())
        if not database.taken:
            raise NoAdvisories()
        advisories = database.about(name for name, _ in subjects)
        newest = database.newest[:10]
        source = f"the local database, {f'with records up to {newest}' if newest else 'without dates'}"
        return Known(match(subjects, advisories), advisories, source, database.malformed)
