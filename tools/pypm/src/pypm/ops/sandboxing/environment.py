"""The environment of a sandbox: of one member, exactly what it declares; of none, only the interpreter."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pypm._verbs import VERSION
from pypm.ops.dependence import installed_by
from pypm.ops.installing import link_mode_for
from pypm.ops.locking import Locking, lock_workspace
from pypm.ops.lone_environment import ask, lone_environment, stored_environment
from pypm.ops.lone_lock import lone_pins
from pypm.ops.malware import known_now, refuse_malware, with_known
from pypm.ops.member_sync import interpreter_for
from pypm.ops.opening import open_workspace
from pypm.ops.partial import MembersAbsent, open_partly
from pypm.ops.places import NoOneEnvironment
from pypm.ops.provisioning import provide
from pypm.ops.roots import roots_of, selected_members
from pypm.ops.sandboxing.records import Ready, SandboxOptions
from pypm.ops.selection import Selection
from pypm.ops.stamping import Stamped, leave_stamp
from pypm.ops.sync import pythons_of
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.venvs import needed_outside
from pypm.ops.wanted import NotARequirement
from pypm.ops.world import VENV, World
from pypm_env.apply import apply
from pypm_env.dists import Wanted
from pypm_env.finding import NoPython
from pypm_env.interpreters import Interpreter
from pypm_env.plan import plan
from pypm_env.stale import look
from pypm_model import specifiers
from pypm_model.errors import Place
from pypm_model.lock_select import select
from pypm_model.locks import Lock, Pin, Root
from pypm_model.names import NormalizedName, normalize
from pypm_model.requests import Ask, Origin
from pypm_model.requirement_text import InvalidRequirement, parse
from pypm_model.sources import IndexSource, MemberSource
from pypm_workspace.configuration import Member
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.workspace import Workspace

_SANDBOX = NormalizedName("(sandbox)")
"""Stands for who asks where a resolution wants a member. No project's name."""
_COMMAND_LINE = "the command line"


def environment_here(world: World, options: SandboxOptions, stamp_key: str) -> Ready:
    """The environment that *options* ask for where the user stands, one of the store. Raises `NoWorkspace`
    if a member is named, and what `member_environment` and `plain_environment` raise."""
    try:
        workspace = open_partly(world) if options.frozen else open_workspace(world)
    except NoWorkspace:
        if options.selection.members:
            raise
        workspace = None
    with open_tools(world, workspace) as tools:
        member = None if workspace is None else one_member(tools, workspace, options.selection)
        if workspace is None or member is None:
            return plain_environment(tools, options.extra)
        return member_environment(
            tools,
            workspace,
            member,
            options.selection,
            options.extra,
            frozen=options.frozen,
            stamp_key=stamp_key,
        )


def one_member(tools: Tools, workspace: Workspace, selection: Selection) -> Member | None:
    """The member that *selection* names, None if it names none. Raises `NoOneEnvironment`,
    `UnknownMember`."""
    if not selection.members:
        return None
    members = selected_members(tools.world, workspace, selection)
    if len(members) != 1:
        raise NoOneEnvironment(tuple(str(member.name) for member in members), sandbox=True)
    return members[0]


def plain_environment(tools: Tools, extra: Sequence[str]) -> Ready:
    """An environment that holds what *extra* asks for, and nothing else."""
    interpreter = _interpreter(tools)
    asks = [_ask(tools, text, item) for item, text in enumerate(extra)]
    places = {item: Place(_COMMAND_LINE) for item in range(len(asks))}
    lone = lone_environment(tools, interpreter, asks, places)
    return _ready(tools, interpreter, lone.venv, lone.digest, None)


def _interpreter(tools: Tools) -> Interpreter:
    """Where no member is in play: the one asked for, else one that all members run on, if there is such."""
    if tools.workspace is None or tools.world.environ.get("PYPM_PYTHON"):
        return tools.interpreter()
    python = ""
    for text in tools.workspace.pythons.values():
        python = specifiers.merge(python, text)
    try:
        return tools.interpreter(python)
    except NoPython:
        return tools.interpreter()


def member_environment(
    tools: Tools,
    workspace: Workspace,
    member: Member,
    selection: Selection,
    extra: Sequence[str],
    *,
    frozen: bool,
    apart: Path | None = None,
    stamp_key: str = "",
) -> Ready:
    """The environment that holds what the lock says of *member*, and what *extra* asks for beside it. It is
    one of the store, found again by *stamp_key*; with *apart*, one in that new folder, of its own. A lock
    that does not fit the manifests is made to in memory: nothing of the workspace is changed."""
    known = known_now(tools)
    lock = lock_workspace(tools, workspace, Locking(frozen=frozen)).lock
    roots = [*roots_of(tools.world, workspace, lock, selection)]
    python = pythons_of(lock, [Root(member.name)])
    folder = Path(workspace.root) / member.path
    interpreter = interpreter_for(tools, folder, python, folder / VENV)
    asks = _of_index(workspace, lock, [_ask(tools, text, item) for item, text in enumerate(extra)], roots)
    pins = select(lock, interpreter.environment, roots, build=tools.build_policy) if roots else ()
    if workspace.absent:
        needed = {pin.package.source.path for pin in pins if isinstance(pin.package.source, MemberSource)}
        if missing := needed & set(workspace.absent):
            raise MembersAbsent(tuple(sorted(missing)))
    pins = (*pins, *_beside(tools, interpreter, pins, asks))
    refuse_malware(tools, pins)  # one that is stored already is not provided again
    prompt = str(member.name)
    with tools.store.using():
        if apart is not None:
            _make(tools, interpreter, pins, apart, prompt)
            return _ready(tools, interpreter, apart, "", member)
        mode = link_mode_for(tools, "", tools.store.folder("envs") / "new", of_member=True)
        stored = stored_environment(tools, interpreter, pins, mode, prompt=prompt, editable=True)
        ready = _ready(tools, interpreter, stored.venv, stored.digest, member)
        needs = needed_outside(tools.store, stored.venv, mode)
        also = installed_by(workspace, lock)
        if stamp_key and not workspace.absent and also is not None:
            stamped = Stamped(member.path, interpreter, needs, str(stored.venv))
            leave_stamp(
                tools.store,
                workspace.root,
                with_known(workspace.inputs, known),
                also,
                stamp_key,
                ready.to_line(),
                [stamped],
                of_members=True,
            )
        # It stays as long as the member is there, and asks for no other.
        tools.store.refer(Path(workspace.root) / member.file, stored.digest)
    return ready


def _ask(tools: Tools, text: str, item: int) -> Ask:
    try:
        return ask(tools, text, _SANDBOX, _COMMAND_LINE, item)
    except InvalidRequirement as error:
        raise NotARequirement(text, error.reason) from None
    except ValueError as error:
        raise NotARequirement(text, str(error)) from None


def _of_index(workspace: Workspace, lock: Lock, asks: Sequence[Ask], roots: list[Root]) -> list[Ask]:
    """Those of *asks* that no member answers; members among them become *roots*."""
    locked = {package.name: package for package in lock.packages if package.manifest is not None}
    others = []
    for one in asks:
        if one.requirement.name in workspace.by_name and one.requirement.name in locked:
            extras = tuple(sorted(normalize(extra) for extra in one.requirement.extras))
            roots.append(Root(one.requirement.name, extras))
        else:
            others.append(one)
    return others


def _beside(
    tools: Tools, interpreter: Interpreter, pins: Sequence[Pin], asks: Sequence[Ask]
) -> tuple[Pin, ...]:
    """What *asks* need beside *pins*, whose versions stand."""
    if not asks:
        return ()
    constraints = []
    for item, pin in enumerate(pins):
        if isinstance(pin.package.source, IndexSource) and pin.package.version:
            origin = Origin(_SANDBOX, "pypm.lock", "package", item)
            constraints.append(Ask(parse(f"{pin.package.name}=={pin.package.version}"), origin))
    found = lone_pins(
        tools, interpreter, _SANDBOX, asks, lambda origin: Place(origin.file), constraints=constraints
    )
    there = {pin.package.name for pin in pins}
    return tuple(pin for pin in found if pin.package.name not in there)


def _make(tools: Tools, interpreter: Interpreter, pins: Sequence[Pin], venv: Path, prompt: str) -> None:
    """An environment in the new folder *venv*."""
    mode = link_mode_for(tools, "", venv, of_member=True)
    provided = provide(tools, pins, interpreter)
    apply(
        plan(Wanted(interpreter, provided.dists, mode), look(venv, tools.store)),
        tools.store,
        pypm_version=VERSION,
        trees=provided.trees,
        listener=tools.world.listener,
        prompt=prompt,
    )


def _ready(tools: Tools, interpreter: Interpreter, venv: Path, digest: str, member: Member | None) -> Ready:
    pythons = (
        interpreter.base_prefix,
        os.path.dirname(interpreter.path),
        os.path.dirname(interpreter.real_path),
    )
    root = str(tools.workspace.root) if tools.workspace else ""
    return Ready(
        venv=str(venv),
        digest=digest,
        member="" if member is None else str(member.name),
        folder=root if member is None else str(Path(root) / member.path),
        root=root,
        python=interpreter.version,
        scripts=interpreter.layout.scripts,
        needs=tuple(dict.fromkeys(pythons)),
    )
