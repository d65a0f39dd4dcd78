"""``pypm dlx``: a command of a package, without a project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from typing import ClassVar

from pypm.ops.activation import scripts_folder
from pypm.ops.command import Command
from pypm.ops.lone_environment import Lone, ask, lone_environment
from pypm.ops.resolving import CannotResolve
from pypm.ops.toolbox import open_tools
from pypm.ops.wanted import NotARequirement, as_reference
from pypm.ops.world import World
from pypm_model.errors import Place, PypmError
from pypm_model.lock_select import NoFileFits
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import record, replace
from pypm_model.requirement_text import InvalidRequirement, parse

_TOOL = NormalizedName("(tool)")
"""Stands for who asks where a resolution wants a member. No project's name."""
_AT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?)@(?P<version>[^\s/:@]+)")

_SETTING = re.compile(r"""\[resolution\] build = \{ allow = \["([^"]+)"\] \}""")


class NoToolCommand(PypmError):
    """A package does not install the command that is to be run."""

    code: ClassVar[str] = "no-tool-command"
    exit: ClassVar[int] = 127
    package: str
    version: str
    command: str
    commands: tuple[str, ...]
    asked: str
    """The package as it was asked for: a name, a requirement, a path."""

    def __str__(self) -> str:
        return f"{self.package} {self.version} installs no command {self.command!r}"

    @property
    def hint(self) -> str:
        if not self.commands:
            return "it installs none at all: it is a library"
        return f"choose one of its own: `pypm dlx --from {shlex.quote(self.asked)} {self.commands[0]}`" + (
            f" (or {', '.join(self.commands[1:])})" if len(self.commands) > 1 else ""
        )


class NoFileOfTool(NoFileFits):
    """Packages that a tool needs, and none of whose files this machine can use; at least one."""

    code: ClassVar[str] = "no-file-of-tool"

    @property
    def hint(self) -> str | None:
        names = [each.name for each in self.packages if each.needs_leave]
        return f"allow it: {' '.join(f'--allow-build {name}' for name in names)}" if names else None


@record
class ToolOptions:
    """What to run."""

    command: tuple[str, ...]
    """The package (or with *package* its command) and the arguments."""
    package: str = ""
    """The requirement that brings the command; empty: the command's word is the requirement."""
    extra: tuple[str, ...] = ()
    """Further requirements."""
    allow_build: tuple[str, ...] = ()
    """Packages whose sdists may be built."""


def tool_command(world: World, options: ToolOptions) -> Command:
    """The command, in an environment that is made or remembered. Raises what `as_reference` raises,
    `NoToolCommand`, and what resolving and installing raise."""
    word, *arguments = options.command
    text, newest = _requirement(world, options.package or word)
    if newest:
        world = replace(world, refresh=True)
    texts = (text, *(_requirement(world, more)[0] for more in options.extra))
    with open_tools(world, None) as tools:
        tools.may_build = frozenset(map(normalize, options.allow_build))
        asks = []
        for item, one in enumerate(texts):
            try:
                asks.append(ask(tools, one, _TOOL, "the command line", item))
            except InvalidRequirement as error:
                raise NotARequirement(one, error.reason) from None
            except ValueError as error:
                raise NotARequirement(one, str(error)) from None
        places = {item: Place("the command line") for item in range(len(texts))}
        try:
            lone = lone_environment(tools, tools.interpreter(), asks, places)
        except CannotResolve as error:
            raise replace(error, hints=tuple(map(_as_option, error.hints))) from None
        except NoFileFits as error:
            raise NoFileOfTool(error.packages, error.python, error.platform) from None
    package = asks[0].requirement.name
    name = word if options.package else _command_of(lone, package, word)
    folder = str(scripts_folder(lone.venv))
    path = os.pathsep.join([folder, world.environ.get("PATH", os.defpath)])
    program = shutil.which(name, path=folder)
    if program is None:
        commands = lone.commands.get(package, ())
        raise NoToolCommand(package, lone.versions.get(package, ""), name, commands, options.package or word)
    environment = {**world.environ, "PATH": path}
    environment.pop("PYTHONHOME", None)
    return Command((program, *arguments), environment)


def _as_option(hint: str) -> str:
    """A remedy for a workspace's settings, as the option it is here."""
    return _SETTING.sub(r"--allow-build \1", hint)


def _requirement(world: World, text: str) -> tuple[str, bool]:
    """``name@1.2``, ``name@latest``, a path or an address as a requirement, and whether the newest is asked
    for."""
    matched = _AT.fullmatch(text)
    if matched is None:
        return as_reference(world, text), False
    if matched["version"] == "latest":
        return matched["name"], True
    spelled = f"{matched['name']}=={matched['version']}"
    try:
        parse(spelled)
    except InvalidRequirement as error:
        raise NotARequirement(text, error.reason) from None
    return spelled, False


def _command_of(lone: Lone, package: str, asked: str) -> str:
    """The command of the package that was *asked* for: the one of its name, or its only one."""
    commands = lone.commands.get(package, ())
    same = [name for name in commands if normalize(name) == package]
    if same or len(commands) == 1:
        return (same or commands)[0]
    raise NoToolCommand(package, lone.versions.get(package, ""), package, commands, asked)
