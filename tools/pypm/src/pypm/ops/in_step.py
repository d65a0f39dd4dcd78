"""Writes a lock together with what is kept in step with it."""

from __future__ import annotations

from pypm.ops.locking import Locked, write_lock
from pypm.ops.tools import Tools
from pypm_workspace.workspace import Workspace


def write_in_step(tools: Tools, workspace: Workspace, locked: Locked) -> tuple[str, ...]:
    """Writes the lock if it is new, and the files of ``[lock] export`` that say something else; the names
    of these."""
    if not workspace.settings.lock_export:
        write_lock(tools, workspace, locked)
        return ()
    from pypm.ops.exporting import write_with_exports

    return write_with_exports(tools, workspace, locked)
