"""The bytes of another tool's file as text."""

from __future__ import annotations

import codecs
import re

from pypm.ops.importing.records import CannotImport

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""What a text may begin with: PowerShell writes ``pip freeze > requirements.txt`` in UTF-16. The longer
marks first, because UTF-32's begins with UTF-16's."""
_declared = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def decoded(data: bytes, file: str) -> str:
    """*data* as text: by the mark it begins with, else as UTF-8; a requirements file may, as for pip, name
    its encoding in one of its first two lines. Raises `CannotImport`."""
    mark, encoding = next((pair for pair in _MARKS if data.startswith(pair[0])), (b"", "utf-8"))
    if not mark and file.endswith((".txt", ".in")):
        named = (_declared.match(line) for line in data.split(b"\n")[:2])
        encoding = next((found[1].decode() for found in named if found is not None), encoding)
    try:
        return data.removeprefix(mark).decode(encoding)
    except LookupError:
        raise CannotImport(file, f"says that its encoding is {encoding}, which is none") from None
    except UnicodeDecodeError:
        raise CannotImport(file, f"not {encoding.upper()} text") from None
