"""Writes a bundle: each file passes once, small ones packed ahead in threads; the archive is there or not.

On Linux the file has no name until it is whole (``O_TMPFILE``): a process that is killed leaves nothing.
Where that cannot be had it has a hidden name beside its place until then.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from pypm_bundle.archives import EPOCH, archive_to
from pypm_bundle.bundle_errors import BundleTooLarge, BundleUnwritable
from pypm_bundle.contents import Entry, Item, Link, Written
from pypm_bundle.manifest import NAME, Manifest
from pypm_bundle.packing import PIECE, Passing
from pypm_model.events import Advanced, Finished, Listener, Started, ignore
from pypm_model.records import record
from pypm_store.atomic import beside_name, rename_over

_AHEAD = 32
"""Files that are packed before it is their turn: at most so many times `PIECE` bytes."""


@record
class Packing:
    """How an archive is packed."""

    form: str
    """``tar.gz``, ``tar.zst`` or ``zip``."""
    level: int
    splice: bool = True
    """Take over what wheels have packed already."""
    time: int = EPOCH
    """Of all files, in seconds since 1970."""
    workers: int = 2


@record
class Summary:
    """What was written."""

    file: str
    size: int
    sha256: str
    files: int
    unpacked: int
    """Bytes of all files."""


def write(
    target: Path,
    items: Sequence[Item],
    facts: Mapping[str, Any],
    packing: Packing,
    listener: Listener = ignore,
    *,
    most: int | None = None,
) -> Summary:
    """Makes *target* the archive of *items*, in order, and of the manifest with *facts* and all digests.

    What was there stays if anything is raised: `BundleUnwritable`, `BundleTooLarge` (for more than *most*
    bytes), `UnsafeArchive`, OSError of what is read.
    """
    level = None if packing.form == "tar.zst" else packing.level
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    executable = frozenset(item.path for item in items if isinstance(item, Entry) and item.executable)
    total = 0
    listener(Started("pack", total=len(items)))
    with new_file(target, most) as out, ThreadPoolExecutor(packing.workers, "pack") as pool:
        archive = archive_to(cast("IO[bytes]", out), packing.form, packing.level, packing.time)
        for item, passing in passing_of(items, level, packing.splice, pool):
            if isinstance(item, Link):
                archive.link(item.path, item.target)
                links[item.path] = item.target
            else:
                assert passing is not None
                archive.file(item.path, item.executable, passing)
                files[item.path] = passing.sha256
                total += passing.size
            listener(Advanced("pack"))
        text = Manifest(facts, files, links, executable).to_text().encode()
        archive.file(NAME, False, Passing(Written(text), level))
        archive.close()
    listener(Finished("pack"))
    with open(target, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Summary(str(target), target.stat().st_size, digest, len(files) + 1, total + len(text))


def passing_of(
    items: Sequence[Item], level: int | None, splice: bool, pool: ThreadPoolExecutor
) -> Iterator[tuple[Item, Passing | None]]:
    """Each of *items* with its content, the small ones' packed by *pool* meanwhile."""
    ahead: deque[tuple[Item, Passing | None, Future[Passing] | None]] = deque()
    coming = iter(items)
    try:
        while True:
            while len(ahead) < _AHEAD and (item := next(coming, None)) is not None:
                passing = Passing(item.content, level, splice=splice) if isinstance(item, Entry) else None
                small = passing is not None and passing.size <= PIECE
                ahead.append((item, passing, pool.submit(passing.hold) if passing and small else None))
            if not ahead:
                return
            item, passing, future = ahead.popleft()
            yield item, (future.result() if future is not None else passing)
    finally:
        for _, _, future in ahead:
            if future is not None:
                future.cancel()


class _Out:
    """A file whose failures to be written name it, and that grows to *most* bytes."""

    def __init__(self, file: BinaryIO, shown: str, most: int | None) -> None:
        self._file, self._shown, self._most = file, shown, most

    def write(self, data: bytes) -> int:
        with _telling(self._shown):
            written = self._file.write(data)
            if self._most is not None and self._file.tell() > self._most:
                raise BundleTooLarge(self._shown, self._most)
            return written

    def seek(self, offset: int) -> int:
        with _telling(self._shown):
            return self._file.seek(offset)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def new_file(target: Path, most: int | None = None) -> Iterator[_Out]:
    """A file that is *target* when the block ends well, and else is gone."""
    shown = str(target)
    named = ""
    with _telling(shown):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise BundleUnwritable(shown, "it is a folder")
        handle = _nameless(target.parent)
        if handle is None:
            named = beside_name(target)
            handle = os.open(named, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        file = os.fdopen(handle, "w+b", buffering=1 << 20)
        try:
            yield _Out(file, shown, most)
            with _telling(shown):
                file.flush()
                if not named:
                    # A name can be given to it, but none that is taken.
                    named = beside_name(target)
                    _name(handle, named)
        finally:
            with suppress(OSError):  # it has been told already
                file.close()
        with _telling(shown):
            rename_over(named, target)
    except BaseException:
        if named:
            with suppress(OSError):
                os.unlink(named)
        raise


@contextmanager
def _telling(shown: str) -> Iterator[None]:
    """A failure in this block is one to write the file called *shown*."""
    try:
        yield
    except OSError as error:
        raise BundleUnwritable(shown, (error.strerror or str(error)).lower()) from error


def _name(handle: int, name: str) -> None:
    """Gives the open file without a name this one. Raises OSError."""
    folder = os.open(os.path.dirname(name) or ".", os.O_RDONLY)
    try:
        # With a folder's handle the link in /proc is followed (linkat, AT_SYMLINK_FOLLOW).
        os.link(f"/proc/self/fd/{handle}", os.path.basename(name), dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _nameless(folder: Path) -> int | None:
    """A file in *folder* without a name, that can be given one; None where there are none."""
    flag = getattr(os, "O_TMPFILE", 0)
    if not flag or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, flag | os.O_RDWR, 0o666)
    except OSError:
        return None
