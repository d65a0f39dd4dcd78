"""Errors as GitHub Actions shows them beside the lines of a change: workflow commands on stdout.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from pypm.ops.lock_faults import LockStale
from pypm_model.errors import Place, PypmError


def annotated(error: PypmError, root: str, environ: Mapping[str, str]) -> Iterator[str]:
    """One ``::error`` line for each place of *error*, whose files are relative to *root*."""
    for place, message in _said(error):
        yield annotation(place, message, error.code, root, environ)


def annotation(
    place: Place, message: str, code: str, root: str, environ: Mapping[str, str], *, level: str = "error"
) -> str:
    """One line that shows *message* at *place*, a file relative to *root*; *level* is ``error`` or
    ``warning``."""
    properties = {
        "file": _prefix(root, environ.get("GITHUB_WORKSPACE", "")) + place.file,
        "line": place.line,
        "col": place.column,
        "title": f"pypm: {code}",
    }
    told = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in properties.items() if value)
    return f"::{level} {told}::{_escaped(message)}"


def _said(error: PypmError) -> Iterator[tuple[Place, str]]:
    if isinstance(error, LockStale):
        for stale, place in error.reasons:
            yield place, f"{stale} ({error.hint})"
        return
    message = f"{error} ({error.hint})" if error.hint else str(error)
    notes = error.notes or (message,) * len(error.places)
    yield from zip(error.places, notes, strict=True)
    if not error.places:
        yield Place("pypm.lock"), message


def _prefix(root: str, checkout: str) -> str:
    """From the checkout's folder to the workspace, if it is below: files are told from the checkout on."""
    if not checkout:
        return ""
    try:
        path = os.path.relpath(os.path.realpath(root), os.path.realpath(checkout)).replace(os.sep, "/")
    except ValueError:  # on another drive
        return ""
    return "" if path == "." or path.startswith("../") or path == ".." else f"{path}/"


def _escaped(text: str, more: str = "") -> str:
    for letter in "%\r\n" + more:
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text
