"""The operations on a memory, each by the name of a session.

A session's number in the file is remembered; sessions are never removed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from os import PathLike
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Literal, Self, TypedDict, overload

from pypm_memory import entries, promises
from pypm_memory.answers import (
    Claimed,
    Failed,
    Flushed,
    Hit,
    Initialized,
    Miss,
    Pending,
    Resolved,
    Stored,
    Unresolved,
)
from pypm_memory.arguments import (
    LEASE_SECONDS,
    LONGEST_WAIT,
    SILO_SIZE,
    VALUE_LIMIT,
    check_key,
    check_lease,
    check_silo_size,
    content_of,
    end_of,
    printable,
    session_name,
)
from pypm_memory.database import Database
from pypm_memory.heartbeat import Heartbeat
from pypm_memory.memory_errors import BadArgument, MemoryUnusable, PromiseLost, UnknownPromise

_KNOWN_SESSIONS = 10_000


class _Lease(TypedDict):
    promise_id: str
    lease_seconds: float


class Operations:
    """The memory in the file *path*, made when it is first used.

    Values are at most *value_limit* bytes of UTF-8; what this process claims is given back *lease_seconds*
    after it has died; *clock* gives seconds since the epoch, *steady* those of a clock that is never set
    back and that all processes share. Every operation
    may raise `MemoryUnusable` (no space, no permission, busy for half a minute), `NotAMemory`, `NewerMemory`
    and `BadArgument`; whatever it was about to do is then not done.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        value_limit: int = VALUE_LIMIT,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        check_lease(lease_seconds)
        self.value_limit = value_limit
        self.lease_seconds = float(lease_seconds)
        self.path = Path(path)
        self._database = Database(self.path)
        self._clock = clock
        self._steady = steady
        self._heartbeat = Heartbeat(self._database, steady)
        self._numbers: dict[str, int] = {}
        self._numbers_of = 0

    def init(self, session_id: str, silo_size: int | None = None) -> Initialized:
        """Makes the session, or finds it, and gives its silo *silo_size* places; if None, 256 to a new
        session, and as many as it has to one that is there. In a smaller silo the entries used last stay."""
        if silo_size is not None:
            check_silo_size(silo_size)
        name = session_name(session_id)
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

    @overload
    def peek(self, session_id: str, key: str, *, claim: Literal[False] = False) -> Hit | Pending | Miss: ...
    @overload
    def peek(
        self, session_id: str, key: str, *, claim: bool, lease_seconds: float | None = None
    ) -> Hit | Pending | Claimed | Miss: ...
    def peek(
        self, session_id: str, key: str, *, claim: bool = False, lease_seconds: float | None = None
    ) -> Hit | Pending | Claimed | Miss:
        """What is kept under *key*, or the promise of whoever is at work on it. Changes nothing of either.

        With *claim* the work is the caller's if nothing is kept and nobody is at it. The lease runs for as
        long as this process lives and does not `resolve` or `release`; with *lease_seconds* it runs for
        that time only, whoever lives: for claimers that outlive this process.
        """
        number = self._number(session_id)
        check_key(key)
        if number is not None:
            hash_, digest = kept_as = entries.key_of(number, key)
            row = self._database.one(entries.FIND, (hash_,))
            if row is not None:
                place, value, expires, found_digest = row
                if expires is None and found_digest == digest:
                    return {"hit": True, "value": entries.readable(value), "index": entries.index_of(place)}
            # A promise that was kept between two looks has a row still: without one there was nothing.
            if row is not None or self._database.one(promises.ANY, (digest,)) is not None:
                found = self._database.snapshot(lambda connection: self._look(connection, kept_as))
                if found is not None:
                    return found
        return self._claim(session_id, key, lease_seconds) if claim else {"hit": False}

    def _look(self, connection: Connection, key: tuple[int, bytes]) -> Hit | Pending | None:
        """What there is of a key at one moment."""
        row = connection.execute(entries.FIND_EXACTLY, key).fetchone()
        if row is not None and entries.is_live(row[2], self._clock()):
            return {"hit": True, "value": entries.readable(row[1]), "index": entries.index_of(row[0])}
        promise = promises.pending(connection, key[1])
        if promise is not None and promise.is_held(self._steady()):
            return {"hit": True, "status": "pending", "promise_id": promise.id}
        return None

    def _claim(self, session_id: str, key: str, lease_seconds: float | None) -> Hit | Pending | Claimed:
        lease = self.lease_seconds if lease_seconds is None else lease_seconds
        check_lease(lease)
        name = session_name(session_id)

        def work(connection: Connection) -> Hit | Pending | promises.Promise:
            number = self._sure_number(connection, session_id, name)
            kept_as = entries.key_of(number, key)
            found = self._look(connection, kept_as)
            if found is not None:
                return found
            return promises.claim(connection, number, kept_as, lease, self._steady(), self._clock())[0]

        found = self._database.write(work)
        if not isinstance(found, promises.Promise):
            return found
        return {"hit": False, "status": "claimed", **self._held(found, lease_seconds)}

    def _held(self, promise: promises.Promise, lease_seconds: float | None) -> _Lease:
        if lease_seconds is None:
            self._heartbeat.hold(promise.token, promise.generation, promise.lease)
        return {"promise_id": promise.id, "lease_seconds": promise.lease}

    def set(self, session_id: str, key: str, value: str, *, ttl_seconds: float | None = None) -> Stored:
        """Keeps *value* under *key*, for *ttl_seconds* or for good. A session that is not there is made. If
        somebody is at work on the key, this is the result: the waiters get it.

        Raises `ValueTooLarge`.
        """
        check_key(key)
        content = content_of(value, self.value_limit)
        name = session_name(session_id)
        now = self._clock()
        expires = end_of(ttl_seconds, now)

        def work(connection: Connection) -> Stored:
            number = self._sure_number(connection, session_id, name)
            kept_as = entries.key_of(number, key)
            index = entries.put(connection, number, kept_as, content, expires, now)
            promise = promises.pending(connection, kept_as[1])
            if promise is not None:
                promises.settle(connection, promise.token, now, content, None)
            return {"status": "stored", "index": index}

        return self._database.write(work)

    def resolve(
        self,
        session_id: str,
        promise_id: str,
        payload: str | None = None,
        *,
        failure: str | None = None,
        ttl_seconds: float | None = None,
        wait_seconds: float = 0.0,
        claim: bool = False,
        lease_seconds: float | None = None,
    ) -> Resolved | Failed | Unresolved:
        """Keeps a promise, or asks for its result.

        With *payload* the work is done: that is stored under the key and given to all who wait. With
        *failure* (a text) it has failed: that is what they get, and nothing is stored. If it was settled
        before, nothing changes, and the answer is the result that counts.

        With neither: the result, waited for up to *wait_seconds* (at most 60). If whoever was at work is
        gone, the answer says that it is ``abandoned``, or, with *claim*, that the work is the caller's now,
        under a new promise; of all who wait it is one's.

        Raises `UnknownPromise`, `PromiseFailed`, `PromiseLost`, `ValueTooLarge`.
        """
        token, generation = promises.parsed(promise_id)
        if payload is not None or failure is not None:
            if payload is not None and failure is not None:
                raise BadArgument("a promise", "is either kept or has failed")
            return self._settle(session_id, token, generation, payload, failure, ttl_seconds)
        if not isinstance(wait_seconds, (int, float)) or not 0 <= wait_seconds <= LONGEST_WAIT:
            raise BadArgument("the time to wait", f"must be from 0 to {LONGEST_WAIT:.0f} seconds")
        end = self._steady() + wait_seconds
        for pause in promises.pauses():
            promise = self._promise(session_id, promise_id, token)
            if promise.settled is not None:
                return {"status": "resolved", "payload": promises.result_of(promise)}
            held = promise.is_held(self._steady())
            if claim and not held and (mine := self._take_over(session_id, token, lease_seconds)):
                return {
                    "status": "pending",
                    "claimed": True,
                    "promise_id": mine["promise_id"],
                    "lease_seconds": mine["lease_seconds"],
                }
            left = end - self._steady()
            if left <= 0:
                return {"status": "pending"} if held else {"status": "pending", "abandoned": True}
            time.sleep(min(pause, left))
        raise AssertionError("pauses have no end")

    def release(self, session_id: str, promise_id: str) -> bool:
        """Gives claimed work back before the lease ends, for another to take over; False if it is not the
        caller's any more."""
        token, generation = promises.parsed(promise_id)
        self._heartbeat.drop(token)
        self._promise(session_id, promise_id, token)
        return self._database.write(lambda connection: promises.release(connection, token, generation))

    def _settle(
        self,
        session_id: str,
        token: str,
        generation: int,
        payload: str | None,
        failure: str | None,
        ttl_seconds: float | None,
    ) -> Resolved | Failed:
        content = None if payload is None else content_of(payload, self.value_limit)
        if failure is not None and not isinstance(failure, str):
            raise BadArgument("the failure", "must be a text")
        said = None if failure is None else printable(failure)
        name = session_name(session_id)
        now = self._clock()
        expires = end_of(ttl_seconds, now)

        def work(connection: Connection) -> promises.Promise | None:
            number = entries.session_number(connection, name)
            found = None if number is None else promises.of_token(connection, token, number)
            if number is None or found is None or found.generation < generation:
                raise UnknownPromise(f"{token}-{generation}")
            if found.settled is not None:
                return found
            if found.generation != generation:
                raise PromiseLost(f"{token}-{generation}")
            if content is not None:
                entries.put(connection, number, (found.hash, found.digest), content, expires, now)
            promises.settle(connection, token, now, content, said)
            return None

        found = self._database.write(work)
        self._heartbeat.drop(token)
        if found is not None:
            return {"status": "resolved", "payload": promises.result_of(found)}
        return {"status": "resolved"} if failure is None else {"status": "failed"}

    def _promise(self, session_id: str, promise_id: str, token: str) -> promises.Promise:
        number = self._number(session_id)
        row = None if number is None else self._database.one(promises.OF_TOKEN, (token, number))
        if row is None:
            raise UnknownPromise(promise_id)
        return promises.Promise(*row)

    def _take_over(self, session_id: str, token: str, lease_seconds: float | None) -> _Lease | None:
        """The work of a promise that nobody holds, for the caller; None if another was first."""
        lease = self.lease_seconds if lease_seconds is None else lease_seconds
        check_lease(lease)
        name = session_name(session_id)

        def work(connection: Connection) -> promises.Promise | None:
            number = entries.session_number(connection, name)
            found = None if number is None else promises.of_token(connection, token, number)
            steady = self._steady()
            if found is None or found.settled is not None or found.is_held(steady):
                return None
            return promises.take_over(connection, found, lease, steady)

        mine = self._database.write(work)
        return None if mine is None else self._held(mine, lease_seconds)

    def use(self, session_id: str, key: str) -> Hit | Pending | Claimed:
        """What is kept under *key*, which is the last to leave now. Claims the work if there is nothing."""
        found = self.peek(session_id, key)
        if not found["hit"]:
            found = self._claim(session_id, key, None)
        if "value" in found:
            number = self._number(session_id)
            digest = entries.key_of(number or 0, key)[1]
            last = self._database.one(entries.LAST_USED, (number,))
            if last is None or last[0] != digest:
                # A full disk is no reason to withhold what is there: only its turn to leave stays.
                with suppress(MemoryUnusable):
                    self.touch(session_id, key)
        return found

    def touch(self, session_id: str, key: str) -> bool:
        """Makes the entry the one used last, so that it leaves last; whether there is one."""
        check_key(key)
        number = self._number(session_id)
        if number is None:
            return False
        kept_as = entries.key_of(number, key)
        now = self._clock()
        return self._database.write(lambda connection: entries.touch(connection, number, kept_as, now))

    def flush(self, session_id: str) -> Flushed:
        """Forgets all entries of the session, and what was promised and is settled; it stays, with its size.
        Work that is still going on is not stopped: its result will be kept."""
        name = session_name(session_id)
        now = self._clock()

        def work(connection: Connection) -> Flushed:
            number = entries.session_number(connection, name)
            count = 0
            if number is not None:
                count = entries.clear(connection, number, now)
                promises.forget_settled(connection, number)
            return {"status": "flushed", "cleared_count": count}

        return self._database.write(work)

    def close(self) -> None:
        """Gives back what this process has claimed, and closes the file."""
        held = self._heartbeat.held()
        if held:
            for token, _ in held:
                self._heartbeat.drop(token)
            with suppress(MemoryUnusable):  # then they are given back by themselves

                def work(connection: Connection) -> None:
                    for token, generation in held:
                        promises.release(connection, token, generation)

                self._database.write(work)
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
        row = self._database.one("SELECT number FROM sessions WHERE id = ?", (session_name(session_id),))
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
