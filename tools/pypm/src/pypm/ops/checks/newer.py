"""Sources in the syntax of a newer Python than the one that runs pypm, read by one that knows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import pypm_model
import pypm_workspace
from pypm.ops.checks.sources import MemberSources
from pypm.ops.tools import Tools
from pypm.ops.venvs import environment_in
from pypm_env.asking import clean_environment
from pypm_env.finding import Places, survey
from pypm_env.interpreters import Interpreter
from pypm_env.probe import probe
from pypm_env.venv import base_python
from pypm_model.errors import PypmError

_PATIENCE = 120.0
"""Seconds."""
_START = """
import json, sys
job = json.load(sys.stdin)
sys.path += job["path"]
from pypm_workspace.imports import facts_of
rows = []
for path, minor in job["files"]:
    try:
        with open(path, "rb") as file:
            rows.append(facts_of(file.read(), minor).to_row())
    except OSError:
        rows.append([])
json.dump(rows, sys.stdout)
"""


def newest_interpreter(tools: Tools, members: Iterable[MemberSources]) -> Interpreter | None:
    """The newest Python on this machine, if it is newer than the one that runs this: what one of *members*
    has for itself, or any other. Newer ones read what older ones do."""
    found: list[Interpreter] = []
    for one in members:
        base = base_python(environment_in(one.folder))
        own = probe(base, tools.probes) if base else None
        if isinstance(own, Interpreter):
            found.append(own)
            continue
        with suppress(PypmError):  # none fits: another check says so
            found.append(tools.interpreter(one.member.requires_python, folder=one.folder))
    places = Places(tools.world.environ, tools.world.cwd)
    found += [one for one in survey(places, tools.probes) if isinstance(one, Interpreter)]
    newest = max(found, key=minor_of, default=None)
    return newest if newest is not None and minor_of(newest) > sys.version_info[1] else None


def minor_of(interpreter: Interpreter) -> int:
    """Its minor version."""
    return int(interpreter.version.split(".")[1])


def read_by(interpreter: Interpreter, files: Sequence[tuple[str, int]]) -> list[list[Any]]:
    """The rows of `pypm_workspace.imports.SourceFacts` for *files* (path, the oldest minor version that is to
    read it), an empty one for what cannot be opened; nothing at all if the interpreter does not work."""
    folders = {os.path.dirname(package.__path__[0]) for package in (pypm_model, pypm_workspace)}
    job = json.dumps({"path": sorted(folders), "files": files})
    # Isolated and without site: nothing of an environment, and no code of the sources, is run.
    command = [interpreter.path, "-I", "-S", "-B", "-W", "ignore", "-c", _START]
    try:
        done = subprocess.run(
            command,
            input=job.encode(),
            capture_output=True,
            timeout=_PATIENCE,
            env=clean_environment(os.environ),
            check=True,
        )
        rows: list[list[Any]] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return rows
