"""A session's silo: the statements that find, keep and forget entries, inside a transaction of the caller's.

The order of use is a number that grows within a session, not a time: clocks are set back.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from sqlite3 import Connection
from struct import Struct

_PLACES = 1 << 32
"""Places of a session: more than a silo can have."""
_SWEPT = 32
"""Expired entries of all sessions that one write removes: more than one write adds, so none pile up."""

_first_number = Struct(">q").unpack_from
_SURROGATE = re.compile("[\ud800-\udfff]")

FIND = "SELECT place, value, expires, digest FROM entries WHERE hash = ?"
"""Of two keys with one hash, which nobody has seen yet, it may find the other: compare the digest, then"""
LAST_USED = "SELECT digest FROM entries WHERE session = ? ORDER BY used DESC LIMIT 1"
FIND_EXACTLY = f"{FIND} AND digest = ?"


def key_of(session: int, key: str) -> tuple[int, bytes]:
    """What a session's key is kept as: a digest, of one size however long the key is, telling nothing of it
    and another one in each session; before it the number it is found by."""
    content = session.to_bytes(4, "big") + key.encode("utf-8", "surrogatepass")
    digest = blake2b(content, digest_size=16).digest()
    return _first_number(digest)[0], digest


def encoded(text: str) -> bytes:
    """Any text, halves of surrogate pairs among it."""
    return text.encode("utf-8", "surrogatepass")


def storable(text: str, content: bytes) -> str | bytes:
    """*text* as sqlite takes it, *content* being its bytes: what is no UTF-8 stays bytes."""
    return content if _SURROGATE.search(text) else text


def readable(value: str | bytes) -> str:
    """The text that `storable` was given."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def index_of(place: int) -> int:
    """The place within the silo."""
    return place & (_PLACES - 1)


def is_live(expires: float | None, now: float) -> bool:
    """Whether an entry that ends then is still there *now*."""
    return expires is None or expires > now


def session_number(connection: Connection, session_id: bytes) -> int | None:
    """The number of a session that is there."""
    row = connection.execute("SELECT number FROM sessions WHERE id = ?", (session_id,)).fetchone()
    return None if row is None else int(row[0])


def add_session(connection: Connection, session_id: bytes, silo_size: int) -> int:
    """The number of a new session."""
    values = (session_id, silo_size)
    added = connection.execute("INSERT INTO sessions (id, silo_size) VALUES (?, ?)", values)
    return int(added.lastrowid or 0)


def silo_size_of(connection: Connection, session: int) -> int:
    """How many entries the session may hold."""
    (size,) = connection.execute("SELECT silo_size FROM sessions WHERE number = ?", (session,)).fetchone()
    return int(size)


def put(
    connection: Connection,
    session: int,
    key: tuple[int, bytes],
    value: str | bytes,
    expires: float | None,
    now: float,
) -> int:
    """Keeps an entry as the one used last; its index. Where the silo is full, what has expired makes room,
    else the entry that was not used for longest."""
    sweep(connection, now)
    row = connection.execute(
        "SELECT place, (SELECT max(used) FROM entries WHERE session = ?1) FROM entries"
        " WHERE hash = ?2 AND digest = ?3",
        (session, *key),
    ).fetchone()
    if row is not None:
        place, last = row
        connection.execute(
            "UPDATE entries SET value = ?, used = ?, expires = ? WHERE place = ?",
            (value, last + 1, expires, place),
        )
        return index_of(place)
    place, is_new, last = _room(connection, session, now)
    values = (session, *key, value, last + 1, expires, place)
    connection.execute(
        "INSERT INTO entries (session, hash, digest, value, used, expires, place)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        if is_new
        else "UPDATE entries SET session = ?, hash = ?, digest = ?, value = ?, used = ?, expires = ?"
        " WHERE place = ?",
        values,
    )
    return index_of(place)


def _room(connection: Connection, session: int, now: float) -> tuple[int, bool, int]:
    """A place for a new entry, whether it has no row yet, and the highest number of use."""
    first = session * _PLACES
    size, top, last = connection.execute(
        "SELECT silo_size, (SELECT max(place) FROM entries WHERE place BETWEEN ?2 AND ?3),"
        " (SELECT max(used) FROM entries WHERE session = ?1) FROM sessions WHERE number = ?1",
        (session, first, first + _PLACES - 1),
    ).fetchone()
    if top is None:
        return first, True, 0
    oldest, used = connection.execute(
        "SELECT place, used FROM entries WHERE session = ? ORDER BY used LIMIT 1", (session,)
    ).fetchone()
    if not used:
        return oldest, False, last  # vacated
    if index_of(top) + 1 < size:
        return top + 1, True, last
    expired = connection.execute(
        "SELECT place FROM entries WHERE session = ? AND expires <= ? LIMIT 1", (session, now)
    ).fetchone()
    return oldest if expired is None else expired[0], False, last


def touch(connection: Connection, session: int, key: tuple[int, bytes], now: float) -> bool:
    """Makes an entry the one used last; False if there is none."""
    changed = connection.execute(
        "UPDATE entries SET used = (SELECT max(used) FROM entries WHERE session = ?1) + 1"
        " WHERE hash = ?2 AND digest = ?3 AND (expires IS NULL OR expires > ?4)",
        (session, *key, now),
    )
    return changed.rowcount > 0


def sweep(connection: Connection, now: float) -> None:
    """Vacates some places whose entries have expired, whichever session they are of."""
    soonest = connection.execute(
        "SELECT expires FROM entries WHERE expires IS NOT NULL ORDER BY expires LIMIT 1"
    ).fetchone()
    if soonest is None or soonest[0] > now:
        return
    rows = connection.execute(
        "SELECT place FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?", (now, _SWEPT)
    ).fetchall()
    _vacate(connection, rows)


def _vacate(connection: Connection, places: list[tuple[int]]) -> None:
    connection.executemany(
        "UPDATE entries SET hash = NULL, digest = NULL, value = NULL, used = 0, expires = NULL"
        " WHERE place = ?",
        places,
    )


def resize(connection: Connection, session: int, silo_size: int, now: float) -> None:
    """Gives the session another size. Where it gets smaller the entries used last stay, and those whose
    index is beyond the new size get one below it."""
    connection.execute("UPDATE sessions SET silo_size = ? WHERE number = ?", (silo_size, session))
    first = session * _PLACES
    rows = connection.execute(
        "SELECT place, used, expires FROM entries WHERE session = ? ORDER BY used DESC", (session,)
    ).fetchall()
    live = [place for place, used, expires in rows if used and is_live(expires, now)][:silo_size]
    kept = set(live)
    connection.executemany(
        "DELETE FROM entries WHERE place = ?", [(place,) for place, _, _ in rows if place not in kept]
    )
    beyond = sorted(place for place in kept if index_of(place) >= silo_size)
    free = (place for place in range(first, first + silo_size) if place not in kept)
    connection.executemany("UPDATE entries SET place = ? WHERE place = ?", [(next(free), p) for p in beyond])
    # Holes below the highest place are only found again if they have a row.
    top = max((index_of(place) for place in kept if place not in beyond), default=-1)
    top = max(top, len(kept) - 1)
    taken = {p for (p,) in connection.execute("SELECT place FROM entries WHERE session = ?", (session,))}
    connection.executemany(
        "INSERT INTO entries (place, session, used) VALUES (?, ?, 0)",
        [(place, session) for place in range(first, first + top + 1) if place not in taken],
    )


def clear(connection: Connection, session: int, now: float) -> int:
    """Removes all entries; how many of them were there to be seen."""
    (count,) = connection.execute(
        "SELECT count(*) FROM entries WHERE session = ? AND used > 0 AND (expires IS NULL OR expires > ?)",
        (session, now),
    ).fetchone()
    connection.execute("DELETE FROM entries WHERE session = ?", (session,))
    return int(count)
