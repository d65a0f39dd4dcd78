"""Colour on a terminal, plain text elsewhere; NO_COLOR, FORCE_COLOR and CI are respected."""

from __future__ import annotations

import os
import sys

_CODES = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2", "bold": "1"}

SHOWN = 40
"""Lines of a list before the rest is only counted."""


def coloured(stream: object = None) -> bool:
    """Whether *stream* (stderr by default) should get colours."""
    environ = os.environ
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    if environ.get("CI") or environ.get("TERM") == "dumb":
        return False
    target = sys.stderr if stream is None else stream
    isatty = getattr(target, "isatty", None)
    return bool(isatty and isatty())


def style(text: str, colour: str, stream: object = None) -> str:
    """*text* in *colour*, if the stream shows colours."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if coloured(stream) else text
