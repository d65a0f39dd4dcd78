"""Where each key and array item of a TOML text stands.

TOML parsers give values without places. Errors and `Origin` lines need places, and edits need exact
spans, so this module walks the text once and records every key path. It does not judge: the text
has been parsed already, and on text that is no TOML it stops and gives what it saw so far.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress

from pypm_model.patterns import pattern
from pypm_model.records import record

KeyPath = tuple[str | int, ...]
"""Keys from the document's root; an ``int`` is a position in an array (of values or of tables)."""

_bare = pattern(r"[A-Za-z0-9_-]+")
_blank = pattern(r"[ \t]*")
_between = pattern(r"(?:[ \t\r\n,]+|#[^\n]*)*")
_scalar = pattern(r"[^,\]}#\r\n]*")
_strings = {
    '"""': pattern(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    "'''": pattern(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL),
    '"': pattern(r'"(?:[^"\\\n]|\\.)*"'),
    "'": pattern(r"'[^'\n]*'"),
}
_escape = pattern(r'\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[btnfre"\\])')
_escaped = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


@record
class Spot:
    """One key or array item. All numbers are offsets into the text; ends are exclusive."""

    key: int
    """Start of the key (of a table: of its header), or of the value for an array item."""
    start: int
    """Start of the value; for a table, the character after its header."""
    end: int
    """End of the value; for a table, the end of its last own value (or of its header)."""
    kind: str
    """``value``, ``array``, ``inline`` (an inline table), ``table`` (with a header) or ``implied``."""


class Positions:
    """All spots of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spots = _Scan(text).spots
        self._lines = [0, *(m.end() for m in re.finditer("\n", text))]

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of *offset*, both from 1; columns count characters."""
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def find(self, path: KeyPath) -> tuple[int, int] | None:
        """Line and column of the key or item at *path*, else of the nearest enclosing one that is
        written in the text, else None."""
        while path:
            spot = self.spots.get(path)
            if spot is not None:
                return self.line_column(spot.key)
            path = path[:-1]
        return None


class _Stop(Exception):
    """The text is no TOML from here on."""


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.spots: dict[KeyPath, Spot] = {}
        self._tables: dict[KeyPath, int] = {}  # arrays of tables -> index of the latest one
        with suppress(_Stop, IndexError, RecursionError):
            self._document()

    def _document(self) -> None:
        text, at, table = self.text, 0, ()
        header: KeyPath = table
        while True:
            at = self._skip(at)
            if at >= len(text) or text[at] in "]}=":
                return
            if text[at] == "[":
                many = text.startswith("[[", at)
                begin = at
                keys, at = self._key(at + 1 + many)
                if not text.startswith("]]" if many else "]", at):
                    return
                at += 1 + many
                header = self._enter(keys, many)
                for n in range(1, len(header)):
                    self.spots.setdefault(header[:n], Spot(begin, at, at, "implied"))
                self.spots[header] = Spot(begin, at, at, "table")
            else:
                at = self._pair(at, header)
                own = self.spots.get(header)
                if own is not None:
                    self.spots[header] = Spot(own.key, own.start, at, "table")

    def _enter(self, keys: list[str], many: bool) -> KeyPath:
        path: KeyPath = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if many and position == len(keys) - 1:
                self._tables[path] = self._tables.get(path, -1) + 1
            if path in self._tables:
                path = (*path, self._tables[path])
        return path

    def _pair(self, at: int, table: KeyPath) -> int:
        begin = at
        keys, at = self._key(at)
        if not self.text.startswith("=", at):
            raise _Stop
        at = self._blanks(at + 1)
        path: KeyPath = (*table, *keys)
        for n in range(len(table) + 1, len(path)):
            self.spots.setdefault(path[:n], Spot(begin, begin, begin, "implied"))
        return self._value(at, path, begin)

    def _key(self, at: int) -> tuple[list[str], int]:
        keys: list[str] = []
        while True:
            at = self._blanks(at)
            quote = self.text[at]
            if quote in "\"'":
                match = _strings[quote].match(self.text, at)
                if match is None:
                    raise _Stop
                inner = match.group()[1:-1]
                keys.append(unescape(inner) if quote == '"' else inner)
            else:
                match = _bare.match(self.text, at)
                if match is None:
                    raise _Stop
                keys.append(match.group())
            at = self._blanks(match.end())
            if not self.text.startswith(".", at):
                return keys, at
            at += 1

    def _value(self, at: int, path: KeyPath, key: int) -> int:
        text, begin, kind = self.text, at, "value"
        self.spots[path] = Spot(key, begin, begin, kind)
        if text[at] in "\"'":
            pattern = _strings[text[at : at + 3]] if text[at : at + 3] in _strings else _strings[text[at]]
            match = pattern.match(text, at)
            if match is None:
                raise _Stop
            at = match.end()
        elif text[at] == "[":
            at, kind, number = self._skip(at + 1), "array", 0
            while text[at] != "]":
                at = self._skip(self._value(at, (*path, number), at))
                number += 1
            at += 1
        elif text[at] == "{":
            at, kind = self._skip(at + 1), "inline"
            while text[at] != "}":
                at = self._skip(self._pair(at, path))
            at += 1
        else:
            match = _scalar.match(text, at)
            bare = match.group().rstrip() if match else ""
            if not bare:
                raise _Stop
            at += len(bare)
        self.spots[path] = Spot(key, begin, at, kind)
        return at

    def _skip(self, at: int) -> int:
        match = _between.match(self.text, at)
        return match.end() if match else at

    def _blanks(self, at: int) -> int:
        match = _blank.match(self.text, at)
        return match.end() if match else at


def unescape(text: str) -> str:
    """The inside of a basic TOML string with its escapes resolved."""

    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        return _escaped[code] if code in _escaped else chr(int(code[1:], 16))

    return _escape.sub(one, text)


def dotted(path: Iterable[str | int]) -> str:
    """*path* as a user would write it: ``tool.uv.sources."my.name"``, positions as ``[0]``."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            shown = key if _bare.fullmatch(key) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
            text += f".{shown}" if text else shown
    return text


def undotted(text: str) -> KeyPath:
    """The path that `dotted` wrote."""
    path: list[str | int] = []
    at = 0
    while at < len(text):
        if text[at] == ".":
            at += 1
        elif text[at] == "[":
            close = text.index("]", at)
            path.append(int(text[at + 1 : close]))
            at = close + 1
        elif text[at] == '"':
            match = _strings['"'].match(text, at)
            if match is None:
                raise ValueError(text)
            path.append(unescape(match.group()[1:-1]))
            at = match.end()
        else:
            match = _bare.match(text, at)
            if match is None:
                raise ValueError(text)
            path.append(match.group())
            at = match.end()
    return tuple(path)
