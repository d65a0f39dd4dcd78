"""Looks at an environment: its own record, and the folder itself only where the record is out of date."""

from __future__ import annotations

import os
from pathlib import Path

from pypm_env.dists import MEMBERS_PTH, Installed, InstalledDist, WantedDist
from pypm_env.own_files import JOURNAL, STATE
from pypm_env.state_file import State, read_state
from pypm_env.venv import read_config
from pypm_model.names import normalize

_PYTHONS = ("bin/python", "Scripts/python.exe")


def inspect(folder: Path) -> Installed:
    """What is installed in the environment at *folder*, which need not exist. Never raises for what it finds.

    Costs one small read if nobody but pypm touched site-packages (its modification time says so). Else
    its .dist-info folders are listed, and a distribution counts as ours only while the RECORD pypm
    wrote is still in place.
    """
    folder = Path(os.path.abspath(folder))
    config = read_config(folder)
    if config is None:
        return Installed(folder, "absent" if _is_empty(folder) else "occupied")
    state = _read(folder / STATE)
    if "pypm" not in config:
        return Installed(folder, "foreign")
    if state is None:
        return Installed(folder, "ours", problem="its record is missing or cannot be read")
    if state.folder != str(folder):
        return Installed(folder, "ours", problem=f"it was moved here from {state.folder}")
    if not any(os.path.exists(folder / python) for python in _PYTHONS):
        return Installed(folder, "ours", problem="its interpreter is gone")
    site = folder / state.site
    try:
        time = site.stat().st_mtime_ns
    except OSError:
        return Installed(folder, "ours", problem="its site-packages is gone")
    unfinished = _journal(folder)
    dists = state.dists
    if time != state.site_time or unfinished:
        dists = _look(site, state)
        unfinished |= {one.info for one in dists if one.is_ours and not (site / one.info / "RECORD").exists()}
    return Installed(folder, "ours", state.interpreter, state.link_mode, dists, unfinished, state.shared)


def trees_named(folder: Path) -> frozenset[str]:
    """The trees (digests) that the record of the environment in *folder* names, wherever it was written."""
    state = _read(folder / STATE)
    return frozenset(one.dist.tree for one in state.dists if one.is_ours) if state else frozenset()


def foreign_dist(info: str) -> InstalledDist | None:
    """The distribution that the folder name *info* speaks of, as something pypm did not put there."""
    stem, dot, suffix = info.rpartition(".")
    if not dot or suffix not in ("dist-info", "egg-info"):
        return None
    # An .egg-info may end in the Python it was made for: acme-1.0-py3.11.egg-info.
    name, _, version = stem.partition("-")
    if not name:
        return None
    return InstalledDist(WantedDist(normalize(name), version.partition("-")[0], tree=""), info)


def _look(site: Path, state: State) -> tuple[InstalledDist, ...]:
    """The distributions that are in *site* now."""
    known = {dist.info: dist for dist in state.dists}
    members_file_is_there = (site / MEMBERS_PTH).is_file()
    found: list[InstalledDist] = []
    for name in sorted(os.listdir(site)):
        other = foreign_dist(name)
        if other is None:
            continue
        ours = known.get(name)
        # Without a RECORD it is torn, but still known by its tree.
        changed = ours is None or _time(site / name / "RECORD") not in (ours.record_time, None)
        if ours is None or changed or (ours.path_line and not members_file_is_there):
            found.append(other)
        else:
            found.append(ours)
    return tuple(sorted(found, key=lambda one: (one.name, one.info)))


def _read(file: Path) -> State | None:
    try:
        return read_state(file.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return None


def _journal(folder: Path) -> frozenset[str]:
    try:
        text = (folder / JOURNAL).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return frozenset()
    # A journal without a single name (cut off, or nothing but removals of shared files) still says
    # that somebody was at work: an empty name stands for that.
    return frozenset(text.split("\n"))


def _time(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None


def _is_empty(folder: Path) -> bool:
    try:
        return not os.listdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
