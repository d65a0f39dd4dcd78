"""What a single-file script says of itself (PEP 723): the block of comments headed ``# /// script``."""

from __future__ import annotations

from typing import Any

from pypm_model.errors import Place
from pypm_model.records import record, replace
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.specifiers import InvalidSpecifier
from pypm_model.specifiers import parse as parse_specifier
from pypm_workspace.faults import Fault, InvalidManifest
from pypm_workspace.toml_reading import read_toml

_FIRST, _LAST = "# /// script", "# ///"


@record
class Script:
    """The block of one script."""

    dependencies: tuple[str, ...] = ()
    requires_python: str = ""
    line: int = 1
    """Of the block's head."""
    lines: tuple[int, ...] = ()
    """Of each dependency, as far as it is known."""


def read_script(data: bytes, file: str) -> Script | None:
    """The block in the script *data*; None if it has none. Raises `InvalidManifest` with all its faults."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return None  # whatever it is, Python will say it
    starts = [number for number, line in enumerate(lines) if line.rstrip() == _FIRST]
    if not starts:
        return None
    blocks = [found for start in starts if (found := _block(lines, start)) is not None]
    if not blocks:
        place = Place(file, starts[0] + 1)
        raise InvalidManifest((Fault(place, "the block has no end", "close it with a line `# ///`"),))
    start, content = blocks[0]
    if len(blocks) > 1:
        raise InvalidManifest((Fault(Place(file, blocks[1][0] + 1), "there is a second `script` block"),))
    # Lines of the block are lines of the document, so that a fault can be placed.
    _, document = read_toml(("\n" * (start + 1) + "\n".join(content) + "\n").encode(), file)
    if isinstance(document, Fault):
        raise InvalidManifest((document,))
    return _read(document, file, start, content)


def _block(lines: list[str], start: int) -> tuple[int, list[str]] | None:
    """(line of the head, text) of the block that begins there; its end is the last ``# ///`` in a row of
    comments."""
    end = start + 1
    while end < len(lines) and (lines[end] == "#" or lines[end].startswith("# ")):
        end += 1
    closing = [number for number in range(start + 1, end) if lines[number].rstrip() == _LAST]
    if not closing:
        return None
    return start, [line[2:] for line in lines[start + 1 : closing[-1]]]


def _read(document: dict[str, Any], file: str, start: int, content: list[str]) -> Script:
    faults: list[Fault] = []

    def place(text: str) -> Place:
        found = next((number for number, line in enumerate(content) if text in line), -1)
        return Place(file, start + 2 + found)

    python = document.get("requires-python", "")
    if not isinstance(python, str):
        faults.append(Fault(place("requires-python"), "`requires-python` is no text"))
        python = ""
    try:
        parse_specifier(python)
    except InvalidSpecifier as error:
        faults.append(Fault(place("requires-python"), f"`requires-python` cannot be read: {error}"))
    asked = document.get("dependencies", [])
    if not isinstance(asked, list) or not all(isinstance(text, str) for text in asked):
        faults.append(Fault(place("dependencies"), "`dependencies` is no list of texts"))
        asked = []
    for text in asked:
        try:
            parse(text)
        except InvalidRequirement as error:
            faults.append(Fault(place(text), f"{text!r} is no requirement: {error.reason}"))
    known = ("dependencies", "requires-python", "tool")
    faults += [
        Fault(place(key), f"`{key}` is no key of a script's block") for key in document if key not in known
    ]
    if faults:
        raise InvalidManifest(tuple(sorted(faults, key=lambda fault: fault.place.line or 0)))
    lines = tuple(place(text).line or start + 1 for text in asked)
    return replace(Script(tuple(asked), python), line=start + 1, lines=lines)
