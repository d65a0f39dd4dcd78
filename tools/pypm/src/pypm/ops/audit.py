"""``pypm audit``: what is known against the versions of the lock, and who has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pypm.ops.auditing.known import Known, from_database, now
from pypm.ops.auditing.passed_over import ignores_of
from pypm.ops.auditing.states import states
from pypm.ops.lock_faults import LockMissing
from pypm.ops.opening import open_workspace
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.view import current_lock
from pypm.ops.world import LOCK, World
from pypm_audit.advisories import Malformed
from pypm_audit.chains import Chain, Chains
from pypm_audit.errors import NoAdvisories
from pypm_audit.findings import Finding, Sifted, Way, of_vulnerability, sift
from pypm_audit.matching import Subject
from pypm_model.errors import Place
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_model.requests import Origin
from pypm_model.versions import InvalidVersion, sort_key
from pypm_workspace.edges import asked_by
from pypm_workspace.workspace import Workspace

DATABASE = "PYPM_AUDIT_DB"


@record
class AuditOptions:
    """What to look at, and where to look."""

    members: tuple[str, ...] = ()
    """As they are spelled; none: all."""
    groups: bool = True
    """Also what only dependency groups ask for."""
    database: str = ""
    """A snapshot, relative to the current folder."""
    osv_url: str = ""
    """The service to ask instead of the one that settings name."""
    provenance: bool = False
    """Verify the signatures of attestations, too."""


@record
class AuditReport:
    """What was found, by package and then the worst first."""

    root: str
    """Of the workspace, absolute."""
    sifted: Sifted
    packages: int
    """How many were looked at; members are none."""
    source: str
    malformed: tuple[Malformed, ...] = ()
    stateless: int = 0
    """Packages of which no index has said whether they are yanked."""
    verified: tuple[int, int] | None = None
    """Files whose attestations are right, and files without any; None: they were not looked at."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What counts."""
        return self.sifted.left

    def to_json(self) -> dict[str, Any]:
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "ignored": [
                {**finding.to_json(), "ignore": ignore.to_json()} for finding, ignore in self.sifted.ignored
            ],
            "expired-ignores": [ignore.to_json() for ignore in self.sifted.expired],
            "unused-ignores": [ignore.to_json() for ignore in self.sifted.unused],
            "malformed": [{"source": bad.source, "reason": bad.reason} for bad in self.malformed],
            "packages": self.packages,
            "packages-without-state": self.stateless,
            "source": self.source,
            "provenance": None
            if self.verified is None
            else {"verified": self.verified[0], "unattested": self.verified[1]},
        }


def audit(world: World, options: AuditOptions) -> AuditReport:
    """Looks at the lock of the workspace around the current folder. Nothing of the workspace is changed.
    Raises what keeps it from looking."""
    workspace = open_workspace(world)
    lock = current_lock(workspace)
    if lock is None:
        raise LockMissing(LOCK)
    with open_tools(world, workspace) as tools:
        return looked_at(tools, workspace, lock, options)


def looked_at(tools: Tools, workspace: Workspace, lock: Lock, options: AuditOptions) -> AuditReport:
    """The report on *lock*."""
    chains = chains_of(tools.world, workspace, lock, options.members, groups=options.groups)
    packages = [package for package in chains.reached if package.version]
    subjects = tuple(dict.fromkeys((package.name, package.version) for package in packages))
    known = vulnerabilities(tools, subjects, options)
    asking = not (tools.world.offline or snapshot_of(tools, options))
    said = states(tools, packages, asking=asking)
    ways = Ways(workspace, chains)
    found = [
        of_vulnerability(one, name, version, ways.to(name, version))
        for (name, version), several in known.vulnerabilities.items()
        for one in several
    ]
    others = list(said.findings)
    checked: tuple[int, int] | None = None
    if options.provenance:
        from pypm.ops.auditing.provenance import verified

        verification = verified(tools, packages)
        others += verification.findings
        checked = verification.verified, verification.unattested
    if asking and any(package.publishers for package in packages):
        from pypm.ops.auditing.published import published

        others += published(tools, packages)
    found += [replace(each, ways=ways.to(each.package, each.version)) for each in others]
    found.sort(key=lambda each: (each.package, _order(each.version)))
    sifted = sift(found, ignores_of(workspace), now())
    if options.members or not options.groups:
        sifted = replace(sifted, unused=())  # what they are for may be elsewhere
    return AuditReport(
        workspace.root, sifted, len(subjects), known.source, known.malformed, said.unknown, checked
    )


def _order(version: str) -> tuple[str, str]:
    try:
        return sort_key(version), version
    except InvalidVersion:
        return "", version


def snapshot_of(tools: Tools, options: AuditOptions) -> Path | None:
    """The snapshot to take: of the command line, the environment, or the workspace."""
    for text, base in (
        (options.database, tools.world.cwd),
        (tools.world.environ.get(DATABASE, ""), tools.world.cwd),
        (tools.settings.audit.database, tools.root),
    ):
        if text:
            return base / Path(text).expanduser()
    return None


def vulnerabilities(tools: Tools, subjects: Sequence[Subject], options: AuditOptions) -> Known:
    """What is known against *subjects*, by the source that *options* and settings name. Raises what keeps it
    from looking."""
    snapshot = snapshot_of(tools, options)
    if snapshot is not None:
        return from_database(tools, subjects, snapshot)
    from pypm.ops.auditing.online import address_of, from_answers, from_service

    address = address_of(tools, options.osv_url)
    if not tools.world.offline:
        return from_service(tools, subjects, address)
    try:
        return from_database(tools, subjects, None)
    except NoAdvisories:
        return from_answers(tools, subjects)


def chains_of(
    world: World, workspace: Workspace, lock: Lock, members: tuple[str, ...], *, groups: bool
) -> Chains:
    """The ways through *lock* from *members*, as they are spelled; none: from all."""
    if not members:
        return Chains(lock, groups=groups)
    chosen = selected_members(world, workspace, Selection(members=members))
    return Chains(lock, {member.name for member in chosen}, groups=groups)


class Ways:
    """How packages come into members, with the line of the manifest that each way begins at."""

    def __init__(self, workspace: Workspace, chains: Chains) -> None:
        self._workspace = workspace
        self._chains = chains
        self._asked: dict[NormalizedName, Mapping[tuple[str, str, str], Origin]] = {}

    def to(self, name: NormalizedName, version: str) -> tuple[Way, ...]:
        """Those to one version, direct ones first."""
        return tuple(Way(chain, self._place(chain)) for chain in self._chains.to(name, version))

    def _place(self, chain: Chain) -> Place:
        member = self._workspace.by_name.get(chain.member)
        if member is None:
            return Place(LOCK)
        if chain.member not in self._asked:
            self._asked[chain.member] = dict(self._origins(chain.member))
        origin = self._asked[chain.member].get((chain.kind, chain.label, chain.names[1]))
        return Place(member.file) if origin is None else self._workspace.place(origin)

    def _origins(self, name: NormalizedName) -> Iterator[tuple[tuple[str, str, str], Origin]]:
        member = self._workspace.by_name[name]
        # The first that asks stands for all.
        for kind, label, asked in reversed(list(asked_by(member))):
            key = (kind, label, asked.requirement.name)
            yield key, Origin(member.name, member.file, asked.table, asked.item)
