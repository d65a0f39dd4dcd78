"""Anyone's ``pylock.toml``."""

from __future__ import annotations

from pypm.ops.importing.records import Lost, Pins, commit_of, pins_of
from pypm_model.names import NormalizedName
from pypm_model.pylock_read import read_pylock
from pypm_model.requests import Preference
from pypm_model.sources import GitSource


def read_pylock_pins(text: str, file: str = "pylock.toml") -> Pins:
    """The versions it has from indexes. Raises what `read_pylock` raises."""
    found: dict[NormalizedName, list[Preference]] = {}
    hashes: dict[NormalizedName, list[str]] = {}
    commits: dict[NormalizedName, list[GitSource]] = {}
    sdists = []
    lost = []
    for package in read_pylock(text, file).packages:
        if package.folder is not None:
            continue
        at = package.commit
        commit = (
            commit_of(at.url, at.requested, at.commit, at.subdirectory) if at is not None and at.url else None
        )
        if commit is not None:
            commits.setdefault(package.name, []).append(commit)
            continue
        if package.commit is not None or package.archive is not None:
            kind = "vcs" if package.commit is not None else "archive"
            lost.append(
                Lost(file, f"packages.{package.name}", f"is from {kind}: what is there now is locked")
            )
        elif package.version:
            # A marker with extras or groups in it says who asks, not where.
            marker = (
                package.marker if not any(word in package.marker for word in ("extras", "groups")) else ""
            )
            found.setdefault(package.name, []).append(Preference(package.version, marker=marker))
            files = [*package.wheels, *([package.sdist] if package.sdist else [])]
            hashes.setdefault(package.name, []).extend(f"sha256:{each.sha256}" for each in files)
            if package.sdist is not None and not package.wheels:
                sdists.append(package.name)
    return pins_of(file, found, lost, hashes, commits, sdists)
