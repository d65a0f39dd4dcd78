"""``pypm licenses``: the licences of what is locked, and which of them a workspace does not let in."""

from __future__ import annotations

from typing import Any

from pypm.ops.audit import Ways, chains_of
from pypm.ops.describing import described
from pypm.ops.lock_faults import LockMissing
from pypm.ops.opening import open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.view import current_lock
from pypm.ops.world import LOCK, World
from pypm_audit.findings import Way
from pypm_audit.license_policy import (
    Exemption,
    Policy,
    Verdict,
    exempted,
    expression,
    rule,
    to_json,
    unused,
)
from pypm_audit.licenses import License, license_of
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_workspace.configuration import Written
from pypm_workspace.positions import dotted
from pypm_workspace.workspace import Workspace


@record
class LicensesOptions:
    """What to look at."""

    members: tuple[str, ...] = ()
    """As they are spelled; none: all."""
    groups: bool = True
    """Also what only dependency groups ask for."""


@record
class Row:
    """One locked package."""

    package: NormalizedName
    version: str
    license: License
    verdict: Verdict
    exemption: Exemption | None = None
    """That of the workspace which holds for it."""
    ways: tuple[Way, ...] = ()
    at_hand: bool = True
    """Whether its metadata could be looked at."""

    @property
    def is_finding(self) -> bool:
        """Whether the workspace's rules do not let it in."""
        return self.at_hand and self.exemption is None and self.verdict != "allowed"

    def to_json(self) -> dict[str, Any]:
        return {
            "package": self.package,
            "version": self.version,
            "license": self.license.to_json(),
            "verdict": self.verdict if self.at_hand else None,
            "exception": None if self.exemption is None else to_json(self.exemption),
            "paths": [way.to_json() for way in self.ways],
            "looked-at": self.at_hand,
        }


@record
class LicensesReport:
    """The packages in the lock's order."""

    root: str
    """Of the workspace, absolute."""
    rows: tuple[Row, ...]
    has_rules: bool
    """Whether the workspace says what it lets in."""
    unused: tuple[Exemption, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why metadata could not be fetched."""

    @property
    def findings(self) -> tuple[Row, ...]:
        """What the rules do not let in."""
        return tuple(row for row in self.rows if row.is_finding)

    @property
    def missing(self) -> tuple[Row, ...]:
        """What could not be looked at, and nobody has answered for."""
        return tuple(row for row in self.rows if not row.at_hand and row.exemption is None)

    def to_json(self) -> dict[str, Any]:
        return {
            "packages": [row.to_json() for row in self.rows],
            "findings": [f"{row.package} {row.version}" for row in self.findings],
            "missing": [f"{row.package} {row.version}" for row in self.missing],
            "unused-exceptions": [to_json(each) for each in self.unused],
            "reasons": list(self.reasons),
        }


def licenses(world: World, options: LicensesOptions) -> LicensesReport:
    """Looks at the lock of the workspace around the current folder. Nothing of the workspace is changed.
    Raises what keeps it from looking, `BadLicenseRule` among it."""
    workspace = open_workspace(world)
    policy = policy_of(workspace)
    lock = current_lock(workspace)
    if lock is None:
        raise LockMissing(LOCK)
    chains = chains_of(world, workspace, lock, options.members, groups=options.groups)
    reached = {id(package) for package in chains.reached}
    positions = [at for at, package in enumerate(lock.packages) if id(package) in reached]
    with open_tools(world, workspace) as tools, tools.store.using():
        said = described(tools, lock, positions, bills=False)
    ways = Ways(workspace, chains)
    rows = []
    for at in positions:
        package = lock.packages[at]
        known = said.found.get(at)
        license = License() if known is None else license_of(known.about)
        verdict = policy.verdict(license)
        exemption = None
        if known is None or verdict != "allowed":
            exemption = policy.exemption(package.name, license)
        if exemption is not None:
            license = exempted(license, exemption)
        way = ways.to(package.name, package.version)
        rows.append(Row(package.name, package.version, license, verdict, exemption, way, known is not None))
    held = [row.exemption for row in rows if row.exemption is not None]
    is_whole = not options.members and options.groups
    left = tuple(unused(policy, held)) if is_whole else ()
    return LicensesReport(workspace.root, tuple(rows), bool(policy), left, said.reasons)


def policy_of(workspace: Workspace) -> Policy:
    """The rules of ``[licenses]``. Raises `BadLicenseRule`."""
    settings = workspace.settings.licenses
    allow, deny = (
        tuple(
            rule(text, workspace.place(Written(workspace.settings.file, dotted(("licenses", key, number)))))
            for number, text in enumerate(texts)
        )
        for key, texts in (("allow", settings.allow), ("deny", settings.deny))
    )
    exemptions = tuple(
        Exemption(
            NormalizedName(each.package),
            expression(each.license, workspace.place(each.written)),
            each.reason,
            workspace.place(each.written),
        )
        for each in settings.exceptions
    )
    return Policy(allow, deny, exemptions)
