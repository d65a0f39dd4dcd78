"""The tools that are compared, and how each is told to do a thing.

Every tool gets the same bare environment (a home of its own, no settings of this machine), a cache folder of
its own, the same interpreter and the same index.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workspaces import Monorepo, Project, Workload

TOOLS = ("pypm", "uv", "pip", "poetry", "pex", "venv-pack")
LOCK_FILES = {"pypm": "pypm.lock", "uv": "uv.lock", "pip": "pylock.toml", "poetry": "poetry.lock"}
_KEPT = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "LD_LIBRARY_PATH")
"""Variables of this machine without which programs do not start."""


class NoTool(Exception):
    """A tool is missing and could not be installed; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Where the tools are."""

    python: Path
    """The interpreter everything is installed for: a real one, not of a virtual environment."""
    programs: Mapping[str, tuple[str, ...]]
    """Tool → the beginning of its command line."""
    pypm_python: Path
    """The interpreter of pypm's own environment."""

    def version(self, tool: str) -> str:
        """What ``--version`` says, less the tool's name and remarks."""
        done = subprocess.run(
            [*self.programs[tool], "--version"], capture_output=True, text=True, check=False
        )
        found = re.search(r"\d+(?:\.\w+)+", done.stdout)
        return found.group() if found else "?"


def own_python() -> Path:
    """The interpreter behind the one that runs this, outside of any virtual environment."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Path(os.path.realpath(base))


def find(pypm: Path, folder: Path, peers: Sequence[str]) -> Toolbox:
    """The tools; *peers* (of `TOOLS`) are installed into environments below *folder* with pip from this
    machine's index unless they are there. Raises `NoTool`."""
    if not pypm.exists():
        raise NoTool(f"{pypm} does not exist: make it with `python3 tools/bootstrap.py`, or say --pypm PATH")
    programs: dict[str, tuple[str, ...]] = {"pypm": (str(pypm.absolute()),)}
    for peer in peers:
        programs[peer] = _installed(folder / peer, peer)
    return Toolbox(own_python(), programs, _python_of(pypm))


def _installed(environment: Path, name: str) -> tuple[str, ...]:
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    program = scripts / (f"{name}.exe" if os.name == "nt" else name)
    done = environment / "done"
    if not done.exists():
        sys.stderr.write(f"installing {name}\n")
        venv.create(environment, with_pip=True, clear=True)
        run = subprocess.run(
            [str(python), "-m", "pip", "install", "-q", "--upgrade", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise NoTool(f"{name} cannot be installed: {run.stderr.strip()[-2000:]}")
        done.touch()
    return (str(python), "-m", "pip") if name == "pip" else (str(program),)


def _python_of(script: Path) -> Path:
    """The interpreter a console script starts, from its first lines; else the one beside it."""
    try:
        head = script.read_bytes()[:2000].decode("utf-8", "replace")
    except OSError:
        head = ""
    if found := re.match(r"#!(?:/bin/sh\n.*?exec ['\"]?)?(/[^'\"\n]*?python[^'\"\s/]*)", head, re.DOTALL):
        return Path(found.group(1))
    return script.parent / ("python.exe" if os.name == "nt" else "python")


def environment(
    tool: str,
    toolbox: Toolbox,
    *,
    home: Path,
    cache: Path,
    index_url: str,
    machine: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The whole environment of a run of *tool*."""
    env = {name: machine[name] for name in _KEPT if name in machine}
    for name in (
        "HOME",
        "USERPROFILE",
        "APPDATA",
        "LOCALAPPDATA",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
    ):
        env[name] = str(home)
    env |= {
        "XDG_CONFIG_DIRS": str(home),
        "TMPDIR": str(home / "tmp"),
        "TEMP": str(home / "tmp"),
        "TMP": str(home / "tmp"),
    }
    env |= {"LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1"}
    match tool:
        case "pypm":
            env |= {
                "PYPM_CACHE_DIR": str(cache),
                "PYPM_INDEX_URL": index_url,
                "PYPM_PYTHON": str(toolbox.python),
            }
            env["PIP_CONFIG_FILE"] = os.devnull
        case "uv":
            env |= {
                "UV_CACHE_DIR": str(cache),
                "UV_DEFAULT_INDEX": index_url,
                "UV_PYTHON": str(toolbox.python),
            }
            env |= {"UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}
        case "pip":
            env |= {"PIP_CACHE_DIR": str(cache), "PIP_INDEX_URL": index_url, "PIP_CONFIG_FILE": os.devnull}
            env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off", "PIP_NO_INPUT": "1"}
        case "poetry":
            env |= {
                "POETRY_CACHE_DIR": str(cache),
                "POETRY_VIRTUALENVS_IN_PROJECT": "true",
                "POETRY_NO_INTERACTION": "1",
            }
            env |= {"POETRY_CONFIG_DIR": str(home), "PIP_CONFIG_FILE": os.devnull}
        case "pex":
            env |= {"PEX_ROOT": str(cache)}
    return env


def lock(tool: str, toolbox: Toolbox) -> list[tuple[str, ...]]:
    """Command lines that write the tool's lock of the folder they run in."""
    program = toolbox.programs[tool]
    if tool == "pip":
        return [(*program, "lock", "-q", "-r", "requirements.in", "-o", LOCK_FILES["pip"])]
    return [(*program, "lock")]


def pack(tool: str, toolbox: Toolbox, workload: Project, wheels: Path, file: Path) -> tuple[str, ...]:
    """The command line that packs what the synced folder it runs in has locked into *file*; *wheels* is a
    folder with all of them, and no more."""
    program = toolbox.programs[tool]
    match tool:
        case "pex":
            python = ("--python", str(toolbox.python))
            return (
                *program,
                "--no-pypi",
                "-f",
                str(wheels),
                "--no-build",
                *python,
                *workload.dependencies,
                "-o",
                str(file),
            )
        case "venv-pack":
            return (*program, "-q", "-p", ".venv", "-o", str(file))
        case _:
            return (*program, "pypylock", "-q", "-o", str(file))


def sync_each(tool: str, toolbox: Toolbox, members: Sequence[str]) -> list[tuple[str, ...]]:
    """Command lines that make an environment for each member: uv's are to be told where
    (`each_environment`)."""
    program = toolbox.programs[tool]
    if tool == "uv":
        return [(*program, "sync", "--frozen", "--package", member) for member in members]
    return [(*program, "sync", "--each")]


def isolated(tool: str, toolbox: Toolbox, member: str, command: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs *command* in an environment of *member* alone, apart from any ``.venv``."""
    program = toolbox.programs[tool]
    if tool == "uv":
        return (*program, "run", "--isolated", "--frozen", "--package", member, *command)
    return (*program, "sandbox", "-p", member, "--", *command)


def each_environment(folder: Path, member: str) -> dict[str, str]:
    """The variables that have uv make the environment of *member* in its folder."""
    return {"UV_PROJECT_ENVIRONMENT": str(folder / "packages" / member / ".venv")}


def unpack(tool: str, toolbox: Toolbox, workload: Project, wheels: Path) -> list[tuple[str, ...]]:
    """Command lines that make ``.venv`` in the folder they run in, and fill it from the *wheels*, of which
    pypm knows that it has them."""
    if tool != "uv":
        return sync(tool, toolbox, workload)
    program = toolbox.programs[tool]
    files = sorted(map(str, wheels.glob("*.whl")))
    return [
        (*program, "venv", "-q", ".venv"),
        (*program, "pip", "install", "-q", "-p", ".venv", "--no-deps", "--no-index", *files),
    ]


_ZLIB_ALONE = """\
import sys
for name in ("isal", "zlib_ng"):
    sys.modules[name] = None
sys.argv[0] = "pypm"
from pypm._entry import program
program()
"""


def with_zlib_alone(toolbox: Toolbox, line: tuple[str, ...]) -> tuple[str, ...]:
    """The command *line* of pypm, as if the extra ``fast`` were not installed."""
    return (str(toolbox.pypm_python), "-c", _ZLIB_ALONE, *line[len(toolbox.programs["pypm"]) :])


def sync(
    tool: str, toolbox: Toolbox, workload: Workload, *, compile_bytecode: bool = False
) -> list[tuple[str, ...]]:
    """Command lines that make ``.venv`` in the folder they run in, and fill it from the lock.

    pip has no lock it installs from on every platform: it installs the versions and hashes of uv's lock.
    *compile_bytecode* leaves pip its habit of compiling what it installs, which no other tool has.
    """
    program = toolbox.programs[tool]
    match tool:
        case "uv" if isinstance(workload, Monorepo):
            return [(*program, "sync", "--all-packages")]
        case "poetry":
            return [(*program, "sync", "--no-root")]
        case "pip":
            options = ("--no-deps", "--require-hashes", *(() if compile_bytecode else ("--no-compile",)))
            return [
                (str(toolbox.python), "-m", "venv", "--without-pip", ".venv"),
                (*program, "--python", ".venv", "install", "-q", *options, "-r", "requirements.txt"),
            ]
        case _:
            return [(*program, "sync")]
