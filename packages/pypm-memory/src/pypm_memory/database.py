"""The file: who may use it when, what its errors mean, and what a fork does to it.

One connection for reads and one for writes, each behind a lock, so that a thread that waits for another
process's write holds up no reader. A connection must not cross a fork (sqlite believes that it still has the
parent's locks): all are closed before one, and opened again by whoever needs them next.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pypm_memory.memory_errors import MemoryUnusable, NewerMemory, NotAMemory
from pypm_memory.schema import APPLICATION_ID, STEPS, is_empty, migrate, version_of

_BUSY_SECONDS = 30.0
"""How long to wait for another process's write."""
_MAPPED_BYTES = 256 * 1024 * 1024
_WAL_BYTES = 16 * 1024 * 1024
"""What is left of the log's file after a burst of writes."""

T = TypeVar("T")
Row = tuple[Any, ...]


class Database:
    """The file at *path*, made with its folder when it is first used. For any number of threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        """Grows when the file was removed and another one is in its place: numbers of rows hold no longer."""
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        """Of the reader; made once, for making it takes longer than finding an entry's page."""
        self._writer: sqlite3.Connection | None = None
        self._identity = (0, 0)
        _open_databases.add(self)

    def one(self, query: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of *query*, or None. Raises `MemoryUnusable`, `NotAMemory`, `NewerMemory`."""
        with self._reading:
            try:
                cursor = self._cursor
                if cursor is None:
                    cursor = self._read_from()
                row: Row | None = cursor.execute(query, values).fetchone()
                return row
            except sqlite3.Error as error:
                raise self._meaning(error) from error

    def snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """*work* with all its reads at one moment. Raises as `one` does."""
        with self._reading:
            try:
                if self._cursor is None:
                    self._read_from()
                connection = self._reader
                assert connection is not None
                connection.execute("BEGIN")
                try:
                    return work(connection)
                finally:
                    connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._meaning(error) from error

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """*work* as one transaction, alone among all processes. When this returns, what was written outlives
        the process. Raises as `one` does; the file is as it was before."""
        with self._writing:
            try:
                connection = self._writer
                if connection is None or self._identity != _identity(self.path):
                    connection = self._reopened()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = work(connection)
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                return result
            except sqlite3.Error as error:
                raise self._meaning(error) from error

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        with self._writing, self._reading:
            self._let_go()

    def _read_from(self) -> sqlite3.Cursor:
        self._reader = self._connect()
        self._cursor = self._reader.cursor()
        return self._cursor

    def _reopened(self) -> sqlite3.Connection:
        if self._writer is not None:
            # The file was removed or replaced: what would be written to the old one nobody would find.
            with self._reading:
                self._let_go()
            self.generation += 1
        self._writer = self._connect()
        self._identity = _identity(self.path)
        return self._writer

    def _let_go(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = self._cursor = None

    def _connect(self) -> sqlite3.Connection:
        try:
            if not self.path.exists():
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # What agents remember is nobody else's business; sqlite gives its companions the same mode.
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            reason = error.strerror or str(error)
            raise MemoryUnusable(str(self.path), reason.lower()) from error
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            found = version_of(connection)
            if found != (APPLICATION_ID, len(STEPS)):
                self._bring_up_to_date(connection, *found)
            # With WAL, NORMAL means that a commit costs no fsync: it outlives the process, but not
            # necessarily a power cut, after which the file is whole as of a moment before.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}").fetchone()
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _bring_up_to_date(self, connection: sqlite3.Connection, application: int, version: int) -> None:
        if application != APPLICATION_ID and not is_empty(connection):
            # Asked again: another process may have made it between the two questions.
            application, version = version_of(connection)
            if application != APPLICATION_ID:
                raise NotAMemory(str(self.path), "it is another program's database")
        if version > len(STEPS):
            raise NewerMemory(str(self.path), version, len(STEPS))
        _use_wal(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Asked again: another process may have done it since.
            _, version = version_of(connection)
            migrate(connection, version)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _meaning(self, error: sqlite3.Error) -> MemoryUnusable | NotAMemory:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        path = str(self.path)
        if code == sqlite3.SQLITE_NOTADB:
            return NotAMemory(path, "the file is not a database")
        if code == sqlite3.SQLITE_CORRUPT:
            return NotAMemory(path, "the file is damaged")
        reason = _REASONS.get(code, str(error))
        return MemoryUnusable(
            path, reason, code == sqlite3.SQLITE_FULL, code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        )


_REASONS = {
    sqlite3.SQLITE_BUSY: f"another process has been writing to it for {_BUSY_SECONDS:.0f} seconds",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it may not be written to",
}


def _use_wal(connection: sqlite3.Connection) -> None:
    """The mode is kept in the file. While others open the same new file sqlite refuses at once, without
    the patience it has elsewhere."""
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.005)


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_held_for_fork: list[threading.Lock] = []


def _before_fork() -> None:
    for database in list(_open_databases):
        for lock in (database._writing, database._reading):
            lock.acquire()
            _held_for_fork.append(lock)
        database._let_go()


def _after_fork(locks: Iterable[threading.Lock] = _held_for_fork) -> None:
    for lock in locks:
        lock.release()
    _held_for_fork.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
