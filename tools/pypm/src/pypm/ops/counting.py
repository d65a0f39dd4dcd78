"""Numbers with their nouns."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """``1 member``, ``2 members``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
