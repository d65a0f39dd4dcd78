"""What reading a damaged zip file raises."""

from __future__ import annotations

import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # an interpreter that was built without it: zipfile says so with a RuntimeError
    LZMAError = zlib.error  # type: ignore[misc,assignment]

ZIP_DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    EOFError,
    LZMAError,
    OSError,
    RuntimeError,
    ValueError,
    zlib.error,
)
"""All that `zipfile` lets out, when a file is opened, listed or read, for bytes that are no sound archive.

They have no common base: a version or method it does not know is a NotImplementedError (a RuntimeError), an
encrypted entry a RuntimeError, a name that is no UTF-8 a ValueError, an offset before the file an OSError or
a ValueError, and what unpacks a stream raises errors of its own (bz2: OSError and ValueError).
"""
