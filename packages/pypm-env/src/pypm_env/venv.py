"""Makes virtual environments (PEP 405): a folder with its own ``python`` and site-packages, no pip.

What is made: `pyvenv.cfg`, the interpreter's links, empty site-packages, activation scripts and a
`.gitignore` that keeps the folder out of version control. Nothing is started; it takes about 1 ms.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pypm_env.activation import activation_scripts
from pypm_env.interpreters import Interpreter
from pypm_model.errors import PypmError

CONFIG = "pyvenv.cfg"


class NoLauncher(PypmError):
    """A Windows installation without the launchers its environments start with."""

    path: str

    code: ClassVar[str] = "no-launcher"

    def __str__(self) -> str:
        return f"{self.path} has no venvlauncher.exe: it cannot have environments"

    @property
    def hint(self) -> str | None:
        return "use a Python from python.org or the Microsoft Store instead"


def create(
    folder: Path, interpreter: Interpreter, *, final: Path, pypm_version: str, prompt: str = ""
) -> None:
    """Make an environment in the new folder *folder*, to be renamed to *final* later.

    Only activation scripts name *final*; *prompt* is what a shell shows (default: the name of the
    folder that holds the environment). Raises `NoLauncher` and OSError; what was made then stays.
    """
    prompt = prompt or final.parent.name or final.name
    site = folder / interpreter.layout.site_packages
    site.mkdir(parents=True)
    # Made now, or the first import of a top-level module would change the folder's time and make
    # an untouched environment look changed by hand.
    (site / "__pycache__").mkdir()
    scripts = folder / interpreter.layout.scripts
    scripts.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(_config(interpreter, final, pypm_version, prompt), encoding="utf-8")
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    if interpreter.is_windows:
        for name, source in _windows_launchers(interpreter):
            shutil.copyfile(source, scripts / name)
    else:
        _link_python(scripts, interpreter)
        if _wants_lib64(interpreter):
            (folder / "lib64").symlink_to("lib")
    for name, text in activation_scripts(interpreter, str(final), prompt):
        (scripts / name).write_text(text, encoding="utf-8", newline="")


def python_path(folder: Path, interpreter: Interpreter) -> Path:
    """The environment's own ``python``."""
    return folder / interpreter.layout.scripts / ("python.exe" if interpreter.is_windows else "python")


def python_names(interpreter: Interpreter) -> tuple[str, ...]:
    """Names the environment's interpreter has on POSIX, the real one first."""
    major, minor = interpreter.release
    names = ["python", "python3", f"python{major}.{minor}" + ("t" if interpreter.is_free_threaded else "")]
    if interpreter.implementation != "cpython":
        names += [interpreter.implementation, f"{interpreter.implementation}{major}"]
        names.append(f"{interpreter.implementation}{major}.{minor}")
    return tuple(names)


def read_config(folder: Path) -> dict[str, str] | None:
    """The keys of the environment's `pyvenv.cfg`, or None if *folder* is no environment."""
    try:
        text = (folder / CONFIG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def base_python(folder: Path) -> str:
    """The interpreter the environment in *folder* was made from, for `pypm_env.finding.choose` to prefer;
    empty if pypm did not make it or the interpreter is gone."""
    config = read_config(folder)
    if config is None or "pypm" not in config:
        return ""
    home = config.get("home", "")
    # The link names the interpreter as it was found; on Windows there is a launcher instead.
    link = folder / "bin" / "python"
    found = os.path.join(home, os.readlink(link)) if link.is_symlink() else os.path.join(home, "python.exe")
    return found if os.path.isfile(found) else ""


def _config(interpreter: Interpreter, final: Path, pypm_version: str, prompt: str) -> str:
    lines = [
        f"home = {os.path.dirname(interpreter.path)}",
        f"implementation = {interpreter.markers['platform_python_implementation']}",
        f"version = {interpreter.version}",
        f"executable = {interpreter.real_path}",
        "include-system-site-packages = false",
        f"pypm = {pypm_version}",
        # An empty line or a quote would end or bend the value.
        f"prompt = {prompt.splitlines()[0] if prompt else ''}",
    ]
    return "\n".join(lines) + "\n"


def _link_python(scripts: Path, interpreter: Interpreter) -> None:
    first, *others = python_names(interpreter)
    (scripts / first).symlink_to(interpreter.path)
    for name in others:
        (scripts / name).symlink_to(first)


def _wants_lib64(interpreter: Interpreter) -> bool:
    """As the standard library's venv: 64-bit POSIX but macOS, whose platlib may be lib64."""
    wide = (
        "64" in interpreter.markers["platform_machine"] or interpreter.markers["platform_machine"] == "s390x"
    )
    return wide and interpreter.markers["sys_platform"] != "darwin"


def _windows_launchers(interpreter: Interpreter) -> Iterator[tuple[str, Path]]:
    """(name in the environment, file to copy): small programs that start the real interpreter.

    Python keeps them in ``Lib/venv/scripts/nt``: ``venvlauncher.exe`` since 3.13 (with a ``t`` for
    free-threaded builds), ``python.exe`` before. PyPy copies itself with its libraries.
    """
    base = Path(interpreter.base_prefix)
    folder = base / "Lib" / "venv" / "scripts" / "nt"
    threads = "t" if interpreter.is_free_threaded else ""
    found = False
    for name, sources in (
        ("python.exe", (f"venvlauncher{threads}.exe", "venvlauncher.exe", "python.exe")),
        ("pythonw.exe", (f"venvwlauncher{threads}.exe", "venvwlauncher.exe", "pythonw.exe")),
    ):
        source = next((folder / source for source in sources if (folder / source).is_file()), None)
        if source is not None:
            found = True
            yield name, source
    if found:
        return
    if interpreter.implementation == "cpython":
        raise NoLauncher(str(base))
    for file in sorted(base.iterdir()):
        if file.suffix.lower() in (".exe", ".dll") and file.is_file():
            yield file.name, file
    yield "python.exe", Path(interpreter.path)
