"""``pypm export``: the lock for other tools."""

from __future__ import annotations

import re
from pathlib import Path

from pypm.ops.exporting import Form, default_groups_apart, exported
from pypm.ops.in_step import write_in_step
from pypm.ops.locking import Locking, lock_workspace
from pypm.ops.opening import open_workspace
from pypm.ops.partial import open_partly
from pypm.ops.toolbox import open_tools
from pypm.ops.world import World
from pypm_model.events import Warned
from pypm_model.records import record, replace
from pypm_store.atomic import write_atomically

_pylock_name = re.compile(r"pylock\.([^.]+\.)?toml")


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
        folder = (world.cwd / (options.output or "stdout")).resolve().parent
        text = exported(tools, workspace, locked.lock, replace(options.form, folder=str(folder)))
        if options.form.form == "pylock.toml":
            apart = default_groups_apart(tools, workspace, locked.lock, options.form)
            if apart is not None:
                found = f"{apart.package} {' and '.join(map(str, apart.sides))}"
                message = f"the file has no default groups, since not all go together: {found}"
                world.listener(Warned("export-no-defaults", message))
    if options.output is not None:
        write_atomically(Path(world.cwd) / options.output, text)
        name = Path(options.output).name
        if options.form.form == "pylock.toml" and _pylock_name.fullmatch(name) is None:
            message = f"other tools look for pylock.toml or pylock.NAME.toml, not for {name} (PEP 751)"
            world.listener(Warned("pylock-name", message))
    return text
