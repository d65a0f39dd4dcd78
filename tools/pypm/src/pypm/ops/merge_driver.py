"""``pypm lock --merge-driver``: git's own merges of the lock, entry by entry."""

from __future__ import annotations

from typing import ClassVar

from pypm.ops.answers import heard
from pypm.ops.git import Repository
from pypm.ops.incremental import note_resolved
from pypm.ops.locking import more_settings, resolved
from pypm.ops.old_lock import OldLock, of_sides, remember
from pypm.ops.opening import open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.world import LOCK, World
from pypm_model.errors import PypmError
from pypm_model.events import ignore
from pypm_model.freshness import settings_of
from pypm_model.lock_merge import Asked, Disagreement, merged
from pypm_model.lock_text import read, write
from pypm_model.locks import Lock, LockSettings
from pypm_model.records import record, replace
from pypm_model.requests import Request
from pypm_model.respelling import same_environments
from pypm_store.atomic import write_atomically
from pypm_workspace.workspace import Workspace


class SidesDisagree(PypmError):
    """The two sides of a merge changed the same thing, each in its own way."""

    code: ClassVar[str] = "sides-disagree"
    what: str

    def __str__(self) -> str:
        return f"both sides changed {self.what}"


class OtherSettings(PypmError):
    """The merged lock is for other settings than those of the workspace as it is on disk now."""

    code: ClassVar[str] = "other-settings"

    def __str__(self) -> str:
        return "the merge changes settings of the workspace"


class MergeFileUnreadable(PypmError):
    """One of the files that git hands over cannot be read."""

    code: ClassVar[str] = "merge-file-unreadable"
    exit: ClassVar[int] = 2
    file: str
    reason: str

    def __str__(self) -> str:
        return f"cannot read {self.file}: {self.reason}"


@record
class MergeFiles:
    """What git hands over: the file of the common ancestor, the one of our side, which the result goes to,
    and the one of theirs; the path of the lock in the checkout, if told."""

    base: str
    ours: str
    theirs: str
    path: str = ""


@record
class MergeReport:
    """What became of a merge."""

    lock: str
    problem: PypmError | None = None
    """Why it was left as a conflict; None if our side's file holds the merged lock."""


def merge(world: World, files: MergeFiles) -> MergeReport:
    """Merges three locks into the file of our side: a lock of what both sides ask, resolved with the versions
    of both as preferences. If that cannot be, the file is left as a merge by lines leaves it.

    When git asks, the manifests in the checkout are still those of our side. What the members ask
    together is therefore taken from the locks; of the checkout only settings count, and must be those
    of the merged lock. The cache is asked before the network.
    """
    lock = files.path or LOCK
    texts = [_text(world, each) for each in (files.base, files.ours, files.theirs)]
    try:
        workspace = _workspace(world, files.path)
        text = _merged(world, workspace, *texts)
    except PypmError as problem:
        _by_lines(world, files)
        return MergeReport(lock, problem)
    write_atomically(world.cwd / files.ours, text)
    remember(world, workspace, text, by_driver=True)
    return MergeReport(lock)


def _workspace(world: World, path: str) -> Workspace:
    folder = (world.cwd / path).parent if path else world.cwd
    return open_workspace(replace(world, cwd=folder, listener=ignore))


def _text(world: World, file: str) -> str:
    try:
        return (world.cwd / file).read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        raise MergeFileUnreadable(file, fault.strerror or str(fault)) from None


def _merged(world: World, workspace: Workspace, base: str, ours: str, theirs: str) -> str:
    sides = [read(text, LOCK) if text.strip() else Lock() for text in (base, ours, theirs)]
    try:
        asked = merged(*sides)
    except Disagreement as fault:
        raise SidesDisagree(fault.what) from None
    plain = workspace.request(default_python=sides[1].requires_python)
    settings = settings_of(plain, more_settings(workspace))
    if not _are_those_of(plain, settings, asked):
        raise OtherSettings
    old = of_sides(ours, theirs)
    request = replace(
        plain,
        members=asked.members,
        preferences=old.pins,
        preferred_splits=old.splits,
        preferred_where=old.where,
    )
    try:
        return _resolved(replace(world, offline=True), workspace, request, settings, old)
    except PypmError:
        if world.offline:
            raise
        return _resolved(world, workspace, request, settings, old)


def _resolved(
    world: World, workspace: Workspace, request: Request, settings: LockSettings, old: OldLock
) -> str:
    with open_tools(world, workspace) as tools, heard(tools) as listening:
        made = write(resolved(tools, workspace, request, settings, old))
        note_resolved(tools, made, has_warned=listening.has_warned)
        return made


def _are_those_of(request: Request, settings: LockSettings, asked: Asked) -> bool:
    return (
        settings == asked.settings
        and same_environments(request.environments, asked.environments)
        and same_environments(request.required_environments, asked.required_environments)
    )


def _by_lines(world: World, files: MergeFiles) -> None:
    """What git does without a driver: conflicts are marked in our side's file."""
    repository = Repository(world.cwd, world.environ)
    names = ("-L", "ours", "-L", "base", "-L", "theirs")
    places = (str((world.cwd / each).resolve()) for each in (files.ours, files.base, files.theirs))
    repository.run("merge-file", "--quiet", *names, *places)
