"""``pypm audit --fix``: the lock with other versions where there are findings, and else as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pypm.ops.audit import AuditOptions, AuditReport, looked_at, vulnerabilities
from pypm.ops.auditing.known import now
from pypm.ops.auditing.passed_over import ignores_of
from pypm.ops.in_step import write_in_step
from pypm.ops.lock_faults import LockMissing
from pypm.ops.locking import Locked, Locking, lock_workspace
from pypm.ops.opening import open_workspace
from pypm.ops.releases import listings
from pypm.ops.resolving import CannotResolve, ResolutionUndecided
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.view import current_lock
from pypm.ops.world import LOCK, World
from pypm_audit.findings import of_vulnerability, sift
from pypm_model.facts import Listing
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_model.requests import Preference
from pypm_model.sources import IndexSource
from pypm_model.versions import InvalidVersion, sort_key
from pypm_workspace.workspace import Workspace

FIXABLE = frozenset({"malware", "vulnerability", "yanked"})
"""Kinds of findings that another version may be free of."""
_ROUNDS = 5
"""How often new findings in what came instead are looked into."""


@record
class GivenUp:
    """A package that keeps its findings, and why."""

    package: NormalizedName
    reason: str
    story: tuple[str, ...] = ()
    """Who asks for what, where the members' requirements are the reason."""
    helps: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "package": self.package,
            "reason": self.reason,
            "story": list(self.story),
            "helps": list(self.helps),
        }


@record
class FixReport:
    """What became of the lock, and what is found in it now."""

    after: AuditReport
    before: int
    """Findings there were."""
    diff: LockDiff
    given_up: tuple[GivenUp, ...]
    young: tuple[str, ...] = ()
    """``name version`` of what was taken although it is younger than the cooldown."""
    exports: tuple[str, ...] = ()
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            **self.after.to_json(),
            "fix": {
                "findings-before": self.before,
                "lock-diff": self.diff.to_json(),
                "not-cleared": [each.to_json() for each in self.given_up],
                "younger-than-cooldown": list(self.young),
                "exports": list(self.exports),
                "dry-run": self.dry_run,
            },
        }


@record
class _Choice:
    """Which versions of one package are to be locked."""

    bound: str
    """A specifier without all that has findings."""
    first: str
    """The one to try first."""
    young: frozenset[str] = frozenset()
    """Those that the cooldown would have left out."""


def fix(world: World, options: AuditOptions, *, dry_run: bool = False) -> FixReport:
    """Locks the workspace without the versions that have findings, moving as little as possible: of each such
    package the lowest version above the locked one that is free of them, else the nearest that fits. What
    cannot be had without is given up on. Raises what keeps it from looking."""
    workspace = open_workspace(world)
    lock = current_lock(workspace)
    if lock is None:
        raise LockMissing(LOCK)
    with open_tools(world, workspace) as tools:
        before = looked_at(tools, workspace, lock, options)
        fixer = _Fixer(tools, workspace, options)
        after, locked = before, None
        for _ in range(_ROUNDS):
            found = {f.package for f in after.findings if f.kind in FIXABLE}
            if not found - fixer.seen:
                break
            current = lock if locked is None else locked.lock
            locked = fixer.clear(sorted(found - fixer.seen), current) or locked
            if locked is not None:
                after = looked_at(tools, workspace, locked.lock, options)
        changed = locked is not None and locked.is_new
        exports: tuple[str, ...] = ()
        if locked is not None and changed and not dry_run:
            exports = write_in_step(tools, workspace, locked)
    left = {f.package for f in after.findings}
    return FixReport(
        after,
        len(before.findings),
        diff(lock, locked.lock) if locked is not None and changed else LockDiff(),
        tuple(each for each in fixer.given_up if each.package in left),
        fixer.young_in(locked.lock if locked is not None else lock),
        exports,
        dry_run,
    )


class _Fixer:
    """Chooses versions for one package after the other, and remembers what it has tried."""

    def __init__(self, tools: Tools, workspace: Workspace, options: AuditOptions) -> None:
        self._tools = tools
        self._workspace = workspace
        self._options = options
        self._choices: dict[NormalizedName, _Choice] = {}
        self.seen: set[NormalizedName] = set()
        self.given_up: list[GivenUp] = []

    def clear(self, names: Sequence[NormalizedName], lock: Lock) -> Locked | None:
        """A lock without the findings of *names* and of all that were cleared before, as far as there is one;
        None if there is none at all."""
        self.seen.update(names)
        for name, choice in self._choose(names, lock).items():
            if choice is None:
                is_direct = all(
                    p.name != name or not isinstance(p.source, IndexSource) for p in lock.packages
                )
                why = "it is from no index" if is_direct else "no release is known that is free of it"
                self.given_up.append(GivenUp(name, why))
            else:
                self._choices[name] = choice
        if not self._choices:
            return None
        try:
            return self._locked(self._choices)
        except (CannotResolve, ResolutionUndecided):
            pass
        # Not all at once: one after the other, those that go.
        kept = {name: each for name, each in self._choices.items() if name not in names}
        locked = None
        for name in [name for name in names if name in self._choices]:
            try:
                locked = self._locked(kept | {name: self._choices[name]})
                kept[name] = self._choices[name]
            except (CannotResolve, ResolutionUndecided) as error:
                story = tuple(
                    f"{text} ({places[0]})" if places else text
                    for text, places in error.story
                    if all(place.file != LOCK for place in places)  # the bound itself
                )
                helps = tuple(each for each in error.helps if LOCK not in each)
                self.given_up.append(GivenUp(name, "nothing that is free of it fits", story, helps))
        self._choices = kept
        return locked or (self._locked(kept) if kept else None)

    def young_in(self, lock: Lock) -> tuple[str, ...]:
        """What *lock* has although the cooldown would have left it out."""
        return tuple(
            f"{package.name} {package.version}"
            for package in lock.packages
            if package.name in self._choices and package.version in self._choices[package.name].young
        )

    def _locked(self, choices: Mapping[NormalizedName, _Choice]) -> Locked:
        how = Locking(
            bounds=tuple((name, each.bound) for name, each in sorted(choices.items()) if each.bound),
            preferences=tuple((name, (Preference(each.first),)) for name, each in sorted(choices.items())),
        )
        with open_tools(self._tools.world, _without_cooldown(self._workspace, choices)) as tools:
            return lock_workspace(tools, self._workspace, how)

    def _choose(self, names: Sequence[NormalizedName], lock: Lock) -> dict[NormalizedName, _Choice | None]:
        locked: dict[NormalizedName, list[str]] = {}
        index: dict[NormalizedName, str] = {}
        for package in lock.packages:
            if package.name in names and isinstance(package.source, IndexSource):
                locked.setdefault(package.name, []).append(package.version)
                index[package.name] = package.source.index
        every = _without_cooldown(self._workspace, locked)
        with open_tools(self._tools.world, every) as tools:
            there = listings(tools, index.items())
        usual = listings(self._tools, index.items())
        bad = self._bad(there)
        return {
            name: _choice(there[name], usual.get(name), locked[name], bad[name]) if name in there else None
            for name in names
        }

    def _bad(self, there: Mapping[NormalizedName, Listing]) -> dict[NormalizedName, set[str]]:
        """The versions of each package that have findings."""
        subjects = [(name, version) for name, listing in there.items() for version in listing.versions]
        known = vulnerabilities(self._tools, subjects, self._options)
        found = [
            of_vulnerability(one, name, version, ())
            for (name, version), several in known.vulnerabilities.items()
            for one in several
        ]
        bad: dict[NormalizedName, set[str]] = {name: set() for name in there}
        for finding in sift(found, ignores_of(self._workspace), now()).left:
            bad[finding.package].add(finding.version)
        for name, listing in there.items():
            bad[name].update(v for at, v in enumerate(listing.versions) if listing.yanked >> at & 1)
        return bad


def _choice(listing: Listing, usual: Listing | None, locked: Sequence[str], bad: set[str]) -> _Choice | None:
    """Among the versions of *listing*, which knows no cooldown; *usual* does."""
    young = (
        {v for at, v in enumerate(usual.versions) if usual.too_new >> at & 1} if usual is not None else set()
    )
    good = [
        version
        for at, version in enumerate(listing.versions)
        if version not in bad and not listing.too_new >> at & 1
    ]
    stable = [v for v in good if not listing.prereleases >> listing.versions.index(v) & 1] or good
    if not stable:
        return None
    try:
        highest = max(map(sort_key, locked))
    except InvalidVersion:
        highest = ""
    first = next((version for version in stable if sort_key(version) > highest), stable[-1])
    # Only what ends the findings is exempt from the cooldown: the lowest such version.
    barred = bad | (young - {first})
    bound = ",".join(f"!={version}" for version in listing.versions if version in barred)
    return _Choice(bound, first, frozenset(young & {first}))


def _without_cooldown(workspace: Workspace, names: Mapping[NormalizedName, object]) -> Workspace:
    """*workspace* with *names* exempt from the cooldown, for looking at indexes."""
    if not workspace.settings.cooldown:
        return workspace
    exempt = tuple(sorted({*workspace.settings.cooldown_except, *names}))
    return replace(workspace, settings=replace(workspace.settings, cooldown_except=exempt))
