"""PDM: ``pdm.lock``, and the tables of ``[tool.pdm]`` that PEP 735 and pypm have words for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pypm.ops.importing.addresses import index_address
from pypm.ops.importing.records import Draft, Lost, NewIndex, Pins, Source, pins_of
from pypm.ops.importing.toml_text import packages
from pypm_model.names import NormalizedName, normalize
from pypm_model.requests import Preference

CONVERTED = ("dev-dependencies", "source")
"""Keys of ``[tool.pdm]`` that are replaced; the others stay where they are."""
_told = {
    "scripts": "write them as [tool.pypm.tasks]; they stay where they are, for pdm",
    "resolution": "write its overrides and excludes under [resolution] of pypm-workspace.toml",
}


def read_pdm_lock(text: str, file: str = "pdm.lock") -> Pins:
    """The versions it has from indexes."""
    found: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    lost = []
    for package in packages(text, file):
        name, version = package["name"], package.get("version")
        kind = next((key for key in ("git", "url", "path") if key in package), "")
        if kind == "path":
            continue
        if kind:
            lost.append(Lost(file, f"package.{name}", f"is from {kind}: what is there now is locked"))
        elif isinstance(version, str):
            marker = package.get("marker", "")
            found.setdefault(normalize(name), []).append(Preference(version, marker=str(marker)))
            files = package.get("files", ())
            hashes.setdefault(normalize(name), []).extend(each.get("hash", "") for each in files)
    several = {name: each for name, each in found.items() if len({one.version for one in each}) > 1}
    # One version has an entry for each set of extras, and is for everywhere its name is asked for.
    found |= {name: [Preference(each[0].version)] for name, each in found.items() if name not in several}
    return pins_of(file, found, lost, hashes)


def read_pdm(document: Mapping[str, Any], file: str = "pyproject.toml") -> Draft | None:
    """What of ``[tool.pdm]`` is to be written otherwise; None if nothing is."""
    table: Mapping[str, Any] = document["tool"]["pdm"]
    lost = [Lost(file, f"tool.pdm.{key}", reason) for key, reason in _told.items() if key in table]
    groups: list[tuple[str, tuple[str, ...]]] = []
    sources: dict[str, tuple[Source, ...]] = {}
    for group, entries in table.get("dev-dependencies", {}).items():
        texts = []
        for entry in entries:
            editable = re.fullmatch(r"-e\s+(?:file:///\$\{PROJECT_ROOT\}/)?(.+?)#egg=([\w.-]+)", entry)
            if editable is None:
                texts.append(entry)
            elif "://" in editable[1]:
                lost.append(Lost(file, f"tool.pdm.dev-dependencies.{group}", f"{entry!r} is left out"))
            else:
                texts.append(editable[2])
                sources[editable[2]] = ({"path": editable[1], "editable": True},)
        groups.append((normalize(group), tuple(texts)))
    indexes = []
    for entry in table.get("source", ()):
        name = str(entry.get("name", ""))
        url, reason = index_address(str(entry.get("url", "")))
        if reason:
            lost.append(Lost(file, f"tool.pdm.source.{name}", reason))
        if entry.get("type") == "find_links":
            lost.append(Lost(file, f"tool.pdm.source.{name}", "write it as [resolution] find-links"))
            continue
        indexes.append(NewIndex(name, url, default=name == "pypi"))
    if not (groups or indexes or lost):
        return None
    return Draft(
        file=file,
        groups=tuple(groups),
        sources=tuple(sources.items()),
        # PDM installs all of them unless told otherwise.
        default_groups=None if {name for name, _ in groups} <= {"dev"} else tuple(name for name, _ in groups),
        indexes=tuple(indexes),
        lost=tuple(lost),
    )
