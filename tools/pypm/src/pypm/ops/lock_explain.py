"""``pypm lock --explain NAME``: why this version and not the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from pypm.ops.completing import covered
from pypm.ops.lock_faults import stale_error
from pypm.ops.locking import check_lock, check_members, request_of
from pypm.ops.opening import open_workspace
from pypm.ops.regions import Regions
from pypm.ops.resolving import run
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm_model import markers
from pypm_model.claims import Allows
from pypm_model.errors import Place, PypmError
from pypm_model.facts import Fact, Listing, Metadata
from pypm_model.lock_pins import pins_of
from pypm_model.lock_reach import covered as covered_by
from pypm_model.lock_reach import everything, reach
from pypm_model.locks import Edge, Lock, LockedPackage, Manifest
from pypm_model.markers import Diagram
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.requests import Ask, Origin, Request
from pypm_model.requirements import Requirement
from pypm_model.resolutions import Resolution, Unsolvable
from pypm_model.sources import IndexSource, MemberSource
from pypm_model.specifiers import InvalidSpecifier, contains
from pypm_model.versions import sort_key
from pypm_resolver.files import expected
from pypm_resolver.gaps import gap
from pypm_resolver.package import Package, cover_of
from pypm_resolver.session import Session
from pypm_resolver.wording import of_requirement
from pypm_workspace.workspace import Workspace

_STEPS = 20_000
"""What looking for another answer may cost."""


class NotInLock(PypmError):
    """The lock has no package of this name."""

    code: ClassVar[str] = "not-in-lock"
    exit: ClassVar[int] = 2
    name: str

    def __str__(self) -> str:
        return f"not in the lock: {self.name}"


@record
class Holder:
    """A requirement on the package; *allows* says whether the newest version is in it."""

    who: str
    """``acme``, ``acme:dev``, ``httpx 1.0``."""
    requirement: str
    place: Place | None
    allows: bool

    def __str__(self) -> str:
        verb = "requires" if self.place is not None else "depends on"
        return f"{self.who} {verb} {self.requirement}"


@record
class Entry:
    """One locked version of the package, and why it is that one."""

    version: str
    source: str
    """``index pypi``, ``member`` or ``direct source``."""
    region: str
    """In words, where the lock has it; empty: everywhere."""
    splits: tuple[str, ...]
    """The regions of the lock in which it is; empty if it is in all of them."""
    newest: str
    """The newest version that is neither yanked, nor too new, nor a pre-release (unless this is one);
    empty for what comes from no index."""
    passed_over: tuple[str, ...]
    """Newer ones that do not count, with the reason."""
    kept: str
    """The version the lock would move to if it did not hold this one; empty: it would not move."""
    holders: tuple[Holder, ...]
    conflict: str
    """What stands in the way of the newest, in one line; empty if nothing does."""
    story: tuple[tuple[str, tuple[Place, ...]], ...]
    changes: tuple[str, ...]
    """If the newest could be had: what else would be another version then."""
    whom: tuple[str, ...] = ()
    """The members, extras and groups that get it (``acme``, ``acme[http2]``, ``acme:dev``), where not all who
    ask for the package get the same; an extra or group is named if it is not its member that brings it."""
    gap: str = ""
    """Where this version is expected to be installed and has no file, in words."""
    without_file: str = ""
    """Where the newest could be had but not installed, for want of a file, in words; ``there``: everywhere
    that this version is."""

    @property
    def is_newest(self) -> bool:
        return self.version == self.newest

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "source": self.source,
            "region": self.region or None,
            "for": list(self.whom),
            "splits": list(self.splits),
            "newest": self.newest or None,
            "is-newest": self.is_newest,
            "passed-over": list(self.passed_over),
            "kept-by-lock": bool(self.kept),
            "would-move-to": self.kept or None,
            "held-back-by": [
                {
                    "who": holder.who,
                    "requirement": holder.requirement,
                    "file": holder.place.file if holder.place else None,
                    "line": holder.place.line if holder.place else None,
                }
                for holder in self.holders
                if not holder.allows and not self.is_newest
            ],
            "conflict": self.conflict or None,
            "story": [[text, [str(place) for place in places]] for text, places in self.story],
            "changes": list(self.changes),
            "gap": self.gap or None,
            "without-file": self.without_file or None,
        }


@record
class Explanation:
    """Every locked version of one name."""

    name: NormalizedName
    entries: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "entries": [entry.to_json() for entry in self.entries]}


def explain_lock(world: World, name: str) -> Explanation:
    """Why the lock has the versions of *name* that it has. Raises `LockMissing`, `LockStale`,
    `MembersLeftOut`, `NotInLock`, and what the index raises."""
    workspace = open_workspace(world)
    with open_tools(world, workspace) as tools:
        judged = check_lock(tools, workspace)
        if judged.reasons:
            check_members(tools, workspace, judged.reasons)
            raise stale_error(workspace, judged.reasons)
        if judged.unsound:
            raise judged.unsound
        lock = judged.lock
        wanted = normalize(name)
        if all(package.name != wanted for package in lock.packages):
            raise NotInLock(wanted)
        return Explanation(wanted, tuple(_Explaining(tools, workspace, lock, wanted).entries()))


class _Explaining:
    def __init__(self, tools: Tools, workspace: Workspace, lock: Lock, name: NormalizedName) -> None:
        self.tools = tools
        self.workspace = workspace
        self.lock = lock
        self.name = name
        plain = request_of(tools, workspace, lock)
        self.environment = covered(plain)
        pins = tuple((each, found) for each, found in pins_of(lock) if each != name)
        self.request = replace(
            plain,
            preferences=pins,
            preferred_splits=lock.splits,
            preferred_where=markers.text(covered_by(lock)),
            max_steps=min(plain.max_steps, _STEPS),
        )
        asked = (self.request.environments, self.request.required_environments)
        self.expected = expected(self.environment, *asked)
        self.facts: list[Fact] = []
        self.regions = Regions(lock)

    def entries(self) -> Iterator[Entry]:
        places = [i for i, package in enumerate(self.lock.packages) if package.name == self.name]
        free = self._solved(self.request)
        for position in places:
            package = self.lock.packages[position]
            where = markers.both(self.regions.diagram(position), self.environment)
            told = self.regions.where(position)
            words, whom = told.words, told.whom
            if isinstance(package.source, IndexSource):
                entry = self._indexed(package, package.source, where, words, free)
                yield replace(entry, whom=whom)
            else:
                is_member = isinstance(package.source, MemberSource)
                what = "member" if is_member else "direct source"
                yield Entry(package.version, what, words, (), "", (), "", (), "", (), (), whom)

    def _indexed(
        self,
        package: LockedPackage,
        source: IndexSource,
        where: Diagram,
        words: str,
        free: Resolution | Unsolvable | None,
    ) -> Entry:
        listing = self._listing(source.index)
        newest, passed = _newest(listing, package.version)
        holders = tuple(self._holders(package, where, newest))
        kept = self._moved(package, where, free)
        entry = Entry(
            package.version,
            f"index {source.index}",
            words,
            self._splits(where),
            newest,
            passed,
            kept,
            holders,
            "",
            (),
            (),
            gap=gap(self.expected, self._files(listing, package.version), where),
        )
        if entry.is_newest or kept == newest:
            return entry
        return self._forced(entry, where, free)

    def _splits(self, where: Diagram) -> tuple[str, ...]:
        found: list[str] = []
        for block in _blocks(self.lock.splits):
            met = [split for split, cell in block if not markers.disjoint(where, cell)]
            found += met if len(met) < len(block) else ()
        return tuple(found)

    def _solved(self, request: Request) -> Resolution | Unsolvable | None:
        """The answer to *request*; None if it takes too long to tell."""
        session = Session(request)
        session.feed(self.facts)
        state = run(session, self.tools.catalog, self.facts)
        return state if isinstance(state, (Resolution, Unsolvable)) else None

    def _moved(self, package: LockedPackage, where: Diagram, free: object) -> str:
        """What would be locked there if the old lock did not hold this version; empty if it would stay."""
        if not isinstance(free, Resolution):
            return ""
        packages = tuple(
            replace(each, manifest=Manifest()) if isinstance(each.source, MemberSource) else each
            for each in free.packages
        )
        as_lock = Lock(packages=packages)
        is_for_all = self.request.shared_environment and not markers.flags(where)
        found = reach(as_lock, everything(as_lock) if is_for_all else None)
        versions = [
            each.version
            for i, each in enumerate(packages)
            if each.name == self.name and not markers.disjoint(where, found.get(i, markers.FALSE))
        ]
        return "" if package.version in versions else " and ".join(sorted(versions, key=sort_key))

    def _holders(self, locked: LockedPackage, where: Diagram, newest: str) -> Iterator[Holder]:
        """Who asks for the package and gets the version that is *locked*, members first."""
        asking = {package.name: package for package in self.lock.packages if package.manifest is not None}
        for member in self.request.members:
            tables: list[tuple[str, tuple[Ask, ...]]] = [("", member.dependencies)]
            tables += [(f"[{extra}]", asks) for extra, asks in member.extras]
            tables += [(f":{group}", asks) for group, asks in member.groups]
            own = dict(_labelled(asking[member.name])) if member.name in asking else {}
            for label, asks in tables:
                if not any(edge.leads_to(locked) for edge in own.get(label, ())):
                    continue
                for ask in asks:
                    who = "the workspace" if member.name == ROOT else member.name
                    yield from self._holder(
                        f"{who}{label}", ask.requirement, where, newest, self.workspace.place(ask.origin)
                    )
        for constraint in self.request.constraints:
            place = self.workspace.place(constraint.origin)
            yield from self._holder("a constraint", constraint.requirement, where, newest, place)
        known = {(fact.key.name, fact.key.version): fact for fact in self.facts if isinstance(fact, Metadata)}
        overridden = {ask.requirement.name for ask in self.request.overrides}
        for package in self.lock.packages:
            fact = known.get((package.name, package.version))
            edges = (*package.dependencies, *(edge for _, edges in package.extras for edge in edges))
            if fact is None or self.name in overridden or not any(edge.leads_to(locked) for edge in edges):
                continue
            for requirement in fact.requires:
                yield from self._holder(f"{package.name} {package.version}", requirement, where, newest, None)

    def _holder(
        self, who: str, requirement: Requirement, where: Diagram, newest: str, place: Place | None
    ) -> Iterator[Holder]:
        if requirement.name != self.name:
            return
        plain = "" if "extra" in requirement.marker else requirement.marker
        if markers.disjoint(where, markers.parse(plain)):
            return
        try:
            allows = not newest or contains(requirement.specifier, newest)
        except InvalidSpecifier:
            allows = True
        yield Holder(who, of_requirement(requirement), place, allows)

    def _forced(self, entry: Entry, where: Diagram, free: object) -> Entry:
        """What happens if the newest is asked for where this version is."""
        pin = Requirement(self.name, (), f"=={entry.newest}", markers.text(where, self.environment))
        asked = Ask(pin, Origin(ROOT, "", ""))
        state = self._solved(replace(self.request, constraints=(*self.request.constraints, asked)))
        if isinstance(state, Unsolvable):
            *before, last = state.story
            story = [
                (reason.text, tuple(self._places(reason.asks, reason.origins)))
                for reason in before
                if reason.asks != (asked,) and not _is_pin(reason.claim, pin)
            ]
            return replace(entry, conflict=last.text.removeprefix("so "), story=tuple(story))
        if isinstance(state, Resolution) and isinstance(free, Resolution):
            changes = tuple(self._changes(free, state))
            return replace(
                entry, changes=changes, without_file="" if changes else self._lacking(entry, where)
            )
        return entry

    def _lacking(self, entry: Entry, where: Diagram) -> str:
        """Where the newest has no file that can be used, of *where*; empty if it has one everywhere."""
        listing = self._listing(entry.source.removeprefix("index "))
        lacking = markers.minus(where, self._files(listing, entry.newest))
        if lacking == markers.FALSE:
            return ""
        return markers.describe(markers.simplify(lacking, where)) if lacking != where else "there"

    def _files(self, listing: Listing, version: str) -> Diagram:
        """Where *version* has a file; nowhere, if the index has it no more."""
        if version not in listing.versions:
            return markers.FALSE
        package = Package(self.name, ((listing, None),), self.request.build, self.expected.wasm)
        return cover_of(package, package.versions.index(version)).files

    def _listing(self, index: str) -> Listing:
        return next(
            fact
            for fact in self.facts
            if isinstance(fact, Listing) and fact.name == self.name and fact.index == index
        )

    def _places(self, asks: Iterable[Ask], origins: Sequence[Origin]) -> Iterator[Place]:
        for origin in (*(origin for ask in asks for origin in ask.origins), *origins):
            yield self.workspace.place(origin)

    def _changes(self, before: Resolution, after: Resolution) -> Iterator[str]:
        old, new = _versions(before), _versions(after)
        for name in sorted(old.keys() | new.keys()):
            if name == self.name or old.get(name) == new.get(name):
                continue
            if name not in new:
                yield f"without {name}"
            elif name not in old:
                yield f"with {name} {' and '.join(new[name])}"
            else:
                yield f"{name} {' and '.join(new[name])} instead of {' and '.join(old[name])}"


def _labelled(member: LockedPackage) -> Iterator[tuple[str, tuple[Edge, ...]]]:
    """The edges of a member, its extras and groups, by what these are called behind its name."""
    yield "", member.dependencies
    yield from ((f"[{extra}]", edges) for extra, edges in member.extras)
    yield from ((f":{group}", edges) for group, edges in member.groups)


def _is_pin(claim: object, pin: Requirement) -> bool:
    return isinstance(claim, Allows) and claim.requirement == of_requirement(pin)


def _versions(resolution: Resolution) -> dict[NormalizedName, list[str]]:
    found: dict[NormalizedName, list[str]] = {}
    for package in resolution.packages:
        found.setdefault(package.name, []).append(package.version)
    return found


def _newest(listing: Listing, version: str) -> tuple[str, tuple[str, ...]]:
    """The newest version that counts, and the newer ones that do not."""
    own = next((i for i, known in enumerate(listing.versions) if known == version), -1)
    is_prerelease = own >= 0 and listing.prereleases >> own & 1
    passed: list[str] = []
    for index in range(len(listing.versions) - 1, own, -1):
        known = listing.versions[index]
        if listing.yanked >> index & 1:
            passed.append(f"{known} is yanked")
        elif listing.too_new >> index & 1:
            passed.append(f"{known} is newer than allowed")
        elif listing.prereleases >> index & 1 and not is_prerelease:
            passed.append(f"{known} is a pre-release")
        else:
            return known, tuple(passed)
    return version, tuple(passed)


def _blocks(splits: Iterable[str]) -> list[list[tuple[str, markers.Diagram]]]:
    """The splits that part everything among themselves; choices that have nothing to do with each other part
    it each for itself, one after the other."""
    blocks: list[list[tuple[str, markers.Diagram]]] = []
    for split in splits:
        cell = markers.parse(split)
        if not blocks or not all(markers.disjoint(cell, other) for _, other in blocks[-1]):
            blocks.append([])
        blocks[-1].append((split, cell))
    return blocks
