"""Tables that say what a package depends on: ``dependency-metadata``, of uv and ours."""

from __future__ import annotations

from pypm_model import versions
from pypm_model.versions import InvalidVersion
from pypm_workspace.configuration import StatedMetadata
from pypm_workspace.faults import Complaints
from pypm_workspace.fields import (
    array_at,
    described,
    name_at,
    names_at,
    requirements_at,
    specifier_at,
    text_at,
)
from pypm_workspace.positions import KeyPath
from pypm_workspace.toml_reading import Table


def read_stated(table: Table, path: KeyPath, complaints: Complaints) -> tuple[StatedMetadata, ...]:
    """The entries of the array of tables that is at *path*, in *table* under its last key. Keys that metadata
    has besides these change no lock, and are left alone."""
    found = []
    for position, entry in enumerate(array_at(table, path, complaints)):
        here: KeyPath = (*path, position)
        if not isinstance(entry, dict):
            complaints.add(here, f"metadata of a package is a table, not {described(entry)}")
            continue
        if "name" not in entry:
            complaints.add(here, "`name` is missing in this metadata")
            continue
        name = name_at(entry["name"], (*here, "name"), complaints)
        version = text_at(entry, (*here, "version"), complaints) or ""
        try:
            version = versions.canonical(version) if version else ""
        except InvalidVersion as error:
            complaints.add((*here, "version"), str(error))
        python = entry.get("requires-python")
        requires = requirements_at(entry, (*here, "requires-dist"), complaints)
        extras = names_at(entry, (*here, "provides-extra"), complaints)
        range_ = specifier_at(python, (*here, "requires-python"), complaints) if python is not None else ""
        if name is not None:
            found.append(StatedMetadata(name, version, requires, extras, range_))
    return tuple(found)
