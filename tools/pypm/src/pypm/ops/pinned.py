"""Where the plugins are that a workspace pins."""

from __future__ import annotations

from pypm.ops.tools import Tools
from pypm_plugins.shelf import home, pinned_in
from pypm_workspace.workspace import Workspace


def pinned_files(tools: Tools, workspace: Workspace) -> tuple[str, ...]:
    """The libraries of the workspace's pinned plugins, absolute paths."""
    folder = home(lambda name: tools.world.environ.get(name, ""))
    return tuple(pinned_in(folder, pin.sha256) for pin in workspace.settings.plugins)
