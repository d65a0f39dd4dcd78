"""``uv.lock``."""

from __future__ import annotations

from pypm.ops.importing.records import Lost, Pins, pins_of
from pypm.ops.importing.toml_text import packages
from pypm_model.names import NormalizedName, normalize
from pypm_model.requests import Preference

_OWN = ("editable", "virtual", "directory")


def read_uv_lock(text: str, file: str = "uv.lock") -> Pins:
    """The versions it has from indexes, with their regions where it has several of a name."""
    found: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    lost = []
    for package in packages(text, file):
        name, source = package["name"], package.get("source", {})
        if any(kind in source for kind in _OWN):
            continue
        if "registry" not in source:
            kind = next(iter(source), "no source")
            lost.append(Lost(file, f"package.{name}", f"is from {kind}: what is there now is locked"))
            continue
        version = package.get("version")
        if isinstance(version, str):
            regions = package.get("resolution-markers", ())
            marker = " or ".join(f"({each})" for each in regions)
            found.setdefault(normalize(name), []).append(Preference(version, marker=marker))
            files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
            hashes.setdefault(normalize(name), []).extend(each.get("hash", "") for each in files)
    return pins_of(file, found, lost, hashes)
