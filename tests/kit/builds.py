"""Build environments without a network: backends that are installed where the tests run.

>>> environment = build_environment(tmp_path, "flit_core")
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pypm_env.build.environment import BuildEnvironment
from pypm_env.interpreters import Interpreter
from pypm_env.probe import probe

HATCHLING = ("hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers")


@cache
def this_interpreter() -> Interpreter:
    """The interpreter that runs the tests (of an environment: the one it was made from)."""
    found = probe(sys.executable)
    assert isinstance(found, Interpreter), found
    return found


def is_installed(name: str) -> bool:
    """Whether the project *name* is installed where the tests run."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def tree(folder: Path, name: str) -> Path:
    """The ``site`` folder of something like a store tree of the installed project *name*."""
    site = folder / "trees" / name / "site"
    if not site.exists():
        site.mkdir(parents=True)
        installed = distribution(name)
        for top in sorted({file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}):
            source = Path(str(installed.locate_file(top)))
            if source.exists():
                (site / top).symlink_to(source.resolve())
    return site


def build_environment(folder: Path, *names: str) -> BuildEnvironment:
    """An environment with the installed projects *names* and nothing else."""
    return BuildEnvironment(this_interpreter(), tuple(tree(folder, name) for name in names), " ".join(names))


def own_result(environment: BuildEnvironment, project: Path, hook: str, folder: Path) -> Path:
    """What the project's backend gives when it is called by hand, in a process of its own."""
    folder.mkdir(parents=True)
    code = (
        "import sys, tomllib, importlib\n"
        "backend = tomllib.load(open('pyproject.toml', 'rb'))['build-system']['build-backend']\n"
        "print(getattr(importlib.import_module(backend), sys.argv[1])(sys.argv[2]))\n"
    )
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environ["PYTHONPATH"] = os.pathsep.join(map(str, environment.site_packages))
    command = [environment.interpreter.path, "-c", code, hook, str(folder)]
    done = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=True)
    return folder / done.stdout.splitlines()[-1]


def contents(wheel: Path) -> dict[str, bytes]:
    """Path → bytes of every entry."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
