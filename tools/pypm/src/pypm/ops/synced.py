"""What a sync did: to the environment that members share, or to those of members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pypm_env.plan import Plan
from pypm_model.lock_changes import LockDiff
from pypm_model.records import record


@record
class SyncReport:
    """What was done, or with *dry_run* would be."""

    of_members: ClassVar[Literal[False]] = False
    environment: str
    python: str
    plan: Plan
    lock_changed: bool
    lock_diff: LockDiff
    members: int
    packages: int
    dry_run: bool = False
    exports: tuple[str, ...] = ()
    """Files of ``[lock] export`` that were written."""
    plugins: tuple[str, ...] = ()
    """Plugins that the workspace pins and that were fetched."""

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to do."""
        return self.plan.is_empty

    def to_json(self) -> dict[str, Any]:
        return {
            **self.plan.to_json(),
            "lock-changed": self.lock_changed,
            "lock-diff": self.lock_diff.to_json(),
            "members": self.members,
            "packages": self.packages,
            "dry-run": self.dry_run,
        } | _if_any(self.exports, self.plugins)


@record
class Environment:
    """One member's environment, and what was done to it (or with ``dry_run`` would be)."""

    member: str
    folder: str
    """Absolute."""
    python: str
    packages: int
    summary: Mapping[str, Any]
    """`Plan.to_json` of what was carried out."""

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to do."""
        counts = self.summary["counts"]
        return not (self.summary["recreate"] or any(counts[kind] for kind in ("install", "update", "remove")))

    def to_json(self) -> dict[str, Any]:
        return {"member": self.member, **self.summary, "packages": self.packages}


@record
class MembersReport:
    """What was done, or with *dry_run* would be."""

    of_members: ClassVar[Literal[True]] = True
    environments: tuple[Environment, ...]
    """Sorted by member."""
    lock_changed: bool
    lock_diff: LockDiff
    members: int
    """Of the workspace."""
    dry_run: bool = False
    exports: tuple[str, ...] = ()
    """Files of ``[lock] export`` that were written."""
    plugins: tuple[str, ...] = ()
    """Plugins that the workspace pins and that were fetched."""

    @property
    def is_unchanged(self) -> bool:
        """Whether there was nothing to do in any environment."""
        return all(one.is_unchanged for one in self.environments)

    def to_json(self) -> dict[str, Any]:
        """With one environment, its facts stand at the top as in a report of the shared one."""
        first = self.environments[0].to_json() if len(self.environments) == 1 else {}
        return {
            **first,
            "environments": [one.to_json() for one in self.environments],
            "lock-changed": self.lock_changed,
            "lock-diff": self.lock_diff.to_json(),
            "members": self.members,
            "dry-run": self.dry_run,
        } | _if_any(self.exports, self.plugins)


def _if_any(exports: tuple[str, ...], plugins: tuple[str, ...]) -> dict[str, Any]:
    """What most workspaces have none of."""
    found = {"exports": list(exports), "plugins": list(plugins)}
    return {key: names for key, names in found.items() if names}
