"""Marker texts (PEP 508, and PEP 751 for ``extras`` and ``dependency_groups``) to diagrams.

Grammar as ``packaging`` reads it: ``or`` binds less than ``and``, blanks and tabs separate, the old
spellings ``os.name``, ``python_implementation``... are understood.
"""

from __future__ import annotations

import re
from typing import ClassVar

from pypm_model.errors import PypmError
from pypm_model.markers.atoms import comparison
from pypm_model.markers.diagram import TRUE, Diagram, TooComplex, all_of, any_of
from pypm_model.markers.python_axis import Undefined
from pypm_model.markers.variables import FIELDS
from pypm_model.patterns import pattern

_OLD_NAMES = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.version": "platform_version",
    "platform.machine": "platform_machine",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}
_FIELDS = {field: field for field in FIELDS} | _OLD_NAMES

_operand = r"""('[^']*'|"[^"]*"|[A-Za-z_][A-Za-z0-9_.]*)"""
_comparison = pattern(
    rf"[ \t]*{_operand}[ \t]*(===|==|~=|!=|<=|>=|<|>|in\b|not[ \t]+in\b)[ \t]*{_operand}[ \t]*"
)
_opening = pattern(r"[ \t]*\(")
_joint = pattern(r"[ \t]*(?:(and|or)\b|(\)))[ \t]*")
_blank = pattern(r"[ \t]*")

_parsed: dict[str, Diagram] = {"": TRUE}


class InvalidMarker(PypmError, ValueError):
    """The text is no marker, or compares what cannot be compared."""

    code: ClassVar[str] = "invalid-marker"
    exit: ClassVar[int] = 2

    marker: str
    position: int
    """Where it stops being one, from 0."""
    reason: str

    def __str__(self) -> str:
        return f"invalid marker {self.marker!r}: {self.reason} at column {self.position + 1}"


def parse(text: str) -> Diagram:
    """The environments in which the marker *text* is true; the empty text is TRUE. Remembers answers.

    Raises `InvalidMarker`.
    """
    known = _parsed.get(text)
    if known is None:
        try:
            known = _parse(text) if text.strip(" \t") else TRUE
        except TooComplex:
            raise InvalidMarker(text, 0, "too many conditions combine") from None
        _parsed[text] = known
    return known


def _parse(text: str) -> Diagram:
    # One frame for each open parenthesis: a disjunction of conjunctions.
    frames: list[list[list[Diagram]]] = [[[]]]
    position = 0
    while True:
        match = _comparison.match(text, position)
        if match is None:
            opening = _opening.match(text, position)
            if opening is None:
                raise _expected_comparison(text, position)
            frames.append([[]])
            position = opening.end()
            continue
        frames[-1][-1].append(_atom(text, match))
        position = match.end()
        while True:
            if position == len(text) and len(frames) == 1:
                return _close(frames[0])
            joint = _joint.match(text, position)
            if joint is None or (joint[2] and len(frames) == 1):
                expected = "'and', 'or' or ')'" if len(frames) > 1 else "'and', 'or' or the end"
                raise InvalidMarker(text, position, f"expected {expected}")
            position = joint.end()
            if joint[2]:
                closed = _close(frames.pop())
                frames[-1][-1].append(closed)
                continue
            if joint[1] == "or":
                frames[-1].append([])
            break


def _close(alternatives: list[list[Diagram]]) -> Diagram:
    return any_of([all_of(conjunction) for conjunction in alternatives])


def _atom(text: str, match: re.Match[str]) -> Diagram:
    left, operator, right = match.groups()
    left_is_text, right_is_text = left[0] in "'\"", right[0] in "'\""
    if left_is_text == right_is_text:
        fault = "two texts are compared" if left_is_text else "a variable must be compared with a text"
        raise InvalidMarker(text, match.start(1), fault)
    group = 3 if left_is_text else 1
    field = _FIELDS.get(match[group])
    if field is None:
        raise InvalidMarker(text, match.start(group), f"{match[group]!r} is no marker variable")
    literal = left if left_is_text else right
    if "\\" in literal:
        raise InvalidMarker(text, match.start(4 - group), "a text cannot hold a backslash")
    if operator[0] == "n":
        operator = "not in"
    try:
        return comparison(field, operator, literal[1:-1], mirrored=left_is_text)
    except Undefined as fault_:
        raise InvalidMarker(text, match.start(1), str(fault_)) from None


def _expected_comparison(text: str, position: int) -> InvalidMarker:
    """Say which part of a comparison is missing."""
    blank = _blank.match(text, position)
    position = blank.end() if blank else position
    first = re.compile(_operand).match(text, position)
    if first is None:
        return InvalidMarker(text, position, "expected a variable or a quoted text")
    rest = re.compile(r"[ \t]*(===|==|~=|!=|<=|>=|<|>|in\b|not[ \t]+in\b)[ \t]*").match(text, first.end())
    if rest is None:
        return InvalidMarker(text, first.end(), "expected a comparison such as == or 'in'")
    return InvalidMarker(text, rest.end(), "expected a variable or a quoted text")
