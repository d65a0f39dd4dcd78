"""The text of a marker (PEP 508), checked and written one way; what it means is `pypm_model.markers`.

Two markers that differ only in blanks, quotes, needless parentheses, the spelling of a variable or of
an extra's name have one normal text, so that requirements can be compared as texts.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pypm_model.names import normalize
from pypm_model.patterns import pattern

VARIABLES = frozenset(
    (
        "python_version",
        "python_full_version",
        "os_name",
        "sys_platform",
        "platform_release",
        "platform_system",
        "platform_version",
        "platform_machine",
        "platform_python_implementation",
        "implementation_name",
        "implementation_version",
        "extra",
        "extras",
        "dependency_groups",
    )
)
"""What a marker may speak of (PEP 508, and PEP 751 for the last two)."""

_old_names = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.version": "platform_version",
    "platform.machine": "platform_machine",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}

_token = pattern(
    r"""[ \t]*(?:
        (?P<quoted>'[^']*'|"[^"]*")
      | (?P<operator>===|==|~=|!=|<=|>=|<|>)
      | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<parenthesis>[()])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_not_in = pattern(r"[ \t]+in\b")


class InvalidMarkerText(ValueError):
    """The text is no marker; *position* (from 0) is where it stops being one."""

    def __init__(self, marker: str, position: int, reason: str) -> None:
        self.marker = marker
        self.position = position
        self.reason = reason
        super().__init__(f"invalid marker: {reason} at column {position + 1} of {marker!r}")


Term = tuple[str, bool]
"""A piece of a marker with whether it is an ``or``, which needs parentheses inside an ``and``."""


@lru_cache(maxsize=8192)
def normal(marker: str) -> str:
    """The normal text of *marker*; empty if it is blank. Raises `InvalidMarkerText`.

    Strings are in single quotes unless they hold one. The order of operands is kept.
    """
    if not marker.strip(" \t"):
        return ""
    # One frame for each open parenthesis: a disjunction of conjunctions of terms.
    frames: list[list[list[Term]]] = [[[]]]
    position, expects_term = 0, True
    while True:
        start, kind, text, position = _next(marker, position)
        if expects_term:
            if text == "(" and kind == "parenthesis":
                frames.append([[]])
                continue
            if kind not in ("quoted", "word"):
                raise InvalidMarkerText(marker, start, "expected a variable or a quoted string")
            comparison, position = _comparison(marker, start, kind, text, position)
            frames[-1][-1].append((comparison, False))
            expects_term = False
        elif text in ("and", "or") and kind == "word":
            if text == "or":
                frames[-1].append([])
            expects_term = True
        elif text == ")" and kind == "parenthesis" and len(frames) > 1:
            closed = _join(frames.pop())
            frames[-1][-1].append(closed)
        elif kind == "end" and len(frames) == 1:
            return _join(frames[0])[0]
        else:
            expected = "'and', 'or' or ')'" if len(frames) > 1 else "'and', 'or' or the end"
            raise InvalidMarkerText(marker, start, f"expected {expected}")


def _next(marker: str, position: int) -> tuple[int, str, str, int]:
    """The next token: where it starts, its kind, its text, where it ends."""
    match = _token.match(marker, position)
    if match is None:
        start = position + len(marker[position:]) - len(marker[position:].lstrip(" \t"))
        raise InvalidMarkerText(marker, start, f"unexpected {marker[start]!r}")
    kind = match.lastgroup or "end"
    return match.start(kind), kind, match[kind], match.end()


def _comparison(marker: str, start: int, kind: str, text: str, position: int) -> tuple[str, int]:
    """``operand operator operand`` from its first token on, as normal text, and where it ends."""
    left = _operand(marker, start, kind, text)
    start, kind, operator, position = _next(marker, position)
    if operator == "not" and kind == "word":
        match = _not_in.match(marker, position)
        if match is None:
            raise InvalidMarkerText(marker, position, "expected 'in' after 'not'")
        operator, position = "not in", match.end()
    elif kind != "operator" and not (kind == "word" and operator == "in"):
        raise InvalidMarkerText(marker, start, "expected a comparison such as == or 'in'")
    start, kind, text, position = _next(marker, position)
    if kind not in ("quoted", "word"):
        raise InvalidMarkerText(marker, start, "expected a variable or a quoted string")
    right = _operand(marker, start, kind, text)
    if left == "extra":
        right = _normal_extra(right)
    elif right == "extra":
        left = _normal_extra(left)
    return f"{left} {operator} {right}", position


def _operand(marker: str, start: int, kind: str, text: str) -> str:
    if kind == "quoted":
        value = text[1:-1]
        return f'"{value}"' if "'" in value else f"'{value}'"
    name = _old_names.get(text, text)
    if name not in VARIABLES:
        raise InvalidMarkerText(marker, start, f"{text!r} is no marker variable")
    return name


def _normal_extra(operand: str) -> str:
    quoted = operand[0] in "'\""
    return f"{operand[0]}{normalize(operand[1:-1])}{operand[0]}" if quoted else operand


def _join(alternatives: list[list[Term]]) -> Term:
    """One frame as text."""
    terms: list[Term] = []
    for conjunction in alternatives:
        if len(conjunction) == 1:
            terms.append(conjunction[0])
        else:
            terms.append((" and ".join([f"({t})" if is_or else t for t, is_or in conjunction]), False))
    return terms[0] if len(terms) == 1 else (" or ".join([t for t, _ in terms]), True)
