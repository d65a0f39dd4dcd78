"""Where a lock has a package, as people read it."""

from __future__ import annotations

from collections.abc import Sequence


def in_words(whom: Sequence[str], words: str) -> str:
    """`` for a``, `` for a, b[x] and c:dev on Windows``; empty if both are."""
    *most, last = whom or ("",)
    names = f"{', '.join(most)} and {last}" if most else last
    return (f" for {names}" if names else "") + (f" {words}" if words else "")
