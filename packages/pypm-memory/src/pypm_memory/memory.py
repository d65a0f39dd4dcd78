"""`Memory`: what sessions keep, in one file that any number of processes and threads use at once.

A session's *silo* holds `silo_size` entries. When one more is kept, what has expired makes room, else the
entry that was not used for longest. **Using** an entry is keeping it (`set`) or saying so (`touch`);
looking is not: `peek` changes nothing, neither the entry nor its turn to leave. So one may look at a memory
as often as one likes without deciding what stays in it.

Keys and values are any text. Keys are not kept, only digests of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Self

from pypm_memory import entries
from pypm_memory.answers import Flushed, Hit, Initialized, Miss, Stored
from pypm_memory.database import Database
from pypm_memory.memory_errors import BadArgument, ValueTooLarge

SILO_SIZE = 256
"""Entries of a session that says nothing else."""
LARGEST_SILO = 2**31 - 1
VALUE_LIMIT = 1024 * 1024
"""Bytes of the longest value, as UTF-8."""
SESSION_ID_LIMIT = 1024
"""Bytes of the longest name of a session, as UTF-8."""

_KNOWN_SESSIONS = 10_000


class Memory:
    """The memory in the file *path*, made when it is first used.

    Values are at most *value_limit* bytes of UTF-8; *clock* gives seconds since the epoch. Every operation
    may raise `MemoryUnusable` (no space, no permission, busy for half a minute), `NotAMemory`, `NewerMemory`
    and `BadArgument`; whatever it was about to do is then not done.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        value_limit: int = VALUE_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.value_limit = value_limit
        self._database = Database(Path(path))
        self._clock = clock
        self._numbers: dict[str, int] = {}
        self._numbers_of = 0

    def session(self, session_id: str) -> Session:
        """The session of this name; it need not be there yet."""
        return Session(self, session_id)

    def init(self, session_id: str, silo_size: int | None = None) -> Initialized:
        """Makes the session, or finds it, and gives its silo *silo_size* places; if None, 256 to a new
        session, and as many as it has to one that is there. In a smaller silo the entries used last stay."""
        if silo_size is not None:
            _check_silo_size(silo_size)
        name = _session_name(session_id)
        now = self._clock()

        def work(connection: Connection) -> Initialized:
            number = entries.session_number(connection, name)
            if number is None:
                size = SILO_SIZE if silo_size is None else silo_size
                entries.add_session(connection, name, size)
                return {"status": "initialized", "session_id": session_id, "silo_size": size}
            size = entries.silo_size_of(connection, number)
            if silo_size is not None and silo_size != size:
                entries.resize(connection, number, silo_size, now)
                size = silo_size
            return {"status": "resumed", "session_id": session_id, "silo_size": size}

        return self._database.write(work)

    def peek(self, session_id: str, key: str) -> Hit | Miss:
        """What is kept under *key*. Changes nothing."""
        number = self._number(session_id)
        _check_key(key)
        if number is not None:
            hash_, digest = entries.key_of(number, key)
            row = self._database.one(entries.FIND, (hash_,))
            if row is not None and row[3] != digest:
                row = self._database.one(entries.FIND_EXACTLY, (hash_, digest))
            if row is not None:
                place, value, expires, _ = row
                if expires is None or expires > self._clock():
                    return {"hit": True, "value": entries.readable(value), "index": entries.index_of(place)}
        return {"hit": False}

    def set(self, session_id: str, key: str, value: str, *, ttl_seconds: float | None = None) -> Stored:
        """Keeps *value* under *key*, for *ttl_seconds* or for good. A session that is not there is made.

        Raises `ValueTooLarge`.
        """
        _check_key(key)
        content = self._content(value)
        name = _session_name(session_id)
        now = self._clock()
        expires = _end(ttl_seconds, now)

        def work(connection: Connection) -> Stored:
            number = self._sure_number(connection, session_id, name)
            index = entries.put(connection, number, entries.key_of(number, key), content, expires, now)
            return {"status": "stored", "index": index}

        return self._database.write(work)

    def touch(self, session_id: str, key: str) -> bool:
        """Makes the entry the one used last, so that it leaves last; whether there is one."""
        _check_key(key)
        number = self._number(session_id)
        if number is None:
            return False
        kept_as = entries.key_of(number, key)
        now = self._clock()
        return self._database.write(lambda connection: entries.touch(connection, number, kept_as, now))

    def flush(self, session_id: str) -> Flushed:
        """Forgets all entries of the session; the session stays, with its size."""
        name = _session_name(session_id)
        now = self._clock()

        def work(connection: Connection) -> Flushed:
            number = entries.session_number(connection, name)
            count = 0 if number is None else entries.clear(connection, number, now)
            return {"status": "flushed", "cleared_count": count}

        return self._database.write(work)

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _number(self, session_id: str) -> int | None:
        """The session's number, if there is the session; sessions are never removed, so it is remembered."""
        if self._numbers_of == self._database.generation:
            found = self._numbers.get(session_id) if isinstance(session_id, str) else None
            if found is not None:
                return found
        else:
            self._numbers_of = self._database.generation
            self._numbers = {}
        row = self._database.one("SELECT number FROM sessions WHERE id = ?", (_session_name(session_id),))
        return None if row is None else self._remember(session_id, int(row[0]))

    def _sure_number(self, connection: Connection, session_id: str, name: bytes) -> int:
        """The session's number; it is made if it is not there."""
        known = self._numbers.get(session_id)
        if known is not None and self._numbers_of == self._database.generation:
            return known
        number = entries.session_number(connection, name)
        # Not remembered: the transaction may yet fail.
        return entries.add_session(connection, name, SILO_SIZE) if number is None else number

    def _remember(self, session_id: str, number: int) -> int:
        if len(self._numbers) >= _KNOWN_SESSIONS:
            self._numbers = {}
        self._numbers[session_id] = number
        return number

    def _content(self, value: str) -> str | bytes:
        if not isinstance(value, str):
            raise BadArgument("the value", "must be a text")
        content = entries.encoded(value)
        if len(content) > self.value_limit:
            raise ValueTooLarge(len(content), self.value_limit)
        return entries.storable(value, content)


class Session:
    """One session of a memory: the same operations, without its name."""

    __slots__ = ("id", "memory")

    def __init__(self, memory: Memory, session_id: str) -> None:
        _session_name(session_id)
        self.memory = memory
        self.id = session_id

    def init(self, silo_size: int | None = None) -> Initialized:
        """`Memory.init`."""
        return self.memory.init(self.id, silo_size)

    def peek(self, key: str) -> Hit | Miss:
        """`Memory.peek`."""
        return self.memory.peek(self.id, key)

    def set(self, key: str, value: str, *, ttl_seconds: float | None = None) -> Stored:
        """`Memory.set`."""
        return self.memory.set(self.id, key, value, ttl_seconds=ttl_seconds)

    def touch(self, key: str) -> bool:
        """`Memory.touch`."""
        return self.memory.touch(self.id, key)

    def flush(self) -> Flushed:
        """`Memory.flush`."""
        return self.memory.flush(self.id)


def _session_name(session_id: str) -> bytes:
    if not isinstance(session_id, str):
        raise BadArgument("the session's name", "must be a text")
    name = entries.encoded(session_id)
    if not name:
        raise BadArgument("the session's name", "is empty")
    if len(name) > SESSION_ID_LIMIT:
        raise BadArgument("the session's name", f"is longer than {SESSION_ID_LIMIT} bytes")
    return name


def _check_key(key: str) -> None:
    if not isinstance(key, str):
        raise BadArgument("the key", "must be a text")


def _check_silo_size(size: int) -> None:
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= LARGEST_SILO:
        raise BadArgument("the silo's size", f"must be a whole number from 1 to {LARGEST_SILO}")


def _end(ttl_seconds: float | None, now: float) -> float | None:
    if ttl_seconds is None:
        return None
    number = isinstance(ttl_seconds, (int, float)) and not isinstance(ttl_seconds, bool)
    if not number or not 0 < ttl_seconds < 1e12:
        raise BadArgument("the time to live", "must be a number of seconds above 0")
    return now + ttl_seconds
