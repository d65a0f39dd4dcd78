"""What the result of a sync depends on, for the next one to look whether it changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pypm import _stamp
from pypm._stamp_rows import Rows
from pypm.ops.world import LOCK, VENV
from pypm_env.interpreters import Interpreter
from pypm_env.own_files import JOURNAL, PIN_FILE, STATE
from pypm_env.stale import look
from pypm_model.records import record
from pypm_workspace.inputs import Inputs

if TYPE_CHECKING:
    from pypm_store.store import Store


@record
class Stamped:
    """One environment that is in step."""

    folder: str
    """The folder it is in, relative to the root: ``.``, ``packages/api``."""
    interpreter: Interpreter
    needs: tuple[str, ...] = ()
    """Absolute paths outside that it cannot do without: what a farm's links lead to."""
    venv: str = ""
    """Where it is, if not in that folder: absolute."""


def leave_stamp(
    store: Store,
    root: str,
    inputs: Inputs,
    also: Sequence[str],
    key: str,
    say: str,
    environments: Sequence[Stamped],
    *,
    of_members: bool,
    pinned: Sequence[str] = (),
) -> None:
    """Writes a stamp for *environments* of the workspace at *root*: in the root's own if it is that one,
    else for members.

    *inputs* are what the workspace was read from, as it was then: a manifest that has changed since is
    noticed. *also* are other files that count (`pypm.ops.dependence`), *pinned* the libraries of plugins.
    """
    rows = _rows(root, inputs)
    own = [LOCK, *also]
    venvs = [one.venv or (f"{one.folder}/{VENV}" if one.folder != "." else VENV) for one in environments]
    for one, venv in zip(environments, venvs, strict=True):
        site = f"{venv}/{one.interpreter.layout.site_packages}"
        own += [f"{venv}/pyvenv.cfg", f"{venv}/{STATE}", one.interpreter.real_path]
        rows.folders[site] = os.stat(os.path.join(root, site)).st_mtime_ns
        rows.missing[f"{venv}/{JOURNAL}"] = None
        own += pins_above(one.folder)
    rows.look(own)
    if store.remade() and any(look(Path(root, venv), store).stale for venv in venvs):
        return  # a tree was made anew meanwhile; from here on, who makes one touches what was looked at
    there = list(dict.fromkeys(path for one in environments for path in one.needs))
    there += pinned
    # A root that cannot be written costs the short cut, nothing else.
    with suppress(OSError):
        _stamp.write(
            root,
            key,
            say,
            rows.of_files(),
            list(rows.folders.items()),
            list(rows.missing),
            there,
            environments=venvs,
            of_members=of_members,
        )


def leave_inputs(root: str, inputs: Inputs, key: str, say: str, name: str) -> None:
    """Writes a stamp of nothing but what the workspace at *root* was read from, in the file *name* of the
    shared environment."""
    rows = _rows(root, inputs)
    with suppress(OSError):
        _stamp.write(
            root, key, say, rows.of_files(), list(rows.folders.items()), list(rows.missing), name=name
        )


def _rows(root: str, inputs: Inputs) -> Rows:
    """What a workspace was read from, as it was seen."""
    rows = Rows(root)
    for file in inputs.files:
        rows.file(*file)
    for folder in inputs.folders:
        rows.folder(*folder)
    rows.look_above()
    return rows


def pins_above(folder: str) -> Iterable[str]:
    """Where a `.python-version` counts for the environment in *folder*: there and up to the root."""
    while folder not in ("", "."):
        yield f"{folder}/{PIN_FILE}"
        folder = os.path.dirname(folder)
    yield PIN_FILE
