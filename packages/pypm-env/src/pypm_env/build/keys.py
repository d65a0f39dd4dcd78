"""Keys of build results: equal keys, equal results.

A key is made from what a result is made from: the project's inputs (`inputs`), the backend and the
packages it runs with, the interpreter, config settings, and variables that builds are steered by.
An editable wheel holds the project's path, so its key does too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.inputs import Inputs, Kind, inputs
from pypm_env.build.system import BuildSystem
from pypm_model.records import record

FORMAT = "2"
"""Raised whenever what is hashed, or how, changes: older results are then never found again."""
MAX_FILES = 20_000
"""A tree of more files has no key."""
MAX_BYTES = 64 << 20
"""Contents read per tree; beyond it, size and modification time stand for a file."""

_steering = re.compile(
    r"SOURCE_DATE_EPOCH$|(?:SETUPTOOLS|DISTUTILS|HATCH|FLIT|PDM|POETRY|PBR|VERSIONEER|MATURIN|SKBUILD|CMAKE|"
    r"MESON|CARGO|RUST|CYTHON|NPY|NO|MACOSX|_PYTHON_HOST)_|"
    r"(?:CC|CXX|CPP|LD|AR|RANLIB|FC|CFLAGS|CXXFLAGS|CPPFLAGS|LDFLAGS|FFLAGS|ARCHFLAGS|RUSTFLAGS|"
    r"PKG_CONFIG_PATH|LIBRARY_PATH|CPATH|C_INCLUDE_PATH|INCLUDE|LIB)$"
)
_credential = re.compile(r"TOKEN|PASSWORD|SECRET|_KEY$|AUTH|CREDENTIAL")
_no_source = {"__pycache__", "node_modules", "CVS"}
_made_at_top = {"build", "dist"}


@record
class Made:
    """What a result is made from, now: to be compared with the same after the build."""

    key: str
    files: Mapping[str, str]
    """Path → what its contents are known by; every file if all count, else those that do."""
    everything: bool


def steering(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables that may change what a build gives, sorted; credentials are left out."""
    return tuple(
        sorted((k, v) for k, v in environ.items() if _steering.match(k) and not _credential.search(k))
    )


def source_key(
    digest: str,
    subdirectory: str,
    kind: Kind,
    system: BuildSystem,
    environment: BuildEnvironment,
    settings: Mapping[str, Any],
    steered_by: tuple[tuple[str, str], ...],
) -> str:
    """The key of what is built from the folder *subdirectory* of the archive with the sha256 *digest*, or of
    the commit *digest*."""
    return _key(
        "archive", digest, subdirectory, *_conditions(kind, system, environment, settings, steered_by)
    )


def folder_key(
    folder: Path,
    kind: Kind,
    system: BuildSystem,
    environment: BuildEnvironment,
    settings: Mapping[str, Any],
    steered_by: tuple[tuple[str, str], ...],
    repositories: Repositories,
) -> Made | None:
    """What a result of *kind* from the project in *folder* is made from, or None if that cannot be told
    (the tree is too large, or what is built has a version from a repository with changes).

    *steered_by* is what `steering` found, once for all projects.
    """
    counted = inputs(system, folder, kind)
    if settings and kind != "metadata":
        counted = Inputs(everything=True, repository=counted.repository)
    parts = [*_conditions(kind, system, environment, settings, steered_by)]
    if kind == "editable":
        parts.append(os.path.realpath(folder))
    if counted.repository:
        state = repositories.state(folder, dated=kind == "metadata")
        if state is None:
            return None
        parts.append(state)
    here = os.path.abspath(folder)
    if counted.everything:
        files = _contents(here)
        if files is None:
            return None
    else:
        files = {path: _known_by(here, path) for path in counted.files}
        if counted.names != "none":
            names = _names(here, whole=counted.names == "all")
            if names is None:
                return None
            parts.append("\n".join(names))
    parts.append(json.dumps(sorted(files.items())))
    return Made(_key("folder", *parts), files, counted.everything)


def is_unchanged(folder: Path, made: Made) -> bool:
    """Whether every file that was counted is what it was; new ones are not looked for."""
    here = os.path.abspath(folder)
    if made.everything:
        now = _contents(here)
        return now is not None and all(now.get(path) == content for path, content in made.files.items())
    return all(_known_by(here, path) == content for path, content in made.files.items())


def _today() -> str:
    """The date, here and in UTC: tools differ in which one they take."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d} {now.astimezone():%Y-%m-%d}"


class Repositories:
    """States of git repositories, each asked for once."""

    def __init__(self, today: Callable[[], str] = _today) -> None:
        self._known: dict[Path, tuple[str, str] | None] = {}
        self._today = today
        self._lock = threading.Lock()

    def state(self, folder: Path, *, dated: bool = False) -> str | None:
        """Names the commit, branch and tags around *folder*: empty outside of any repository, None without
        git. With uncommitted changes a version may hold today's date: None, or, if *dated*, a state that
        holds for today."""
        root = next((above for above in (folder, *folder.parents) if (above / ".git").exists()), None)
        if root is None:
            return ""
        with self._lock:
            if root not in self._known:
                self._known[root] = self._ask(root)
            known = self._known[root]
        if known is None or not known[1]:
            return known and known[0]
        return "\n".join((*known, self._today())) if dated else None

    def _ask(self, root: Path) -> tuple[str, str] | None:
        """What is committed, and what is not."""
        answers = []
        for command in (
            ["describe", "--tags", "--long", "--always", "--abbrev=40"],
            ["rev-parse", "HEAD"],
            ["for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"],
            ["rev-parse", "--abbrev-ref", "HEAD"],
            ["status", "--porcelain"],
        ):
            try:
                done = subprocess.run(
                    ["git", "-C", str(root), *command],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    stdin=subprocess.DEVNULL,
                    check=True,
                )
            except (OSError, subprocess.CalledProcessError):
                return None
            answers.append(done.stdout.decode("utf-8", errors="replace"))
        changes = answers.pop().strip()
        return "\n".join(answers), changes


def _conditions(
    kind: Kind,
    system: BuildSystem,
    environment: BuildEnvironment,
    settings: Mapping[str, Any],
    steered_by: tuple[tuple[str, str], ...],
) -> Iterator[str]:
    yield FORMAT
    yield kind
    yield system.backend
    yield json.dumps(system.backend_path)
    yield environment.identity
    yield json.dumps(settings, sort_keys=True)
    yield json.dumps(steered_by)


def _key(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", errors="surrogatepass")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def _known_by(folder: str, path: str) -> str:
    """What the contents of *path* are known by. ``path/`` and ``path?`` only ask whether it is there."""
    if path.endswith("/"):
        return "folder" if os.path.isdir(f"{folder}/{path}") else ""
    if path.endswith("?"):
        return "file" if os.path.isfile(f"{folder}/{path[:-1]}") else ""
    try:
        # Unbuffered and without pathlib: this is done for a few files of each of 1,000 members.
        with open(os.path.join(folder, path), "rb", buffering=0) as file:
            return hashlib.sha256(file.readall()).hexdigest()
    except (OSError, ValueError):
        return ""


def _walk(folder: str) -> Iterator[tuple[str, list[os.DirEntry[str]], list[os.DirEntry[str]]]]:
    """(path with a final ``/`` or empty, folders, files) of a source tree, sorted; without what version
    control, tools and builds put there."""
    cargo = os.path.isfile(os.path.join(folder, "Cargo.toml"))
    waiting = [""]
    while waiting:
        here = waiting.pop()
        folders, files = [], []
        try:
            entries = sorted(os.scandir(os.path.join(folder, here)), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                made = name.endswith((".egg-info", ".dist-info")) or (
                    not here and (name in _made_at_top or (cargo and name == "target"))
                )
                if name in _no_source or name.startswith(".") or made or _is_environment(entry.path):
                    continue
                folders.append(entry)
            elif not name.endswith((".pyc", ".pyo")):
                files.append(entry)
        yield here, folders, files
        waiting += [f"{here}{entry.name}/" for entry in reversed(folders)]


def _is_environment(path: str) -> bool:
    return os.path.exists(os.path.join(path, "pyvenv.cfg"))


def _names(folder: str, *, whole: bool) -> list[str] | None:
    """Names that decide which packages there are: every file, or folders with what they hold."""
    found = []
    count = 0
    for here, _, files in _walk(folder):
        count += 1 + len(files)
        if count > MAX_FILES:
            return None
        if whole:
            found += [here, *(here + entry.name for entry in files)]
            continue
        modules = [entry.name for entry in files if entry.name.endswith((".py", ".pyi"))]
        found.append(f"{here} {'__init__.py' in modules} {bool(modules)}")
        if here in ("", "src/"):
            found += [here + name for name in modules]
    return found


def _contents(folder: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    left = MAX_BYTES
    for here, _, files in _walk(folder):
        for entry in files:
            path = here + entry.name
            try:
                if entry.is_symlink():
                    target = os.readlink(entry.path)
                    found[path] = f"link {target} {_known_by(folder, path)}"
                    continue
                if not entry.is_file():
                    continue
                state = entry.stat()
                mode = "x" if state.st_mode & 0o100 else "-"
                if state.st_size > left:
                    found[path] = f"{mode} {state.st_size} {state.st_mtime_ns}"
                else:
                    left -= state.st_size
                    found[path] = f"{mode} {_known_by(folder, path)}"
            except OSError:
                found[path] = ""
        if len(found) > MAX_FILES:
            return None
    return found
