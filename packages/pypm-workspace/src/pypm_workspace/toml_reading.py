"""A TOML file's bytes as a document, or one fault with its line.

The fast parser (rtoml) is used where it is installed; the standard library's has the last word on
what is wrong, because it names the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pypm_model.errors import Place
from pypm_model.later import later
from pypm_workspace.faults import Fault

if TYPE_CHECKING:
    import tomllib
else:
    tomllib = later("tomllib")

Table = dict[str, Any]
"""One table of a TOML document."""

_fast: Callable[[str], dict[str, Any]] | None = None
try:
    from rtoml import loads

    _fast = loads
except ImportError:  # no wheel for this platform: the standard library does it, slower
    pass

_CONFLICT = r"^<{7}(?: |\r?$)"
_MERGED_FIRST = "solve it by hand; `pypm lock` then makes the lock of what both sides ask"
_WHERE = r" \(at (?:line (\d+), column (\d+)|end of document)\)$"


def read_toml(data: bytes, file: str) -> tuple[str, dict[str, Any] | Fault]:
    """The text (without byte order mark, line ends as they are) and the document in *data*."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", Fault(Place(file, line), "not UTF-8 text", "save the file as UTF-8")
    if _fast is not None:
        try:
            return text, _fast(text)
        except ValueError:
            pass
    try:
        return text, tomllib.loads(text)
    except RecursionError:
        return text, Fault(Place(file), "not valid TOML: nested too deeply")
    except tomllib.TOMLDecodeError as error:
        conflict = re.search(_CONFLICT, text, re.MULTILINE)
        if conflict is not None:
            line = text.count("\n", 0, conflict.start()) + 1
            return text, Fault(Place(file, line), "holds a merge conflict", _MERGED_FIRST)
        message = str(error)
        where = re.search(_WHERE, message)
        lines = text.count("\n") + 1
        line = int(where[1]) if where and where[1] else lines
        column = int(where[2]) if where and where[2] else None
        reason = re.sub(_WHERE, "", message)
        return text, Fault(Place(file, line, column), f"not valid TOML: {reason[0].lower()}{reason[1:]}")
