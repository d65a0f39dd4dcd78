"""What the lock on disk gives the next one: its versions, or those of both sides of a merge."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pypm.ops.remembered import merges_file
from pypm.ops.retained import Retained
from pypm.ops.world import LOCK, World
from pypm_model import markers
from pypm_model.artifacts import Artifact
from pypm_model.digests import of_text
from pypm_model.later import later
from pypm_model.lock_conflicts import salvage
from pypm_model.lock_errors import LockConflicted, LockUnreadable
from pypm_model.lock_pins import Pins, pins_of, splits_of, union
from pypm_model.lock_sides import sides
from pypm_model.lock_text import read
from pypm_model.locks import Lock
from pypm_model.names import NormalizedName
from pypm_model.records import as_dict, field, record, replace
from pypm_model.sources import GitSource
from pypm_store.atomic import write_atomically
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm.ops import git
    from pypm_model import lock_reach
else:
    lock_reach = later("pypm_model.lock_reach")
    git = later("pypm.ops.git")


@record(slots=False)
class OldLock:
    """The lock there was, if any."""

    lock: Lock | None = None
    """As it is in its file; None if there is none or it does not read."""
    parents: tuple[Lock, ...] = ()
    """The locks that are to be kept as far as they fit: the one of the file, or the sides of a merge, ours
    first."""
    salvaged: Pins = ()
    """Versions of a side that does not read."""
    is_merge: bool = False
    """The file is what a merge made of two locks, and pypm has not locked since."""
    is_resolved: bool = False
    """The merge was pypm's own: what it made is right for the manifests it was made for."""
    amid_merge: bool = False
    """There was a merge just now: whatever is locked next is to be remembered as no product of it."""

    pins_of: Callable[[Lock], Pins] = field(default=pins_of, compare=False, repr=False)

    @property
    def is_plain(self) -> bool:
        """Whether it is what its file holds, and nothing that a merge has a part in."""
        return self.lock is not None and not (self.is_merge or self.amid_merge or self.salvaged)

    @property
    def first(self) -> Lock | None:
        """What a new lock is compared with."""
        return self.parents[0] if self.parents else None

    @cached_property
    def pins(self) -> Pins:
        """The versions to keep."""
        every = [self.pins_of(lock) for lock in self.parents]
        if len(every) == 1 and not self.salvaged:
            return every[0]
        return union([*every, self.salvaged])

    def commits(
        self, without: Collection[NormalizedName] = ()
    ) -> Mapping[NormalizedName, tuple[GitSource, ...]]:
        """Where branches and tags are to stay, by package, but for those of *without*. Where parents do not
        agree, none is kept: which of the two is the later one the repository has to say."""
        found: dict[NormalizedName, dict[GitSource, GitSource]] = {}
        apart: set[tuple[NormalizedName, GitSource]] = set()
        for lock in self.parents:
            for package in lock.packages:
                if isinstance(package.source, GitSource) and package.name not in without:
                    ref = replace(package.source, commit="")
                    known = found.setdefault(package.name, {}).setdefault(ref, package.source)
                    if known != package.source:
                        apart.add((package.name, ref))
        return {
            name: tuple(source for ref, source in refs.items() if (name, ref) not in apart)
            for name, refs in found.items()
        }

    @property
    def splits(self) -> tuple[str, ...]:
        """The regions to try first."""
        return splits_of(self.parents)

    @property
    def where(self) -> str:
        """The environments that all of them were for, as a marker."""
        if not self.parents:
            return ""
        return markers.text(markers.all_of(map(lock_reach.covered, self.parents)))

    @property
    def names(self) -> frozenset[NormalizedName]:
        """What is locked."""
        locked = {package.name for lock in self.parents for package in lock.packages}
        return frozenset(locked | {name for name, _ in self.salvaged})

    @property
    def files(self) -> Mapping[str, Artifact]:
        """What is known of files, by digest; of two parents that know a file, what ours knows."""
        every = reversed(self.parents)
        return {file.sha256: file for lock in every for package in lock.packages for file in package.files}


def lock_text(workspace: Workspace) -> str | None:
    """The text of the workspace's lock file; None if there is none."""
    try:
        return (Path(workspace.root) / LOCK).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def old_lock(
    world: World,
    workspace: Workspace,
    text: str | None,
    *,
    merges: bool = True,
    retained: Retained | None = None,
) -> OldLock:
    """What *text*, of the workspace's lock file, gives the next lock.

    The sides of a merge are asked of git: a conflict's text has lost half of what they were, and one
    that merged cleanly does not show that it was. Where git has nothing to tell, the sides of the
    conflict are read; of what does not read, the versions that stand in it are kept. Without *merges*
    only the text itself is looked at. *retained* may know the text already.
    """
    retained = retained if retained is not None else Retained()
    if text is None:
        return OldLock()
    try:
        lock = retained.read(text)
    except (LockConflicted, LockUnreadable) as fault:
        lock = None
        conflicted = isinstance(fault, LockConflicted)
    else:
        conflicted = False
    amid, texts = _sides(world, workspace, text, conflicted=conflicted) if merges else (False, ())
    if texts:
        driven = _Noted(of_text(text), by_driver=True) == _noted(world, workspace)
        return replace(of_sides(*texts), lock=lock, is_resolved=driven)
    if lock is not None:
        return OldLock(lock, (lock,), amid_merge=amid, pins_of=retained.pins)
    return replace(of_sides(*sides(text)), is_merge=False, amid_merge=amid)


def of_sides(*texts: str) -> OldLock:
    """What two locks give one that is made of both; a text that does not read gives the versions that
    stand in it."""
    parents, salvaged = [], []
    for text in dict.fromkeys(texts):
        try:
            parents.append(read(text, LOCK))
        except (LockConflicted, LockUnreadable):
            salvaged.append(salvage(text))
    return OldLock(None, tuple(parents), union(salvaged), is_merge=True, amid_merge=True)


def remember(world: World, workspace: Workspace, text: str, *, by_driver: bool = False) -> None:
    """Notes that *text* is no mere merge by lines: it was resolved, *by_driver* before the manifests were
    merged."""
    try:
        file = merges_file(world, workspace.root)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(as_dict(_Noted(of_text(text), by_driver))))
    except OSError:
        pass  # it will be resolved once more


@record
class _Noted:
    digest: str
    by_driver: bool = False


def _sides(
    world: World, workspace: Workspace, text: str, *, conflicted: bool
) -> tuple[bool, tuple[str, ...]]:
    """Whether git has merged something, and the texts of the two locks that it made *text* of, ours first;
    none if it did not, or if *text* was looked into."""
    try:
        repository = git.Repository(Path(workspace.root), world.environ)
        under_way = repository.merges()
        if not (conflicted or under_way or repository.has_merged()):
            return False, ()
        noted = _noted(world, workspace)
        if noted is not None and noted.digest == of_text(text) and not (under_way and noted.by_driver):
            return True, ()
        pairs = [(":2", ":3")] if conflicted or under_way else []
        text = text.replace("\r\n", "\n")
        if under_way:
            pairs.append(("HEAD", "MERGE_HEAD"))
        elif repository.show("HEAD", LOCK) == text:  # else it was written since
            pairs.append(("HEAD^1", "HEAD^2"))
        for pair in pairs:
            found = [repository.show(revision, LOCK) for revision in pair]
            texts = tuple(each for each in found if each is not None)
            if len(texts) == len(pair):
                # One side's text was somebody's choice, unless git has the file as not merged yet: so it
                # leaves it where the driver could not be started.
                return True, () if text in texts and pair != (":2", ":3") else texts
    except (git.NoRepository, git.GitRefused):
        return False, ()
    return True, ()


def _noted(world: World, workspace: Workspace) -> _Noted | None:
    try:
        found = json.loads(merges_file(world, workspace.root).read_bytes())
        return _Noted(str(found["digest"]), bool(found["by_driver"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
