"""Promises: the statements that claim a piece of work, take it over and settle it, inside a transaction.

A lease holds while ``now < deadline <= now + lease`` by the clock that only goes forward. The second half
tells a deadline of before the machine was started anew, when that clock began at 0 again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from secrets import token_hex
from sqlite3 import Connection

from pypm_memory.entries import readable
from pypm_memory.memory_errors import PromiseFailed, UnknownPromise
from pypm_model.records import record

SETTLED_SECONDS = 3600.0
"""How long a result can be had by its promise, whatever has become of the entry."""
SETTLED_KEPT = 256
"""Of how many promises of a session, the newest."""
_SWEPT = 32

_ID = re.compile("([0-9a-f]{32})-([0-9]{1,9})", re.ASCII)
_COLUMNS = "SELECT token, generation, lease, deadline, settled, failure, payload, hash, digest FROM promises"
PENDING = f"{_COLUMNS} WHERE digest = ? AND settled IS NULL"
ANY = "SELECT 1 FROM promises WHERE digest = ? LIMIT 1"
"""Whether there is a promise of a key, settled or not."""
OF_TOKEN = f"{_COLUMNS} WHERE token = ? AND session = ?"


@record
class Promise:
    """A row."""

    token: str
    generation: int
    lease: float
    deadline: float
    settled: float | None
    failure: str | None
    payload: str | bytes | None
    hash: int
    digest: bytes

    @property
    def id(self) -> str:
        """As the one who holds it, and everyone who waits, knows it."""
        return f"{self.token}-{self.generation}"

    def is_held(self, now: float) -> bool:
        """Whether somebody's lease is running."""
        return now < self.deadline <= now + self.lease


def parsed(promise_id: str) -> tuple[str, int]:
    """Token and generation of a promise's name. Raises `UnknownPromise`."""
    found = _ID.fullmatch(promise_id) if isinstance(promise_id, str) else None
    if found is None:
        raise UnknownPromise(str(promise_id)[:64])
    return found[1], int(found[2])


def pending(connection: Connection, digest: bytes) -> Promise | None:
    """The promise of a key that is not settled, held or not."""
    row = connection.execute(PENDING, (digest,)).fetchone()
    return None if row is None else Promise(*row)


def of_token(connection: Connection, token: str, session: int) -> Promise | None:
    """The session's promise with this token."""
    row = connection.execute(OF_TOKEN, (token, session)).fetchone()
    return None if row is None else Promise(*row)


def claim(
    connection: Connection,
    session: int,
    key: tuple[int, bytes],
    lease: float,
    steady: float,
    now: float,
) -> tuple[Promise, bool]:
    """The promise for a key that has no entry, and whether it is the caller's now: because it is new, or
    because nobody held it any more."""
    _sweep(connection, steady, now)
    found = pending(connection, key[1])
    if found is None:
        token = token_hex(16)
        connection.execute(
            "INSERT INTO promises (session, hash, digest, token, generation, lease, deadline)"
            " VALUES (?, ?, ?, ?, 1, ?, ?)",
            (session, *key, token, lease, steady + lease),
        )
        return Promise(token, 1, lease, steady + lease, None, None, None, *key), True
    if found.is_held(steady):
        return found, False
    return take_over(connection, found, lease, steady), True


def take_over(connection: Connection, found: Promise, lease: float, steady: float) -> Promise:
    """The caller's now; whoever had it before has lost it."""
    values = (found.generation + 1, lease, steady + lease, found.token)
    connection.execute("UPDATE promises SET generation = ?, lease = ?, deadline = ? WHERE token = ?", values)
    generation, lease, deadline, token = values
    return Promise(token, generation, lease, deadline, None, None, None, found.hash, found.digest)


def renew(connection: Connection, token: str, generation: int, steady: float) -> bool:
    """Lets the lease run anew; False if the promise is settled or another's."""
    changed = connection.execute(
        "UPDATE promises SET deadline = ? + lease WHERE token = ? AND generation = ? AND settled IS NULL"
        " AND deadline > 0",
        (steady, token, generation),
    )
    return changed.rowcount > 0


def release(connection: Connection, token: str, generation: int) -> bool:
    """Gives it back at once; False if it is settled or another's."""
    changed = connection.execute(
        "UPDATE promises SET deadline = 0 WHERE token = ? AND generation = ? AND settled IS NULL",
        (token, generation),
    )
    return changed.rowcount > 0


def settle(
    connection: Connection, token: str, now: float, payload: str | bytes | None, failure: str | None
) -> None:
    """It is kept, or has failed; the oldest of those settled in its session go."""
    connection.execute(
        "UPDATE promises SET settled = ?, payload = ?, failure = ? WHERE token = ?",
        (now, payload, failure, token),
    )
    connection.execute(
        "DELETE FROM promises WHERE number IN (SELECT number FROM promises WHERE settled IS NOT NULL AND"
        " session = (SELECT session FROM promises WHERE token = ?) ORDER BY settled DESC, number DESC"
        " LIMIT -1 OFFSET ?)",
        (token, SETTLED_KEPT),
    )


def forget_settled(connection: Connection, session: int) -> None:
    """Removes what is settled of a session."""
    connection.execute("DELETE FROM promises WHERE session = ? AND settled IS NOT NULL", (session,))


def _sweep(connection: Connection, steady: float, now: float) -> None:
    """Removes a few that were settled long ago, and a few that nobody came back for."""
    connection.execute(
        "DELETE FROM promises WHERE number IN (SELECT number FROM promises WHERE settled < ? LIMIT ?)",
        (now - SETTLED_SECONDS, _SWEPT),
    )
    connection.execute(
        "DELETE FROM promises WHERE number IN"
        " (SELECT number FROM promises WHERE settled IS NULL AND deadline < ? LIMIT ?)",
        (steady - SETTLED_SECONDS, _SWEPT),
    )


def result_of(promise: Promise) -> str:
    """What a settled promise holds. Raises `PromiseFailed`."""
    if promise.failure is not None:
        raise PromiseFailed(promise.id, promise.failure)
    return readable(promise.payload or "")


def pauses() -> Iterator[float]:
    """Seconds to sleep between looks at a promise: short at first, and never so long that a hand-over to
    many waits for it. A look costs some 20 us."""
    pause = 0.001
    while True:
        yield pause
        pause = min(pause * 1.4, 0.01)
