"""Wheels and sdists by sha256: a file is in its place only when it is whole and is what it should be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from pypm_model.later import later
from pypm_store.atomic import beside_name, rename_over
from pypm_store.locks import holding
from pypm_store.store_errors import StoreUnwritable, WrongDigest, unwritable

if TYPE_CHECKING:
    import hashlib
    import shutil
else:
    hashlib = later("hashlib")
    shutil = later("shutil")

_CHUNK = 1 << 20
_HEX = frozenset("0123456789abcdef")


def checked_digest(sha256: str) -> str:
    """*sha256* itself. Raises ValueError unless it is 64 lower-case hexadecimal digits: it becomes
    part of a path."""
    if len(sha256) != 64 or set(sha256) - _HEX:
        raise ValueError(f"no sha256: {sha256!r}")
    return sha256


def digest_of(path: Path) -> str:
    """The sha256 of the file at *path*, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Incoming:
    """A file on its way into the store: made by `Files.writing`."""

    def __init__(self, place: Path | None, expected: str | None, partial: Path, label: str) -> None:
        self.complete = place is not None
        """Another process finished the same file meanwhile: there is nothing to write."""
        self._path = place
        self._expected = expected
        self._partial = partial
        self._label = label
        self._hash = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO | None = None

    @property
    def offset(self) -> int:
        """Bytes that are there already: go on from here (``Range: bytes=offset-``), or `restart`."""
        return self._size

    @property
    def sha256(self) -> str:
        """The digest of what is there so far; of the whole file after the block."""
        if self.complete:
            assert self._expected is not None
            return self._expected
        return self._hash.hexdigest()

    @property
    def path(self) -> Path:
        """Where the file is in the store. Only after the block, or when `complete`."""
        if self._path is None:
            raise ValueError("the file is not complete")
        return self._path

    def write(self, chunk: bytes) -> None:
        """Adds *chunk*. Raises `StoreUnwritable`."""
        assert self._file is not None
        try:
            self._file.write(chunk)
        except OSError as error:
            raise unwritable(self._partial.parent, error) from error
        self._hash.update(chunk)
        self._size += len(chunk)

    def restart(self) -> None:
        """Drops what is there: the other side sends the file from its beginning."""
        if self._size:
            assert self._file is not None
            self._file.seek(0)
            self._file.truncate()
            self._hash = hashlib.sha256()
            self._size = 0

    def __enter__(self) -> Self:
        try:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: the chunks of a download are large, and a full disk is noticed at once.
            self._file = open(self._partial, "r+b" if self._partial.exists() else "x+b", buffering=0)
            while chunk := self._file.read(_CHUNK):
                self._hash.update(chunk)
                self._size += len(chunk)
        except OSError as error:
            raise unwritable(self._partial.parent, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()
        full = isinstance(error, StoreUnwritable) and error.full
        # What has no name yet cannot be resumed; what fills the disk should not stay there.
        if error is not None and (self._expected is None or full):
            self.discard()

    def finish(self, place: Path) -> None:
        """Puts the whole file in *place*, if it is the right one. Raises `WrongDigest`."""
        actual = self._hash.hexdigest()
        if self._expected is not None and actual != self._expected:
            self.discard()
            raise WrongDigest(self._label, self._expected, actual)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            rename_over(self._partial, place)
        except OSError as error:
            raise unwritable(place.parent, error) from error
        self._path = place

    def discard(self) -> None:
        """Throws away what was written."""
        with suppress(FileNotFoundError):
            os.unlink(self._partial)


class Files:
    """The ``files/`` folder of a store."""

    def __init__(self, folder: Path, locks: Path) -> None:
        self._folder = folder
        self._locks = locks
        self._verified: set[str] = set()

    def place(self, sha256: str) -> Path:
        """Where the file is, if it is."""
        return self._folder / checked_digest(sha256)[:2] / sha256

    def partial(self, sha256: str) -> Path:
        """Where a download of it is kept while it is not whole."""
        place = self.place(sha256)
        return place.with_name(f"{place.name}.part")

    def has(self, sha256: str) -> bool:
        """Whether the file is there, without looking into it."""
        return self.place(sha256).is_file()

    def get(self, sha256: str) -> Path | None:
        """The file, read and compared with its digest the first time in this process; a damaged one
        is removed and counts as missing."""
        place = self.place(sha256)
        if sha256 in self._verified and place.is_file():
            return place
        try:
            actual = digest_of(place)
        except FileNotFoundError:
            return None
        if actual != sha256:
            with suppress(FileNotFoundError):
                os.unlink(place)
            return None
        self._verified.add(sha256)
        return place

    def vouched(self, sha256: str) -> Path:
        """See `Store.vouched_file`."""
        self._verified.add(sha256)
        return self.place(sha256)

    def check(self, path: Path, sha256: str, label: str) -> None:
        """Raises `WrongDigest` unless the file at *path* (in the store or elsewhere) has *sha256*."""
        place = self.place(sha256)
        if path == place and sha256 in self._verified:
            return
        actual = digest_of(path)
        if actual != sha256:
            if path == place:
                place.unlink(missing_ok=True)
            raise WrongDigest(label, sha256, actual)
        if path == place:
            self._verified.add(sha256)

    @contextmanager
    def writing(self, sha256: str | None, *, label: str = "") -> Iterator[Incoming]:
        """See `Store.writing`."""
        if sha256 is None:
            partial = Path(beside_name(self._folder / "incoming" / "file"))
            with Incoming(None, None, partial, label or "the file") as incoming:
                yield incoming
            incoming.finish(self.place(incoming.sha256))
            self._verified.add(incoming.sha256)
            return
        place = self.place(sha256)
        with holding(self._locks / f"file-{sha256}"):
            if self.get(sha256) is not None:
                yield Incoming(place, sha256, place, label)
                return
            with Incoming(None, sha256, self.partial(sha256), label or sha256) as incoming:
                yield incoming
            incoming.finish(place)
            self._verified.add(sha256)
