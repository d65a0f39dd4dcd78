"""What the result of a sync depends on, for the next one to look whether it changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pypm import _stamp
from pypm.ops.opening import LOCK
from pypm.ops.tools import VENV
from pypm_env.finding import PIN_FILE
from pypm_env.interpreters import Interpreter
from pypm_env.state_file import JOURNAL, STATE
from pypm_model.later import later
from pypm_model.records import record
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_env.build import inputs, system
else:
    inputs = later("pypm_env.build.inputs")
    system = later("pypm_env.build.system")


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
    workspace: Workspace, key: str, say: str, environments: Sequence[Stamped], *, of_members: bool
) -> None:
    """Writes a stamp for *environments*: in the root's own if it is that one, else for members.

    Manifests are written down as they were when they were read: one that has changed since is noticed.
    With them go the files that backends read what a manifest leaves to them from. Where that could be any
    file, and what the members depend on hangs on it, there is no stamp: each sync asks anew.
    """
    read_too = _read_by_backends(workspace)
    if read_too is None:
        return
    files: dict[str, tuple[int, int, int]] = {}
    folders: dict[str, int] = {}
    missing: dict[str, None] = {}
    for seen in workspace.inputs.files:
        if seen.mtime_ns < 0:
            missing[seen.path] = None
        else:
            files[seen.path] = (seen.mtime_ns, seen.size, seen.inode)
    for listed in workspace.inputs.folders:
        if listed.mtime_ns < 0:
            missing[listed.path] = None
        else:
            folders[listed.path] = listed.mtime_ns
    root = Path(workspace.root)
    own = [LOCK, *workspace.settings.lock_export]
    for one in environments:
        venv = one.venv or (f"{one.folder}/{VENV}" if one.folder != "." else VENV)
        site = f"{venv}/{one.interpreter.layout.site_packages}"
        own += [f"{venv}/pyvenv.cfg", f"{venv}/{STATE}", one.interpreter.real_path]
        folders[site] = os.stat(root / site).st_mtime_ns
        missing[f"{venv}/{JOURNAL}"] = None
        own += _pins(one.folder)
    for path in dict.fromkeys([*own, *read_too]):
        try:
            status = os.stat(root / path)
        except (FileNotFoundError, NotADirectoryError):
            missing[path] = None
            continue
        files[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    there = list(dict.fromkeys(path for one in environments for path in one.needs))
    rows = [(path, *seen_as) for path, seen_as in files.items()]
    # A root that cannot be written costs the short cut, nothing else.
    with suppress(OSError):
        _stamp.write(
            workspace.root, key, say, rows, list(folders.items()), list(missing), there, of_members=of_members
        )


def _read_by_backends(workspace: Workspace) -> list[str] | None:
    """Files, relative to the root, that tell what the members' manifests call dynamic; None if it may be any.
    Of a version that any file may tell nothing is said: what is installed hangs on it in name only."""
    found: list[str] = []
    for member in workspace.members:
        if member.path in workspace.absent or not (member.unstated or "version" in member.dynamic):
            continue
        folder = Path(workspace.root) / member.path
        counted = inputs.inputs(system.read_build_system(folder), folder, "metadata")
        if not counted.everything:
            before = "" if member.path == "." else f"{member.path}/"
            found += [before + path for path in counted.files]
        elif member.unstated:
            return None
    return found


def _pins(folder: str) -> Iterable[str]:
    """Where a `.python-version` counts for the environment in *folder*: there and up to the root."""
    while folder not in ("", "."):
        yield f"{folder}/{PIN_FILE}"
        folder = os.path.dirname(folder)
    yield PIN_FILE
