"""Zip files read strictly and quickly: the table once, then one call to zlib per file.

An archive that two readers could understand differently is refused: the entries must lie one after
the other, each local header must say what the central directory says, and nothing may follow the one
end record or precede the first entry. Then there is one meaning, and it is the one that was checked.

Source: APPNOTE.TXT 6.3.10 (4.3.7 local header, 4.3.12 central directory, 4.3.14 zip64, 4.3.16 end).
"""

from __future__ import annotations

import mmap
import stat
import struct
import zlib
from pathlib import Path
from types import TracebackType
from typing import Self

from pypm_model.records import NamedTuple
from pypm_store.archive_rules import DEFAULT_LIMITS, Limits, UnsafeArchive, check_path
from pypm_store.inflate import crc32, inflate

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX32, _MAX16 = 0xFFFFFFFF, 0xFFFF
_ENCRYPTED, _DESCRIPTOR, _PATCH, _STRONG, _UTF8, _MASKED = 0x1, 0x8, 0x20, 0x40, 0x800, 0x2000
_REFUSED = _ENCRYPTED | _PATCH | _STRONG | _MASKED
_MEANINGFUL = _REFUSED | _DESCRIPTOR | _UTF8
_STORED, _DEFLATED = 0, 8
_ZIP64_FIELD, _UNICODE_PATH_FIELD = 0x0001, 0x7075


class ZipEntry(NamedTuple):
    """One file (never a folder) of a zip file."""

    path: str
    size: int
    """Bytes, unpacked."""
    packed: int
    crc: int
    deflated: bool
    start: int
    """Where its data begins in the archive."""
    executable: bool


class ZipReader:
    """A checked zip file. Reading its entries is safe from several threads at once."""

    def __init__(self, path: Path, *, name: str | None = None, limits: Limits = DEFAULT_LIMITS) -> None:
        """Opens and checks the archive at *path*, called *name* in errors.

        Raises `UnsafeArchive`, or OSError if the file cannot be read.
        """
        self.name = path.name if name is None else name
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            if size < _END.size:
                raise UnsafeArchive(self.name, "not-a-zip", detail="it is too short for a zip file")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self.entries: tuple[ZipEntry, ...] = _entries(self._map, self.name, limits)
            """Files in the order of the archive; entries that are folders are left out."""
        except BaseException:
            self._map.close()
            raise

    def read(self, entry: ZipEntry) -> bytes:
        """The entry's content: exactly as long as declared, its CRC checked."""
        packed = self._map[entry.start : entry.start + entry.packed]
        if entry.deflated:
            try:
                data, used = inflate(packed, entry.size)
            except (zlib.error, ValueError, EOFError) as error:
                raise UnsafeArchive(self.name, "bad-data", entry.path, str(error)) from error
            if len(data) != entry.size or used != len(packed):
                raise UnsafeArchive(self.name, "wrong-size", entry.path, "it is not as long as declared")
        else:
            data = packed
        if crc32(data) != entry.crc:
            raise UnsafeArchive(self.name, "bad-crc", entry.path, "its checksum is wrong")
        return data

    def close(self) -> None:
        """Lets go of the file."""
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _entries(data: mmap.mmap, file: str, limits: Limits) -> tuple[ZipEntry, ...]:
    count, start, end = _central_directory(data, file)
    if count > limits.entries:
        raise UnsafeArchive(file, "too-many-entries", detail=f"it has {count} entries")
    found: list[ZipEntry] = []
    spans: list[tuple[int, int, str]] = []
    names: set[str] = set()
    position, total, allowed = start, 0, limits.allowed(len(data))
    for _ in range(count):
        if position + _CENTRAL.size > end:
            raise UnsafeArchive(file, "bad-directory", detail="the central directory is cut off")
        (
            signature, _made_by, _needed, flags, method, _time, _date, crc, packed, size,
            name_length, extra_length, comment_length, disk, _internal, attributes, offset,
        ) = _CENTRAL.unpack_from(data, position)  # fmt: skip
        if signature != b"PK\x01\x02":
            raise UnsafeArchive(file, "bad-directory", detail="the central directory is damaged")
        name_start = position + _CENTRAL.size
        position = name_start + name_length + extra_length + comment_length
        if position > end:
            raise UnsafeArchive(file, "bad-directory", detail="the central directory is cut off")
        raw = data[name_start : name_start + name_length]
        path = _decoded(raw, flags, file)
        if extra_length:
            extra = data[name_start + name_length : name_start + name_length + extra_length]
            size, packed, offset, disk = _extended(extra, size, packed, offset, disk, path, file)
        if disk != 0:
            raise UnsafeArchive(file, "bad-directory", path, "it is on another disk")
        # A folder's entry ends in a slash; what it names must be as clean as a file's path.
        is_folder = path.endswith("/")
        check_path(file, path[:-1] if is_folder else path)
        if path in names:
            raise UnsafeArchive(file, "duplicate-name", path, "two entries have this name")
        names.add(path)
        mode = attributes >> 16
        # Tools that are not of Unix leave the type out (0); any other type is a lie.
        if (kind := mode & 0o170000) and kind != (stat.S_IFDIR if is_folder else stat.S_IFREG):
            if kind == stat.S_IFLNK:
                raise UnsafeArchive(file, "symlink", path, "it is a symbolic link")
            raise UnsafeArchive(file, "special-file", path, "it is no regular file or folder")
        if flags & _REFUSED:
            raise UnsafeArchive(file, "encrypted", path, "it is encrypted or patched")
        if method not in (_STORED, _DEFLATED):
            raise UnsafeArchive(file, "compression", path, f"compression method {method} is not allowed")
        if (is_folder and size) or (method == _STORED and packed != size):
            raise UnsafeArchive(file, "wrong-size", path, "its sizes contradict each other")
        total += size
        # Deflate cannot do better than 1032:1, so a larger claim is a lie.
        if size > 1032 * packed + 64 or total > allowed:
            raise UnsafeArchive(file, "too-large", path, "it unpacks to more than can be right")
        if offset + _LOCAL.size > start:
            raise UnsafeArchive(file, "bad-offset", path, "it lies outside the archive")
        data_start = _check_local(data, file, path, raw, offset, flags, method, crc, packed, size)
        if data_start + packed > start:
            raise UnsafeArchive(file, "bad-offset", path, "it reaches into the central directory")
        spans.append((offset, data_start + packed, path))
        if not is_folder:
            executable = mode & 0o111 != 0 and kind == stat.S_IFREG
            found.append(ZipEntry(path, size, packed, crc, method == _DEFLATED, data_start, executable))
    if position != end:
        raise UnsafeArchive(file, "bad-directory", detail="the central directory has more than its entries")
    _check_gaps(data, file, spans, start)
    return tuple(found)


def _central_directory(data: mmap.mmap, file: str) -> tuple[int, int, int]:
    """(number of entries, start, end) of the central directory, from an end record that is the
    only one and the last thing in the file."""
    size = len(data)
    at = data.rfind(b"PK\x05\x06", max(0, size - _END.size - _MAX16))
    if at < 0 or at + _END.size > size:
        raise UnsafeArchive(file, "not-a-zip", detail="it has no end record")
    _, disk, first_disk, here, count, length, start, comment = _END.unpack_from(data, at)
    if at + _END.size + comment != size:
        raise UnsafeArchive(file, "trailing-data", detail="something follows the end record")
    if b"PK\x05\x06" in data[max(0, at - _END.size - _MAX16) : at] and _is_end(data, at):
        raise UnsafeArchive(file, "second-end-record", detail="it has two end records")
    end = at
    locator = at - _END64_LOCATOR.size
    if locator >= 0 and data[locator : locator + 4] == b"PK\x06\x07":
        _, end_disk, end, disks = _END64_LOCATOR.unpack_from(data, locator)
        if end + _END64.size > locator or data[end : end + 4] != b"PK\x06\x06":
            raise UnsafeArchive(file, "bad-directory", detail="the zip64 end record is missing")
        record = _END64.unpack_from(data, end)
        _, record_size, _by, _needed, disk64, first64, here64, count64, length64, start64 = record
        if end + 12 + record_size != locator:
            raise UnsafeArchive(file, "bad-directory", detail="the zip64 end record is damaged")
        # Where the short record says something too, it must say the same.
        short = ((here, _MAX16, here64), (count, _MAX16, count64), (length, _MAX32, length64))
        for said, open_, meant in (*short, (start, _MAX32, start64)):
            if said not in (open_, meant):
                raise UnsafeArchive(file, "bad-directory", detail="its two end records differ")
        disk, first_disk = disk64 or end_disk, first64
        if disks > 1:
            disk = 1
        here, count, length, start = here64, count64, length64, start64
    elif _MAX16 in (here, count) or _MAX32 in (length, start):
        raise UnsafeArchive(file, "bad-directory", detail="the zip64 end record is missing")
    if disk or first_disk or here != count:
        raise UnsafeArchive(file, "bad-directory", detail="it spans several disks")
    if start + length != end:
        raise UnsafeArchive(file, "bad-directory", detail="its central directory is not where it should be")
    return count, start, end


def _is_end(data: mmap.mmap, last: int) -> bool:
    """Whether one of the signatures before *last* begins a record that some reader would take for
    the end: its comment reaches to the end of the file, or its directory lies right before it."""
    at = last
    while (at := data.rfind(b"PK\x05\x06", max(0, last - _END.size - _MAX16), at)) >= 0:
        if at + _END.size > len(data):
            continue
        *_, length, start, comment = _END.unpack_from(data, at)
        if at + _END.size + comment == len(data) or (length and start + length <= at):
            signature = data[start : start + 4]
            if at + _END.size + comment == len(data) or signature == b"PK\x01\x02":
                return True
    return False


def _decoded(raw: bytes, flags: int, file: str) -> str:
    try:
        return raw.decode("utf-8" if flags & _UTF8 or raw.isascii() else "cp437")
    except UnicodeDecodeError as error:
        raise UnsafeArchive(file, "bad-name", repr(raw), "its name is not UTF-8") from error


def _extended(
    extra: bytes, size: int, packed: int, offset: int, disk: int, path: str, file: str
) -> tuple[int, int, int, int]:
    """(size, packed, offset, disk) with what the zip64 field adds. Another name for the entry in an
    extra field is refused: some readers would follow it."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        content = extra[at + 4 : at + 4 + length]
        if len(content) != length:
            raise UnsafeArchive(file, "bad-directory", path, "its extra field is cut off")
        if kind == _UNICODE_PATH_FIELD and content[5:] != path.encode():
            raise UnsafeArchive(file, "second-name", path, "it has another name in an extra field")
        if kind == _ZIP64_FIELD:
            values, place = [size, packed, offset], 0
            for number, value in enumerate(values):
                if value == _MAX32:
                    if place + 8 > length:
                        raise UnsafeArchive(file, "bad-directory", path, "its zip64 field is cut off")
                    (values[number],) = struct.unpack_from("<Q", content, place)
                    place += 8
            size, packed, offset = values
            if disk == _MAX16 and place + 4 <= length:
                (disk,) = struct.unpack_from("<L", content, place)
        at += 4 + length
    return size, packed, offset, disk


def _check_local(
    data: mmap.mmap, file: str, path: str, raw: bytes, offset: int, flags: int, method: int, crc: int,
    packed: int, size: int,
) -> int:  # fmt: skip
    """Where the entry's data begins; its local header must agree with the central directory."""
    (
        signature, _needed, local_flags, local_method, _time, _date, local_crc, local_packed, local_size,
        name_length, extra_length,
    ) = _LOCAL.unpack_from(data, offset)  # fmt: skip
    name_start = offset + _LOCAL.size
    data_start = name_start + name_length + extra_length
    if (
        signature != b"PK\x03\x04"
        or data[name_start : name_start + name_length] != raw
        or local_method != method
        or (local_flags ^ flags) & _MEANINGFUL
    ):
        raise _differs(file, path)
    if extra_length:
        extra = data[name_start + name_length : data_start]
        local_size, local_packed, _, _ = _extended(extra, local_size, local_packed, 0, 0, path, file)
    if local_size != size or local_packed != packed or local_crc != crc:
        # With a descriptor the header may leave them open, as zeros or (zip64) as all ones.
        unknown = {local_packed, local_size} <= {0, _MAX32} and local_crc == 0
        if not (flags & _DESCRIPTOR and unknown):
            raise _differs(file, path)
    return int(data_start)


def _differs(file: str, path: str) -> UnsafeArchive:
    return UnsafeArchive(file, "local-header", path, "its local header differs from the central directory")


def _check_gaps(data: mmap.mmap, file: str, spans: list[tuple[int, int, str]], end: int) -> None:
    """Entries may not overlap, and nothing that looks like an entry may hide between them."""
    spans.sort()
    reached = 0
    for start, stop, path in [*spans, (end, end, "")]:
        if start < reached:
            raise UnsafeArchive(file, "overlap", path, "it overlaps another entry")
        if start > reached and (reached == 0 or b"PK\x03\x04" in data[reached:start]):
            raise UnsafeArchive(file, "hidden-data", path, "there is something hidden before it")
        reached = stop
