"""``pypm python``: the interpreters there are, the one to use, and where environments are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pypm.ops.common_python import check_common_python
from pypm.ops.opening import open_workspace
from pypm.ops.places import place_of
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.toolbox import open_tools
from pypm.ops.world import VENV, World
from pypm_env.finding import Places, choose, survey
from pypm_env.interpreters import Interpreter
from pypm_env.own_files import STATE
from pypm_env.probe import Skipped
from pypm_env.state_file import read_state
from pypm_env.venv import base_python, read_config
from pypm_model import specifiers
from pypm_model.names import ROOT
from pypm_model.records import record
from pypm_workspace.errors import NoWorkspace

_PYTHONS = ("bin/python", "Scripts/python.exe")


@record
class Whereabouts:
    """One environment and where its parts are; empty texts for what is not there."""

    member: str
    """Empty: the environment that the members share."""
    environment: str
    """The folder; whether or not it is there."""
    path: str = ""
    """The environment's own ``python``."""
    version: str = ""
    interpreter: str = ""
    """What it was made from."""
    site_packages: str = ""
    scripts: str = ""
    link_mode: str = ""

    @property
    def exists(self) -> bool:
        return bool(self.path)

    def to_json(self) -> dict[str, Any]:
        return {
            "member": self.member or None,
            "environment": self.environment,
            "exists": self.exists,
            "path": self.path or None,
            "version": self.version or None,
            "interpreter": self.interpreter or None,
            "site-packages": self.site_packages or None,
            "scripts": self.scripts or None,
            "link-mode": self.link_mode or None,
        }


def whereabouts(world: World, selection: Selection) -> tuple[Whereabouts, ...]:
    """The environments of the selected members, sorted by member; without any named, of the workspace: the
    shared one first, if there is or would be one. Raises `NoWorkspace`, `UnknownMember`."""
    workspace = open_workspace(world)
    found = []
    if not selection.members and (workspace.settings.shared_environment or workspace.kind == "project"):
        found.append(_look("", Path(workspace.root) / VENV))
        if workspace.kind == "project":
            return tuple(found)
    for member in selected_members(world, workspace, selection):
        if member.name != ROOT or selection.members:
            place = place_of(workspace, member)
            found.append(_look(str(member.name), place.venv))
    return tuple(found)


def _look(member: str, venv: Path) -> Whereabouts:
    python = next((venv / name for name in _PYTHONS if (venv / name).exists()), None)
    config = read_config(venv)
    if python is None or config is None:
        return Whereabouts(member, str(venv))
    try:
        state = read_state((venv / STATE).read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        state = None
    return Whereabouts(
        member,
        str(venv),
        str(python),
        config.get("version", config.get("version_info", "")),
        base_python(venv),
        str(venv / state.site) if state else "",
        str(python.parent),
        state.link_mode if state else "",
    )


def find_python(world: World, request: str | None) -> Interpreter:
    """The interpreter *request* means; without one, the one that ``sync`` would take here.
    Raises `NoPython`, `PythonsApart`."""
    try:
        workspace = open_workspace(world)
    except NoWorkspace:
        workspace = None
    with open_tools(world, workspace) as tools:
        places = Places(world.environ, world.cwd)
        if request is not None:
            return choose(request, places=places, cache=tools.probes)
        python = ""
        if workspace is not None:
            check_common_python(workspace, workspace.pythons)
        for text in workspace.pythons.values() if workspace else ():
            python = specifiers.merge(python, text)
        return tools.interpreter(python)


def list_pythons(world: World) -> tuple[list[Interpreter], list[tuple[str, str]]]:
    """Interpreters in order of preference, and (path, reason) of what was passed over."""
    with open_tools(world, None) as tools:
        seen = list(survey(Places(world.environ, world.cwd), tools.probes))
    found = [each for each in seen if isinstance(each, Interpreter)]
    return found, [(each.path, each.reason) for each in seen if isinstance(each, Skipped)]
