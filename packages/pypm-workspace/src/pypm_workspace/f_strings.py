"""f-strings that only Python 3.12 and later read (PEP 701), which `ast` does not tell from others."""

from __future__ import annotations

import io
import re
import tokenize
from typing import Final

NESTED: Final = 12
"""The first minor version that reads them, and tells their parts apart as tokens."""
MESSAGE: Final = "f-strings that repeat their quotes are only supported in Python 3.12 and greater"

_perhaps: Final = re.compile(
    rb"""[fF][rR]?["'][^\n]*\{[^}\n]*["'\\#\n]|[fF][rR]?(?:'{3}|"{3})|[rR][fF]["']"""
)
"""Sources with none of these have no such f-string; making tokens takes longer than parsing."""


def nested(source: bytes) -> tuple[int, int] | None:
    """Line and column (from 1) where, in *source* (valid for the Python that runs this), there is for the
    first time within the braces of an f-string its own quotes, a backslash, a comment, or, without three
    quotes, the end of a line. None before Python 3.12."""
    if not _perhaps.search(source):
        return None
    quotes: list[str] = []
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        kind, text = tokenize.tok_name[token.type], token.string
        if kind == "FSTRING_END":
            quotes.pop()
            continue
        # What is between braces is bound by the quotes around them; plain text by those further out.
        around = quotes[:-1] if kind == "FSTRING_MIDDLE" else quotes
        literal = text if kind == "FSTRING_MIDDLE" else text.lstrip("fFrRbBuU")
        if around and (
            kind == "COMMENT"
            or (kind == "NL" and any(len(quote) == 1 for quote in around))
            or (kind in ("STRING", "FSTRING_START", "FSTRING_MIDDLE") and _clashes(literal, around))
        ):
            return token.start[0], token.start[1] + 1
        if kind == "FSTRING_START":
            quotes.append(literal)
    return None


def _clashes(text: str, quotes: list[str]) -> bool:
    return "\\" in text or any(quote in text for quote in quotes)
