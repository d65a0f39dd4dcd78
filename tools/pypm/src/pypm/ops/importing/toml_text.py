"""TOML texts of other tools."""

from __future__ import annotations

from typing import Any

from pypm.ops.importing.records import CannotImport
from pypm_model.lock_toml import InvalidToml, loads


def tables(text: str, file: str) -> dict[str, Any]:
    """The document. Raises `CannotImport`."""
    try:
        return loads(text.removeprefix("\ufeff"))
    except InvalidToml as fault:
        line = f" (line {fault.line})" if fault.line else ""
        raise CannotImport(file, f"not valid TOML: {fault.message}{line}") from None


def packages(text: str, file: str, key: str = "package") -> list[dict[str, Any]]:
    """The tables under *key* that have a name. Raises `CannotImport`."""
    found = tables(text, file).get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CannotImport(file, f"`{key}` is no list of tables")
    return [each for each in found if isinstance(each.get("name"), str)]
