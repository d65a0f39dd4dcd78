"""``pypm export``: the lock for other tools."""

from __future__ import annotations

from pathlib import Path

from pypm.ops.exporting import Form, exported
from pypm.ops.in_step import write_in_step
from pypm.ops.locking import Locking, lock_workspace
from pypm.ops.opening import open_workspace
from pypm.ops.partial import open_partly
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_model.records import record
from pypm_store.atomic import write_atomically


@record
class ExportOptions:
    """*output* is a file, None for the text alone."""

    form: Form = Form()
    output: str | None = None
    frozen: bool = False


def export(world: World, options: ExportOptions) -> str:
    """The exported text, written to *output* if there is one. Locks first, unless *frozen*."""
    partly = options.frozen and options.form.selection.members
    workspace = open_partly(world) if partly else open_workspace(world)
    with open_tools(world, workspace) as tools:
        locked = lock_workspace(tools, workspace, Locking(frozen=options.frozen))
        if locked.is_new:
            write_in_step(tools, workspace, locked)
        text = exported(tools, workspace, locked.lock, options.form)
    if options.output is not None:
        write_atomically(Path(world.cwd) / options.output, text)
    return text
