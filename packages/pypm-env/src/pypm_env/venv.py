"""Makes virtual environments (PEP 405): a folder with its own ``python`` and site-packages, no pip.

What is made: `pyvenv.cfg`, the interpreter's links, empty site-packages, activation scripts and a
`.gitignore` that keeps the folder out of version control. Nothing is started; it takes about 1 ms.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm_env.activation import activation_scripts
from pypm_env.interpreters import Interpreter
from pypm_model.errors import PypmError
from pypm_model.later import later
from pypm_model.records import record

if TYPE_CHECKING:
    import shutil
else:
    shutil = later("shutil")

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


@record
class Skeleton:
    """What an environment is before anything is installed. Paths are relative to it, with ``/``."""

    folders: tuple[str, ...]
    """Parents first."""
    links: tuple[tuple[str, str], ...]
    """(target, path) of symbolic links."""
    files: tuple[tuple[str, str], ...]
    """(path, text)"""
    copies: tuple[tuple[Path, str], ...]
    """(file to copy, path)"""


def skeleton(interpreter: Interpreter, *, final: Path, pypm_version: str, prompt: str = "") -> Skeleton:
    """What `create` makes. Raises `NoLauncher`."""
    prompt = prompt or final.parent.name or final.name
    layout = interpreter.layout
    *above, _ = layout.site_packages.split("/")
    folders = ["/".join(above[: end + 1]) for end in range(len(above))]
    # Made now, or the first import of a top-level module would change the folder's time and make
    # an untouched environment look changed by hand.
    folders += [layout.site_packages, f"{layout.site_packages}/__pycache__", layout.scripts]
    links: list[tuple[str, str]] = []
    copies: list[tuple[Path, str]] = []
    if interpreter.is_windows:
        copies = [(file, f"{layout.scripts}/{name}") for name, file in _windows_launchers(interpreter)]
    else:
        first, *others = python_names(interpreter)
        links = [(interpreter.path, f"{layout.scripts}/{first}")]
        links += [(first, f"{layout.scripts}/{name}") for name in others]
        if _wants_lib64(interpreter):
            links.append(("lib", "lib64"))
    files = [(CONFIG, _config(interpreter, pypm_version, prompt)), (".gitignore", "*\n")]
    for name, text in activation_scripts(interpreter, str(final), prompt):
        files.append((f"{layout.scripts}/{name}", text))
    return Skeleton(tuple(dict.fromkeys(folders)), tuple(links), tuple(files), tuple(copies))


def create(
    folder: Path, interpreter: Interpreter, *, final: Path, pypm_version: str, prompt: str = ""
) -> None:
    """Make an environment in the new folder *folder*, to be renamed to *final* later.

    Only activation scripts name *final*; *prompt* is what a shell shows (default: the name of the
    folder that holds the environment). Raises `NoLauncher` and OSError; what was made then stays.
    """
    made = skeleton(interpreter, final=final, pypm_version=pypm_version, prompt=prompt)
    folder.mkdir(parents=True, exist_ok=True)
    for path in made.folders:
        (folder / path).mkdir()
    for target, path in made.links:
        (folder / path).symlink_to(target)
    for path, text in made.files:
        (folder / path).write_text(text, encoding="utf-8", newline="")
    for file, path in made.copies:
        shutil.copyfile(file, folder / path)


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


def _config(interpreter: Interpreter, pypm_version: str, prompt: str) -> str:
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
