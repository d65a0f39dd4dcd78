"""Deflate undone by the fastest library at hand: the one place where it is chosen.

isal and zlib-ng come with the extra ``fast``; both take about half the time of zlib.
"""

from __future__ import annotations

import importlib
from typing import Any


def _library() -> Any:
    for name in ("isal.isal_zlib", "zlib_ng.zlib_ng", "zlib"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise AssertionError("zlib is part of Python")


_zlib = _library()


def crc32(content: bytes) -> int:
    """The CRC-32 of *content*, as zip files have it."""
    value: int = _zlib.crc32(content)
    return value


def unpacked(packed: bytes, limit: int) -> bytes:
    """The content of *packed*, gzip or zlib, one stream. Raises ValueError, saying why in a clause, if it is
    damaged, cut short, or holds more than *limit* bytes."""
    stream = _zlib.decompressobj(47)
    try:
        content: bytes = stream.decompress(packed, limit)
    except Exception as error:
        raise ValueError(f"is broken: {error}") from error
    if not stream.eof:
        raise ValueError("is cut short or too large")
    return content


def inflate(packed: bytes, size: int) -> tuple[bytes, int]:
    """(content, bytes of *packed* that were used). Never unpacks more than *size* + 1 bytes.

    Raises ValueError if the stream does not end, or the library's own error for broken data.
    """
    stream = _zlib.decompressobj(-15)
    try:
        content: bytes = stream.decompress(packed, size + 1)
    except Exception as error:
        raise ValueError(f"its data is damaged: {error}") from error
    if not stream.eof and len(content) <= size:
        # All the bytes were there, but the end of the stream was not read with them.
        content += stream.decompress(stream.unconsumed_tail, 1)
        if not stream.eof:
            raise ValueError("its data is cut off")
    return content, len(packed) - len(stream.unused_data) - len(stream.unconsumed_tail)
