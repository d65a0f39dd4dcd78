"""What a single-file script says of itself (PEP 723): the block of comments headed ``# /// script``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pypm_model.errors import Place
from pypm_model.names import is_valid
from pypm_model.records import record, replace
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.specifiers import InvalidSpecifier
from pypm_model.specifiers import parse as parse_specifier
from pypm_workspace.configuration import SourceRule
from pypm_workspace.faults import Complaints, Fault, InvalidManifest
from pypm_workspace.positions import KeyPath
from pypm_workspace.source_tables import read_sources
from pypm_workspace.toml_reading import Table, read_toml

_FIRST, _LAST = "# /// script", "# ///"
_HEAD = re.compile(r"# /// [a-zA-Z0-9-]+")
_TABLE = "[project]\n"
_OURS: KeyPath = ("tool", "pypm", "sources")
_CODING = re.compile(r"[ \t\f]*#.*?coding[:=]")
"""A line that says a file's encoding, among its first two (PEP 263)."""


@record
class Script:
    """The block of one script."""

    dependencies: tuple[str, ...] = ()
    requires_python: str = ""
    line: int = 1
    """Of the block's head."""
    lines: tuple[int, ...] = ()
    """Of each dependency, as far as it is known."""
    may_build: tuple[str, ...] = ()
    """Packages whose sdists may be built: ``[tool.pypm.resolution] build = { allow = [...] }``."""
    sources: tuple[tuple[KeyPath, Table], ...] = ()
    """Tables that say where names come from, the stronger one first: ``[tool.pypm.sources]``, then
    ``[tool.uv.sources]``."""
    text: str = ""
    """Of the block, each line where it is in the file."""

    def rules(self, file: str, base: str, root: str) -> tuple[SourceRule, ...]:
        """Where the names come from that the script, in the folder *base* below *root*, has sources for.
        Raises `InvalidManifest`."""
        complaints = Complaints(file, self.text)
        found: list[SourceRule] = []
        for path, table in self.sources:
            found += read_sources(
                table, path, base=base, root=root, file=file, complaints=complaints, strict=path == _OURS
            )
        if complaints:
            faults = [replace(fault, place=Place(file, fault.place.line)) for fault in complaints.faults()]
            raise InvalidManifest(tuple(faults))
        return tuple(found)


def read_script(data: bytes, file: str) -> Script | None:
    """The block in the script *data*; None if it has none. Raises `InvalidManifest` with all its faults."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return None  # whatever it is, Python will say it
    blocks, endless = _blocks(lines)
    if not blocks:
        if endless < 0:
            return None
        place = Place(file, endless + 1)
        raise InvalidManifest((Fault(place, "the block has no end", "close it with a line `# ///`"),))
    start, content = blocks[0]
    if len(blocks) > 1:
        raise InvalidManifest((Fault(Place(file, blocks[1][0] + 1), "there is a second `script` block"),))
    # Lines of the block are lines of the document, so that a fault can be placed.
    whole = "\n" * (start + 1) + "\n".join(content) + "\n"
    _, document = read_toml(whole.encode(), file)
    if isinstance(document, Fault):
        raise InvalidManifest((document,))
    script = _read(document, file, start, content)
    return replace(script, text=whole) if script.sources else script


def _blocks(lines: list[str]) -> tuple[list[tuple[int, list[str]]], int]:
    """Every block of the kind ``script``, as `_block` has it, and the line of one that has no end, or -1.
    What is inside a block of another kind begins none."""
    found: list[tuple[int, list[str]]] = []
    endless = -1
    number = 0
    while number < len(lines):
        head = lines[number].rstrip()
        block = _block(lines, number) if _HEAD.fullmatch(head) else None
        if head == _FIRST and block is None:
            endless = number if endless < 0 else endless
        elif head == _FIRST and block is not None:
            found.append(block)
        number += 1 if block is None else len(block[1]) + 2
    return found, endless


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
    tool = document.get("tool")
    allowed = _may_build(tool)
    if allowed is None:
        message = "`[tool.pypm]` of a script is `resolution.build.allow`, a list of names, and `sources`"
        faults.append(Fault(place("tool.pypm"), message))
    known = ("dependencies", "requires-python", "tool")
    faults += [
        Fault(place(key), f"`{key}` is no key of a script's block") for key in document if key not in known
    ]
    if faults:
        raise InvalidManifest(tuple(sorted(faults, key=lambda fault: fault.place.line or 0)))
    lines = tuple(place(text).line or start + 1 for text in asked)
    script = Script(tuple(asked), python, start + 1, lines, allowed or ())
    return replace(script, sources=tuple(_sources(tool)))


def _sources(tool: object) -> Iterator[tuple[KeyPath, Table]]:
    for path in (_OURS, ("tool", "uv", "sources")):
        table: Table = {"tool": tool}
        for key in path:
            below = table.get(str(key))
            table = below if isinstance(below, dict) else {}
        if table:
            yield path, table


def _may_build(tool: object) -> tuple[str, ...] | None:
    """What pypm's own table in the tables of tools allows; None if it says anything else."""
    table = tool.get("pypm", {}) if isinstance(tool, dict) else {}
    if isinstance(table, dict) and isinstance(table.get("sources"), dict):
        table = {key: value for key, value in table.items() if key != "sources"}
    for key in ("resolution", "build", "allow"):
        if table == {}:
            return ()
        if not isinstance(table, dict) or set(table) != {key}:
            return None
        table = table[key]
    if not isinstance(table, list) or not all(isinstance(name, str) and is_valid(name) for name in table):
        return None
    return tuple(table)


def edited_script(text: str, change: Callable[[str], str], requires_python: str) -> str:
    """The script *text* with its block as *change* makes it, and every other byte as it is.

    *change* sees the block as the ``[project]`` table of a manifest. A script without a block gets one, below
    the lines that have to be first, which says *requires_python*. The block is one that `read_script` reads.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text.removeprefix(mark).split("\n")
    ending = "\r" if lines[0].endswith("\r") else ""
    plain = [line.removesuffix("\r") for line in lines]
    blocks, _ = _blocks(plain)
    if blocks:
        start, content = blocks[0]
        lines[start + 1 : start + 1 + len(content)] = _commented(change, content, ending)
    else:
        at = 1 if plain[0].startswith("#!") else 0
        at += 1 if at < len(plain) and _CODING.match(plain[at]) else 0
        content = [f'requires-python = "{requires_python}"', "dependencies = []"]
        block = [_FIRST + ending, *_commented(change, content, ending), _LAST + ending]
        if at < len(plain) and plain[at]:
            block.append(ending)
        lines[at:at] = block
    return mark + "\n".join(lines)


def _commented(change: Callable[[str], str], content: list[str], ending: str) -> list[str]:
    changed = change(_TABLE + "".join(f"{line}\n" for line in content))
    lines = changed.removeprefix(_TABLE).removesuffix("\n").split("\n")
    return [(f"# {line}" if line else "#") + ending for line in lines if line or len(lines) > 1]
