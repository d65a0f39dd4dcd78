"""Keys and values in the tables of TOML texts: one pair more or less, every other byte as it was.

Text and spots in, text out; `requirement_lists` does the same for the items of arrays.
"""

from __future__ import annotations

from pypm_model.patterns import pattern
from pypm_workspace.positions import KeyPath, Positions, Spot, dotted

_to_the_end = pattern(r"[ \t]*(?:#[^\r\n]*)?(?:\r?\n|\Z)")
_comma_after = pattern(r"[ \t]*,[ \t]*")
_comma_before = pattern(r",[ \t\r\n]*\Z")


def newline_of(text: str) -> str:
    """The line end *text* uses."""
    found = text.find("\n")
    return "\r\n" if found > 0 and text[found - 1] == "\r" else "\n"


def with_new_pair(text: str, positions: Positions, path: KeyPath, value: str, inline: str = "") -> str:
    """*text* with *value* (TOML) under *path*, in the form the nearest enclosing table is written in.

    In an inline table *inline* stands for it, where the two differ. Nothing may stand at *path* yet.
    """
    newline = newline_of(text)
    spots = positions.spots
    near = path
    while near and near not in spots:
        near = near[:-1]
    spot = spots.get(near)
    own_table = f"{newline}[{dotted(path[:-1])}]{newline}{dotted(path[-1:])} = {value}{newline}"
    if (
        spot is None
    ):  # nothing of it is there: a table of its own, a tool's at the end, else after the project's
        ends = [s.end for p, s in spots.items() if p[0] == "project" and s.kind == "table"]
        at = len(text) if path[0] == "tool" else max(ends, default=len(text))
        return _below(text, at, own_table, newline)
    if spot.kind == "inline":
        inner = text[spot.start + 1 : spot.end - 1].rstrip()
        pair = f"{dotted(path[len(near) :])} = {inline or value}"
        comma = ", " if inner and not inner.endswith(",") else "" if inner else " "
        rest = text[spot.start + 1 + len(inner) :] if inner else f" {text[spot.end - 1 :]}"
        return f"{text[: spot.start + 1]}{inner}{comma}{pair}{rest}"
    if spot.kind == "table" and len(path) == len(near) + 1:
        return _below(text, spot.end, f"{dotted(path[-1:])} = {value}{newline}", newline)
    end = max(s.end for p, s in spots.items() if p[: len(near)] == near)
    if spot.kind == "table" or text[spot.key] == "[":  # written under headers: one more
        return _below(text, end, own_table, newline)
    # written with dotted keys: one more of them, below the last
    home = near
    while home and (home not in spots or spots[home].kind != "table"):
        home = home[:-1]
    return _below(text, end, f"{dotted(path[len(home) :])} = {value}{newline}", newline)


def without_pair(text: str, path: KeyPath) -> str:
    """*text* without what stands at *path*: a pair, a table with its header, or all pairs and tables
    whose dotted keys begin so. Comments above stay, the one behind goes."""
    while True:
        spots = Positions(text).spots
        written = [p for p in spots if p[: len(path)] == path and spots[p].kind != "implied"]
        if not written:
            return text
        # The outermost first: what is in it goes with it.
        text = _cut(text, spots, min(written, key=lambda p: (len(p), spots[p].key)))


def _cut(text: str, spots: dict[KeyPath, Spot], path: KeyPath) -> str:
    spot = spots[path]
    home = path[:-1]
    while home and spots[home].kind == "implied":
        home = home[:-1]
    if home and spots[home].kind == "inline":
        after = _comma_after.match(text, spot.end)
        if after is not None:
            return text[: spot.key] + text[after.end() :]
        before = _comma_before.search(text[: spot.key])
        return text[: before.start() if before else spot.key] + text[spot.end :]
    begin, end = text.rfind("\n", 0, spot.key) + 1, spot.end
    tail = _to_the_end.match(text, end)
    if tail is not None:
        end = tail.end()
    if spot.kind == "table":  # and one of the blank lines around it
        blank = newline_of(text)
        if text[:begin].endswith(blank * 2) and (text.startswith(blank, end) or end == len(text)):
            begin -= len(blank)
    return text[:begin] + text[end:]


def _below(text: str, at: int, lines: str, newline: str) -> str:
    """*text* with *lines* after the line that holds offset *at*."""
    end = text.find("\n", at)
    if end < 0:
        more = newline if text and not text.endswith("\n") else ""
        return text + more + (lines if text else lines.removeprefix(newline))
    return text[: end + 1] + lines + text[end + 1 :]
