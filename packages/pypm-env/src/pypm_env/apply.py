"""Makes an environment what a plan says: the only code that changes one.

An environment that is made anew is made beside its place and exchanged in one step. One that is changed in
place has a journal while it is at work: whatever a killed run leaves, the next one knows which distributions
to do again. In each distribution RECORD is written first and removed last, so there is always a list.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pypm_env.dists import MEMBERS_PTH, InstalledDist
from pypm_env.from_blueprint import environment_lock
from pypm_env.leftovers import remove_unfinished, remove_unwritten
from pypm_env.own_files import JOURNAL, STATE
from pypm_env.placing import Target, extras, target_of
from pypm_env.plan import Amend, Plan, after, plan
from pypm_env.putting import Linked, Renew, Work, link, nothing, owners_of, reshaped
from pypm_env.removal import Remover
from pypm_env.stale import look
from pypm_env.state_file import State, write_state
from pypm_env.venv import create
from pypm_model.events import Finished, Listener, Started, Warned, ignore
from pypm_model.records import record, replace
from pypm_store.atomic import beside_name, remove_tree, write_anew, write_atomically
from pypm_store.exchange import replace_tree
from pypm_store.linking import Way
from pypm_store.lock_file import LOCKS
from pypm_store.locks import holding
from pypm_store.store import Store
from pypm_store.tree import Tree


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


def apply(
    done: Plan,
    store: Store,
    *,
    pypm_version: str,
    trees: Mapping[str, Tree] | None = None,
    renew: Renew = nothing,
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
        seen = look(folder, store)
        if seen != done.installed:
            options = done.options
            done = plan(
                done.wanted, seen, inexact=options.inexact, reinstall=options.reinstall, adopt=options.adopt
            )
        if done.is_empty:
            return Changes(done)
        work = Work(done, store, dict(trees or {}), renew, listener, workers)
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


def _lock(store: Store, folder: Path) -> Path:
    return store.folder(LOCKS) / environment_lock(str(folder))


def _anew(work: Work, pypm_version: str, prompt: str) -> Changes:
    """A new environment, made beside and exchanged for what is there."""
    wanted, folder = work.plan.wanted, work.plan.installed.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder)
    beside = Path(beside_name(folder))
    try:
        create(beside, wanted.interpreter, final=folder, pypm_version=pypm_version, prompt=prompt)
        target = target_of(beside, folder, wanted.interpreter)
        made = {str(target.site / "__pycache__")}
        linked = link(work, target, made, set())
        _finish(work, target, linked, [])
        replace_tree(beside, folder)
    except BaseException:
        remove_tree(beside)
        raise
    return _changes(work, linked)


def _in_place(work: Work) -> Changes:
    """The steps of the plan, under a journal."""
    asked = work.plan
    if asked.wanted.link_mode == "farm":
        work.plan = reshaped(work)
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
        contested |= owners_of(work, target).several()
    linked = link(work, target, set(), contested)
    amended = [_amended(step, target) for step in done.amend]

    # 3. The record, and the end of the journal.
    _finish(work, target, linked, amended)
    (folder / JOURNAL).unlink()
    return replace(_changes(work, linked), plan=asked)


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


def _changes(work: Work, linked: Linked) -> Changes:
    return Changes(work.plan, linked.way, linked.files, linked.bytecode, tuple(linked.uncompiled))


def _finish(work: Work, target: Target, linked: Linked, amended: list[InstalledDist]) -> None:
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


def _otherwise(work: Work, one: InstalledDist) -> list[str] | None:
    """Paths of a distribution by its tree, for when its RECORD is gone; None if no tree is known."""
    if not one.is_ours or (tree := work.store.tree(one.dist.tree, check=False)) is None:
        return None
    done = work.plan
    target = target_of(done.installed.folder, done.installed.folder, done.wanted.interpreter)
    # Where a folder is a link, it goes first: nothing behind it is ours to remove.
    tops = [top.name for top in tree.top_level if top.kind != "info"]
    paths = [*tops, *tree.folders] if done.wanted.link_mode == "farm" else []
    return [*paths, *tree.files, *(extra.path for extra in extras(tree, target))]
