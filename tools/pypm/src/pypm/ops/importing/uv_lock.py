"""``uv.lock``."""

from __future__ import annotations

from urllib.parse import parse_qs

from pypm.ops.importing.records import Lost, Pins, commit_of, pins_of
from pypm.ops.importing.toml_text import packages
from pypm_model.names import NormalizedName, normalize
from pypm_model.requests import Preference
from pypm_model.sources import GitSource

_OWN = ("editable", "virtual", "directory")


def read_uv_lock(text: str, file: str = "uv.lock") -> Pins:
    """The versions it has from indexes, with their regions where it has several of a name."""
    found: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    commits: dict[NormalizedName, list[GitSource]] = {}
    sdists = []
    lost = []
    for package in packages(text, file):
        name, source = package["name"], package.get("source", {})
        if any(kind in source for kind in _OWN):
            continue
        commit = _commit(str(source["git"])) if "git" in source else None
        if commit is not None:
            commits.setdefault(normalize(name), []).append(commit)
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
            if "sdist" in package and not package.get("wheels"):
                sdists.append(normalize(name))
    return pins_of(file, found, lost, hashes, commits, sdists)


def _commit(address: str) -> GitSource | None:
    """``https://host/repository?tag=v1&subdirectory=lib#COMMIT``"""
    url, _, commit = address.partition("#")
    plain, _, query = url.partition("?")
    said = parse_qs(query)
    refs = [values[-1] for key in ("rev", "tag", "branch") if (values := said.get(key))]
    return commit_of(plain, refs[0] if refs else "", commit, said.get("subdirectory", [""])[-1])
