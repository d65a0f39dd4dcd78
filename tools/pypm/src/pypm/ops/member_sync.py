"""``pypm sync -p MEMBER`` and ``--each``: an environment for each member, with what it declares alone.

Everything is fetched, built and looked at once for all of them; then each environment is made on its own,
two at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pypm._verbs import VERSION
from pypm.ops.counting import count
from pypm.ops.dependence import installed_by
from pypm.ops.in_step import write_in_step
from pypm.ops.installing import (
    allowed_to_replace,
    announced,
    check_reinstalls,
    compile_now,
    link_mode_for,
)
from pypm.ops.locking import Locked
from pypm.ops.malware import known_now, refuse_malware, with_known
from pypm.ops.partial import MembersAbsent
from pypm.ops.pinned import pinned_files
from pypm.ops.provisioning import provide, renewed
from pypm.ops.roots import roots_of
from pypm.ops.stamping import Stamped, leave_stamp
from pypm.ops.sync import SyncOptions, asked_by, pythons_of
from pypm.ops.synced import Environment, MembersReport
from pypm.ops.tools import Tools
from pypm.ops.venvs import environment_in, needed_outside, start_compiling
from pypm_env.apply import Changes, apply
from pypm_env.dists import Installed, LinkMode, Wanted, WantedDist
from pypm_env.finding import NoPython
from pypm_env.installed import inspect
from pypm_env.interpreters import Interpreter
from pypm_env.plan import Plan, plan
from pypm_env.putting import Renew
from pypm_env.stale import look
from pypm_env.stale import torn as torn_in
from pypm_env.venv import base_python
from pypm_model.errors import Place, PypmError
from pypm_model.events import Advanced, Event, Finished, Started, Warned
from pypm_model.lock_changes import LockDiff
from pypm_model.lock_diff import diff
from pypm_model.lock_select import select
from pypm_model.locks import Lock, Pin, Root
from pypm_model.names import ROOT, NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.sources import MemberSource
from pypm_store.shared_work import share_out
from pypm_store.tree import Tree
from pypm_workspace.configuration import Member
from pypm_workspace.inputs import Inputs
from pypm_workspace.workspace import Workspace


@record
class _Ask:
    """One environment that is to be made."""

    member: Member
    root: Root
    venv: Path
    mode: LinkMode
    interpreter: Interpreter
    pins: tuple[Pin, ...]
    requested: Collection[str]

    @property
    def name(self) -> str:
        return str(self.member.name)


def sync_members(tools: Tools, workspace: Workspace, locked: Locked, options: SyncOptions) -> MembersReport:
    """Makes the environments of the selected members (all, if none is named) what the lock says of each.
    The lock is written, and anything changed, when nothing speaks against any of them."""
    known = known_now(tools)
    asks = [
        _ask(tools, workspace, locked.lock, root, options)
        for root in _roots(tools, workspace, locked, options)
    ]
    writes = not (options.locking.frozen or options.locking.locked or options.how.dry_run)
    exports: tuple[str, ...] = ()

    def agreed() -> None:
        nonlocal exports
        if writes:
            exports = write_in_step(tools, workspace, locked)

    done = list(_installed(tools, asks, options, agreed))
    if not options.selection.members:
        _tell_of_shared(tools, workspace, asks)
    report = MembersReport(
        tuple(
            Environment(ask.name, str(ask.venv), ask.interpreter.version, packages, summary)
            for ask, packages, summary, _ in done
        ),
        locked.is_new,
        diff(locked.old, locked.lock) if locked.is_new else LockDiff(),
        locked.lock.member_count,
        options.how.dry_run,
        exports,
    )
    in_step = writes or not (workspace.settings.lock_export or options.how.dry_run)
    if options.stamp_key is not None and in_step and not workspace.absent and asks:
        inputs = with_known(workspace.inputs, known)
        _stamp(tools, workspace, inputs, locked.lock, [ask for ask, *_ in done], report, options.stamp_key)
    _compile(tools, [(ask, uncompiled) for ask, _, _, uncompiled in done])
    return report


def _tell_of_shared(tools: Tools, workspace: Workspace, asks: Sequence[_Ask]) -> None:
    """That there is still the environment that the members shared, where they share none any more."""
    venv = environment_in(workspace.root)
    if workspace.settings.shared_environment or any(ask.venv == venv for ask in asks):
        return
    if inspect(venv).kind == "ours":
        message = f"{venv} is what the members shared, and nothing uses it any more: it may be removed"
        tools.world.listener(Warned("environment-left", message))


# --- what is asked for ---------------------------------------------------------------------------


def _roots(tools: Tools, workspace: Workspace, locked: Locked, options: SyncOptions) -> list[Root]:
    """One for each environment; a virtual root has one where nothing is shared, for its groups."""
    selection = options.selection
    if not selection.members and workspace.absent:
        absent = [f"!{workspace.by_path[path].name}" for path in workspace.absent]
        selection = replace(selection, members=tuple(absent))
    roots = roots_of(tools.world, workspace, locked.lock, selection)
    shares = workspace.settings.shared_environment
    return [root for root in roots if options.selection.members or root.member != ROOT or not shares]


def _ask(tools: Tools, workspace: Workspace, lock: Lock, root: Root, options: SyncOptions) -> _Ask:
    member = workspace.by_name[root.member]
    folder = Path(workspace.root) / member.path
    try:
        venv = environment_in(folder)
        interpreter = interpreter_for(tools, folder, pythons_of(lock, [root]), venv)
        pins = select(lock, interpreter.environment, [root], build=tools.build_policy)
    except PypmError as error:
        error.askers = error.askers or (Place(member.file),)
        raise
    if workspace.absent:
        needed = {pin.package.source.path for pin in pins if isinstance(pin.package.source, MemberSource)}
        if missing := needed & set(workspace.absent):
            raise MembersAbsent(tuple(sorted(missing)))
    mode = link_mode_for(tools, options.how.link_mode, venv, of_member=member.path != ".")
    return _Ask(member, root, venv, mode, interpreter, pins, asked_by(lock, [root]))


def interpreter_for(tools: Tools, folder: Path, requires_python: str, venv: Path) -> Interpreter:
    """The interpreter for the member in *folder*: one that a flag, a variable or a pin in the folder itself
    names must fit; a wish for the whole workspace gives way to what the member requires.
    Raises `NoPython`."""
    prefer = base_python(venv)
    try:
        return tools.interpreter(requires_python, prefer=prefer, folder=folder)
    except NoPython:
        if tools.world.environ.get("PYPM_PYTHON"):
            raise
        return tools.interpreter(requires_python, prefer=prefer, folder=folder, alone=True)


# --- making it so --------------------------------------------------------------------------------

_Done = tuple[_Ask, int, Mapping[str, Any], tuple[str, ...]]
"""The environment, its number of packages, what was done, and trees (digests) without bytecode."""


def _installed(
    tools: Tools, asks: Sequence[_Ask], options: SyncOptions, agreed: Callable[[], None]
) -> Iterator[_Done]:
    """Makes all environments; *agreed* is called when nothing speaks against any of them."""
    check_reinstalls(options.how, [pin for ask in asks for pin in ask.pins])
    reinstall: bool | list[NormalizedName] = [normalize(name) for name in options.how.reinstall]
    if options.how.reinstall_all:
        reinstall = True
    refuse_malware(tools, [pin for ask in asks for pin in ask.pins])
    with tools.store.using():
        found = [look(ask.venv, tools.store) for ask in asks]
        adopt = allowed_to_replace(tools.world, found, options.how)
        if not options.how.dry_run:
            agreed()
        trees: dict[str, Tree] = {}
        # Before anything is provided, which would bring it back.
        torn = {
            ask.name: torn_in(installed, tools.store, ask.interpreter.layout.site_packages)
            for ask, installed in zip(asks, found, strict=True)
        }
        if options.how.dry_run:
            dists = [
                announced(tools, ask.pins, installed, editable=options.how.editable)
                for ask, installed in zip(asks, found, strict=True)
            ]
        else:
            present = _present(asks, found, torn, bool(reinstall))
            dists = _provided(tools, asks, options, present, trees)
        plans = []
        for ask, installed, wanted in zip(asks, found, dists, strict=True):
            named = tuple(replace(dist, requested=dist.name in ask.requested) for dist in wanted)
            again = True if isinstance(reinstall, bool) else [*reinstall, *torn[ask.name]]
            if options.how.compile and not options.how.dry_run:
                lacking = compile_now(tools, named, trees, installed, ask.interpreter)
                again = again if isinstance(again, bool) else [*again, *lacking]
            plans.append(
                plan(
                    Wanted(ask.interpreter, named, ask.mode),
                    installed,
                    inexact=options.how.inexact,
                    reinstall=again,
                    adopt=adopt,
                )
            )
        if options.how.dry_run:
            for ask, todo, wanted in zip(asks, plans, dists, strict=True):
                yield ask, len(wanted), todo.to_json(), ()
            return
        done = _applied(tools, asks, plans, trees)
        for number, ask in enumerate(asks):
            yield ask, len(dists[number]), *done[number]


def _present(
    asks: Sequence[_Ask],
    found: Sequence[Installed],
    torn: Mapping[str, Sequence[NormalizedName]],
    reinstall: bool,
) -> frozenset[str]:
    """Trees that need not be looked at: they are in every environment that wants them."""
    wanted_by: dict[str, int] = {}
    there: dict[str, int] = {}
    for ask, installed in zip(asks, found, strict=True):
        for pin in ask.pins:
            if pin.file is not None:
                wanted_by[pin.file.sha256] = wanted_by.get(pin.file.sha256, 0) + 1
        fits = installed.kind == "ours" and not installed.problem and not installed.unfinished
        if reinstall or not fits or installed.interpreter != ask.interpreter.identity:
            continue
        if installed.link_mode != ask.mode:
            continue
        for one in installed.dists:
            if one.is_ours and one.name not in torn[ask.name] and one.info not in installed.stale:
                there[one.dist.tree] = there.get(one.dist.tree, 0) + 1
    return frozenset(
        digest for digest, number in there.items() if number >= wanted_by.get(digest, number + 1)
    )


def _provided(
    tools: Tools,
    asks: Sequence[_Ask],
    options: SyncOptions,
    present: Collection[str],
    trees: dict[str, Tree],
) -> list[tuple[WantedDist, ...]]:
    """What each environment is to hold, its trees in the store; fills *trees*. Each package is fetched or
    built once for all environments of an interpreter."""
    answers: dict[int, dict[NormalizedName, WantedDist]] = {number: {} for number in range(len(asks))}
    groups: dict[str, list[int]] = {}
    for number, ask in enumerate(asks):
        groups.setdefault(ask.interpreter.identity, []).append(number)
    for numbers in groups.values():
        # Members that do not share an environment may want different versions: one of each name a round.
        wanted: dict[NormalizedName, dict[object, tuple[Pin, list[int]]]] = {}
        for number in numbers:
            for pin in asks[number].pins:
                package = pin.package
                key = (package.version, package.source, pin.file.sha256 if pin.file else "")
                wanted.setdefault(package.name, {}).setdefault(key, (pin, []))[1].append(number)
        while wanted:
            chosen = {name: each.pop(next(iter(each))) for name, each in wanted.items()}
            provided = provide(
                tools,
                [pin for pin, _ in chosen.values()],
                asks[numbers[0]].interpreter,
                editable=options.how.editable,
                present=present,
            )
            trees.update(provided.trees)
            for dist in provided.dists:
                for number in chosen[dist.name][1]:
                    answers[number][dist.name] = dist
            wanted = {name: each for name, each in wanted.items() if each}
    return [tuple(answers[number][name] for name in sorted(answers[number])) for number in range(len(asks))]


def _applied(
    tools: Tools, asks: Sequence[_Ask], plans: Sequence[Plan], trees: Mapping[str, Tree]
) -> list[tuple[Mapping[str, Any], tuple[str, ...]]]:
    """Carries out *plans*, two at a time. One that fails is tried once more when the others are through, and
    raises then."""
    listener = tools.world.listener
    answers: list[tuple[Mapping[str, Any], tuple[str, ...]]] = [(todo.to_json(), ()) for todo in plans]
    todo = [number for number, one in enumerate(plans) if not one.is_empty]
    again: list[int] = []

    def apply_one(number: int, listen: Callable[[Event], None], renew: Renew, workers: int) -> Changes:
        ask = asks[number]
        return apply(
            plans[number],
            tools.store,
            pypm_version=VERSION,
            trees=trees,
            renew=renew,
            listener=listen,
            workers=workers,
            prompt=str(ask.member.name),
        )

    def work(at: int) -> tuple[dict[str, Any], tuple[str, ...], list[tuple[str, str]]] | None:
        warnings: list[tuple[str, str]] = []

        def listen(event: Event) -> None:
            if isinstance(event, Warned):
                warnings.append((event.code, event.message))

        try:
            changes = apply_one(todo[at], listen, lambda digests: {}, 1)
        except (PypmError, OSError):
            return None
        return changes.plan.to_json(), changes.uncompiled, warnings

    def take(at: int, answer: tuple[dict[str, Any], tuple[str, ...], list[tuple[str, str]]] | None) -> None:
        if answer is None:
            again.append(todo[at])
            return
        summary, uncompiled, warnings = answer
        answers[todo[at]] = (summary, tuple(uncompiled))
        for code, message in warnings:
            listener(Warned(code, message))
        listener(Advanced("link", asks[todo[at]].name))

    if len(todo) == 1:
        # Alone, it may use both workers, and its steps are told.
        again = todo
    else:
        listener(Started("link", total=len(todo)))
        share_out(len(todo), work, take)
        listener(Finished("link"))
    for number in again:
        ask = asks[number]

        def renew(digests: Collection[str], ask: _Ask = ask) -> Mapping[str, Tree]:
            return renewed(tools, ask.pins, ask.interpreter, digests)

        try:
            changes = apply_one(number, listener, renew, 2)
        except PypmError as error:
            error.askers = error.askers or (Place(ask.member.file),)
            raise
        answers[number] = (changes.plan.to_json(), changes.uncompiled)
    return answers


# --- afterwards ----------------------------------------------------------------------------------


def _compile(tools: Tools, done: Sequence[tuple[_Ask, tuple[str, ...]]]) -> None:
    waiting: dict[str, tuple[Interpreter, dict[str, None]]] = {}
    for ask, uncompiled in done:
        _, digests = waiting.setdefault(ask.interpreter.identity, (ask.interpreter, {}))
        digests.update(dict.fromkeys(uncompiled))
    for interpreter, digests in waiting.values():
        start_compiling(tools.world, tools.store, tuple(digests), interpreter)


def _stamp(
    tools: Tools,
    workspace: Workspace,
    inputs: Inputs,
    lock: Lock,
    asks: Sequence[_Ask],
    report: MembersReport,
    key: str,
) -> None:
    stamped = []
    for ask in asks:
        needs = needed_outside(tools.store, ask.venv, ask.mode)
        stamped.append(Stamped(ask.member.path, ask.interpreter, needs))
    if len(report.environments) == 1:
        one = report.environments[0]
        shown = os.path.relpath(one.folder, workspace.root).replace(os.sep, "/")
        say = f"Nothing to do: {count(one.packages, 'package')} in {shown}"
    else:
        say = f"Nothing to do: {count(len(report.environments), 'environment')} of members"
    also = installed_by(workspace, lock)
    if also is not None:
        pinned = pinned_files(tools, workspace)
        leave_stamp(
            tools.store, workspace.root, inputs, also, key, say, stamped, of_members=True, pinned=pinned
        )
