"""A member's files somewhere else: a clean checkout, or a copy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pypm.ops.git import GitRefused, Repository
from pypm.ops.remembered import merges_file, snapshot_folder
from pypm.ops.world import VENV, World
from pypm_env.sandbox.place import PREFIX
from pypm_model.records import replace

_LEFT_OUT = frozenset({VENV, ".pypm"})
"""What pypm made: it is made again."""


def check_out(root: Path, target: Path, index: Path, environ: Mapping[str, str], *, staged: bool) -> Path:
    """Writes the files of the last commit, or those that are *staged*, below the folder *target*, which is
    new or empty; where in it the folder *root* is. The repository stays as it is: *index* is a new file's
    path for git's own use. Raises `NoRepository`, `GitRefused`."""
    repository = Repository(root, environ if staged else {**environ, "GIT_INDEX_FILE": str(index)})
    doing = "check out what is staged" if staged else "check out the last commit"
    prefix = _asked(repository, doing, "rev-parse", "--show-prefix").strip()
    if not staged:
        _asked(repository, doing, "read-tree", "HEAD")
    target.mkdir(exist_ok=True)
    _asked(repository, doing, "checkout-index", "--all", "--quiet", f"--prefix={target}{os.sep}")
    index.unlink(missing_ok=True)
    return target / prefix


def _asked(repository: Repository, doing: str, *arguments: str) -> str:
    done = repository.run(*arguments)
    if done.returncode:
        raise GitRefused(doing, done.stderr.strip() or f"status {done.returncode}")
    return done.stdout


def copy(root: Path, target: Path) -> Path:
    """A copy of the folder *root* at *target*, which is new, without environments and without sandboxes."""

    def left_out(folder: str, names: list[str]) -> set[str]:
        # Where temporary files are in the project itself, the copy would hold the copy.
        return {name for name in names if name in _LEFT_OUT or name.startswith(PREFIX)}

    shutil.copytree(root, target, symlinks=True, ignore=left_out)
    return target


def world_in(world: World, folder: Path) -> World:
    """*world* as it is seen from *folder*: the workspace is the one around it."""
    environ = {name: value for name, value in world.environ.items() if name != "PYP_WORKSPACE_ROOT"}
    return replace(world, cwd=folder, environ=environ)


def forget_manifests(world: World, root: str) -> None:
    """Drops what was remembered of the workspace at *root*, which is gone for good."""
    merges = merges_file(world, root)
    for file in (merges, snapshot_folder(world) / merges.name.replace(".merged.json", ".json")):
        file.unlink(missing_ok=True)
