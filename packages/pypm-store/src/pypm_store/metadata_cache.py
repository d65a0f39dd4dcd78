"""What indexes said, kept between runs: one sqlite file for all workspaces and processes of a machine.

Hot and cold parts are apart, because that is what decides the speed of a warm run: a `Listing` (all
versions of a package, their masks) is one small row decoded in microseconds; the files of one
version are a row of their own that is read when that version has been chosen; the dependencies of
one version are another. Everything that came from an index is kept under the index's *identity*: a
text that the caller derives from the address without credentials (a digest), never from the name a
workspace gives it, so that two indexes of one name never mix and one index under two names is
shared. Names that a record carries (`Listing.index`, `MetadataKey.index`) are put in on reading.

Reads are in bulk: one query for all keys. Each ``put_...`` is one transaction: a reader sees all of
it or nothing, and a process that is killed leaves the earlier state. Any number of processes and
threads may use the file at once.

It is a cache: a file that is damaged is set aside and a new one begun, and where no file can be made
at all the data is kept in memory for this run; `MetadataCache.warning` then says so. Only a write
that fails later (a full disk) is an error, `CacheUnusable`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pypm_model.events import Warned
from pypm_model.facts import Listing, ListingKey, Metadata, MetadataKey, NoMetadata
from pypm_model.names import NormalizedName
from pypm_store.cache_file import CacheFile, CacheUnusable
from pypm_store.fact_codec import (
    decode_files,
    decode_listing,
    decode_metadata,
    encode_files,
    encode_listing,
    encode_metadata,
    same_files,
)
from pypm_store.pages import SETTLED, FileRow, Page, PageContent

__all__ = ["CacheUnusable", "FileRow", "MetadataCache", "Page", "PageContent"]

SCHEMA = 3
"""Part of the file's name: another schema is another file, both can live in one folder. It counts up when
tables change, and when what is kept in them means something else (3: platforms of Pyodide in atoms)."""

_CHUNK = 500

T = TypeVar("T")


class MetadataCache:
    """The cache in one folder. Use it as a context manager, or call `close`."""

    def __init__(self, folder: Path | None) -> None:
        """Opens the cache in *folder* (made if missing); None: in memory, for this object only."""
        self._file = CacheFile(folder, schema=SCHEMA, tables=_TABLES)
        self._indexes: dict[str, int] = {}
        self._generation = 0

    @property
    def warning(self) -> Warned | None:
        """Set when a damaged file was set aside (code ``cache-damaged``) or no file could be made
        (``cache-in-memory``)."""
        return self._file.warning

    # -- pages and listings -------------------------------------------------------------------

    def pages(self, index: str, names: Iterable[NormalizedName]) -> dict[NormalizedName, Page]:
        """The kept pages of *names*; those never fetched are left out."""
        rows = self._select(
            "SELECT name, status, fetched, max_age, etag, last_modified, digest, address"
            " FROM pages WHERE index_id = {index} AND name IN ({keys})",
            index,
            names,
        )
        return {row[0]: Page(*row) for row in rows}

    def listings(
        self, index: str, keys: Iterable[ListingKey], *, index_name: str, variant: str = ""
    ) -> dict[ListingKey, tuple[Page, Listing | None]]:
        """Page and hot record of each key in one query; keys never fetched are left out.

        The listing is None for an absent name, and where the page is known but this *variant* of it
        has not been made: `files_of` has what it is made from. *index_name* becomes
        `Listing.index`. About 10 µs each, 25 for packages with hundreds of versions.
        """
        wanted: dict[NormalizedName, list[ListingKey]] = {}
        for key in keys:
            wanted.setdefault(key.name, []).append(key)
        rows = self._select(
            "SELECT p.name, status, fetched, max_age, etag, last_modified, digest, address, body"
            " FROM pages p LEFT JOIN listings l"
            " ON l.index_id = p.index_id AND l.name = p.name AND l.variant = ?"
            " WHERE p.index_id = {index} AND p.name IN ({keys})",
            index,
            wanted,
            before=(variant,),
        )
        found: dict[ListingKey, tuple[Page, Listing | None]] = {}
        for *columns, body in rows:
            page = Page(*columns)
            for key in wanted[page.name]:
                found[key] = (page, None if body is None else decode_listing(body, key, index_name))
        return found

    def put_pages(self, index: str, contents: Iterable[PageContent]) -> None:
        """Keeps pages, replacing all that was known of the same names: files, every variant of the
        listing, and the metadata of versions whose files are not the same as before (so that a
        warm cache answers exactly as an empty one would). One transaction.

        Raises ValueError for a page whose status is no settled answer.
        """
        # Encoded before the transaction: others wait for as short a time as can be.
        encoded = [_encoded(content) for content in contents]

        def write(connection: sqlite3.Connection) -> None:
            number = self._number(connection, index)
            known: set[str] = set()
            for some in _chunks([page.name for page, _, _ in encoded]):
                known.update(
                    name
                    for (name,) in connection.execute(
                        f"SELECT name FROM pages WHERE index_id = {number} AND name IN ({_marks(some)})", some
                    )
                )
            # All that is new in three statements: each gives the interpreter away to other threads.
            _put_new(connection, number, [one for one in encoded if one[0].name not in known])
            for page, files, listings in encoded:
                if page.name in known:
                    _put_page(connection, number, page, files, listings)

        self._file.write(write)

    def touch_pages(self, index: str, pages: Iterable[Page]) -> None:
        """Renews what is known about the answers (after 304 Not Modified, or a page with the same
        digest); files, listings and metadata stay. Names that are not kept are not added."""
        rows = [
            (p.fetched, p.max_age, p.etag, p.last_modified, p.digest, p.address, p.name, p.status)
            for p in pages
        ]

        def write(connection: sqlite3.Connection) -> None:
            number = self._number(connection, index)
            connection.executemany(
                "UPDATE pages SET fetched = ?, max_age = ?, etag = ?, last_modified = ?, digest = ?,"
                f" address = ? WHERE index_id = {number} AND name = ? AND status = ?",
                rows,
            )

        self._file.write(write)

    def put_listings(self, index: str, variant: str, listings: Iterable[tuple[Page, Listing]]) -> None:
        """Adds a variant made from the cold rows of *page*. It is dropped if another process has
        kept a newer page meanwhile (another digest)."""
        rows = [(variant, encode_listing(listing), listing.name, page.digest) for page, listing in listings]

        def write(connection: sqlite3.Connection) -> None:
            number = self._number(connection, index)
            connection.executemany(
                "INSERT OR REPLACE INTO listings (index_id, name, variant, body)"
                f" SELECT {number}, name, ?, ? FROM pages"
                f" WHERE index_id = {number} AND name = ? AND digest = ?",
                rows,
            )

        self._file.write(write)

    # -- files --------------------------------------------------------------------------------

    def files(
        self, index: str, versions: Iterable[tuple[NormalizedName, str]]
    ) -> dict[tuple[NormalizedName, str], tuple[FileRow, ...]]:
        """The files of the given (name, version) pairs, in the order they were put; what is not
        known is left out."""
        wanted = set(versions)
        rows = self._select(
            "SELECT name, version, body FROM files"
            " WHERE index_id = {index} AND (name, version) IN (VALUES {keys})",
            index,
            wanted,
        )
        return {(name, version): decode_files(body) for name, version, body in rows}

    def files_of(self, index: str, name: NormalizedName) -> dict[str, tuple[FileRow, ...]]:
        """All files of one name, per version: the whole cold part, 1 ms per 600 files."""
        rows = self._select(
            "SELECT version, body FROM files WHERE index_id = {index} AND name IN ({keys})", index, [name]
        )
        return {version: decode_files(body) for version, body in rows}

    # -- metadata -----------------------------------------------------------------------------

    def metadata(self, index: str, keys: Iterable[MetadataKey]) -> dict[MetadataKey, Metadata | NoMetadata]:
        """Parsed dependencies in one query; keys that are not known are left out. The keys' own
        ``index`` (a name) is only carried over into the answers."""
        wanted: dict[tuple[str, str], list[MetadataKey]] = {}
        for key in keys:
            wanted.setdefault((key.name, key.version), []).append(key)
        rows = self._select(
            "SELECT name, version, body FROM metadata"
            " WHERE index_id = {index} AND (name, version) IN (VALUES {keys})",
            index,
            wanted,
        )
        return {
            key: decode_metadata(body, key) for name, version, body in rows for key in wanted[name, version]
        }

    def put_metadata(self, index: str, facts: Iterable[Metadata | NoMetadata]) -> None:
        """Keeps parsed dependencies until the files of their version change (`put_pages`)."""
        rows = [(fact.key.name, fact.key.version, encode_metadata(fact)) for fact in facts]

        def write(connection: sqlite3.Connection) -> None:
            number = self._number(connection, index)
            connection.executemany(
                f"INSERT OR REPLACE INTO metadata (index_id, name, version, body) VALUES ({number}, ?, ?, ?)",
                rows,
            )

        self._file.write(write)

    # -- small facts --------------------------------------------------------------------------

    def value(self, kind: str, key: str) -> Any:
        """A small fact put with `put_values`, or None."""
        return self.values(kind, [key]).get(key)

    def values(self, kind: str, keys: Iterable[str]) -> dict[str, Any]:
        """Small facts of one kind; those not known are left out. Kinds in use are the callers' own
        (``interpreter``, ``files-base``, ``member-metadata``...)."""
        found: dict[str, Any] = {}
        for some in _chunks(keys):
            rows = self._file.read(
                f"SELECT key, body FROM facts WHERE kind = ? AND key IN ({_marks(some)})",
                [kind, *some],
            )
            found.update((key, json.loads(body)) for key, body in rows)
        return found

    def put_values(self, kind: str, values: Mapping[str, Any]) -> None:
        """Keeps small facts: anything `json` can write. The key says what the fact depends on
        (for an interpreter its path, size and mtime): a fact is never out of date, only unused."""
        rows = [(kind, key, json.dumps(value, separators=(",", ":"))) for key, value in values.items()]
        self._file.write(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO facts (kind, key, body) VALUES (?, ?, ?)", rows
            )
        )

    # -- housekeeping -------------------------------------------------------------------------

    def forget_pages(self, before: float) -> int:
        """Drops pages not fetched or confirmed since *before* (seconds since the epoch) with all
        that hangs on them, gives the space back to the disk, and returns how many pages went."""

        def write(connection: sqlite3.Connection) -> int:
            old = connection.execute(
                "SELECT index_id, name FROM pages WHERE fetched < ?", (before,)
            ).fetchall()
            for table in ("pages", "listings", "files", "metadata"):
                connection.executemany(f"DELETE FROM {table} WHERE index_id = ? AND name = ?", old)
            return len(old)

        count = self._file.write(write)
        if count:
            self._file.compact()
        return count

    def measure(self) -> dict[str, int]:
        """Bytes of what is kept, by table: ``listings``, ``files``, ``metadata``, ``facts``. Reads all."""
        tables = ("listings", "files", "metadata", "facts")
        found = [self._file.read(f"SELECT TOTAL(LENGTH(body)) FROM {table}")[0][0] for table in tables]
        return dict(zip(tables, map(int, found), strict=True))

    def close(self) -> None:
        """Closes the file; the object cannot be used afterwards."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- within -----------------------------------------------------------------------------

    def _number(self, connection: sqlite3.Connection, index: str) -> int:
        """The small number that stands for an identity in the tables; made inside a transaction,
        and not remembered: if that is rolled back the number is free again."""
        connection.execute("INSERT OR IGNORE INTO indexes (identity) VALUES (?)", (index,))
        (number,) = connection.execute("SELECT id FROM indexes WHERE identity = ?", (index,)).fetchone()
        return int(number)

    def _known(self, index: str) -> int | None:
        if self._generation != self._file.generation:
            self._indexes.clear()
            self._generation = self._file.generation
        if index not in self._indexes:
            rows = self._file.read("SELECT id FROM indexes WHERE identity = ?", (index,))
            if not rows:
                return None
            self._indexes[index] = rows[0][0]
        return self._indexes[index]

    def _select(
        self, query: str, index: str, keys: Iterable[Any], *, before: tuple[Any, ...] = ()
    ) -> Iterator[tuple[Any, ...]]:
        """Rows of *query* for all *keys* (texts, or tuples of texts), as few statements as fit."""
        number = self._known(index)
        if number is None:
            return
        for some in _chunks(keys):
            values: list[Any] = []
            if isinstance(some[0], tuple):
                marks = ",".join("(" + _marks(one) + ")" for one in some)
                for one in some:
                    values += one
            else:
                marks, values = _marks(some), list(some)
            yield from self._file.read(query.format(index=number, keys=marks), [*before, *values])


_TABLES = """
CREATE TABLE IF NOT EXISTS indexes (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS pages (
    index_id INTEGER NOT NULL, name TEXT NOT NULL, status INTEGER NOT NULL, fetched REAL NOT NULL,
    max_age INTEGER NOT NULL, etag TEXT NOT NULL, last_modified TEXT NOT NULL, digest TEXT NOT NULL,
    address TEXT NOT NULL, PRIMARY KEY (index_id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS listings (
    index_id INTEGER NOT NULL, name TEXT NOT NULL, variant TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (index_id, name, variant));
CREATE TABLE IF NOT EXISTS files (
    index_id INTEGER NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (index_id, name, version));
CREATE TABLE IF NOT EXISTS metadata (
    index_id INTEGER NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (index_id, name, version));
CREATE TABLE IF NOT EXISTS facts (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key));
"""


_Encoded = tuple[Page, dict[str, str], dict[str, str]]
"""A page, its files by version, its listings by variant."""


def _encoded(content: PageContent) -> _Encoded:
    if content.page.status not in SETTLED:
        raise ValueError(f"status {content.page.status} says nothing that may be kept")
    files = {version: encode_files(rows) for version, rows in content.files.items()}
    return content.page, files, {variant: encode_listing(one) for variant, one in content.listings.items()}


def _put_page(
    connection: sqlite3.Connection, number: int, page: Page, new: dict[str, str], listings: dict[str, str]
) -> None:
    name = page.name
    kept = connection.execute(
        "SELECT version, body FROM files WHERE index_id = ? AND name = ?", (number, name)
    )
    old: dict[str, str] = dict(kept.fetchall())
    # Most of a page is as it was: only what differs is written.
    changed = [version for version, body in new.items() if old.get(version) != body]
    gone = [version for version in old if version not in new]
    other = [one for one in changed if one in old and not same_files(old[one], new[one])]
    for table, versions in (("files", gone), ("metadata", [*gone, *other])):
        connection.executemany(
            f"DELETE FROM {table} WHERE index_id = {number} AND name = ? AND version = ?",
            [(name, version) for version in versions],
        )
    connection.executemany(
        f"INSERT OR REPLACE INTO files (index_id, name, version, body) VALUES ({number}, ?, ?, ?)",
        [(name, version, new[version]) for version in changed],
    )
    connection.execute(f"DELETE FROM listings WHERE index_id = {number} AND name = ?", (name,))
    connection.executemany(
        f"INSERT INTO listings (index_id, name, variant, body) VALUES ({number}, ?, ?, ?)",
        [(name, variant, body) for variant, body in listings.items()],
    )
    connection.execute(_PUT_PAGE, (number, *_columns(page)))


_PUT_PAGE = (
    "INSERT OR REPLACE INTO pages"
    " (index_id, name, status, fetched, max_age, etag, last_modified, digest, address)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _columns(page: Page) -> tuple[Any, ...]:
    return (
        page.name,
        page.status,
        page.fetched,
        page.max_age,
        page.etag,
        page.last_modified,
        page.digest,
        page.address,
    )


def _put_new(connection: sqlite3.Connection, number: int, contents: Sequence[_Encoded]) -> None:
    """Adds pages of names of which nothing is known; of a name given twice the last counts."""
    last = {content[0].name: content for content in contents}.values()
    connection.executemany(_PUT_PAGE, [(number, *_columns(page)) for page, _, _ in last])
    connection.executemany(
        f"INSERT INTO files (index_id, name, version, body) VALUES ({number}, ?, ?, ?)",
        [(page.name, version, body) for page, files, _ in last for version, body in files.items()],
    )
    connection.executemany(
        f"INSERT INTO listings (index_id, name, variant, body) VALUES ({number}, ?, ?, ?)",
        [(page.name, variant, body) for page, _, listings in last for variant, body in listings.items()],
    )


def _chunks(keys: Iterable[T]) -> Iterator[list[T]]:
    """*keys* without duplicates, in portions that fit sqlite's limits on one statement."""
    unique = list(dict.fromkeys(keys))
    for start in range(0, len(unique), _CHUNK):
        yield unique[start : start + _CHUNK]


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
