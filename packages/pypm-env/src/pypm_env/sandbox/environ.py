"""The variables of a process inside a sandbox: the caller's, without what leads Python elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME = "PYPM_SANDBOX"
"""Tells what runs inside that it is inside, and of what."""
FIXED = {"PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1"}
_PREFIXES = ("PYTHON", "_OLD_VIRTUAL_", "CONDA_")
_NAMES = frozenset(
    {
        "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "__PYVENV_LAUNCHER__", "PIPENV_ACTIVE", "POETRY_ACTIVE",
        "PYP_WORKSPACE_ROOT",
    }
)  # fmt: skip
_ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")
"""Variables that name an activated environment."""


def is_left_out(name: str) -> bool:
    """Whether a variable of the caller does not reach the sandbox."""
    return name.startswith(_PREFIXES) or name in _NAMES


def clean_environment(
    environ: Mapping[str, str],
    scripts: Path,
    venv: Path,
    shown: str,
) -> dict[str, str]:
    """*environ* for a sandbox with the environment *venv*, whose programs, in *scripts*, come first on PATH.

    What chooses another Python or adds to its path is left out, with the programs of an environment that is
    activated outside. *shown* names the sandbox.
    """
    clean = {name: value for name, value in environ.items() if not is_left_out(name)}
    path = search_path(environ, scripts)
    return {**clean, **FIXED, "VIRTUAL_ENV": str(venv), "PATH": path, NAME: shown}


def search_path(environ: Mapping[str, str], scripts: Path) -> str:
    """PATH inside: *scripts* first, no folder of an environment that is activated outside."""
    outside = {
        os.path.normcase(os.path.join(environ[name], folder))
        for name in _ACTIVE
        if environ.get(name)
        for folder in ("bin", "Scripts", "condabin")
    }
    folders: Sequence[str] = environ.get("PATH", os.defpath).split(os.pathsep)
    kept = [folder for folder in folders if os.path.normcase(folder.rstrip("/\\") or folder) not in outside]
    return os.pathsep.join([str(scripts), *filter(None, kept)])
