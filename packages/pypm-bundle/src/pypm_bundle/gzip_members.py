"""A gzip file as the members it is made of, also when some are damaged: the next one is found by its head.

`pypm_bundle.archives` writes all heads alike, so they are found again, and anything else in one is a change.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO

from pypm_bundle.archives import GZIP_HEAD

_PIECE = 1 << 18
_TAIL = struct.Struct("<LL")


class Damaged(ValueError):
    """A member is not what was written; says why in a clause."""


class Members:
    """The members of *file*, in order: for each, `pieces` gives its content, or raises `Damaged` on the way;
    then `skip` finds the next one."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._data = b""
        """Read, and not used yet."""

    def more(self) -> bool:
        """Whether there is another member, or what should be one."""
        if not self._data:
            self._data = self._file.read(_PIECE)
        return bool(self._data)

    def pieces(self) -> Iterator[bytes]:
        """The content of the member that begins here. Raises `Damaged`."""
        self._want(len(GZIP_HEAD))
        if not self._data.startswith(GZIP_HEAD):
            raise Damaged("its head has another content")
        self._data = self._data[len(GZIP_HEAD) :]
        stream = zlib.decompressobj(-15)
        crc = size = 0
        while not stream.eof:
            if not self._data and not self.more():
                raise Damaged("it is cut short")
            try:
                piece = stream.decompress(self._data, _PIECE)
            except zlib.error as error:
                raise Damaged("it cannot be unpacked") from error
            self._data = stream.unconsumed_tail if not stream.eof else stream.unused_data
            if piece:
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                yield piece
        self._want(_TAIL.size)
        if len(self._data) < _TAIL.size:
            raise Damaged("it is cut short")
        said = _TAIL.unpack_from(self._data)
        if said != (crc, size & 0xFFFFFFFF):
            raise Damaged("its checksum is wrong")
        self._data = self._data[_TAIL.size :]

    def skip(self) -> None:
        """To the next head behind where reading stopped, or to the end."""
        if self._data.startswith(GZIP_HEAD):
            self._data = self._data[1:]
        while True:
            at = self._data.find(GZIP_HEAD)
            if at >= 0:
                self._data = self._data[at:]
                return
            kept = self._data[-len(GZIP_HEAD) + 1 :]
            more = self._file.read(_PIECE)
            if not more:
                self._data = b""
                return
            self._data = kept + more

    def _want(self, size: int) -> None:
        while len(self._data) < size:
            more = self._file.read(_PIECE)
            if not more:
                return
            self._data += more
