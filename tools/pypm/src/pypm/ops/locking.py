"""From a workspace to its lock: read the old one, judge it, resolve if it must be, put the files in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pypm.ops.completing import complete, covered
from pypm.ops.folders import stale_folders
from pypm.ops.lock_faults import LockMissing, MembersLeftOut, NothingCovered, UnknownUpgrade, stale_error
from pypm.ops.old_lock import OldLock, lock_text, old_lock, remember
from pypm.ops.publishers import with_publishers
from pypm.ops.soundness import unsound
from pypm.ops.tools import Tools
from pypm.ops.world import LOCK
from pypm_model import markers
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.freshness import Stale, settings_of, stale
from pypm_model.later import later
from pypm_model.lock_errors import LockUnsound
from pypm_model.lock_pins import Pins
from pypm_model.lock_text import write
from pypm_model.locks import Lock, LockSettings
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.requests import Ask, Origin, Preference, Request
from pypm_model.requirement_text import to_text
from pypm_model.requirements import Requirement
from pypm_model.resolutions import Resolution
from pypm_model.respelling import kept_spelling
from pypm_model.sources import GitSource
from pypm_store.atomic import write_atomically
from pypm_workspace.asks import Backend
from pypm_workspace.configuration import StatedMetadata, Written
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm.ops import answers, git, incremental
    from pypm.ops.incremental import Edit
else:
    answers = later("pypm.ops.answers")
    git = later("pypm.ops.git")
    incremental = later("pypm.ops.incremental")

_BOUNDS = Origin(ROOT, LOCK, "bounds")
"""Whose constraint a bound of `Locking` is: nothing in a manifest."""


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
    heals: bool = False
    """Look once into a lock that fits by its text, and that this machine has not resolved, by what its
    packages say: one that was put together by lines may hold what does not go together."""
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
    amid_merge: bool = False
    """git has merged just now: once written it is to be remembered as no product of that."""

    @property
    def is_new(self) -> bool:
        """Whether the text differs from the file's."""
        return self.text != self.old_text


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
    edits: tuple[Stale, ...] = ()
    if old.lock is not None:
        edits = stale(old.lock, plain, settings)
        check_members(tools, workspace, edits)
        reasons = (*edits, *stale_folders(workspace.root, old.lock))
    asked = reasons or how.upgrade or wanted or how.prefer or how.preferences or how.commits or how.bounds
    if old.lock is not None and text is not None and not asked:
        flawed = unsound(tools.world, workspace.root, text, old.lock)
        if not flawed and (old.is_resolved or not old.is_merge):
            looks = how.heals and not old.is_resolved
            said = incremental.flaw(tools, text, old.lock, plain) if looks else ""
            if not said:
                return Locked(old.lock, text, old.lock, text, ())
            tools.world.listener(Warned("lock-unfit", f"{said}: it is resolved anew"))
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
        # What is found first in old regions would be kept in those after it, where it may be older.
        is_parted = any(name in wanted and len(found) > 1 for name, found in old.pins)
        splits = () if how.prefer or is_parted else old.splits
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
        return _done(tools, workspace, Locked(read(made), made, old.first, text, reasons, old.amid_merge))
    edit = None
    is_edit = not (anew or how.prefer or how.preferences or how.commits or how.bounds)
    if is_edit and old.is_plain and text is not None and edits and edits == reasons:
        edit = incremental.Edit(old.parents[0], text, edits, request)
    with answers.heard(tools) as heard:
        new = None if edit is None else _extended(tools, workspace, edit, settings, old)
        if new is None:
            new = resolved(tools, workspace, request, settings, old, anew, how.commits)
    made = write(new, tools.retained.written)
    incremental.note_resolved(tools, made, has_warned=heard.has_warned)
    if place is not None and not heard.has_warned:
        answers.note(tools, place, made)
    return _done(tools, workspace, Locked(new, made, old.first, text, reasons, old.amid_merge))


def _done(tools: Tools, workspace: Workspace, locked: Locked) -> Locked:
    if locked.amid_merge and not locked.is_new:
        remember(tools.world, workspace, locked.text)
    return locked


def _extended(
    tools: Tools, workspace: Workspace, edit: Edit, settings: LockSettings, old: OldLock
) -> Lock | None:
    """The lock there is, with *edit*; None if everything has to be resolved for it."""
    resolution = incremental.extended(tools, edit, workspace.place)
    if resolution is None:
        return None
    made = complete(resolution, edit.request, settings, tools, old.files)
    return kept_spelling(edit.lock, with_publishers(tools, made, old.parents, kept=edit.lock))


def check_members(tools: Tools, workspace: Workspace, edits: Iterable[Stale]) -> None:
    """Raises `MembersLeftOut` if members are gone because the checkout holds only some."""
    gone = [edit.file for edit in edits if edit.kind == "member-removed"]
    if not gone:
        return
    try:
        left_out = git.Repository(Path(workspace.root), tools.world.environ).left_out(gone)
    except (git.NoRepository, git.GitRefused):
        return
    if left_out:
        raise MembersLeftOut(tuple(sorted(file.removesuffix("/pyproject.toml") for file in left_out)))


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
            from pypm.ops.uv_words import in_uvs_words

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
    known = (package for lock in old.parents for package in lock.packages)
    incremental.warn_of_gaps(resolution, known, tools.world.listener)
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


def write_lock(tools: Tools, workspace: Workspace, locked: Locked) -> None:
    """Writes the lock if its text is new, beside and renamed. Nobody waits for the disk: what a power cut may
    take can be made again, and is in version control (decision 0026)."""
    if locked.is_new:
        write_atomically(Path(workspace.root) / LOCK, locked.text)
        if locked.amid_merge:
            remember(tools.world, workspace, locked.text)


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
