"""The advisories of this machine, in sqlite, in the store: what a snapshot had, and what the service said.

A snapshot is taken in one transaction, and only those of its files are read that are new or changed since the
last one; what is not in it any more is dropped. Matching costs one query for all names.

Beside the database lies `MARK`, a file that is there if a record about malware is, and that is another one
whenever what those records say has changed: a `sync` with nothing to do looks at it, and at nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pypm_audit import snapshot
from pypm_audit.advisories import Advisory, Malformed, read, records_in
from pypm_audit.codec import decode, encode
from pypm_audit.errors import SnapshotUnreadable
from pypm_audit.matching import Subject
from pypm_audit.places import MARK
from pypm_audit.service import Told
from pypm_model.events import Warned
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_store.atomic import write_atomically
from pypm_store.cache_file import CacheFile

if TYPE_CHECKING:
    import sqlite3

SCHEMA = 1
"""Counts up when tables change, and when more of a record is kept: another schema is another file."""
SNAPSHOT = "snapshot"
SERVICE = "service"
"""Where an advisory is from."""
_CHUNK = 400
_MALWARE = "malware"
"""Key of a note: a word, another one whenever records about malware have changed; without any, not there."""


@record
class Updated:
    """What became of the database when a snapshot was taken."""

    records: int
    """Of Python packages, in the database now."""
    read: int
    """Files that were new or changed."""
    dropped: int
    """Files that are not in the snapshot any more."""


class Database:
    """The database in one folder. Use it as a context manager, or call `close`."""

    def __init__(self, folder: Path | None) -> None:
        """Opens the database in *folder*, made if missing; None: in memory."""
        self._folder = folder
        self._file = CacheFile(
            folder, schema=SCHEMA, tables=_TABLES, stem="osv", what="database of advisories"
        )

    @property
    def warning(self) -> Warned | None:
        """Set when a damaged file was set aside, or none can be made: then the database is empty."""
        return self._file.warning

    # -- snapshots ------------------------------------------------------------------------------

    @property
    def taken(self) -> str:
        """When a snapshot was taken last, RFC 3339; empty: never."""
        rows = self._file.read("SELECT value FROM notes WHERE key = 'taken'")
        return str(rows[0][0]) if rows else ""

    @property
    def newest(self) -> str:
        """When the youngest record of the snapshot was modified, RFC 3339; empty if none says."""
        rows = self._file.read("SELECT MAX(modified) FROM advisories WHERE origin = ?", (SNAPSHOT,))
        return str(rows[0][0] or "")

    @property
    def state(self) -> str:
        """What `take` was told last of the snapshot; empty: nothing."""
        rows = self._file.read("SELECT value FROM notes WHERE key = 'state'")
        return str(rows[0][0]) if rows else ""

    def take(self, path: Path, now: str, state: str = "") -> Updated:
        """Makes the database what the snapshot at *path* has, which is noted as *state*. Raises
        `SnapshotUnreadable` if it has no record that can be read; then the database is as it was."""
        known = dict(self._file.read("SELECT name, mark FROM entries"))
        seen: dict[str, str] = {}
        fresh: dict[str, tuple[list[Advisory], list[Malformed]]] = {}
        with snapshot.opened(path) as entries:
            for entry in entries:
                seen[entry.name] = entry.mark
                if not entry.mark or known.get(entry.name) != entry.mark:
                    fresh[entry.name] = _read(entry)
        gone = [name for name in known if name not in seen]
        if not seen:
            raise SnapshotUnreadable(str(path), "there is no JSON file in it")

        def write(connection: sqlite3.Connection) -> int:
            before = _malware(connection, SNAPSHOT, (*gone, *fresh))
            for name in (*gone, *fresh):
                connection.execute("DELETE FROM malformed WHERE entry = ?", (name,))
                connection.execute("DELETE FROM entries WHERE name = ?", (name,))
                _drop(connection, SNAPSHOT, name)
            for name, (advisories, malformed) in fresh.items():
                # What could not be read is looked at again the next time, whatever its mark.
                mark = seen[name] if advisories or not malformed else ""
                connection.execute("INSERT INTO entries VALUES (?, ?)", (name, mark))
                for advisory in advisories:
                    _put(connection, SNAPSHOT, name, advisory, "")
                connection.executemany(
                    "INSERT INTO malformed VALUES (?, ?, ?)",
                    [(name, bad.source, bad.reason) for bad in malformed],
                )
            notes = [("taken", now), ("state", state)]
            connection.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", notes)
            (count,) = connection.execute(
                "SELECT COUNT(*) FROM advisories WHERE origin = ?", (SNAPSHOT,)
            ).fetchone()
            if not count:
                # Raised here, nothing has changed: a snapshot of something else must not look like good news.
                bad = next((bad for _, some in fresh.values() for bad in some), None)
                why = f"no record can be read: {bad}" if bad else "no record is about a Python package"
                raise SnapshotUnreadable(str(path), why)
            _note(connection, before != _malware(connection, SNAPSHOT, fresh))
            return int(count)

        count = self._file.write(write)
        self._renew_mark()
        return Updated(count, len(fresh), len(gone))

    @property
    def malformed(self) -> tuple[Malformed, ...]:
        """What of the snapshot could not be read, by file."""
        rows = self._file.read("SELECT source, reason FROM malformed ORDER BY entry, source")
        return tuple(Malformed(source, reason) for source, reason in rows)

    # -- the service ----------------------------------------------------------------------------

    def answers(self, subjects: Iterable[Subject], since: float) -> dict[Subject, Told]:
        """What the service said of *subjects*, not before *since* (seconds since the epoch)."""
        wanted = dict.fromkeys(subjects)
        found: dict[Subject, Told] = {}
        for some in _chunks(name for name, _ in wanted):
            rows = self._file.read(
                "SELECT name, version, told FROM answers"
                f" WHERE asked >= ? AND name IN ({','.join('?' * len(some))})",
                [since, *some],
            )
            for name, version, told in rows:
                if (name, version) in wanted:
                    found[name, version] = tuple((identity, state) for identity, state in json.loads(told))
        return found

    def known(self, told: Iterable[tuple[str, str]]) -> dict[str, Advisory]:
        """Records of the service by id, those that are kept in the state that was *told*."""
        states = dict(told)
        found: dict[str, Advisory] = {}
        for some in _chunks(states):
            rows = self._file.read(
                "SELECT entry, state, body FROM advisories"
                f" WHERE origin = ? AND entry IN ({','.join('?' * len(some))})",
                [SERVICE, *some],
            )
            found.update((entry, decode(body)) for entry, state, body in rows if states[entry] == state)
        return found

    def keep(
        self, answers: Mapping[Subject, Told], records: Mapping[str, tuple[str, Advisory]], asked: float
    ) -> None:
        """Keeps what the service said at *asked* (seconds since the epoch): of versions, and *records* by id
        with their state. One that could not be read is not kept: the next time it is asked for again."""
        readable = {i: (state, each) for i, (state, each) in records.items() if each.names}

        def write(connection: sqlite3.Connection) -> None:
            before = _malware(connection, SERVICE, readable)
            for identity, (state, advisory) in readable.items():
                _drop(connection, SERVICE, identity)
                _put(connection, SERVICE, identity, advisory, state)
            connection.executemany(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                [(name, version, json.dumps(told), asked) for (name, version), told in answers.items()],
            )
            _note(connection, before != _malware(connection, SERVICE, readable))

        self._file.write(write)
        self._renew_mark()

    # -- asking ---------------------------------------------------------------------------------

    def about(
        self, names: Iterable[NormalizedName], *, origin: str = SNAPSHOT, malware: bool = False
    ) -> tuple[Advisory, ...]:
        """The advisories about any of *names* from *origin* (empty: from wherever), by id; with *malware*
        only those about malicious releases."""
        condition = ("" if not origin else " AND a.origin = ?") + (" AND n.malware" if malware else "")
        found: dict[tuple[str, int], str] = {}
        for some in _chunks(names):
            rows = self._file.read(
                "SELECT a.id, a.number, a.body FROM names n JOIN advisories a ON a.number = n.number"
                f" WHERE n.name IN ({','.join('?' * len(some))}){condition}",
                [*some, *([origin] if origin else [])],
            )
            found.update(((identity, number), body) for identity, number, body in rows)
        return tuple(decode(found[key]) for key in sorted(found))

    # -- within ---------------------------------------------------------------------------------

    def _renew_mark(self) -> None:
        """Makes the mark say what the database notes of malware. It is in place before anyone who saw the old
        one can have seen the new records and gone on; one that was not written for want of time or space is
        written now."""
        if self._file.folder is None or self._folder is None:
            return
        rows = self._file.read("SELECT value FROM notes WHERE key = ?", (_MALWARE,))
        text = f"{rows[0][0]}\n" if rows else ""
        mark = self._folder / MARK
        try:
            if not text:
                mark.unlink(missing_ok=True)
            elif not mark.exists() or mark.read_text(encoding="utf-8") != text:
                write_atomically(mark, text)
        except OSError:
            pass  # a folder that cannot be written has no file in it either

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(entry: snapshot.Entry) -> tuple[list[Advisory], list[Malformed]]:
    """What can be read of one file, and what cannot."""
    try:
        document = json.loads(entry.read())
    except snapshot.EntryUnreadable as error:
        return [], [Malformed(entry.name, str(error))]
    except (ValueError, RecursionError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else f"it is no JSON ({error})"
        return [], [Malformed(entry.name, what)]
    records = records_in(document)
    advisories, malformed = [], []
    for number, data in enumerate(records, 1):
        found = read(data, entry.name if len(records) == 1 else f"{entry.name}#{number}")
        if isinstance(found, Malformed):
            malformed.append(found)
        else:
            advisories.append(found)
    return advisories, malformed


def _put(connection: sqlite3.Connection, origin: str, entry: str, advisory: Advisory, state: str) -> None:
    """Adds *advisory* if it is about a Python package. One of the same id stays: neither hides the other."""
    if not advisory.names:
        return
    number = connection.execute(
        "INSERT INTO advisories (origin, id, entry, state, modified, body) VALUES (?, ?, ?, ?, ?, ?)",
        (origin, advisory.id, entry, state, advisory.modified, encode(advisory)),
    ).lastrowid
    malware = advisory.is_malware and not advisory.withdrawn
    connection.executemany(
        "INSERT INTO names VALUES (?, ?, ?)", [(name, number, malware) for name in advisory.names]
    )


def _drop(connection: sqlite3.Connection, origin: str, entry: str) -> None:
    which = "SELECT number FROM advisories WHERE origin = ? AND entry = ?"
    connection.execute(f"DELETE FROM names WHERE number IN ({which})", (origin, entry))
    connection.execute("DELETE FROM advisories WHERE origin = ? AND entry = ?", (origin, entry))


def _malware(
    connection: sqlite3.Connection, origin: str, entries: Iterable[str]
) -> set[tuple[str, str, str]]:
    """The records about malware that *entries* of *origin* have: (entry, name of a package, record)."""
    found: set[tuple[str, str, str]] = set()
    for some in _chunks(entries):
        found.update(
            connection.execute(
                "SELECT a.entry, n.name, a.body FROM advisories a JOIN names n ON n.number = a.number"
                f" WHERE n.malware AND a.origin = ? AND a.entry IN ({','.join('?' * len(some))})",
                [origin, *some],
            )
        )
    return found


def _note(connection: sqlite3.Connection, changed: bool) -> None:
    """Notes that there is malware, by a word that is another one if the records about it have *changed*."""
    if not connection.execute("SELECT 1 FROM names WHERE malware LIMIT 1").fetchone():
        connection.execute("DELETE FROM notes WHERE key = ?", (_MALWARE,))
    else:
        how = "REPLACE" if changed else "IGNORE"
        connection.execute(f"INSERT OR {how} INTO notes VALUES (?, ?)", (_MALWARE, os.urandom(16).hex()))


def _chunks(names: Iterable[str]) -> Iterator[Collection[str]]:
    unique = list(dict.fromkeys(names))
    for start in range(0, len(unique), _CHUNK):
        yield unique[start : start + _CHUNK]


_TABLES = """
CREATE TABLE IF NOT EXISTS notes (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entries (name TEXT NOT NULL PRIMARY KEY, mark TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS malformed (entry TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS advisories (
    number INTEGER PRIMARY KEY, origin TEXT NOT NULL, id TEXT NOT NULL, entry TEXT NOT NULL,
    state TEXT NOT NULL, modified TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS advisories_by_entry ON advisories (origin, entry);
CREATE TABLE IF NOT EXISTS names (
    name TEXT NOT NULL, number INTEGER NOT NULL, malware INTEGER NOT NULL, PRIMARY KEY (name, number));
CREATE INDEX IF NOT EXISTS names_by_number ON names (number);
CREATE TABLE IF NOT EXISTS answers (
    name TEXT NOT NULL, version TEXT NOT NULL, told TEXT NOT NULL, asked REAL NOT NULL,
    PRIMARY KEY (name, version));
CREATE INDEX IF NOT EXISTS malicious ON names (name) WHERE malware;
"""
