"""Lists of requirements in TOML texts: one entry more or less, every other byte as it was.

Text and spots in, text out. Entries one a line or side by side, with or without a comma at the end,
comments above and behind: each keeps its form.
"""

from __future__ import annotations

from typing import Any

from pypm_model import requirement_text
from pypm_model.patterns import pattern
from pypm_model.requirement_text import InvalidRequirement
from pypm_model.requirements import Requirement
from pypm_workspace.positions import KeyPath, Positions, Spot
from pypm_workspace.table_pairs import newline_of, with_new_pair

_comma = pattern(r"(?:[ \t\r\n]+|#[^\n]*+)*+,")  # a comma inside a comment is none
_control = pattern(r"[\x00-\x1f\x7f]")
_line_rest = pattern(r"[ \t]*,?[ \t]*(?:#[^\r\n]*)?(?=\r?\n|\Z)")


def parsed(item: object) -> Requirement | None:
    """The requirement that *item* of a list spells; None for an include or what is no requirement."""
    try:
        return requirement_text.parse(item) if isinstance(item, str) else None
    except InvalidRequirement:
        return None


def name_of(item: object) -> str | None:
    """The normalised name *item* asks for, if it is a requirement."""
    requirement = parsed(item)
    return requirement.name if requirement else None


def quoted(written: str, like: str = '"') -> str:
    """*written* as a TOML string, in the quotes its neighbours have if it can bear them."""
    literal = "'" not in written and _control.search(written) is None
    if literal and (like == "'" or '"' in written):
        return f"'{written}'"
    escaped = written.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _control.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _indent(text: str, at: int) -> str:
    """The blanks at the start of the line that holds offset *at*."""
    start = text.rfind("\n", 0, at) + 1
    return text[start : start + len(text[start:]) - len(text[start:].lstrip(" \t"))]


def _first_on_line(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _rank(item: object) -> tuple[str, str]:
    return (name_of(item) or "", str(item))


def _slot(items: list[Any], written: str) -> int:
    """Where *written* goes: its place among the texts if they are sorted, else the end."""
    ranks = [(number, _rank(item)) for number, item in enumerate(items) if isinstance(item, str)]
    order = [rank for _, rank in ranks]
    if order and order == sorted(order):
        mine = _rank(written)
        return next((number for number, rank in ranks if rank > mine), ranks[-1][0] + 1)
    return len(items)


def inserted(
    text: str, spot: Spot, entries: list[Spot], items: list[Any], written: str, path: KeyPath
) -> str:
    """*text* with *written* among the *items* of the array at *spot* (their spots: *entries*): at its
    place if they are sorted, else at the end."""
    newline = newline_of(text)
    value = quoted(written, text[entries[-1].start] if entries else '"')
    inner = text[spot.start + 1 : spot.end - 1]
    if not entries:
        if not inner.strip() and _first_on_line(text, spot.key):  # nothing in it, not even a comment
            indent = _indent(text, spot.key)
            return f"{text[: spot.start]}[{newline}{indent}    {value},{newline}{indent}]{text[spot.end :]}"
        if "\n" not in inner:
            return f"{text[: spot.start]}[{value}]{text[spot.end :]}"
        close = spot.end - 1
        start = text.rfind("\n", 0, close) + 1
        indent = _indent(text, close) + "    "
        return f"{text[:start]}{indent}{value},{newline}{text[start:]}"
    slot = _slot(items, written)
    if slot < len(entries):
        after = entries[slot]
        if not _first_on_line(text, after.start):
            return f"{text[: after.start]}{value}, {text[after.start :]}"
        indent = _indent(text, after.start)
        at = text.rfind("\n", 0, after.start) + 1
        if slot:  # comments above an entry belong to it: go above them
            at = text.index("\n", _line_end(text, entries[slot - 1].end)) + 1
        return f"{text[:at]}{indent}{value},{newline}{text[at:]}"
    last = entries[-1]
    comma = _comma.match(text, last.end, spot.end - 1)
    if "\n" in text[last.end : spot.end] and _first_on_line(text, last.start):
        indent = _indent(text, last.start)
        if comma is None:
            text = f"{text[: last.end]},{text[last.end :]}"
        at = _line_end(text, max(last.end + (comma is None), comma.end() if comma else 0))
        return f"{text[:at]}{newline}{indent}{value}{',' if comma else ''}{text[at:]}"
    if "\n" in inner and _first_on_line(text, last.start):  # the closing bracket follows on the last line
        separator = f",{newline}{_indent(text, last.start)}"
    else:
        separator = ", "
    if comma is not None:
        return f"{text[: last.end]}{separator}{value},{text[comma.end() :]}"
    return f"{text[: last.end]}{separator}{value}{text[last.end :]}"


def _line_end(text: str, at: int) -> int:
    """The end of the line at *at*, a comma and a comment included, if nothing else is on it."""
    match = _line_rest.match(text, at)
    return match.end() if match else at


def without(text: str, spot: Spot, entries: list[Spot], number: int) -> str:
    """*text* without entry *number* of the array at *spot*, and without the comment behind it."""
    entry = entries[number]
    comma = _comma.match(text, entry.end, spot.end - 1)
    is_last = number == len(entries) - 1
    begin, end = entry.start, comma.end() if comma else entry.end
    tail = _line_rest.match(text, end)
    if _first_on_line(text, entry.start) and tail is not None and "\n" in text[tail.end() : tail.end() + 2]:
        begin = text.rfind("\n", 0, entry.start) + 1
        end = text.index("\n", tail.end()) + 1
    elif not is_last and _first_on_line(text, entries[number + 1].start):
        begin = len(text[:begin].rstrip(" \t"))
    elif not is_last:
        end = entries[number + 1].start
    elif number and not _first_on_line(text, entry.start):
        begin = entries[number - 1].end
        end = entry.end  # a trailing comma stays one
    shortened = text[:begin] + text[end:]
    if is_last and comma is None and number and begin > entries[number - 1].end:
        # the list had no trailing comma: the entry before it must not get one
        before = _comma.match(shortened, entries[number - 1].end)
        if before is not None:
            shortened = shortened[: before.end() - 1] + shortened[before.end() :]
    if len(entries) == 1:
        close = spot.end - 1 - (end - begin)
        if not shortened[spot.start + 1 : close].strip():
            shortened = f"{shortened[: spot.start]}[]{shortened[close + 1 :]}"
    return shortened


def with_new_list(text: str, positions: Positions, path: KeyPath, written: str) -> str:
    """*text* with a list at *path*, in the form its nearest enclosing table is written in."""
    newline, item = newline_of(text), quoted(written)
    return with_new_pair(text, positions, path, f"[{newline}    {item},{newline}]", f"[{item}]")
