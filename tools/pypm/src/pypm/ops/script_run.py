"""``pypm run script.py``: a single file that says itself what it needs (PEP 723)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pypm.ops.activation import process_environment
from pypm.ops.command import Command
from pypm.ops.lone_environment import ask, lone_environment
from pypm.ops.opening import open_workspace
from pypm.ops.resolving import CannotResolve
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm_env.interpreters import Interpreter
from pypm_env.venv import python_path
from pypm_model import specifiers
from pypm_model.errors import Place, PypmError
from pypm_model.lock_select import NoFileFits
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.requests import Ask
from pypm_model.requirement_text import parse
from pypm_model.sources import IndexSource, PathSource
from pypm_workspace.configuration import SourceRule
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.faults import Fault, InvalidManifest
from pypm_workspace.script_block import Script, read_script
from pypm_workspace.select import reach
from pypm_workspace.workspace import Workspace

SCRIPT = NormalizedName("(script)")
"""Stands for who asks where a resolution wants a member. No project's name."""
_TABLES = "[resolution]", "[tool.pypm.resolution]"
"""A workspace's table of settings, and what it is called in a script."""


class NoScript(PypmError):
    """A file of Python is to be run, and is not there."""

    code: ClassVar[str] = "no-script"
    exit: ClassVar[int] = 2
    file: str

    def __str__(self) -> str:
        return f"there is no file {self.file}"


class NoFileOfScript(NoFileFits):
    """Packages that a script needs, and none of whose files this machine can use; at least one."""

    code: ClassVar[str] = "no-file-of-script"

    @property
    def hint(self) -> str | None:
        return super().hint and str(super().hint).replace(*_TABLES)


def script_command(world: World, word: str, arguments: tuple[str, ...]) -> Command | None:
    """The script at *word* in an environment with what it asks for; None if it does not say what it needs.
    Indexes and settings are those of the workspace around the current folder, if there is one. Raises
    `InvalidManifest`, and what resolving and installing raise."""
    path = world.cwd / word
    script = read_script(path.read_bytes(), word)
    if script is None:
        return None
    workspace = workspace_around(world)
    with open_tools(world, workspace) as tools:
        asked = asked_by(tools, workspace, script, word)
        try:
            lone = lone_environment(tools, asked.interpreter, asked.asks, asked.places, owner=path.resolve())
        except CannotResolve as error:
            told = replace(error, hints=tuple(hint.replace(*_TABLES) for hint in error.hints))
            told.askers = error.askers or (Place(word, script.line),)
            raise told from None
        except NoFileFits as error:
            misfit = NoFileOfScript(error.packages, error.python, error.platform)
            misfit.askers = error.askers or (Place(word, script.line),)
            raise misfit from None
        except Exception as error:
            if not getattr(error, "askers", True):
                error.askers = (Place(word, script.line),)  # type: ignore[attr-defined]
            raise
        python = python_path(lone.venv, asked.interpreter)
    return Command((str(python), word, *arguments), process_environment(lone.venv, world.environ))


@record
class Asked:
    """What a script asks for, and the interpreter it gets."""

    asks: tuple[Ask, ...]
    places: Mapping[int, Place]
    """Where each ask is written, by its item."""
    interpreter: Interpreter


def asked_by(tools: Tools, workspace: Workspace | None, script: Script, word: str) -> Asked:
    """What the *script* in the file *word* asks for. Raises `InvalidManifest`, `NoPython`."""
    tools.may_build = frozenset(map(normalize, script.may_build))
    folder = (tools.world.cwd / word).resolve().parent
    base = os.path.relpath(folder, tools.root).replace(os.sep, "/")
    asks: list[Ask] = []
    rules = _rules(tools, script, word, base)
    for item, text in enumerate(script.dependencies):
        try:
            plain = ask(tools, text, SCRIPT, word, item, base)
            name = plain.requirement.name
            if name in tools.member_paths or all(rule.name != name for rule in rules):
                asks.append(plain)
            else:
                asks += tools.ask_maker.script_asks(rules, parse(text), plain.origin, base)
        except ValueError as error:
            raise InvalidManifest((Fault(Place(word, script.lines[item]), str(error)),)) from None
    asks += _members_below(workspace, asks) if workspace is not None else []
    places = {item: Place(word, line) for item, line in enumerate(script.lines)}
    pythons = _pythons_of(workspace, script.requires_python, asks)
    try:
        interpreter = tools.interpreter(pythons, folder=folder)
    except PypmError as error:
        error.askers = error.askers or (Place(word, script.line),)
        raise
    return Asked(tuple(asks), places, interpreter)


def _rules(tools: Tools, script: Script, word: str, base: str) -> tuple[SourceRule, ...]:
    """The script's own sources. Raises `InvalidManifest`, also for an index that is none here."""
    rules = script.rules(word, base, str(tools.root).replace("\\", "/"))
    known = {index.name for index in tools.indexes.all} if rules else set()
    for rule in rules:
        if isinstance(rule.source, IndexSource) and rule.source.index not in known:
            message = f"`{rule.table}` names the index {rule.source.index}, which is none here"
            raise InvalidManifest((Fault(Place(word, script.line), message),))
    return rules


def workspace_around(world: World) -> Workspace | None:
    """The workspace whose indexes and settings hold for a script; None if there is none."""
    try:
        return open_workspace(world)
    except NoWorkspace:
        return None


def _pythons_of(workspace: Workspace | None, asked: str, asks: Sequence[Ask]) -> str:
    """The Pythons that the script *asked* for and all members among *asks* run on."""
    if workspace is not None:
        pythons = workspace.pythons
        for one in asks:
            asked = specifiers.merge(asked, pythons.get(one.requirement.name, ""))
    return asked


def _members_below(workspace: Workspace, asks: Sequence[Ask]) -> list[Ask]:
    """What makes members of those that members among *asks* need, at any depth."""
    pairs = [(edge.parent, edge.child) for edge in workspace.edges]
    found = []
    for one in asks:
        if one.requirement.name in workspace.by_name:
            for name in sorted(reach([one.requirement.name], pairs) - {one.requirement.name}):
                found.append(Ask(parse(name), one.origin, PathSource(workspace.by_name[name].path)))
    return found


def plain_script(venv: Path, world: World, word: str, arguments: tuple[str, ...]) -> Command:
    """A script that says nothing of itself, in the environment *venv*."""
    environment = process_environment(venv, world.environ)
    name = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return Command((str(venv / name), word, *arguments), environment)


def bare_script(world: World, word: str, arguments: tuple[str, ...]) -> Command:
    """Such a script where there is no workspace: on the interpreter that would be used here."""
    with open_tools(world, None) as tools:
        python = tools.interpreter().path
    return Command((python, word, *arguments), dict(world.environ))
