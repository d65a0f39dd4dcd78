"""A downloaded snapshot of advisories: a zip file of JSON files, as OSV publishes one for each ecosystem, a
folder of them, or one JSON file. The only module of this member that reads files."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pypm_audit.errors import SnapshotUnreadable
from pypm_model.records import record
from pypm_model.zip_damage import ZIP_DAMAGE

LARGEST = 64 << 20
"""Bytes of one JSON file: no record is larger."""


class EntryUnreadable(Exception):
    """One file of the snapshot cannot be read; says why in a clause. The others can."""


@record
class Entry:
    """One JSON file of a snapshot."""

    name: str
    """Within the snapshot, with ``/``."""
    mark: str
    """Another content has another mark: what the zip's directory or the file system says of it."""
    read: Callable[[], bytes]
    """Its content. Raises `EntryUnreadable`."""


@contextmanager
def opened(path: Path) -> Iterator[Iterator[Entry]]:
    """The JSON files of the snapshot at *path*, by name. Raises `SnapshotUnreadable`."""
    try:
        if path.is_dir():
            yield _folder(path)
        elif zipfile.is_zipfile(path):
            with _zip(path) as archive:
                yield _archive(archive)
        elif not path.exists():
            raise SnapshotUnreadable(str(path), "there is no such file or folder")
        elif path.suffix == ".json":
            yield iter([_file(path, path.name)])
        else:
            raise SnapshotUnreadable(str(path), "it is no zip file")
    except OSError as error:
        raise SnapshotUnreadable(str(path), (error.strerror or str(error)).lower()) from error


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except ZIP_DAMAGE as error:
        raise SnapshotUnreadable(str(path), f"it is damaged ({error})") from error


def _folder(path: Path) -> Iterator[Entry]:
    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(path, onerror=refuse):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".json"):
                file = Path(folder) / name
                yield _file(file, file.relative_to(path).as_posix())


def _file(path: Path, name: str) -> Entry:
    def read() -> bytes:
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise EntryUnreadable("it is no regular file")
            if status.st_size > LARGEST:
                raise EntryUnreadable(f"it is larger than {LARGEST} bytes")
            return path.read_bytes()
        except OSError as error:
            raise EntryUnreadable((error.strerror or str(error)).lower()) from error

    try:
        status = path.stat()
        mark = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"
    except OSError:
        mark = ""
    return Entry(name, mark, read)


def _archive(archive: zipfile.ZipFile) -> Iterator[Entry]:
    for info in sorted(archive.infolist(), key=lambda each: each.filename):
        if not info.is_dir() and info.filename.endswith(".json"):
            yield Entry(info.filename, f"{info.CRC:08x}-{info.file_size}", _reader(archive, info))


def _reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        if info.file_size > LARGEST:
            raise EntryUnreadable(f"it is larger than {LARGEST} bytes")
        try:
            with archive.open(info) as file:
                # No further than it says: the directory may lie about the size.
                content = io.BytesIO(file.read(LARGEST + 1)).getvalue()
        except ZIP_DAMAGE as error:
            raise EntryUnreadable(f"it cannot be unpacked ({error})") from error
        if len(content) > LARGEST:
            raise EntryUnreadable(f"it is larger than {LARGEST} bytes")
        return content

    return read
