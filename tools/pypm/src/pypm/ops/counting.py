"""Numbers with their nouns."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """``1 member``, ``2 members``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def size_text(number: int) -> str:
    """*number* bytes: ``12 B``, ``3.4 MiB``."""
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
