"""``pypm python``: the interpreters there are, and the one to use."""

from __future__ import annotations

from pypm.ops.opening import open_workspace
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_env.finding import Places, choose, survey
from pypm_env.interpreters import Interpreter
from pypm_env.probe import Skipped
from pypm_model import specifiers
from pypm_workspace.errors import NoWorkspace


def find_python(world: World, request: str | None) -> Interpreter:
    """The interpreter *request* means; without one, the one that ``sync`` would take here."""
    try:
        workspace = open_workspace(world)
    except NoWorkspace:
        workspace = None
    with open_tools(world, workspace) as tools:
        places = Places(world.environ, world.cwd)
        if request is not None:
            return choose(request, places=places, cache=tools.probes)
        python = ""
        for text in workspace.pythons.values() if workspace else ():
            python = specifiers.merge(python, text)
        return tools.interpreter(python)


def list_pythons(world: World) -> tuple[list[Interpreter], list[tuple[str, str]]]:
    """Interpreters in order of preference, and (path, reason) of what was passed over."""
    with open_tools(world, None) as tools:
        seen = list(survey(Places(world.environ, world.cwd), tools.probes))
    found = [each for each in seen if isinstance(each, Interpreter)]
    return found, [(each.path, each.reason) for each in seen if isinstance(each, Skipped)]
