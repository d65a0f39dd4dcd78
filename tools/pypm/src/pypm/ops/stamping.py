"""What the result of a sync depends on, for the next one to look whether it changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pypm import _stamp
from pypm.ops.world import LOCK, VENV
from pypm_env.interpreters import PIN_FILE, Interpreter
from pypm_env.state_file import JOURNAL, STATE
from pypm_model.records import record
from pypm_workspace.inputs import Inputs

_WORKSPACE, _PROJECT = "pypm-workspace.toml", "pyproject.toml"


@record
class Stamped:
    """One environment that is in step."""

    folder: str
    """The folder it is in, relative to the root: ``.``, ``packages/api``."""
    interpreter: Interpreter
    needs: tuple[str, ...] = ()
    """Absolute paths outside that it cannot do without: what a farm's links lead to."""
    venv: str = ""
    """Where it is, if not in that folder: absolute."""


def leave_stamp(
    root: str,
    inputs: Inputs,
    also: Sequence[str],
    key: str,
    say: str,
    environments: Sequence[Stamped],
    *,
    of_members: bool,
    pinned: Sequence[str] = (),
) -> None:
    """Writes a stamp for *environments* of the workspace at *root*: in the root's own if it is that one,
    else for members.

    *inputs* are what the workspace was read from, as it was then: a manifest that has changed since is
    noticed. *also* are other files that count (`pypm.ops.dependence`), *pinned* the libraries of plugins.
    """
    files, folders, missing = _rows(root, inputs)
    base = Path(root)
    own = [LOCK, *also]
    venvs = [one.venv or (f"{one.folder}/{VENV}" if one.folder != "." else VENV) for one in environments]
    for one, venv in zip(environments, venvs, strict=True):
        site = f"{venv}/{one.interpreter.layout.site_packages}"
        own += [f"{venv}/pyvenv.cfg", f"{venv}/{STATE}", one.interpreter.real_path]
        folders[site] = os.stat(base / site).st_mtime_ns
        missing[f"{venv}/{JOURNAL}"] = None
        own += pins_above(one.folder)
    _see(root, own, files, missing)
    there = list(dict.fromkeys(path for one in environments for path in one.needs))
    there += pinned
    rows = [(path, *seen_as) for path, seen_as in files.items()]
    # A root that cannot be written costs the short cut, nothing else.
    with suppress(OSError):
        _stamp.write(
            root,
            key,
            say,
            rows,
            list(folders.items()),
            list(missing),
            there,
            environments=venvs,
            of_members=of_members,
        )


def leave_inputs(root: str, inputs: Inputs, key: str, say: str, name: str) -> None:
    """Writes a stamp of nothing but what the workspace at *root* was read from, in the file *name* of the
    shared environment."""
    files, folders, missing = _rows(root, inputs)
    rows = [(path, *seen_as) for path, seen_as in files.items()]
    with suppress(OSError):
        _stamp.write(root, key, say, rows, list(folders.items()), list(missing), name=name)


def _rows(
    root: str, inputs: Inputs
) -> tuple[dict[str, tuple[int, int, int]], dict[str, int], dict[str, None]]:
    """What a workspace was read from, as it was seen: files, folders, and what was not there."""
    files: dict[str, tuple[int, int, int]] = {}
    folders: dict[str, int] = {}
    missing: dict[str, None] = {}
    for seen in inputs.files:
        if seen.mtime_ns < 0:
            missing[seen.path] = None
        else:
            files[seen.path] = (seen.mtime_ns, seen.size, seen.inode)
    for listed in inputs.folders:
        if listed.mtime_ns < 0:
            missing[listed.path] = None
        else:
            folders[listed.path] = listed.mtime_ns
    if _WORKSPACE not in files:
        # A file above may make it a part of a larger workspace, or does not although it is there.
        above = [str(folder / name) for folder in Path(root).parents for name in (_WORKSPACE, _PROJECT)]
        _see(root, above, files, missing)
    return files, folders, missing


def _see(
    root: str, paths: Iterable[str], files: dict[str, tuple[int, int, int]], missing: dict[str, None]
) -> None:
    """Puts *paths* among *files* as they are now, or among what is *missing*."""
    for path in dict.fromkeys(paths):
        try:
            status = os.stat(os.path.join(root, path))
        except (FileNotFoundError, NotADirectoryError):
            missing[path] = None
            continue
        files[path] = (status.st_mtime_ns, status.st_size, status.st_ino)


def pins_above(folder: str) -> Iterable[str]:
    """Where a `.python-version` counts for the environment in *folder*: there and up to the root."""
    while folder not in ("", "."):
        yield f"{folder}/{PIN_FILE}"
        folder = os.path.dirname(folder)
    yield PIN_FILE
