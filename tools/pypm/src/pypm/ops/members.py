"""``ls`` and ``graph``: the members, and what they ask of each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pypm.ops.opening import open_workspace
from pypm.ops.roots import selected_members
from pypm.ops.selection import Selection
from pypm.ops.world import World
from pypm_model.later import later
from pypm_workspace.configuration import Member
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_workspace import graph, graph_formats
else:
    graph = later("pypm_workspace.graph")
    graph_formats = later("pypm_workspace.graph_formats")


def list_members(world: World, selection: Selection) -> tuple[Workspace, tuple[Member, ...]]:
    """The workspace and the selected members, by name."""
    workspace = open_workspace(world)
    return workspace, selected_members(world, workspace, selection)


def members_json(workspace: Workspace, members: tuple[Member, ...]) -> str:
    """The members as JSON text."""
    rows = [
        {
            "name": member.display_name or member.name,
            "path": member.path,
            "version": member.version,
            "requires-python": workspace.pythons.get(member.name, member.requires_python) or None,
            "virtual": member.is_virtual,
        }
        for member in members
    ]
    return (
        json.dumps({"root": workspace.root, "name": workspace.name, "members": rows}, sort_keys=True) + "\n"
    )


def graph_text(world: World, form: str) -> str:
    """The members' graph as ``text``, ``json``, ``dot`` or ``mermaid``."""
    return graph_formats.render(graph.graph(open_workspace(world)), form)
