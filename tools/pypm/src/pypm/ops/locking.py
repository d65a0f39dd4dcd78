"""From a workspace to its lock: read the old one, judge it, resolve if it must be, put the files in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pypm.ops.folders import stale_folders
from pypm.ops.old_lock import OldLock, lock_text, old_lock, remember
from pypm.ops.publishers import with_publishers
from pypm.ops.soundness import unsound
from pypm.ops.tools import Tools
from pypm.ops.uv_words import in_uvs_words
from pypm.ops.world import LOCK
from pypm_model import markers
from pypm_model.artifacts import Artifact
from pypm_model.errors import Place, PypmError
from pypm_model.events import Warned
from pypm_model.freshness import Stale, manifest_of, settings_of, stale
from pypm_model.later import later
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_pins import Pins
from pypm_model.lock_text import write
from pypm_model.locks import Lock, LockedPackage, LockSettings
from pypm_model.markers.coverage import WheelsFor
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.requests import Ask, MemberRequest, Origin, Preference, Request
from pypm_model.requirement_text import to_text
from pypm_model.requirements import Requirement
from pypm_model.resolutions import Resolution
from pypm_model.respelling import kept_spelling, marker_texts
from pypm_model.sources import GitSource, IndexSource, MemberSource
from pypm_store.atomic import write_atomically
from pypm_workspace.asks import Backend
from pypm_workspace.configuration import StatedMetadata, Written
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm.ops import answers
else:
    answers = later("pypm.ops.answers")

_BOUNDS = Origin(ROOT, LOCK, "bounds")
"""Whose constraint a bound of `Locking` is: nothing in a manifest."""
SHOWN = 4
"""Differences of a member that are told in words; the others are counted."""


@record
class Locking:
    """How to lock.

    *upgrade* forgets all pins, *upgrade_packages* those of some names; *prefer* has one version, (name,
    version), in the place of all that are locked of a package. *frozen* takes the lock as it
    is and never resolves; *locked* never resolves either, but fails unless the lock fits.
    """

    upgrade: bool = False
    upgrade_packages: tuple[str, ...] = ()
    prefer: tuple[tuple[NormalizedName, str], ...] = ()
    frozen: bool = False
    locked: bool = False
    preferences: Pins = ()
    """Versions to keep if they fit, in place of those that are locked of the same names."""
    commits: tuple[tuple[NormalizedName, tuple[GitSource, ...]], ...] = ()
    """Likewise, where branches and tags are to stay."""
    bounds: tuple[tuple[NormalizedName, str], ...] = ()
    """(name, specifier): these versions and no others, this time. No setting of the lock: one that keeps to
    them is one that the manifests give without them, too."""


@record
class Locked:
    """A lock that fits the workspace, and what became of the old one."""

    lock: Lock
    text: str
    old: Lock | None
    old_text: str | None
    stale: tuple[Stale, ...]
    """Why the old one did not fit; empty if it did, or if there was none."""

    @property
    def is_new(self) -> bool:
        """Whether the text differs from the file's."""
        return self.text != self.old_text


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


def lock_workspace(tools: Tools, workspace: Workspace, how: Locking) -> Locked:
    """The lock that fits *workspace*; nothing is written. Raises what resolving raises."""
    text = lock_text(workspace)
    read = tools.retained.read
    if how.frozen:
        if text is None:
            raise LockMissing(LOCK)
        return Locked(read(text), text, None, text, ())
    old = old_lock(tools.world, workspace, text, merges=not how.locked, retained=tools.retained)
    wanted = {normalize(name) for name in how.upgrade_packages}
    if unknown := wanted - old.names:
        raise UnknownUpgrade(tuple(sorted(unknown)))
    plain = request_of(tools, workspace, old.first)
    settings = settings_of(plain, more_settings(workspace))
    reasons: tuple[Stale, ...] = ()
    if old.lock is not None:
        reasons = (*stale(old.lock, plain, settings), *stale_folders(workspace.root, old.lock))
    asked = reasons or how.upgrade or wanted or how.prefer or how.preferences or how.commits or how.bounds
    if old.lock is not None and text is not None and not asked:
        flawed = unsound(tools.world, workspace.root, text, old.lock)
        if not flawed and (old.is_resolved or not old.is_merge):
            return Locked(old.lock, text, old.lock, text, ())
        if flawed and how.locked:
            raise flawed
    if how.locked:
        if text is None:
            raise LockMissing(LOCK)
        read(text)
        raise stale_error(workspace, reasons)
    _check_environments(tools, workspace, plain)
    request = plain
    if not how.upgrade:
        others = {name: found for name, found in old.pins if name not in wanted}
        others |= {name: (Preference(version),) for name, version in how.prefer}
        others |= dict(how.preferences)
        splits = () if how.prefer else old.splits
        request = replace(
            plain,
            preferences=tuple(sorted(others.items())),
            preferred_splits=splits,
            preferred_where=old.where,
        )
    if how.bounds:
        bounds = (Ask(Requirement(name, (), bound, "", ""), _BOUNDS) for name, bound in how.bounds)
        request = replace(request, constraints=(*request.constraints, *bounds))
    anew = old.names if how.upgrade else wanted
    place = None
    if not (how.prefer or how.preferences or how.commits or how.bounds):
        upgraded = (str(how.upgrade), *sorted(wanted))
        place = answers.place_of(tools, workspace, settings, text, old, upgraded)
    made = None if place is None else answers.recall(tools, place)
    if made is not None:
        return Locked(read(made), made, old.first, text, reasons)
    with answers.heard(tools) as heard:
        new = resolved(tools, workspace, request, settings, old, anew, how.commits)
    made = write(new, tools.retained.written)
    if place is not None and not heard.has_warned:
        answers.note(tools, place, made)
    if old.amid_merge:
        remember(tools.world, workspace, made)
    return Locked(new, made, old.first, text, reasons)


def _check_environments(tools: Tools, workspace: Workspace, request: Request) -> None:
    """Warns of environments in which no member can be installed. Raises `NothingCovered` if all are such."""
    ranges = sorted({member.requires_python for member in request.members})
    pythons = markers.any_of(map(markers.requires_python, ranges))
    lost = [e for e in request.environments if markers.disjoint(markers.parse(e), pythons)]
    if lost and len(lost) == len(request.environments):
        settings = workspace.settings.file or "pyproject.toml"
        table = "workspace" if settings.endswith("pypm-workspace.toml") else "tool.uv"
        place = workspace.place(Written(settings, f"{table}.environments[0]"))
        raise NothingCovered(tuple(lost), tuple(ranges), place)
    inside = covered(request)
    lost += [e for e in request.required_environments if markers.disjoint(markers.parse(e), inside)]
    for marker in lost:
        message = f"nothing is locked for {marker}: no member is for such an environment"
        tools.world.listener(Warned("nothing-covered", message))


def resolved(
    tools: Tools,
    workspace: Workspace,
    request: Request,
    settings: LockSettings,
    old: OldLock,
    anew: Collection[NormalizedName] = (),
    given: tuple[tuple[NormalizedName, tuple[GitSource, ...]], ...] = (),
) -> Lock:
    """The lock that *request* gives, with branches at the commits *given* or where the old one has them, but
    for those of the names *anew*. Only where nothing fits that way are they looked at again."""
    from pypm.ops.asked import recall, remember
    from pypm.ops.resolving import CannotResolve, resolve

    retained = tools.retained
    if not retained.keys:
        retained.keys = retained.remembered = recall(tools.world, workspace.root)

    def answer() -> Resolution:
        try:
            return resolve(request, tools.catalog, workspace.place, tools.world.listener, retained)
        except CannotResolve as error:
            if not workspace.settings.of_uv:
                raise
            told = replace(error, hints=tuple(map(in_uvs_words, error.hints)))
            told.askers = error.askers
            raise told from None

    commits = {**old.commits(anew), **dict(given)}
    tools.catalog.keep_commits(commits, anew=anew)
    try:
        resolution = answer()
    except CannotResolve as conflict:
        held = [name for name, sources in commits.items() if sources and name in conflict.names]
        if not held:
            raise
        others = {name: sources for name, sources in commits.items() if name not in held}
        tools.catalog.keep_commits(others, anew={*anew, *held})
        try:
            resolution = answer()
        except CannotResolve:
            raise
        except PypmError:
            raise conflict from None  # whether it would help cannot be found out now
    if retained.keys != retained.remembered:
        remember(tools.world, workspace.root, retained.keys)
        retained.remembered = retained.keys
    made = with_publishers(tools, complete(resolution, request, settings, tools, old.files), old.parents)
    # What is only spelled otherwise now makes no line of the lock another one.
    return made if old.first is None else kept_spelling(old.first, made)


def request_of(tools: Tools, workspace: Workspace, old: Lock | None) -> Request:
    """What *workspace* asks, its build backends heard. Where no member states a Python range, the old
    lock's is kept, so that machines with different interpreters agree; the first lock begins at the
    interpreter at hand."""
    backends: Mapping[NormalizedName, Backend] = {}
    if any(member.unstated for member in workspace.members):
        from pypm.ops.backends import backends_of

        backends = backends_of(tools, workspace)
    default = ""
    if not any(workspace.pythons.values()):
        default = old.requires_python if old is not None else ""
        if not default:
            major, minor = tools.interpreter().release
            default = f">={major}.{minor}"
    return workspace.request(backends=backends, default_python=default)


def write_lock(workspace: Workspace, locked: Locked) -> None:
    """Writes the lock if its text is new, beside and renamed. Nobody waits for the disk: what a power cut may
    take can be made again, and is in version control (decision 0026)."""
    if locked.is_new:
        write_atomically(Path(workspace.root) / LOCK, locked.text)


@record
class Judged:
    """The lock as it is, what makes it stale (nothing if it fits), and what is wrong with it in itself."""

    lock: Lock
    reasons: tuple[Stale, ...]
    unsound: LockUnsound | None


def check_lock(
    tools: Tools, workspace: Workspace, members: Collection[NormalizedName] | None = None
) -> Judged:
    """The lock of *workspace*, judged. Raises `LockMissing`, `LockConflicted`, `LockUnreadable`; asks no
    index.

    Of members only those named *members* are judged, if given, and none that is absent.
    """
    text = lock_text(workspace)
    if text is None:
        raise LockMissing(LOCK)
    lock = tools.retained.read(text)
    request = request_of(tools, workspace, lock)
    reasons = stale(lock, request, settings_of(request, more_settings(workspace)))
    absent = {workspace.by_path[path].name for path in workspace.absent}
    told = tuple(
        reason
        for reason in reasons
        if not reason.member
        or (reason.member not in absent and (members is None or reason.member in members))
    )
    told += tuple(stale_folders(workspace.root, lock, members))
    return Judged(lock, told, unsound(tools.world, workspace.root, text, lock))


def stale_error(workspace: Workspace, reasons: Iterable[Stale]) -> LockStale:
    """The error that tells each reason with its place."""
    settings = workspace.settings.file or "pyproject.toml"

    def place(reason: Stale) -> Place:
        return workspace.place(reason.origin) if reason.origin else Place(reason.file or settings)

    return LockStale(LOCK, tuple((reason, place(reason)) for reason in reasons))


def complete(
    resolution: Resolution,
    request: Request,
    settings: LockSettings,
    tools: Tools,
    known: Mapping[str, Artifact],
) -> Lock:
    """*resolution* as a lock: with every file that a covered environment can use, and the manifests.
    *known* are files of old locks by digest."""
    region = covered(request)
    usable = tools.retained.usable(region)
    wanted = [
        (package.name, package.version, package.source.index)
        for package in resolution.packages
        if isinstance(package.source, IndexSource)
    ]
    files = tools.catalog.all_files(wanted)
    members = {member.name: member for member in request.members}
    packages = []
    for package in resolution.packages:
        match package.source:
            case IndexSource(index):
                found = files[package.name, package.version, index]
                if not all(file.sha256 for file in found):
                    # The index gives no digests: the files themselves have to be looked at, once.
                    found = tools.catalog.settle(package.name, package.version, index)
                binaries = request.build.no_binary
                kept = tools.retained.kept(
                    (package.name, package.version, index),
                    found,
                    (region, binaries),
                    lambda: _kept(package.name, found, usable, binaries),  # noqa: B023 (called at once)
                )
                if not kept:
                    message = (
                        f"{package.name} {package.version} has no file that any covered environment can use"
                    )
                    tools.world.listener(Warned("no-usable-file", message))
                packages.append(replace(package, files=tuple(_merged(file, known) for file in kept)))
            case MemberSource():
                packages.append(_with_manifest(package, members[package.name]))
            case _:
                packages.append(package)
    return Lock(
        requires_python=_union_of_pythons(request),
        environments=marker_texts(request.environments),
        required_environments=marker_texts(request.required_environments),
        settings=settings,
        splits=resolution.splits,
        packages=tuple(packages),
    )


def covered(request: Request) -> markers.Diagram:
    """The environments a lock of *request* is for."""
    pythons = markers.any_of(markers.requires_python(member.requires_python) for member in request.members)
    if not request.environments:
        return pythons
    return markers.both(pythons, markers.any_of(map(markers.parse, request.environments)))


def _with_manifest(package: LockedPackage, member: MemberRequest) -> LockedPackage:
    return replace(package, version=member.version or "", manifest=manifest_of(member))


def _kept(
    name: NormalizedName, files: Sequence[Artifact], usable: WheelsFor, no_binary: Collection[str]
) -> tuple[Artifact, ...]:
    """Files of a release that some covered environment can use, sorted by name. A file without a sha256
    cannot be locked."""
    kept = []
    for file in files:
        if not file.sha256 or (file.yanked is not None and any(f.yanked is None for f in files)):
            continue
        if file.is_wheel and (name in no_binary or "*" in no_binary):
            continue
        if not (file.filename in usable if file.is_wheel else usable.is_built):
            continue
        kept.append(file.as_locked())
    return tuple(sorted(kept, key=lambda file: file.filename))


def _merged(file: Artifact, known: Mapping[str, Artifact]) -> Artifact:
    """*file* with the facts this index does not give and another did before: a mirror without sizes
    or upload times must not change the lock."""
    if file.size is not None and file.uploaded and file.path:
        return file
    before = known.get(file.sha256)
    if before is None:
        return file
    return replace(
        file,
        size=before.size if file.size is None else file.size,
        uploaded=file.uploaded or before.uploaded,
        path=file.path or before.path,
    )


def _union_of_pythons(request: Request) -> str:
    """The least specifier that every member's range is within: its lowest bound, as an installer of
    the whole workspace would state it."""
    ranges = sorted({member.requires_python for member in request.members})
    if len(ranges) == 1:
        return ranges[0]
    union = markers.any_of(map(markers.requires_python, ranges))
    lower, upper = markers.python_bounds(union)
    return ",".join(filter(None, [f">={lower}" if lower else "", f"<{upper}" if upper else ""]))


def more_settings(workspace: Workspace) -> Mapping[str, str | tuple[str, ...]]:
    """Settings of a lock that a request has no field for, for `settings_of`."""
    settings = workspace.settings
    exceptions = tuple(f"{name}={when or 'never'}" for name, when in settings.exclude_newer_package)
    return {
        "exclude-newer": settings.exclude_newer,
        "exclude-newer-package": exceptions,
        "cooldown": f"{settings.cooldown} seconds" if settings.cooldown else "",
        "cooldown-except": tuple(settings.cooldown_except),
        "dependency-metadata": tuple(map(_stated, settings.stated)),
    }


def _stated(stated: StatedMetadata) -> str:
    """One line: ``lib==2.0 [fast]: idna>=3; six``."""
    head = f"{stated.name}=={stated.version}" if stated.version else stated.name
    extras = f" [{', '.join(stated.extras)}]" if stated.extras else ""
    python = f" (Python {stated.requires_python})" if stated.requires_python else ""
    asks = ", ".join(to_text(entry.requirement) for entry in stated.requires)
    return f"{head}{extras}{python}: {asks}"
