"""Distributions put into an environment: linked, or in a farm referred to.

`pypm_env.plan` says what to put in; `pypm_env.apply` calls this after saying what will be touched, and
writes down afterwards what was done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm_env.contests import Owners, Shared, put_extras, settle
from pypm_env.dists import InstalledDist, WantedDist
from pypm_env.placing import Target, extras, info_files, not_linked, path_line, record_text
from pypm_env.plan import Install, Plan
from pypm_model.errors import PypmError
from pypm_model.events import Advanced, Listener
from pypm_model.later import later
from pypm_model.records import field, record, replace
from pypm_store.atomic import write_anew
from pypm_store.linking import Way, choose, link_files, link_tree, make_folders
from pypm_store.shared_work import share_out
from pypm_store.store import Store
from pypm_store.tree import Tree, bytecode, is_compiled
from pypm_store.tree_check import sound_tree

if TYPE_CHECKING:
    from pypm_env import farm
else:
    farm = later("pypm_env.farm")

_SHARED = 100_000
"""Bytes of manifests (some 60 for a file) from which a second process, which takes some milliseconds to
start, pays."""


class MissingTree(PypmError):
    """The store has not (or no longer) what is to be installed."""

    distribution: str
    version: str
    tree: str

    code: ClassVar[str] = "missing-tree"

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} is not in the store ({self.tree[:12]})"

    @property
    def hint(self) -> str | None:
        return "sync again: it will be fetched"


Renew = Callable[[Collection[str]], Mapping[str, Tree]]
"""Makes trees (by digest) anew that were found damaged or are gone; those it could make, by digest."""


def nothing(digests: Collection[str]) -> Mapping[str, Tree]:
    return {}


@record(frozen=False, eq=False)
class Work:
    """One apply at work."""

    plan: Plan
    store: Store
    sound: dict[str, Tree]
    """By digest: those that were looked at."""
    renew: Renew
    listener: Listener
    workers: int

    def tree(self, dist: WantedDist) -> Tree:
        """The tree of *dist*, looked at, put right or made anew. Raises `MissingTree`."""
        found = self.sound.get(dist.tree) or self.store.tree(dist.tree)
        if found is None:
            found = self.renew([dist.tree]).get(dist.tree)
        if found is None:
            raise MissingTree(dist.name, dist.version, dist.tree)
        self.sound[dist.tree] = found
        return found

    def unseen(self, dist: WantedDist) -> Tree | None:
        """The tree of *dist* with its manifest only."""
        return self.sound.get(dist.tree) or self.store.tree(dist.tree, check=False)


@record(frozen=False, eq=False)
class Linked:
    """What `link` did."""

    way: Way | None
    dists: list[InstalledDist]
    shared: Shared
    files: int = 0
    bytecode: int = 0
    uncompiled: list[str] = field(default_factory=list)


def link(work: Work, target: Target, made: set[str], contested: set[str]) -> Linked:
    """Put in everything that is to be installed, and settle *contested* paths and new ones."""
    done = work.plan
    if not done.install and not contested:
        return Linked(None, [], _kept_shared(work, set()))
    mode = done.wanted.link_mode
    way = choose("auto" if mode == "farm" else mode, work.store.path, target.site)
    linked = Linked(way, [], ())
    if mode == "farm":
        _link_farm(work, target, way, made, linked, contested)
        linked.shared = _settled(work, target, way, contested)
        return linked
    # The largest first, so that both processes end together.
    sizes = {step.dist: work.store.manifest_size(step.dist.tree) for step in done.install}
    dists = sorted(sizes, key=lambda dist: -sizes[dist])
    unsound: list[WantedDist] = []

    def put(number: int) -> _Put | None:
        # Looked at and put in by the same process, one after the other: nothing is waited for between.
        dist = dists[number]
        tree = work.sound.get(dist.tree) or sound_tree(work.store.tree_path(dist.tree))
        return None if tree is None else _put(dist, tree, work, target, way, made)

    def take(number: int, answer: _Put | None) -> None:
        dist = dists[number]
        if answer is None:
            unsound.append(dist)
            return
        info, record_time, line, files, pycs, compiled, taken = answer
        linked.dists.append(InstalledDist(dist, info, record_time, line))
        linked.files += files + pycs
        linked.bytecode += pycs
        if not compiled:
            linked.uncompiled.append(dist.tree)
        contested.update(taken)
        work.listener(Advanced("link", dist.name))

    is_much = sum(sizes.values()) >= _SHARED
    share_out(len(dists), put, take, workers=work.workers if is_much else 1)
    for number, dist in enumerate(dists):
        if dist in unsound:
            take(number, _put(dist, work.tree(dist), work, target, way, made))
    linked.shared = _settled(work, target, way, contested)
    return linked


def _settled(work: Work, target: Target, way: Way, contested: set[str]) -> Shared:
    kept = _kept_shared(work, contested)
    return kept + settle(contested, owners_of(work, target), way, work.listener) if contested else kept


def _link_farm(
    work: Work, target: Target, way: Way, made: set[str], linked: Linked, contested: set[str]
) -> None:
    """As `link`, with links to what is in the store. *contested* loses what the layout settles."""
    done = work.plan
    dists = [step.dist for step in done.install]
    puts = []
    for dist in dists:
        tree = work.unseen(dist)
        # What is not known of a tree yet is found out of its files.
        puts.append((dist, tree if tree is not None and farm.is_outlined(tree) else work.tree(dist)))
    stay = [*(one.dist for one in done.keep), *(step.dist for step in done.amend)]
    kept = [(dist, tree) for dist in stay if dist.tree and (tree := work.unseen(dist))]
    cache_tag = done.wanted.interpreter.cache_tag
    fresh = bool(done.recreate)
    is_much = sum(len(tree.files) for _, tree in puts) * 60 >= _SHARED
    farmed = farm.link_farm(
        puts,
        kept,
        target,
        way,
        cache_tag,
        made,
        work.listener,
        sound=work.sound,
        again=work.tree,
        fresh=fresh,
        workers=work.workers if is_much else 1,
    )
    linked.dists += farmed.dists
    linked.files, linked.bytecode = farmed.links + farmed.bytecode, farmed.bytecode
    linked.uncompiled += farmed.uncompiled
    contested.update(farmed.taken)
    contested -= {path for path in contested if not path.startswith("../")}


_Put = tuple[str, int, str, int, int, bool, list[str]]
"""(.dist-info folder, RECORD's time, line for the shared .pth file, files, bytecode files, whether bytecode
was there or none is possible, paths where something was)."""


def _put(dist: WantedDist, tree: Tree, work: Work, target: Target, way: Way, made: set[str]) -> _Put:
    """One distribution put in; possibly by another process, and possibly once more after it failed there."""
    site = target.site
    pth, line = path_line(tree, dist)
    left_out = not_linked(tree, pth)
    others = extras(tree, target)
    text = record_text(tree, dist, others, left_out)
    info = f"{site}/{tree.info}/"
    taken: list[str] = []
    try:
        # RECORD first: from here on whatever is put in can be taken out again.
        make_folders(str(site), [tree.info], made)
        record_time = write_anew(info + "RECORD", text.encode("utf-8", "surrogateescape"))
        for name, content in info_files(dist.requested, dist.direct_url):
            write_anew(info + name, content)
        put_extras(others, tree, target, way, taken=taken.append)
        files = link_tree(tree, site, way, made=made, leave_out=left_out, taken=taken.append)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        path = os.path.relpath(error.filename2 or error.filename, site).replace(os.sep, "/")
        raise owners_of(work, target).taken(path) from error
    cache_tag = work.plan.wanted.interpreter.cache_tag
    pycs = _link_bytecode(tree, cache_tag, site, way, made)
    compiled = bool(pycs) or not (cache_tag and tree.caches) or is_compiled(tree, cache_tag)
    return tree.info, record_time, line, files, pycs, compiled, taken


def _link_bytecode(tree: Tree, cache_tag: str, site: Path, way: Way, made: set[str]) -> int:
    """Place the bytecode the store has; it is a shortcut, so what is missing or in the way is passed over."""
    paths: Sequence[str] = bytecode(tree, cache_tag) if cache_tag else ()
    if not paths:
        return 0
    make_folders(str(site), dict.fromkeys(path.rpartition("/")[0] for path in paths), made)
    try:
        link_files(str(tree.site), str(site), paths, way, taken=lambda path: None)
    except FileNotFoundError:
        paths = [path for path in paths if os.path.exists(tree.site / path)]
        link_files(str(tree.site), str(site), paths, way, taken=lambda path: None)
    return len(paths)


def reshaped(work: Work) -> Plan:
    """The plan with those put in again whose links may change because of the others."""
    done = work.plan
    leaving = [step.installed.dist for step in done.remove]
    leaving += [old.dist for step in done.install for old in step.replaces]
    coming = [work.unseen(dist) for dist in [*leaving, *(step.dist for step in done.install)] if dist.tree]
    stay = [one for one in done.keep if one.is_ours]
    moved = farm.reshaped_by(
        [tree for tree in coming if tree is not None], [(one.dist, work.unseen(one.dist)) for one in stay]
    )
    again = tuple(Install(one.dist, (one,)) for one in stay if one.name in moved)
    keep = tuple(one for one in done.keep if not (one.is_ours and one.name in moved))
    return replace(done, install=(*done.install, *again), keep=keep)


def _kept_shared(work: Work, contested: set[str]) -> Shared:
    if work.plan.recreate:
        return ()
    return tuple(entry for entry in work.plan.installed.shared if entry[0] not in contested)


def owners_of(work: Work, target: Target) -> Owners:
    """Everything that is installed from here on; what was not looked at is read from the store."""
    done = work.plan
    wanted = [step.dist for step in done.install] + [step.dist for step in done.amend]
    wanted += [one.dist for one in done.keep]
    found = [(dist, work.unseen(dist)) for dist in wanted if dist.tree]
    trees = {dist.name: tree for dist, tree in found if tree is not None}
    return Owners(trees, {dist.name: dist for dist in wanted if dist.name in trees}, target)
