"""METADATA of a wheel that lies on a server, by reading only its end.

A zip archive's directory is at its end, and tools that write wheels put ``.dist-info`` last: one
range request usually brings both. Nothing is trusted: every offset is checked against the file's
size, sizes are bounded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple

TAIL = 32 * 1024
"""Bytes asked for first."""

_MAX_DIRECTORY = 64 << 20
_MAX_METADATA = 32 << 20
_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_metadata_name = pattern(r"[^/]+\.dist-info/METADATA")

ReadRange = Callable[[int, int], bytes]
"""Bytes of the file from the first position up to, not including, the second."""


class NotAWheel(ValueError):
    """The bytes are no zip archive with one METADATA; the text is one clause."""


class _Place(NamedTuple):
    offset: int
    packed: int
    size: int
    method: int
    crc: int
    name_length: int


def read_metadata(size: int, tail: bytes, read_range: ReadRange) -> bytes:
    """METADATA of the wheel of *size* bytes that ends with *tail*; what lies before the tail is asked
    for, at most three times. Raises `NotAWheel`, and what *read_range* raises."""
    reader = _Reader(size, tail, read_range)
    start, length = _directory(reader)
    if length > _MAX_DIRECTORY:
        raise NotAWheel("its directory is too large")
    place = _find(reader.bytes(start, start + length))
    if place.packed > _MAX_METADATA or place.size > _MAX_METADATA:
        raise NotAWheel("its METADATA is too large")
    # The local header repeats the name; its extra field is rarely longer than this.
    likely = place.offset + _LOCAL.size + place.name_length + 64 + place.packed
    block = reader.bytes(place.offset, min(likely, start))
    header = _unpack(_LOCAL, block, 0, b"PK\x03\x04")
    data = _LOCAL.size + header[9] + header[10]
    if data + place.packed > len(block):
        block = reader.bytes(place.offset, place.offset + data + place.packed)
    packed = block[data : data + place.packed]
    content = _inflate(packed, place)
    if len(content) != place.size or zlib.crc32(content) != place.crc:
        raise NotAWheel("its METADATA is damaged")
    return content


class _Reader:
    """The file as far as it has been read."""

    def __init__(self, size: int, tail: bytes, read_range: ReadRange) -> None:
        self.size = size
        self.tail = tail[-size:] if size else b""
        self.first = size - len(self.tail)
        self._read_range = read_range

    def bytes(self, start: int, end: int) -> bytes:
        if not 0 <= start <= end <= self.size:
            raise NotAWheel("its directory points outside the file")
        if start >= self.first:
            return self.tail[start - self.first : end - self.first]
        # What is missing before the tail; the tail is not asked for twice.
        until = min(end, self.first)
        head = self._read_range(start, until)
        if len(head) != until - start:
            raise NotAWheel("the server gave another range than was asked for")
        if until == self.first:
            self.tail, self.first = head + self.tail, start
            return self.tail[: end - start]
        return head


def _directory(reader: _Reader) -> tuple[int, int]:
    """(start, length) of the central directory."""
    at = reader.tail.rfind(b"PK\x05\x06")
    if at < 0 and reader.first > 0 and len(reader.tail) < 66_000:
        # A comment of up to 64 KiB may follow the end record.
        reader.bytes(max(0, reader.size - 66_000), reader.size)
        at = reader.tail.rfind(b"PK\x05\x06")
    if at < 0:
        raise NotAWheel("it is no zip archive")
    end = _unpack(_END, reader.tail, at, b"PK\x05\x06")
    length, start = int(end[5]), int(end[6])
    if start == 0xFFFFFFFF or length == 0xFFFFFFFF or end[4] == 0xFFFF:
        where = reader.first + at - _END64_LOCATOR.size
        locator = _unpack(_END64_LOCATOR, reader.bytes(where, where + _END64_LOCATOR.size), 0, b"PK\x06\x07")
        position = int(locator[2])
        end64 = _unpack(_END64, reader.bytes(position, position + _END64.size), 0, b"PK\x06\x06")
        length, start = int(end64[8]), int(end64[9])
    return start, length


def _find(directory: bytes) -> _Place:
    found: list[_Place] = []
    at = 0
    while at + _ENTRY.size <= len(directory):
        entry = _unpack(_ENTRY, directory, at, b"PK\x01\x02")
        name_end = at + _ENTRY.size + entry[10]
        name = directory[at + _ENTRY.size : name_end]
        extra = directory[name_end : name_end + entry[11]]
        at = name_end + entry[11] + entry[12]
        if not name.endswith(b".dist-info/METADATA"):
            continue
        if not _metadata_name.fullmatch(name.decode("utf-8", "replace")):
            continue
        if entry[3] & 1:
            raise NotAWheel("its METADATA is encrypted")
        packed, size, offset = _wide(entry[8], entry[9], entry[16], extra)
        found.append(_Place(offset, packed, size, entry[4], entry[7], entry[10]))
    if len(found) != 1:
        raise NotAWheel("it has no METADATA" if not found else "it has more than one METADATA")
    return found[0]


def _wide(packed: int, size: int, offset: int, extra: bytes) -> tuple[int, int, int]:
    """The three numbers, taken from the zip64 extra field where they do not fit in 32 bits."""
    if 0xFFFFFFFF not in (packed, size, offset):
        return packed, size, offset
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            numbers = list(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            try:
                size = numbers.pop(0) if size == 0xFFFFFFFF else size
                packed = numbers.pop(0) if packed == 0xFFFFFFFF else packed
                offset = numbers.pop(0) if offset == 0xFFFFFFFF else offset
            except IndexError:
                break
            return packed, size, offset
        at += 4 + length
    raise NotAWheel("its directory lacks a size")


def _inflate(packed: bytes, place: _Place) -> bytes:
    if place.method == 0:
        return packed
    if place.method != 8:
        raise NotAWheel("its METADATA is compressed in a way that wheels may not be")
    unpacker = zlib.decompressobj(-15)
    try:
        return unpacker.decompress(packed, place.size + 1)
    except zlib.error as error:
        raise NotAWheel(f"its METADATA is damaged: {error}") from error


def _unpack(shape: struct.Struct, data: bytes, at: int, signature: bytes) -> tuple[int, ...]:
    if at < 0 or at + shape.size > len(data):
        raise NotAWheel("its directory is cut short")
    fields = shape.unpack_from(data, at)
    if fields[0] != signature:
        raise NotAWheel("its directory is damaged")
    return fields
