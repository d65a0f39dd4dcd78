"""One sqlite file that many processes share, that may be damaged, and that is never worth an error.

The file in use is the first of its line (``meta-2.sqlite``, ``meta-2.1.sqlite``...; another *stem* is
another line) that has no mark beside it saying that it is damaged. It is marked rather than moved away:
other processes may have it open, and sqlite finds the companions of a file (``-wal``, ``-shm``) by its name.
"""

from __future__ import annotations

import os
import sqlite3
from _thread import RLock
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pypm_model.errors import PypmError
from pypm_model.events import Warned

_BUSY_SECONDS = 30.0

T = TypeVar("T")


class CacheUnusable(PypmError):
    """The metadata cache cannot be read or written: the disk is full, or another process never lets go."""

    path: str
    reason: str
    what: str = "metadata cache"

    code: ClassVar[str] = "cache-unusable"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"cannot use the {self.what} {self.path}: {self.reason}"

    @property
    def hint(self) -> str | None:
        return "free some space, or put the cache elsewhere with PYPM_CACHE_DIR"


class CacheFile:
    """A connection to the file that is good now. May be used from any thread, one at a time."""

    def __init__(
        self,
        folder: Path | None,
        *,
        schema: int,
        tables: str,
        stem: str = "meta",
        what: str = "metadata cache",
    ) -> None:
        """Opens the file of *schema* (part of its name, after *stem*) in *folder*, made if missing, with
        *tables* (SQL that can be run again); None: in memory. Messages call it *what*."""
        self.folder = folder
        self.warning: Warned | None = None
        """Code ``cache-damaged`` (a file was set aside) or ``cache-in-memory`` (none can be made)."""
        self.generation = 0
        """Grows when another file takes the place of a damaged one: what was learned from the old
        one, such as row numbers, holds no longer."""
        self._schema = schema
        self._stem = stem
        self._what = what
        self._tables = tables
        self._lock = RLock()
        self._path = ""
        self._connection = self._connect()

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of *query*."""
        return self._guarded(lambda connection: connection.execute(query, values).fetchall())

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """*work* done in one transaction; it may be run a second time, on a new file.

        Raises `CacheUnusable` (the file is as it was before).
        """

        def transaction(connection: sqlite3.Connection) -> T:
            # IMMEDIATE: a transaction that reads first and then writes cannot be refused half-way.
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return self._guarded(transaction)

    def version(self) -> tuple[int, int]:
        """Another value means that another connection has written to the file since, or that another file
        has taken its place: one that was removed is begun anew here, for a process that stays."""
        with self._lock:
            if self.folder is not None and not os.path.exists(self._path):
                self._connection.close()
                self.generation += 1
                self._connection = self._connect()
        return self.generation, self.read("PRAGMA data_version")[0][0]

    def compact(self) -> None:
        """Gives unused space back to the disk, unless others are using the file."""
        with self._lock, suppress(sqlite3.OperationalError):
            self._connection.execute("VACUUM")

    def close(self) -> None:
        """Closes the connection for good."""
        with self._lock:
            self._connection.close()

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._connection)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    if isinstance(error, sqlite3.OperationalError):
                        raise CacheUnusable(self._path, str(error), self._what) from error
                    raise
                self._connection.close()
                self._set_aside(error)
                self.generation += 1
                self._connection = self._connect()
                return work(self._connection)

    def _connect(self) -> sqlite3.Connection:
        if self.folder is None:
            return self._open(":memory:")
        while True:
            self._path = str(self._current(self.folder))
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                return self._open(self._path)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    return self._in_memory(str(error))
                self._set_aside(error)
            except OSError as error:
                return self._in_memory(error.strerror or str(error))

    def _open(self, path: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            (made,) = connection.execute("PRAGMA user_version").fetchone()
            if made != self._schema:
                # The mode is kept in the file; asking for it needs a lock, so only the maker does.
                connection.execute("PRAGMA journal_mode = WAL")
                begin, commit = "BEGIN IMMEDIATE;", f"PRAGMA user_version = {self._schema};COMMIT;"
                connection.executescript(begin + self._tables + commit)
            # With WAL, NORMAL means that a commit costs no fsync: after a power cut the last commits
            # may be missing, but the file is whole.
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _in_memory(self, reason: str) -> sqlite3.Connection:
        self.warning = Warned(
            "cache-in-memory", f"cannot use the {self._what} {self._path} ({reason}): kept in memory"
        )
        self.folder = None
        return self._open(":memory:")

    def _current(self, folder: Path) -> Path:
        for path in _line(folder, f"{self._stem}-{self._schema}"):
            if not path.with_suffix(".damaged").exists():
                return path
        raise AssertionError("the line of names has no end")

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        path = Path(self._path)
        self.warning = Warned(
            "cache-damaged", f"the {self._what} {path} is damaged ({error}): set aside, a new one is begun"
        )
        # Raises if even that cannot be written: going on would meet the same damage for ever.
        try:
            os.close(os.open(path.with_suffix(".damaged"), os.O_CREAT | os.O_WRONLY, 0o666))
        except OSError as failure:
            raise CacheUnusable(self._path, str(failure), self._what) from error


def _line(folder: Path, name: str) -> Iterator[Path]:
    yield folder / f"{name}.sqlite"
    turn = 0
    while True:
        turn += 1
        yield folder / f"{name}.{turn}.sqlite"


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is broken (SQLITE_CORRUPT, SQLITE_NOTADB, or no tables in it) rather
    than locked, full or forbidden."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    return str(error).startswith(("no such table", "no such column"))
