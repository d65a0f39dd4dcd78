"""``poetry.lock``."""

from __future__ import annotations

from collections.abc import Mapping

from pypm.ops.importing.records import Lost, Pins, commit_of, pins_of
from pypm.ops.importing.toml_text import packages
from pypm_model.names import NormalizedName, normalize
from pypm_model.requests import Preference
from pypm_model.sources import GitSource

_INDEXES = ("", "legacy")


def read_poetry_lock(text: str, file: str = "poetry.lock") -> Pins:
    """The versions it has from indexes. Where it has several of a name, their markers (which Poetry writes
    from its version 2 on) tell them apart."""
    found: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    commits: dict[NormalizedName, list[GitSource]] = {}
    sdists = []
    lost = []
    for package in packages(text, file):
        name, kind = package["name"], package.get("source", {}).get("type", "")
        if kind == "directory":
            continue
        commit = _commit(package["source"]) if kind == "git" else None
        if commit is not None:
            commits.setdefault(normalize(name), []).append(commit)
            continue
        if kind not in _INDEXES:
            lost.append(Lost(file, f"package.{name}", f"is from {kind}: what is there now is locked"))
            continue
        version, markers = package.get("version"), package.get("markers", "")
        if isinstance(markers, dict):  # by group
            markers = " or ".join(f"({each})" for each in dict.fromkeys(markers.values()))
        if isinstance(version, str):
            found.setdefault(normalize(name), []).append(Preference(version, marker=markers))
            files = package.get("files", ())
            hashes.setdefault(normalize(name), []).extend(each.get("hash", "") for each in files)
            if files and not any(str(each.get("file", "")).endswith(".whl") for each in files):
                sdists.append(normalize(name))
    return pins_of(file, found, lost, hashes, commits, sdists)


def _commit(source: Mapping[str, str]) -> GitSource | None:
    said = (source.get(key, "") for key in ("url", "reference", "resolved_reference", "subdirectory"))
    return commit_of(*said)
