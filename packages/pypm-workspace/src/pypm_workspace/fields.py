"""Typed access to a parsed TOML document: a wrong value becomes a complaint and reads as absent."""

from __future__ import annotations

from typing import Any

from pypm_model import markers, names, requirement_text, specifiers
from pypm_model.names import NormalizedName
from pypm_model.requirement_text import InvalidRequirement
from pypm_model.requirements import Requirement
from pypm_model.sources import without_credentials
from pypm_model.specifiers import InvalidSpecifier
from pypm_workspace.configuration import Asked
from pypm_workspace.direct_reference import direct_reference
from pypm_workspace.faults import Complaints
from pypm_workspace.positions import KeyPath, dotted
from pypm_workspace.toml_reading import Table


def described(value: object) -> str:
    """The TOML type of *value*, with its article."""
    match value:
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a float"
        case str():
            return "a string"
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _wrong(complaints: Complaints, path: KeyPath, wanted: str, value: object) -> None:
    complaints.add(path, f"`{dotted(path)}` must be {wanted}, not {described(value)}")


def table_at(table: Table, path: KeyPath, complaints: Complaints) -> Table:
    """The table under the last key of *path*; empty if absent or wrong."""
    value = table.get(str(path[-1]))
    if isinstance(value, dict):
        return value
    if value is not None:
        _wrong(complaints, path, "a table", value)
    return {}


def text_at(table: Table, path: KeyPath, complaints: Complaints) -> str | None:
    """The string under the last key of *path*."""
    value = table.get(str(path[-1]))
    if value is None or isinstance(value, str):
        return value
    _wrong(complaints, path, "a string", value)
    return None


def flag_at(table: Table, path: KeyPath, complaints: Complaints) -> bool | None:
    """The boolean under the last key of *path*."""
    value = table.get(str(path[-1]))
    if value is None or isinstance(value, bool):
        return value
    _wrong(complaints, path, "a boolean", value)
    return None


def array_at(table: Table, path: KeyPath, complaints: Complaints) -> list[Any]:
    """The array under the last key of *path*; empty if absent or wrong."""
    value = table.get(str(path[-1]))
    if isinstance(value, list):
        return value
    if value is not None:
        _wrong(complaints, path, "an array", value)
    return []


def texts_at(table: Table, path: KeyPath, complaints: Complaints) -> tuple[str, ...]:
    """The strings of the array under the last key of *path*; each item of another type is a fault."""
    found = []
    for item, value in enumerate(array_at(table, path, complaints)):
        if isinstance(value, str):
            found.append(value)
        else:
            _wrong(complaints, (*path, item), "a string", value)
    return tuple(found)


def requirement_at(value: object, path: KeyPath, complaints: Complaints) -> Requirement | None:
    """The requirement *value* spells, its address without credentials, or a complaint."""
    if not isinstance(value, str):
        _wrong(complaints, path, "a requirement string", value)
        return None
    try:
        found = requirement_text.parse(value)
        if found.url:
            direct_reference(found.url, base=".", root="/")
            found = found._replace(url=without_credentials(found.url))
        if found.marker:
            markers.parse(found.marker)
    except InvalidRequirement as error:
        complaints.add(path, str(error))
        return None
    except ValueError as error:  # an invalid marker or address
        complaints.add(path, f"invalid requirement {value!r}: {error}")
        return None
    return found


def requirements_at(table: Table, path: KeyPath, complaints: Complaints) -> tuple[Asked, ...]:
    """The requirements of the array under the last key of *path*."""
    values = array_at(table, path, complaints)
    if not values:
        return ()
    where = dotted(path)
    found = []
    for item, value in enumerate(values):
        requirement = requirement_at(value, (*path, item), complaints)
        if requirement is not None:
            found.append(Asked(requirement, where, item))
    return tuple(found)


def name_at(value: object, path: KeyPath, complaints: Complaints) -> NormalizedName | None:
    """The normalised project, extra or group name *value* spells, or a complaint."""
    if not isinstance(value, str):
        _wrong(complaints, path, "a name", value)
        return None
    if not names.is_valid(value):
        complaints.add(
            path,
            f"`{value}` is not a valid name (letters, digits, `-`, `_`, `.`; "
            "starts and ends with a letter or digit)",
        )
        return None
    return names.normalize(value)


def names_at(table: Table, path: KeyPath, complaints: Complaints) -> tuple[NormalizedName, ...]:
    """The names in the array under the last key of *path*, sorted, each once."""
    found = {
        name_at(value, (*path, item), complaints)
        for item, value in enumerate(array_at(table, path, complaints))
    }
    return tuple(sorted(name for name in found if name is not None))


def specifier_at(value: object, path: KeyPath, complaints: Complaints) -> str:
    """The canonical version specifier *value* spells, or a complaint and an empty text."""
    if not isinstance(value, str):
        _wrong(complaints, path, "a version specifier", value)
        return ""
    try:
        return specifiers.canonical(value)
    except InvalidSpecifier as error:
        complaints.add(path, str(error), _poetry_remedy(value))
        return ""


def _poetry_remedy(value: str) -> str | None:
    if value[:1] in "^~" and value[:2] != "~=" and value[1:2].isdigit():
        return "`^` and `~` are Poetry's: write a range such as `>=3.11,<4`"
    return None
