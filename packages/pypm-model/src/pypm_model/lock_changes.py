"""What changed from one lock to another, as it is reported; `pypm_model.lock_diff` finds it."""

from __future__ import annotations

from typing import Any

from pypm_model.names import NormalizedName
from pypm_model.records import record


@record
class Change:
    """The versions of one package, before and after, in PEP 440 order; empty: it was, or is, not locked.

    Where the versions alone would not show a difference, each says where it is from as well:
    ``1.0 (index internal)``.
    """

    name: NormalizedName
    old: tuple[str, ...] = ()
    new: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.old:
            return f"+ {self.name} {', '.join(self.new)}"
        if not self.new:
            return f"- {self.name} {', '.join(self.old)}"
        return f"~ {self.name} {', '.join(self.old)} -> {', '.join(self.new)}"


@record
class LockDiff:
    """Differences in order of names. Members themselves are among the packages."""

    added: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    refreshed: tuple[NormalizedName, ...] = ()
    """Same versions, but other files, dependencies, Requires-Python or manifest."""
    members: tuple[tuple[NormalizedName, tuple[NormalizedName, ...]], ...] = ()
    """For each member with one, the added, removed and changed packages of which it leads to other versions
    than before, through its dependencies, extras and groups in any environment."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.refreshed)

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready data."""

        def change(item: Change) -> dict[str, Any]:
            return {"name": item.name, "old": list(item.old), "new": list(item.new)}

        return {
            "added": [change(item) for item in self.added],
            "removed": [change(item) for item in self.removed],
            "changed": [change(item) for item in self.changed],
            "refreshed": list(self.refreshed),
            "members": {member: list(names) for member, names in self.members},
        }
