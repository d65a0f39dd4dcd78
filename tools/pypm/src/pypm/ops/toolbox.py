"""Puts the tools together for a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypm.ops.retained import Retained
from pypm.ops.tools import Tools
from pypm.ops.world import World
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_index.ports import BuildNeed


def open_tools(world: World, workspace: Workspace | None, retained: Retained | None = None) -> Tools:
    """The tools of one run, to be used in a ``with`` block."""
    return Tools(world, workspace, _describe, retained)


def _describe(tools: Tools, need: BuildNeed) -> bytes:
    from pypm.ops.backends import describe

    return describe(tools, need)
