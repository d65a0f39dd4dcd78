"""sha256 and blake2b for short contents (keys, names of files, rows of RECORD), without loading OpenSSL.

`hashlib` binds OpenSSL when it is imported, which takes longer than all that most runs hash. CPython has
both algorithms built in as well; a build without them, or another interpreter, gives `hashlib`'s. For files
of any size use `hashlib`: OpenSSL's sha256 is eight times as fast.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from hashlib import blake2b, sha256
else:
    try:
        from _blake2 import blake2b

        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256
    except ImportError:
        from hashlib import blake2b, sha256

__all__ = ["blake2b", "of_text", "sha256"]


def of_text(text: str) -> str:
    """The BLAKE2b-256 of *text*, hexadecimal. Half a surrogate pair counts like any character."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
