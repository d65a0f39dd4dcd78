"""Archives as streams of files: tar packed by gzip or zstandard, and zip.

Everything that could tell one machine or day from another is fixed: order is the caller's, owners are 0,
times are one, modes are 644 and 755. A ``.tar.gz`` is a series of gzip members (RFC 1952, 2.2), one for each
file's content, so that what lies deflated in a wheel can be taken over; between them stand members with tar's
headers.

Sources: RFC 1952; POSIX pax, ustar; APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import struct
import sys
import tarfile
import zlib
from datetime import UTC, datetime
from typing import IO, Protocol

from pypm_bundle.contents import Written
from pypm_bundle.packing import Passing

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMATS = {".tar.gz": "tar.gz", ".tgz": "tar.gz", ".tar.zst": "tar.zst", ".zip": "zip"}
"""By the end of a file's name."""
EPOCH = 315_532_800
"""1980-01-01, the oldest time all formats can say."""
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
"""Deflate, no name, no time, no system: the same everywhere."""
LEVELS = {"tar.gz": 6, "zip": 6, "tar.zst": 9}
"""How hard to pack where nothing is said."""
HARDEST = {"tar.gz": 9, "zip": 9, "tar.zst": 22}
_BLOCK, _RECORD = 512, 10240
ZST_END = 128 << 10
"""Bytes of nothing at the end of a ``.tar.zst``."""
LATEST = 4_354_819_198
"""The last moment of 2107."""


class Archive(Protocol):
    """An archive being written to a file that is open."""

    def file(self, path: str, executable: bool, passing: Passing) -> None:
        """Puts a file in."""

    def link(self, path: str, target: str) -> None:
        """Puts a symbolic link in."""

    def close(self) -> None:
        """Ends the archive; the file stays open."""


def format_of(name: str) -> str | None:
    """The format that a file's name means: ``tar.gz``, ``tar.zst``, ``zip``."""
    folded = name.lower()
    return next((form for end, form in FORMATS.items() if folded.endswith(end) and folded != end), None)


def archive_to(out: IO[bytes], form: str, level: int, time: int) -> Archive:
    """An archive of the format *form* written to *out*; *time* (seconds since 1970) is that of all files."""
    if form == "zip":
        return ZipArchive(out, level, time)
    return TarGzArchive(out, level, time) if form == "tar.gz" else TarZstArchive(out, level, time)


def _header(path: str, size: int, mode: int, time: int, link: str = "") -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = size, mode, time
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _BLOCK)


class TarGzArchive:
    """Members in turn: headers (and what fills the block of the file before), a file's content, headers..."""

    def __init__(self, out: IO[bytes], level: int, time: int) -> None:
        self._out, self._level, self._time = out, level, time
        self._waiting = bytearray()
        self._length = 0

    def file(self, path: str, executable: bool, passing: Passing) -> None:
        self._put(_header(path, passing.size, 0o755 if executable else 0o644, self._time))
        if passing.size == 0:
            for _ in passing.pieces():
                pass
            return
        self._flush()
        self._out.write(GZIP_HEAD)
        for deflated, _ in passing.pieces():
            self._out.write(deflated)
        self._out.write(struct.pack("<LL", passing.crc, passing.size & 0xFFFFFFFF))
        self._length += passing.size
        self._put(_padding(passing.size))

    def link(self, path: str, target: str) -> None:
        self._put(_header(path, 0, 0o777, self._time, target))

    def folder(self, path: str, mode: int = 0o755) -> None:
        """Puts a folder in: bundles need none, layers of images have them all."""
        info = tarfile.TarInfo(f"{path}/")
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, mode, self._time
        self._put(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def close(self) -> None:
        self._put(b"\0" * 2 * _BLOCK)
        self._put(b"\0" * (-self._length % _RECORD))
        self._flush()

    def _put(self, data: bytes) -> None:
        self._waiting += data
        self._length += len(data)

    def _flush(self) -> None:
        if self._waiting:
            packer = zlib.compressobj(self._level, zlib.DEFLATED, -15)
            deflated = packer.compress(self._waiting) + packer.flush()
            tail = struct.pack("<LL", zlib.crc32(self._waiting), len(self._waiting))
            self._out.write(GZIP_HEAD + deflated + tail)
            self._waiting.clear()


class TarZstArchive:
    """One frame, with its checksum, and with much nothing at its end."""

    def __init__(self, out: IO[bytes], level: int, time: int) -> None:
        self._out, self._time = out, time
        parameters = zstd.CompressionParameter
        self._packer = zstd.ZstdCompressor(
            options={parameters.compression_level: level, parameters.checksum_flag: 1}
        )
        self._length = 0

    def file(self, path: str, executable: bool, passing: Passing) -> None:
        self._put(_header(path, passing.size, 0o755 if executable else 0o644, self._time))
        for _, plain in passing.pieces():
            self._put(plain)
        self._put(_padding(passing.size))

    def link(self, path: str, target: str) -> None:
        self._put(_header(path, 0, 0o777, self._time, target))

    def close(self) -> None:
        # So many that a checksum which is wrong is noticed behind the last file.
        self._put(b"\0" * ZST_END)
        self._put(b"\0" * (-self._length % _RECORD))
        self._out.write(self._packer.flush())

    def _put(self, data: bytes) -> None:
        if data:
            self._length += len(data)
            self._out.write(self._packer.compress(data))


_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_UNIX, _UTF8, _MAX32, _MAX16 = 3, 0x800, 0xFFFFFFFF, 0xFFFF


class ZipArchive:
    """Entries one after the other, each with its sizes before its data."""

    def __init__(self, out: IO[bytes], level: int, time: int) -> None:
        self._out = out
        self._directory: list[bytes] = []
        self._time, self._date = _dos(time)

    def file(self, path: str, executable: bool, passing: Passing) -> None:
        self._entry(path, 0o100755 if executable else 0o100644, passing)

    def link(self, path: str, target: str) -> None:
        self._entry(path, 0o120777, Passing(Written(target.encode()), None), stored=True)

    def close(self) -> None:
        start = self._out.tell()
        for entry in self._directory:
            self._out.write(entry)
        end = self._out.tell()
        count, size = len(self._directory), end - start
        if count >= _MAX16 or start >= _MAX32 or size >= _MAX32:
            record = _END64.pack(b"PK\x06\x06", 44, _UNIX << 8 | 45, 45, 0, 0, count, count, size, start)
            self._out.write(record + _LOCATOR.pack(b"PK\x06\x07", 0, end, 1))
        short = min(count, _MAX16)
        self._out.write(
            _END.pack(b"PK\x05\x06", 0, 0, short, short, min(size, _MAX32), min(start, _MAX32), 0)
        )

    def _entry(self, path: str, mode: int, passing: Passing, *, stored: bool = False) -> None:
        name = path.encode("utf-8", "surrogateescape")
        flags = 0 if name.isascii() else _UTF8
        offset, method = self._out.tell(), 0 if stored or not passing.size else 8
        # Whether it needs wide sizes is decided before they are known: deflate may add a little.
        wide = passing.size + passing.size // 1000 + 64 >= _MAX32
        needed = 45 if wide else 20
        room = 20 if wide else 0
        self._out.write(b"\0" * (_LOCAL.size + len(name) + room))
        packed = 0
        for deflated, plain in passing.pieces():
            data = plain if method == 0 else deflated
            packed += len(data)
            self._out.write(data)
        if not passing.size:
            packed = 0
        after = self._out.tell()
        sizes = (_MAX32, _MAX32) if wide else (packed, passing.size)
        extra = struct.pack("<2H2Q", 1, 16, passing.size, packed) if wide else b""
        head = _LOCAL.pack(
            b"PK\x03\x04",
            needed,
            flags,
            method,
            self._time,
            self._date,
            passing.crc,
            *sizes,
            len(name),
            len(extra),
        )
        self._out.seek(offset)
        self._out.write(head + name + extra)
        self._out.seek(after)
        far = offset >= _MAX32
        if wide or far:
            values = [*([passing.size, packed] if wide else []), *([offset] if far else [])]
            extra = struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values)
        self._directory.append(
            _CENTRAL.pack(
                b"PK\x01\x02", _UNIX << 8 | 45, 45 if far else needed, flags, method, self._time, self._date,
                passing.crc, *sizes, len(name), len(extra), 0, 0, 0, mode << 16, min(offset, _MAX32),
            )
            + name
            + extra
        )  # fmt: skip


def _dos(seconds: int) -> tuple[int, int]:
    """(time, date) as zip has them; its years are 1980 to 2107."""
    at = datetime.fromtimestamp(min(max(seconds, EPOCH), LATEST), UTC)
    return at.hour << 11 | at.minute << 5 | at.second // 2, (at.year - 1980) << 9 | at.month << 5 | at.day
