"""Files that a sync's result depends on besides the manifests that the workspace was read from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pypm.ops.folders import folder_manifests, has_copied_folders
from pypm_model.later import later
from pypm_model.locks import Lock
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_env.build import inputs, system
else:
    inputs = later("pypm_env.build.inputs")
    system = later("pypm_env.build.system")


def also_read(workspace: Workspace, lock: Lock) -> tuple[str, ...] | None:
    """Paths relative to the root: what ``[lock] export`` writes, manifests of projects that are used by their
    path, and what backends read the dynamic fields of members from. None where that could be any file, and
    what the members depend on hangs on it: each sync asks anew then."""
    read = _read_by_backends(workspace)
    return None if read is None else (*workspace.settings.lock_export, *folder_manifests(lock), *read)


def installed_by(workspace: Workspace, lock: Lock) -> tuple[str, ...] | None:
    """As `also_read`, for what is installed: None also where a folder that is not editable is a part of it,
    whose wheel holds any of its files."""
    return None if has_copied_folders(lock) else also_read(workspace, lock)


def _read_by_backends(workspace: Workspace) -> list[str] | None:
    """Files that tell what the members' manifests call dynamic; None if it may be any. Of a version that any
    file may tell nothing is said: what is installed hangs on it in name only."""
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
