"""Errors as people read them: the kind, one line, the places with the line itself, what would help.

What is printed here holds no password of an address, whoever put it there: a message, a line of a file.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pypm.cli.render.style import style
from pypm_model.errors import Place, PypmError
from pypm_model.later import later

if TYPE_CHECKING:
    from pypm_index import addresses
else:
    addresses = later("pypm_index.addresses")  # most runs show no error

_LONGEST = 120
"""Characters of a line that are shown."""


def render_error(error: PypmError, *, json: bool = False) -> str:
    """The whole message, ending in a line break; with *json*, one line of JSON."""
    if json:
        import json as json_text

        return json_text.dumps({"error": addresses.hidden_in(error.to_json())}, sort_keys=True) + "\n"
    if error.parts:
        return "".join(render_error(part) for part in error.parts)
    lines = [f"{style('error', 'red')}[{error.code}]: {error}"]
    notes = error.notes or ("",) * len(error.places)
    for place, note in zip(error.places, notes, strict=True):
        lines += _place(place, note)
    for place in error.askers:
        lines += _place(place, "asked for here" if place.line else "")
    for text, places in error.story:
        lines.append(f"  {text}")
        lines += [f"      {style(str(place), 'blue')}" for place in places]
    lines += [f"  | {line}".rstrip() for line in error.printed]
    lines += [f"  {style('help', 'cyan')}: {each}" for each in error.helps]
    return addresses.redacted("\n".join(lines) + "\n")


def render_usage(message: str, verb: str = "", *, json: bool = False) -> str:
    """A wrong option or argument."""
    message = addresses.redacted(message)
    hint = f"`pypm help {verb}` tells the options." if verb else None
    if json:
        return _plain_json("usage", message, hint)
    text = f"{style('error', 'red')}[usage]: {message}\n"
    return text + (f"  {style('help', 'cyan')}: {hint}\n" if hint else "")


def render_unexpected(error: Exception, *, json: bool = False) -> str:
    """Something no room foresaw: the machine's own error in one line, or a fault of ours."""
    red = style("error", "red")
    if isinstance(error, OSError) and error.strerror:
        subject = f": {error.filename}" if error.filename else ""
        message = f"{error.strerror.lower()}{subject}"
        from pypm_store.store_errors import FULL

        hint = "free some space and try again" if error.errno in FULL else None
        if json:
            return _plain_json("system", message, hint)
        return f"{red}[system]: {message}\n" + (f"  {style('help', 'cyan')}: {hint}\n" if hint else "")
    what = addresses.redacted(" ".join(str(error).split())) or "no message"
    message = f"{type(error).__name__}: {what}"
    hint = "This is a fault in pypm. PYP_DEBUG=1 shows where; please report it with that output."
    return _plain_json("internal", message, hint) if json else f"{red}[internal]: {message}\n  {hint}\n"


def _plain_json(code: str, message: str, hint: str | None = None) -> str:
    """An error that is no record, in the form of those that are."""
    import json as json_text

    found: dict[str, object] = {"code": code, "message": message, "hint": hint, "places": []}
    return json_text.dumps({"error": found}, sort_keys=True) + "\n"


def _place(place: Place, note: str) -> list[str]:
    head = f"  {style('-->', 'blue')} {place}"
    text = None if place.line is None else _line_of(place)
    if text is None:
        return [f"{head}: {note}" if note else head]
    number = str(place.line)
    text, before = _around(*_shown(text, max((place.column or 1) - 1, 0)))
    lines = [head, f"  {number} | {text}"]
    if (place.column is not None and place.column > 0) or note:
        indent = " " * before
        caret = style("^" if place.column else "=", "red")
        lines.append(f"  {' ' * len(number)} | {indent}{caret} {note}".rstrip())
    return lines


def _shown(text: str, at: int) -> tuple[str, int]:
    """A line without secrets, and how many of its characters come before *at* now."""
    return addresses.redacted(text), len(addresses.redacted(text[:at]))


def _around(text: str, at: int) -> tuple[str, int]:
    """A line, and how many of its characters come before *at*: of a long one (a list that a tool wrote), what
    is around."""
    if len(text) <= _LONGEST:
        return text, at
    begin = min(max(at - _LONGEST // 3, 0), len(text) - _LONGEST)
    head, tail = ("..." if begin else ""), ("..." if begin + _LONGEST < len(text) else "")
    return head + text[begin : begin + _LONGEST] + tail, at - begin + len(head)


def _line_of(place: Place) -> str | None:

    from pathlib import Path

    root = os.environ.get("PYP_WORKSPACE_ROOT", "")
    for folder in (Path.cwd(), *Path.cwd().parents) if not root else (Path(root), Path.cwd()):
        try:
            text = (folder / place.file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        lines = text.splitlines()
        number = place.line or 0
        return lines[number - 1].rstrip() if 0 < number <= len(lines) else None
    return None


def warn(code: str, message: str) -> None:
    """Prints a warning to stderr."""
    sys.stderr.write(f"{style('warning', 'yellow')}[{code}]: {addresses.redacted(message)}\n")
