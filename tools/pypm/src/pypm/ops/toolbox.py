"""Puts the tools together for a verb."""

from __future__ import annotations

from pypm.ops.backends import describe
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm_workspace.workspace import Workspace


def open_tools(world: World, workspace: Workspace | None) -> Tools:
    """The tools of one run, to be used in a ``with`` block."""
    return Tools(world, workspace, describe)
