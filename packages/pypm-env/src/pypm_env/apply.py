"""Makes an environment what a plan says: the only code that changes one.

An environment that is made anew is made beside its place and exchanged in one step. One that is changed in
place has a journal while it is at work: whatever a killed run leaves, the next one knows which distributions
to do again. In each distribution RECORD is written first and removed last, so there is always a list.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm_env.contests import Owners, Shared, put_extras, settle
from pypm_env.dists import MEMBERS_PTH, InstalledDist, WantedDist
from pypm_env.installed import inspect
from pypm_env.leftovers import remove_unfinished, remove_unwritten
from pypm_env.placing import Target, extras, info_files, not_linked, path_line, record_text, target_of
from pypm_env.plan import Amend, Install, Plan, after, plan
from pypm_env.removal import Remover
from pypm_env.state_file import JOURNAL, STATE, State, write_state
from pypm_env.venv import create
from pypm_model.digests import sha256
from pypm_model.errors import PypmError
from pypm_model.events import Advanced, Finished, Listener, Started, Warned, ignore
from pypm_model.later import later
from pypm_model.records import field, record, replace
from pypm_store.atomic import beside_name, remove_tree, write_anew, write_atomically
from pypm_store.exchange import replace_tree
from pypm_store.linking import Way, choose, link_files, link_tree, make_folders
from pypm_store.locks import holding
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


@record
class Changes:
    """What was done."""

    plan: Plan
    """What was carried out: the one given, or, if the environment changed since, its successor."""
    way: Way | None = None
    """How files were placed; None if none were."""
    files: int = 0
    bytecode: int = 0
    """How many of *files* are bytecode."""
    uncompiled: tuple[str, ...] = ()
    """Trees (digests) that were put in without bytecode: for `pypm_env.compiling.compile_in_background`."""


Renew = Callable[[Collection[str]], Mapping[str, Tree]]
"""Makes trees (by digest) anew that were found damaged or are gone; those it could make, by digest."""


def _nothing(digests: Collection[str]) -> Mapping[str, Tree]:
    return {}


def apply(
    done: Plan,
    store: Store,
    *,
    pypm_version: str,
    trees: Mapping[str, Tree] | None = None,
    renew: Renew = _nothing,
    listener: Listener = ignore,
    workers: int = 2,
    prompt: str = "",
) -> Changes:
    """Carry out *done*; all its trees must be in *store*, which gets a lease for the environment.

    *trees* (by digest) are those the caller has looked at and found sound; the others are looked at here,
    and *renew* is asked for those that are damaged or missing.

    Two processes at one environment: the second waits, and plans again if the first changed it. Bytecode
    that the store has is put in too. Sends ``link`` events, one step per distribution. Up to *workers*
    (1 or 2) link at once.

    Raises `MissingTree`, `PathTaken`, `ProtectedPath`, `InvalidEntryPoint`, `CannotRemove`, `NoLauncher`,
    `ForeignEnvironment` and OSError, which names a file or the environment. Afterwards the environment is
    as before, or the next apply repairs it.
    """
    folder = done.installed.folder
    with store.using(), holding(_lock(store, folder)):
        seen = inspect(folder)
        if seen != done.installed:
            options = done.options
            done = plan(
                done.wanted, seen, inexact=options.inexact, reinstall=options.reinstall, adopt=options.adopt
            )
        if done.is_empty:
            return Changes(done)
        work = _Work(done, store, dict(trees or {}), renew, listener, workers)
        listener(Started("link", total=len(done.install)))
        try:
            changes = _anew(work, pypm_version, prompt) if done.recreate else _in_place(work)
        except OSError as error:
            if error.filename is None:  # as when a file that is open cannot be written
                error.filename = os.fspath(folder)
            raise
        used = {dist.tree for dist in after(done) if dist.tree}
        store.lease(folder, used, needs=done.wanted.link_mode == "farm")
        listener(Finished("link"))
        return changes


@record(frozen=False, eq=False)
class _Work:
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


def _lock(store: Store, folder: Path) -> Path:
    digest = sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:24]
    return store.folder("locks") / f"environment-{digest}"


def _anew(work: _Work, pypm_version: str, prompt: str) -> Changes:
    """A new environment, made beside and exchanged for what is there."""
    wanted, folder = work.plan.wanted, work.plan.installed.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder)
    beside = Path(beside_name(folder))
    try:
        create(beside, wanted.interpreter, final=folder, pypm_version=pypm_version, prompt=prompt)
        target = target_of(beside, folder, wanted.interpreter)
        made = {str(target.site / "__pycache__")}
        linked = _link(work, target, made, set())
        _finish(work, target, linked, [])
        replace_tree(beside, folder)
    except BaseException:
        remove_tree(beside)
        raise
    return linked.changes(work)


def _in_place(work: _Work) -> Changes:
    """The steps of the plan, under a journal."""
    asked = work.plan
    if asked.wanted.link_mode == "farm":
        work.plan = _reshaped(work)
    done = work.plan
    folder = done.installed.folder
    # Before anything is taken out: what is to be put in is there.
    trees = {step.dist.name: work.tree(step.dist) for step in done.install}
    target = target_of(folder, folder, done.wanted.interpreter)
    replaced = [old for step in done.install for old in step.replaces]
    removed = [step.installed for step in done.remove] + replaced
    remove_unwritten(folder, target.site)

    # 1. Say what will be touched, with what a killed run said.
    infos = {one.info for one in removed} | {tree.info for tree in trees.values()}
    infos |= {step.installed.info for step in done.amend} | done.installed.unfinished
    gone = {one.name for one in removed}
    contested: set[str] = set()
    for path, names in done.installed.shared:
        if gone & set(names):
            contested.add(path)
            # Until the path is given back to them, they are not whole.
            infos |= {one.info for one in done.keep if one.name in names}
    write_atomically(folder / JOURNAL, "\n".join(sorted(infos)))

    # 2. Take out, link, amend. What several own is given to those who stay.
    remover = Remover(folder, target.site)
    for one in removed:
        remover.remove(one.info, partial(_otherwise, work, one))
    for info in done.clean:
        remover.remove(info, tuple)
    if remover.refused:
        message = f"left alone, outside the environment: {', '.join(sorted(set(remover.refused))[:3])}"
        work.listener(Warned("outside-environment", message))
    if done.installed.unfinished:
        # Nobody wrote down what the killed run found to be shared.
        contested |= _owners(work, target).several()
    linked = _link(work, target, set(), contested)
    amended = [_amended(step, target) for step in done.amend]

    # 3. The record, and the end of the journal.
    _finish(work, target, linked, amended)
    (folder / JOURNAL).unlink()
    return replace(linked.changes(work), plan=asked)


@record(frozen=False, eq=False)
class _Linked:
    """What `_link` did."""

    way: Way | None
    dists: list[InstalledDist]
    shared: Shared
    files: int = 0
    bytecode: int = 0
    uncompiled: list[str] = field(default_factory=list)

    def changes(self, work: _Work) -> Changes:
        return Changes(work.plan, self.way, self.files, self.bytecode, tuple(self.uncompiled))


def _link(work: _Work, target: Target, made: set[str], contested: set[str]) -> _Linked:
    """Put in everything that is to be installed, and settle *contested* paths and new ones."""
    done = work.plan
    if not done.install and not contested:
        return _Linked(None, [], _kept_shared(work, set()))
    mode = done.wanted.link_mode
    way = choose("auto" if mode == "farm" else mode, work.store.path, target.site)
    linked = _Linked(way, [], ())
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


def _settled(work: _Work, target: Target, way: Way, contested: set[str]) -> Shared:
    kept = _kept_shared(work, contested)
    return kept + settle(contested, _owners(work, target), way, work.listener) if contested else kept


def _link_farm(
    work: _Work, target: Target, way: Way, made: set[str], linked: _Linked, contested: set[str]
) -> None:
    """As `_link`, with links to what is in the store. *contested* loses what the layout settles."""
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


def _reshaped(work: _Work) -> Plan:
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


_Put = tuple[str, int, str, int, int, bool, list[str]]
"""(.dist-info folder, RECORD's time, line for the shared .pth file, files, bytecode files, whether bytecode
was there or none is possible, paths where something was)."""


def _put(dist: WantedDist, tree: Tree, work: _Work, target: Target, way: Way, made: set[str]) -> _Put:
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
        raise _owners(work, target).taken(path) from error
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


def _amended(step: Amend, target: Target) -> InstalledDist:
    """Only REQUESTED and its row in RECORD."""
    info = target.site / step.installed.info
    record = info / "RECORD"
    row = f"{step.installed.info}/REQUESTED,"
    lines = record.read_text("utf-8", "surrogateescape").splitlines(keepends=True)
    lines = [line for line in lines if not line.startswith(row)]
    if step.dist.requested:
        write_anew(str(info / "REQUESTED"), b"")
        lines.insert(-1, f"{row}sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n")
    else:
        (info / "REQUESTED").unlink(missing_ok=True)
    write_atomically(record, "".join(lines).encode("utf-8", "surrogateescape"))
    return replace(step.installed, dist=step.dist, record_time=record.stat().st_mtime_ns)


def _finish(work: _Work, target: Target, linked: _Linked, amended: list[InstalledDist]) -> None:
    """The shared .pth file, then the record with the time site-packages has from now on."""
    done = work.plan
    dists = sorted([*done.keep, *linked.dists, *amended], key=lambda one: (one.name, one.info))
    lines = dict.fromkeys(one.path_line for one in dists if one.path_line)
    file = target.site / MEMBERS_PTH
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    if not content:
        file.unlink(missing_ok=True)
    elif not file.is_file() or file.read_bytes() != content:
        write_atomically(file, content)
    state = State(
        folder=str(done.installed.folder),
        interpreter=done.wanted.interpreter.identity,
        link_mode=done.wanted.link_mode,
        site=target.layout.site_packages,
        site_time=target.site.stat().st_mtime_ns,
        dists=tuple(dists),
        shared=linked.shared,
    )
    write_atomically(target.root / STATE, write_state(state).encode("utf-8", "surrogateescape"))


def _otherwise(work: _Work, one: InstalledDist) -> list[str] | None:
    """Paths of a distribution by its tree, for when its RECORD is gone; None if no tree is known."""
    if not one.is_ours or (tree := work.store.tree(one.dist.tree, check=False)) is None:
        return None
    done = work.plan
    target = target_of(done.installed.folder, done.installed.folder, done.wanted.interpreter)
    # Where a folder is a link, it goes first: nothing behind it is ours to remove.
    tops = [top.name for top in tree.top_level if top.kind != "info"]
    paths = [*tops, *tree.folders] if done.wanted.link_mode == "farm" else []
    return [*paths, *tree.files, *(extra.path for extra in extras(tree, target))]


def _kept_shared(work: _Work, contested: set[str]) -> Shared:
    if work.plan.recreate:
        return ()
    return tuple(entry for entry in work.plan.installed.shared if entry[0] not in contested)


def _owners(work: _Work, target: Target) -> Owners:
    """Everything that is installed from here on; what was not looked at is read from the store."""
    done = work.plan
    wanted = [step.dist for step in done.install] + [step.dist for step in done.amend]
    wanted += [one.dist for one in done.keep]
    found = [(dist, work.unseen(dist)) for dist in wanted if dist.tree]
    trees = {dist.name: tree for dist, tree in found if tree is not None}
    return Owners(trees, {dist.name: dist for dist in wanted if dist.name in trees}, target)
