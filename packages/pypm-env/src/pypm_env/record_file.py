"""RECORD, the list of what a distribution put where (PEP 376, 627): rows from text and text from rows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pypm_env.record_hash import record_hash
from pypm_model.later import later
from pypm_model.records import NamedTuple

if TYPE_CHECKING:
    import csv
else:
    csv = later("csv")


class Row(NamedTuple):
    """One file."""

    path: str
    """Relative to site-packages, with ``/``."""
    digest: str = ""
    """``sha256=...`` or empty."""
    size: str = ""
    """Bytes, as text, or empty."""


def read_rows(text: str) -> list[Row]:
    """The rows of a RECORD; lines that are none are left out."""
    if '"' not in text:
        rows = [line.split(",") for line in text.splitlines()]
    else:
        rows = list(csv.reader(io.StringIO(text)))
    return [Row(*[*row, "", ""][:3]) for row in rows if row and row[0]]


def write_rows(rows: list[Row]) -> str:
    """The text of a RECORD; ends with a line end."""
    return "".join(f"{quote(row.path)},{row.digest},{row.size}\n" for row in rows)


def row_of(path: str, content: bytes) -> Row:
    """The row of a file with *content*."""
    return Row(path, record_hash(content), str(len(content)))


def quote(path: str) -> str:
    """*path* as a field of a CSV line."""
    if any(char in path for char in ',"\r\n'):
        return '"' + path.replace('"', '""') + '"'
    return path
