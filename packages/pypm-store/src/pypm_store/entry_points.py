"""entry_points.txt of a wheel: what it offers by name, with script names that are safe to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypm_model.later import later
from pypm_model.records import NamedTuple

if TYPE_CHECKING:
    from pypm_store import archive_rules
else:
    archive_rules = later("pypm_store.archive_rules")

_SCRIPTS = ("console_scripts", "gui_scripts")


class EntryPoint(NamedTuple):
    """One line: *name* ``=`` *value* under ``[group]``."""

    group: str
    name: str
    value: str
    """``package.module:object`` with extras in brackets, as written."""


def read_entry_points(file: str, text: str) -> tuple[EntryPoint, ...]:
    """The entry points in order; of two with one group and name the last counts, as for
    `importlib.metadata`. Lines that are none are passed over.

    Raises `UnsafeArchive` for a script whose name could not be a file's or is an interpreter's.
    """
    found: dict[tuple[str, str], EntryPoint] = {}
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "[" and line[-1] == "]":
            group = line[1:-1].strip()
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not group or not equals:
            continue
        if group in _SCRIPTS:
            archive_rules.check_script_name(file, name, "entry_points.txt")
        found[group, name] = EntryPoint(group, name, value)
    return tuple(found.values())
