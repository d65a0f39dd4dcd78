"""Where environments are, what they need outside, and what is done for them after a command has ended."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pypm.ops.world import VENV, World, switch
from pypm_env.dists import LinkMode
from pypm_env.installed import inspect
from pypm_env.interpreters import Interpreter
from pypm_store.store import Store
from pypm_workspace.errors import UnusableFolder

if TYPE_CHECKING:
    from pypm_env.compiling import Then


def environment_in(root: str | Path) -> Path:
    """Where the environment of the folder *root* is: a link the user put there stays, and is followed."""
    folder = Path(root) / VENV
    return Path(os.path.realpath(folder)) if folder.is_symlink() else folder


def check_place(venv: Path) -> None:
    """Raises `UnusableFolder` for a place where no environment works: PATH could not name its programs, or a
    path file its members."""
    text = str(venv)
    if os.pathsep in text:
        raise UnusableFolder(text, f"has {os.pathsep!r}, which separates the entries of PATH")
    if "\n" in text or "\r" in text:
        raise UnusableFolder(text, "has a line break")


def needed_outside(store: Store, venv: Path, mode: LinkMode) -> tuple[str, ...]:
    """Absolute paths outside the environment that it cannot do without."""
    if mode != "farm":
        return ()
    return tuple(str(store.tree_path(one.dist.tree)) for one in inspect(venv).dists if one.is_ours)


def start_compiling(
    world: World, store: Store, digests: Sequence[str], interpreter: Interpreter, then: Then | None = None
) -> bool:
    """Has bytecode made of these trees, and *then* something done, in a process that nobody waits for.
    Whether one was started."""
    if not (digests or then) or not switch(world, "PYPM_BACKGROUND_COMPILE", default=True):
        return False
    from pypm_env.compiling import compile_in_background

    return compile_in_background([store.tree_path(digest) for digest in digests], interpreter, then)
