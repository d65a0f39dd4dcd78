"""One file on its way into an archive: its content in pieces, plain and deflated, measured as they pass.

What lies deflated in a wheel is taken over as it is, and unpacked only to be compared with the wheel's
RECORD: unpacking costs a tenth of what packing does, and its bytes do not depend on the library at hand.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator

from pypm_bundle.contents import Content, OnDisk, Packed, Written
from pypm_store.archive_rules import UnsafeArchive
from pypm_store.inflate import inflate

PIECE = 1 << 20
"""Bytes that are held of one file at a time; smaller files are packed ahead, in threads."""


class Changed(OSError):
    """A file of this machine became another while it was read."""


class Passing:
    """The content of one file, to be passed once.

    *level* is zlib's for what has to be packed; None: nothing is. *splice* takes over what a wheel has
    packed, unless that is to be packed anew.
    """

    def __init__(self, content: Content, level: int | None, *, splice: bool = True) -> None:
        self._content = content
        self._level = level
        self._splice = splice and level is not None and not (isinstance(content, Packed) and content.anew)
        self._held: list[tuple[bytes, bytes]] | None = None
        self.size = _size(content)
        """Bytes, known before."""
        self.crc = 0
        self.sha256 = ""
        """Both when all pieces have passed."""

    def hold(self) -> Passing:
        """Reads everything now, for `pieces` to give it later: for small files, in any thread."""
        self._held = list(self.pieces())
        return self

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """(deflated, plain) in turn; either may be empty, and with level None the first always is. Of what is
        deflated the whole is one raw stream. Raises `UnsafeArchive`, `Changed`, OSError."""
        if self._held is not None:
            yield from self._held
            return
        content = self._content
        if isinstance(content, Packed):
            try:
                yield from self._of_wheel(content)
            except (zlib.error, ValueError) as error:
                raise UnsafeArchive(content.filename, "bad-data", content.name, str(error)) from error
            return
        plain = iter([content.content]) if isinstance(content, Written) else _read(content)
        yield from self._measured(plain, self._packer())
        if isinstance(content, OnDisk) and self._count != self.size:
            raise Changed(0, "it changed while it was read", str(content.path))

    def _of_wheel(self, packed: Packed) -> Iterator[tuple[bytes, bytes]]:
        second = None if packed.algorithm in ("", "sha256") else hashlib.new(packed.algorithm)
        spliced = self._splice and packed.deflated
        if packed.deflated and packed.size <= PIECE:
            raw = _raw(packed)
            data, used = inflate(raw, packed.size)
            if used != len(raw):
                raise ValueError("something follows its end")
            pairs = self._measured(iter([data]), None if spliced else self._packer(), second)
            if spliced:
                yield raw, b""
        else:
            pairs = self._measured(unpacked(packed), None if spliced else self._packer(), second)
            if spliced:
                for raw in _chunks(packed):
                    yield raw, b""
        for deflated, plain in pairs:
            if not spliced:
                yield deflated, plain
        if self._count != packed.size:
            raise ValueError("it is not as long as declared")
        if self.crc != packed.crc:
            raise ValueError("its checksum is wrong")
        digest = second.digest() if second is not None else bytes.fromhex(self.sha256)
        if packed.algorithm and digest != packed.digest:
            raise UnsafeArchive(
                packed.filename, "record-mismatch", packed.name, "RECORD has another hash or size for it"
            )

    def _packer(self) -> zlib._Compress | None:
        return None if self._level is None else zlib.compressobj(self._level, zlib.DEFLATED, -15)

    def _measured(
        self, plain: Iterator[bytes], packer: zlib._Compress | None, second: hashlib._Hash | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        digest, crc, count = hashlib.sha256(), 0, 0
        keep = self._level is None
        for piece in plain:
            digest.update(piece)
            if second is not None:
                second.update(piece)
            crc = zlib.crc32(piece, crc)
            count += len(piece)
            yield (packer.compress(piece) if packer else b""), (piece if keep else b"")
        if packer is not None:
            yield packer.flush(), b""
        self.crc, self.sha256, self._count = crc, digest.hexdigest(), count

    _count = 0


def _size(content: Content) -> int:
    match content:
        case Written(data):
            return len(data)
        case OnDisk(path):
            return path.stat().st_size
        case Packed():
            return content.size


def _read(content: OnDisk) -> Iterator[bytes]:
    with open(content.path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _chunks(packed: Packed) -> Iterator[bytes]:
    """The file's data as it lies in the wheel."""
    with open(packed.wheel, "rb") as file:
        file.seek(packed.start)
        left = packed.packed
        while left:
            piece = file.read(min(left, PIECE))
            if not piece:
                raise ValueError("it is cut short")
            left -= len(piece)
            yield piece


def _raw(packed: Packed) -> bytes:
    return b"".join(_chunks(packed))


def unpacked(packed: Packed) -> Iterator[bytes]:
    """The file's content, never more than a piece at a time. zlib.error and ValueError if it is damaged."""
    if not packed.deflated:
        yield from _chunks(packed)
        return
    stream = zlib.decompressobj(-15)
    for raw in _chunks(packed):
        while raw:
            piece = stream.decompress(raw, PIECE)
            if piece:
                yield piece
            raw = stream.unconsumed_tail
    if not stream.eof:
        yield stream.flush()
        if not stream.eof:
            raise ValueError("it is cut short")
