"""The process environment of a command that runs inside a virtual environment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pypm import _command


def scripts_folder(venv: Path) -> Path:
    """Where the environment's programs are."""
    return Path(_command.scripts_folder(str(venv)))


def process_environment(venv: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """*environ* as an activated *venv* changes it: first on PATH, no other interpreter's home."""
    return _command.activated(str(venv), dict(environ))
