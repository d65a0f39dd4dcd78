"""What a workspace says is to be passed over."""

from __future__ import annotations

from pypm_audit.findings import Ignore
from pypm_workspace.workspace import Workspace


def ignores_of(workspace: Workspace) -> tuple[Ignore, ...]:
    """The entries of ``[[audit.ignore]]``, with their places."""
    return tuple(
        Ignore(each.id, each.reason, each.expires, each.package, workspace.place(each.written))
        for each in workspace.settings.audit.ignore
    )
