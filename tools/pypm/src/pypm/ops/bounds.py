"""The bound that a requirement gets which leaves the version open: what is locked is what was tried."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.locks import LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.requirements import Requirement
from pypm_model.sources import IndexSource
from pypm_model.versions import public, sort_key
from pypm_workspace.workspace import Workspace


def takes_bound(asked: Requirement, workspace: Workspace) -> bool:
    """Whether *asked* leaves the version open, and nothing else says it: an address, the catalog, a member's
    own manifest."""
    is_said = asked.name in workspace.by_name or any(
        entry.name == asked.name for entry in workspace.settings.catalog
    )
    return not (asked.specifier or asked.url or is_said)


def lowest(name: NormalizedName, locked: Iterable[LockedPackage]) -> LockedPackage | None:
    """The lowest version of *name* that is *locked* from an index; None if there is none."""
    found = [each for each in locked if each.name == name and isinstance(each.source, IndexSource)]
    return min(found, key=lambda package: sort_key(package.version), default=None)


def with_bound(text: str, version: str, *, exact: bool = False) -> str:
    """The requirement *text*, which leaves the version open, with a bound at *version*."""
    name, _, rest = text.partition(";")
    sign = "==" if exact else ">="
    return f"{name.strip()}{sign}{public(version)}" + (f"; {rest.strip()}" if rest.strip() else "")


def bounded(
    asked: Requirement,
    text: str,
    workspace: Workspace,
    locked: Iterable[LockedPackage],
    *,
    exact: bool = False,
) -> str:
    """*text*, which is *asked*, with a bound at the lowest *locked* version if it takes one."""
    package = lowest(asked.name, locked) if takes_bound(asked, workspace) else None
    return text if package is None else with_bound(text, package.version, exact=exact)
