"""What is wrong with a lock for the manifests there are, to be told with its places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, ClassVar

from pypm.ops.world import LOCK
from pypm_model.errors import Place, PypmError
from pypm_model.freshness import Stale
from pypm_workspace.workspace import Workspace

SHOWN = 4
"""Differences of a member that are told in words; the others are counted."""


class LockMissing(PypmError):
    """There is no lock, and none may be made now."""

    code: ClassVar[str] = "lock-missing"
    file: str

    def __str__(self) -> str:
        return f"there is no {self.file}"

    @property
    def hint(self) -> str:
        return "run `pypm lock` and commit the file"


class LockStale(PypmError):
    """The lock is not the one these manifests give, and must not be changed now."""

    code: ClassVar[str] = "lock-stale"
    file: str
    reasons: tuple[tuple[Stale, Place], ...]
    """Every difference and where it is; those of one member side by side."""

    def __str__(self) -> str:
        return f"{self.file} is not what the manifests give"

    @property
    def story(self) -> tuple[tuple[str, tuple[Place, ...]], ...]:
        """One line for each stale member, and one for the workspace's settings."""
        by_member = groupby(self.reasons, key=lambda reason: reason[0].member)
        return tuple((_told(member, list(reasons)), ()) for member, reasons in by_member)

    @property
    def hint(self) -> str:
        return "run `pypm lock`"

    def to_json(self) -> dict[str, Any]:
        reasons = [
            {**stale.to_json(), "file": place.file, "line": place.line, "column": place.column}
            for stale, place in self.reasons
        ]
        return {**super().to_json(), "reasons": reasons}


def _told(member: str, reasons: Sequence[tuple[Stale, Place]]) -> str:
    """The differences of one member in one line, with the place of the first that has a line."""
    place = next((place for _, place in reasons if place.line), reasons[0][1])
    clauses = [stale.clause for stale, _ in reasons[:SHOWN]]
    if len(reasons) > SHOWN:
        clauses.append(f"and {len(reasons) - SHOWN} more")
    return f"{member or 'the workspace'} ({place}): {'; '.join(clauses)}"


class MembersLeftOut(PypmError):
    """Members of the lock are in the repository, but not in this sparse checkout: without them no lock can be
    made."""

    code: ClassVar[str] = "members-left-out"
    folders: tuple[str, ...]

    def __str__(self) -> str:
        return f"not in this sparse checkout, but in the lock: {', '.join(self.folders)}"

    @property
    def hint(self) -> str:
        return "; ".join(self.helps)

    @property
    def helps(self) -> tuple[str, ...]:
        return (
            "with --frozen the lock is taken as it is",
            f"`git sparse-checkout add {' '.join(self.folders)}` brings them",
        )


class NothingCovered(PypmError):
    """All `environments` are of Pythons that no member is for: a lock of them would be empty."""

    code: ClassVar[str] = "nothing-covered"
    environments: tuple[str, ...]
    requires_python: tuple[str, ...]
    """Of the members, each once."""
    place: Place

    def __str__(self) -> str:
        asked = " | ".join(self.environments)
        return f"no member is for an environment of {asked}: requires-python is {self._pythons}"

    @property
    def _pythons(self) -> str:
        return " and ".join(self.requires_python)

    @property
    def places(self) -> tuple[Place, ...]:
        return (self.place,)

    @property
    def hint(self) -> str:
        return "change `environments`, or what Python the members require"


class UnknownUpgrade(PypmError):
    """A package to be upgraded is not in the lock."""

    code: ClassVar[str] = "unknown-upgrade"
    exit: ClassVar[int] = 2
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"not in the lock: {', '.join(self.names)}"


def stale_error(workspace: Workspace, reasons: Iterable[Stale]) -> LockStale:
    """The error that tells each reason with its place."""
    settings = workspace.settings.file or "pyproject.toml"

    def place(reason: Stale) -> Place:
        return workspace.place(reason.origin) if reason.origin else Place(reason.file or settings)

    return LockStale(LOCK, tuple((reason, place(reason)) for reason in reasons))
