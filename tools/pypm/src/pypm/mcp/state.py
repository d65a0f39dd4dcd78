"""What answers are made from: the workspace's manifests and lock, by their digests. Files that a symbolic
link brings in from elsewhere are none of the workspace's, and nothing is answered from them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pypm.mcp.errors import OutsideWorkspace
from pypm.ops.dependence import also_read
from pypm.ops.opening import open_workspace
from pypm.ops.world import LOCK, World
from pypm_model.errors import PypmError
from pypm_model.lock_text import read
from pypm_model.locks import Lock
from pypm_model.records import record
from pypm_workspace.discover import find_root
from pypm_workspace.workspace import Workspace

_AT_THE_ROOT = ("pypm-workspace.toml", "pyproject.toml", LOCK)


@record
class State:
    """The workspace at one moment."""

    workspace: Workspace
    manifests: str
    """Digest of everything that discovery read, or looked for in vain."""
    lock: str | None
    """Digest of the lock; None if there is none."""
    besides: str
    """Digest of other files that answers hang on: projects used by path, exports, what backends read."""
    is_known: bool
    """False where an answer may hang on any file: then nobody is given another's."""

    def to_json(self) -> dict[str, Any]:
        """As answers name it."""
        return {"manifests": self.manifests, "lock": self.lock, "at": now()}

    def same_as(self, other: State) -> bool:
        """Whether an answer from one is an answer from the other."""
        mine = (self.workspace.root, self.manifests, self.lock, self.besides)
        return mine == (other.workspace.root, other.manifests, other.lock, other.besides)


def state_of(world: World) -> State:
    """The state of the workspace around the world's folder. Raises what opening it raises, and
    `OutsideWorkspace`. Costs a read of each manifest."""
    root = find_root(world.cwd, world.environ).root
    check_inside(root, _AT_THE_ROOT)
    try:
        workspace = open_workspace(world)
    except PypmError as error:
        # What is wrong in a file that is not the workspace's is nobody's business.
        check_inside(root, (place.file for place in error.places))
        raise
    files = [each.path for each in workspace.inputs.files if not _leads_out(each.path)]
    check_inside(root, files)
    text = _content(root, LOCK)
    besides = _besides(workspace, text)
    return State(
        workspace,
        _digest(root, files),
        None if text is None else f"sha256:{sha256(text).hexdigest()}",
        _digest(root, besides or ()),
        besides is not None,
    )


def _besides(workspace: Workspace, text: bytes | None) -> tuple[str, ...] | None:
    lock = Lock()
    if text is not None:
        try:
            lock = read(text.decode("utf-8", "replace"), LOCK)
        except PypmError:
            return None
    return also_read(workspace, lock)


def check_inside(root: str, paths: Iterable[str], told: str = "") -> None:
    """Raises `OutsideWorkspace` for the first of *paths*, relative to *root*, that is elsewhere; *told* is
    how it was spelled, if not so."""
    real = os.path.realpath(root)
    for path in paths:
        found = os.path.realpath(os.path.join(real, path))
        if found != real and not found.startswith(real + os.sep):
            raise OutsideWorkspace(told or path)


def _leads_out(path: str) -> bool:
    """Whether *path* is spelled so: a project elsewhere that a manifest names openly."""
    return os.path.isabs(path) or path.split("/")[0] == ".."


def _digest(root: str, paths: Iterable[str]) -> str:
    found = sha256()
    for path in sorted(set(paths)):
        content = _content(root, path)
        length = -1 if content is None else len(content)
        found.update(f"{path}\0{length}\0".encode("utf-8", "surrogateescape"))
        found.update(content or b"")
    return f"sha256:{found.hexdigest()}"


def _content(root: str, path: str) -> bytes | None:
    try:
        return (Path(root) / path).read_bytes()
    except OSError:
        return None


def now() -> str:
    """The time, as answers tell it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
