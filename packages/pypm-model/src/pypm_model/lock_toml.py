"""TOML as locks need it: read fast, quote strings.

The one place that chooses a parser: ``rtoml`` (ten times as fast as the standard library's), or
``tomllib`` where ``rtoml`` has no wheel.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pypm_model.patterns import pattern

_parse: Callable[[str], dict[str, Any]]
try:
    import rtoml

    _parse = rtoml.loads
except ImportError:
    import tomllib

    _parse = tomllib.loads

_at = pattern(r"\s*\(?at line (\d+),? column (\d+)\)?")
_special = pattern(r'["\\\x00-\x1f\x7f]')
_bare = pattern(r"[A-Za-z0-9_-]+")


class InvalidToml(ValueError):
    """The text is no TOML: *message*, with *line* and *column* (from 1) where the parser tells."""

    def __init__(self, message: str, line: int | None, column: int | None) -> None:
        self.message = message
        self.line = line
        self.column = column
        super().__init__(message)


def loads(text: str) -> dict[str, Any]:
    """The tables of *text*, keys in their order. Raises `InvalidToml`."""
    try:
        return _parse(text)
    except ValueError as fault:
        message = str(fault)
        match = _at.search(message)
        if match is None:
            raise InvalidToml(message, None, None) from None
        said = " ".join((message[: match.start()] + message[match.end() :]).split())
        raise InvalidToml(said, int(match[1]), int(match[2])) from None


def quoted(value: str) -> str:
    """*value* as a basic string on one line."""
    if _special.search(value) is None:
        return f'"{value}"'
    return f'"{_special.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"


def key(name: str) -> str:
    """*name* as a key: bare where that is possible."""
    return name if _bare.fullmatch(name) else quoted(name)
