"""``pypm lock --diff --against``: the lock as it is, next to that of a revision or another file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pypm.ops.git import Repository
from pypm.ops.lock_faults import LockMissing
from pypm.ops.old_lock import lock_text
from pypm.ops.opening import open_workspace
from pypm.ops.world import LOCK, World
from pypm_model.errors import PypmError
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.lock_text import read
from pypm_model.records import record


class NoLockThere(PypmError):
    """The revision has no lock of this workspace."""

    code: ClassVar[str] = "no-lock-there"
    file: str
    revision: str

    def __str__(self) -> str:
        return f"there is no {self.file} at {self.revision!r}"


@record
class AgainstReport:
    """What the lock has that another one has not, and the other way round."""

    file: str
    against: str
    """As it was spelled."""
    members: int
    """Of the lock as it is."""
    diff: LockDiff

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "against": self.against, "diff": self.diff.to_json()}


def compare(world: World, against: str) -> AgainstReport:
    """The lock of the workspace around the current folder compared with *against*: a file if there is one
    of that name, else a git revision. Raises `LockMissing`, `NoRepository`, `UnknownRevision`,
    `NoLockThere`, and what reading either lock raises."""
    workspace = open_workspace(world)
    text = lock_text(workspace)
    if text is None:
        raise LockMissing(LOCK)
    new = read(text, LOCK)
    file = world.cwd / against
    if file.is_file():
        old = read(file.read_text(encoding="utf-8", errors="replace"), against)
    else:
        repository = Repository(Path(workspace.root), world.environ)
        repository.check_revision(against)
        found = repository.show(against, LOCK)
        if found is None:
            raise NoLockThere(LOCK, against)
        old = read(found, f"{against}:{LOCK}")
    return AgainstReport(LOCK, against, new.member_count, diff(old, new))
