"""The tables, as the steps that make them: a file of any earlier version is brought up to date by the rest.

The version is sqlite's ``user_version``; ``application_id`` says that a file is ours. A step is never
changed once it is released: what comes after it is another step.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x7079706D
"""``pypm``"""

_ENTRIES = """
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    silo_size INTEGER NOT NULL
);
-- `place` is (session << 32) + index, so that a session's entries lie together and the highest index in
-- use is one look away. A vacated place keeps its row, without a key and with `used` = 0: it comes first
-- in the order of use, and so is the first to be taken again. `hash` is the digest's beginning: an index
-- over whole numbers is the quickest there is. A column behind a long value costs reading all of the value.
CREATE TABLE entries (
    place INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    hash INTEGER,
    digest BLOB,
    expires REAL,
    used INTEGER NOT NULL,
    value
);
CREATE INDEX entries_by_key ON entries (hash);
CREATE INDEX entries_by_use ON entries (session, used);
CREATE INDEX entries_by_end ON entries (expires) WHERE expires IS NOT NULL;
CREATE INDEX entries_by_session_and_end ON entries (session, expires) WHERE expires IS NOT NULL;
"""

_PROMISES = """
-- One row for a piece of work from the first claim on. Whoever takes it over counts `generation` up, so
-- that one who was thought dead cannot settle it. `deadline` is of the clock that only goes forward, which
-- all processes of a machine share until it is started anew; `settled` is of the wall clock.
CREATE TABLE promises (
    number INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    digest BLOB NOT NULL,
    token TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL,
    lease REAL NOT NULL,
    deadline REAL NOT NULL,
    settled REAL,
    failure TEXT,
    payload
);
CREATE UNIQUE INDEX promises_pending ON promises (digest) WHERE settled IS NULL;
CREATE INDEX promises_by_key ON promises (digest);
CREATE INDEX promises_by_deadline ON promises (deadline) WHERE settled IS NULL;
CREATE INDEX promises_settled ON promises (settled) WHERE settled IS NOT NULL;
CREATE INDEX promises_settled_of ON promises (session, settled) WHERE settled IS NOT NULL;
"""

STEPS = (_ENTRIES, _PROMISES)
"""Step n leads from version n to version n + 1."""


def version_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """The file's application and version; (0, 0) if it is empty."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether there is nothing in the file at all."""
    (count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not count


def migrate(connection: sqlite3.Connection, version: int, upto: int = len(STEPS)) -> None:
    """Takes the steps from *version* on. The caller has begun a transaction: all of them or none."""
    for step in STEPS[version:upto]:
        # Not `executescript`, which would commit first.
        for statement in step.split(";\n"):
            if statement.strip():
                connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {upto}")
