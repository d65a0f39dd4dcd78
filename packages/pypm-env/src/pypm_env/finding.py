"""Interpreters on this machine: where they may be, which there are, and which one to use.

Places, in order: the interpreter pypm runs on; ``PATH``; pyenv's versions; what uv has installed; the
platform's own places (the ``py`` launcher on Windows, framework builds on macOS). Each interpreter
counts once, whatever the number of links to it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm_env.interpreters import OLDEST, Interpreter
from pypm_env.own_files import PIN_FILE
from pypm_env.probe import NO_CACHE, ProbeCache, Skipped, environment_python, is_environment, probe
from pypm_env.python_requests import PythonRequest, may_fit, misfit, parse_request
from pypm_model import specifiers, versions
from pypm_model.errors import Place, PypmError
from pypm_model.later import later
from pypm_model.records import field, record

if TYPE_CHECKING:
    import subprocess
else:
    subprocess = later("subprocess")

_NAME = r"(?i:(?:python|pypy|graalpy)(?P<version>3(?:\.\d+)?t?)?(?:\.exe)?)"


@record
class Places:
    """What a search looks at, so that a test can give another machine's."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path = field(default_factory=Path.cwd)
    running: str = field(default_factory=lambda: getattr(sys, "_base_executable", "") or sys.executable)
    """The interpreter this process runs on; empty: left out."""
    platform: str = sys.platform

    @property
    def home(self) -> Path:
        name = "USERPROFILE" if self.platform == "win32" else "HOME"
        return Path(self.environ.get(name) or os.path.expanduser("~"))

    @property
    def pyenv(self) -> Path:
        default = self.home / (".pyenv/pyenv-win" if self.platform == "win32" else ".pyenv")
        return Path(self.environ.get("PYENV_ROOT") or default)


@record
class Candidate:
    """A file that may be an interpreter."""

    path: str
    hint: str = ""
    """The version its name promises, or empty."""


class NoPython(PypmError):
    """No interpreter fits. *asked_by* says where the request comes from; *found* what there is."""

    request: str
    requires_python: str
    asked_by: str = ""
    found: tuple[tuple[str, str], ...] = ()
    """(path, why it does not fit)."""

    code: ClassVar[str] = "no-python"
    exit: ClassVar[int] = 2

    def __str__(self) -> str:
        wanted = [f"Python {self.request}"] if self.request else []
        if self.asked_by:
            wanted[-1:] = [f"{text} (from {self.asked_by})" for text in wanted]
        if self.requires_python:
            wanted.append(f"requires-python {self.requires_python}")
        none = "" if self.found else ": none was found"
        return f"no interpreter fits {' and '.join(wanted) or 'pypm'}{none}"

    @property
    def story(self) -> tuple[tuple[str, tuple[Place, ...]], ...]:
        return tuple((f"{path} {reason}", ()) for path, reason in self.found)

    @property
    def hint(self) -> str | None:
        return "install a Python that fits, or name one with --python PATH"


@record
class Wish:
    """A request and where it was written."""

    request: PythonRequest
    asked_by: str
    base: Path
    """What a relative path is relative to."""


def survey(places: Places, cache: ProbeCache = NO_CACHE) -> Iterator[Interpreter | Skipped]:
    """All interpreters and, with the reason, what looks like one and is none. Lazy."""
    return _probe_each(candidates(places), cache)


def choose(
    request: str | None = None,
    requires_python: str = "",
    places: Places | None = None,
    *,
    root: Path | None = None,
    prefer: str = "",
    cache: ProbeCache = NO_CACHE,
) -> Interpreter:
    """The interpreter to use.

    *request* is what ``--python`` says; without it ``PYPM_PYTHON``, then the nearest `.python-version`
    from the current folder up to *root* (only the current folder if None). Without any, the first that
    satisfies *requires_python* (PEP 440 specifiers) in the order of `candidates`, final releases before
    pre-releases; *prefer* (a path: the present environment's interpreter) goes before all others.
    Raises `NoPython`.
    """
    places = places or Places()
    wish = _wish(request, places, root)
    if wish is not None and (path := _named_path(wish, places)) is not None:
        return _the_named(wish, path, requires_python, cache)
    wanted = wish.request if wish else PythonRequest("")
    asked_by = wish.asked_by if wish else ""
    pre_releases: list[Interpreter] = []
    reasons: list[tuple[str, str]] = []
    # Mostly the first fits, and PATH need not be read.
    order = _in_order(prefer, places)
    fitting = (candidate for candidate in order if may_fit(wanted, candidate.hint))
    for found in _probe_each(fitting, cache):
        if isinstance(found, Skipped):
            reasons.append((found.path, found.reason))
        elif (reason := misfit(wanted, found) or _unfit(found, requires_python)) is not None:
            reasons.append((found.path, reason))
        elif versions.is_prerelease(found.version) and not wanted.names_prerelease:
            pre_releases.append(found)
        else:
            return found
    if pre_releases:
        return pre_releases[0]
    reasons += _left_out(wanted, list(_in_order(prefer, places)))
    raise NoPython(wanted.text, requires_python, asked_by, tuple(reasons))


def _in_order(prefer: str, places: Places) -> Iterator[Candidate]:
    if prefer:
        yield Candidate(prefer)
    yield from candidates(places)


def _left_out(wanted: PythonRequest, order: list[Candidate]) -> list[tuple[str, str]]:
    """Those whose name promises another version, each once."""
    seen = {os.path.realpath(candidate.path) for candidate in order if may_fit(wanted, candidate.hint)}
    reasons = []
    for candidate in order:
        real_path = os.path.realpath(candidate.path)
        if real_path not in seen:
            seen.add(real_path)
            reasons.append((candidate.path, f"is {candidate.hint}"))
    return reasons


def candidates(places: Places) -> Iterator[Candidate]:
    """Files that may be interpreters, in order of preference; some are links to the same one. Lazy."""
    if places.running:
        yield Candidate(places.running)
    shims = str(places.pyenv / "shims")
    for folder in places.environ.get("PATH", "").split(";" if places.platform == "win32" else ":"):
        if not os.path.isabs(folder):
            continue  # an empty or relative entry means whatever folder one stands in
        for candidate in _in_folder(folder):
            if os.path.normpath(folder) == os.path.normpath(shims):
                yield from _behind_shim(candidate, places)
            else:
                yield candidate
    yield from _installed_versions(places.pyenv / "versions", places)
    yield from _installed_versions(_uv_folder(places), places)
    if places.platform == "win32":
        yield from _from_launcher()
    if places.platform == "darwin":
        yield from _installed_versions(Path("/Library/Frameworks/Python.framework/Versions"), places)


def launcher_paths(output: str) -> list[str]:
    """Executables in what ``py --list-paths`` prints: `` -V:3.12 *  C:\\Python312\\python.exe``."""
    found = re.findall(r"^\s*-\S+\s+(?:\*\s+)?(\S.*?\.exe)\s*$", output, re.MULTILINE | re.IGNORECASE)
    return [str(path) for path in found]


def _from_launcher() -> Iterator[Candidate]:
    try:
        done = subprocess.run(["py", "--list-paths"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return
    for path in launcher_paths(done.stdout.decode("utf-8", "replace")):
        yield Candidate(path)


def _probe_each(found: Iterable[Candidate], cache: ProbeCache) -> Iterator[Interpreter | Skipped]:
    seen: set[str] = set()
    for candidate in found:
        real_path = os.path.realpath(candidate.path)
        # An environment's python is a link to the real one, and so is another candidate.
        if real_path in seen:
            continue
        seen.add(real_path)
        answer = probe(candidate.path, cache)
        if isinstance(answer, Interpreter):
            if answer.real_path in seen and answer.real_path != real_path:
                continue
            seen.add(answer.real_path)
        yield answer


def _in_folder(folder: str) -> Iterator[Candidate]:
    try:
        names = os.listdir(folder)
    except OSError:
        return
    is_python = re.compile(_NAME).fullmatch
    found = [match for match in map(is_python, names) if match is not None]

    def order(match: re.Match[str]) -> tuple[bool, bool, list[int], str]:
        version = match["version"] or ""
        numbers = [-int(piece) for piece in version.rstrip("t").split(".") if piece]
        return (not match[0].lower().startswith("python"), len(numbers) > 1, numbers, match[0])

    # python3 and python first (what the user gets by typing it), then the newest.
    for match in sorted(found, key=order):
        path = os.path.join(folder, match[0])
        if os.path.isfile(path) and os.access(path, os.X_OK):
            yield Candidate(path, (match["version"] or "").rstrip("t"))


def _behind_shim(shim: Candidate, places: Places) -> Iterator[Candidate]:
    """What pyenv would start, without starting pyenv (its shim costs a tenth of a second each)."""
    for name in _pyenv_selection(places):
        for folder in _matching_versions(places.pyenv / "versions", name):
            path = folder / "bin" / os.path.basename(shim.path)
            if path.is_file():
                yield Candidate(str(path), shim.hint)
                return


def _pyenv_selection(places: Places) -> list[str]:
    if chosen := places.environ.get("PYENV_VERSION"):
        return chosen.split(":")
    for folder in (places.cwd, *places.cwd.parents):
        if names := _pins(folder / PIN_FILE):
            return names
    return _pins(places.pyenv / "version")


def _matching_versions(versions: Path, name: str) -> list[Path]:
    """The folder *name*, else the newest ``NAME.x`` (pyenv's rule)."""
    if (versions / name).is_dir():
        return [versions / name]
    matching = [folder for folder in _folders(versions) if folder.name.startswith(name + ".")]
    return matching[:1]


def _pins(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _installed_versions(folder: Path, places: Places) -> Iterator[Candidate]:
    for version in _folders(folder):
        python = environment_python(str(version))
        if python is not None and not is_environment(str(version)):
            yield Candidate(python, version.name if re.fullmatch(r"\d+(\.\d+)*", version.name) else "")


def _folders(folder: Path) -> list[Path]:
    """Folders of versions, the newest first; links to folders of the same place (``3.12``) after them."""

    def order(path: Path) -> tuple[bool, list[int], str]:
        numbers = [-int(piece) for piece in re.findall(r"\d+", path.name)]
        return (path.is_symlink(), numbers, path.name)

    try:
        return sorted((path for path in folder.iterdir() if path.is_dir()), key=order)
    except OSError:
        return []


def _uv_folder(places: Places) -> Path:
    if chosen := places.environ.get("UV_PYTHON_INSTALL_DIR"):
        return Path(chosen)
    if places.platform == "win32":
        return Path(places.environ.get("APPDATA") or places.home / "AppData/Roaming") / "uv/data/python"
    return Path(places.environ.get("XDG_DATA_HOME") or places.home / ".local/share") / "uv/python"


def _wish(request: str | None, places: Places, root: Path | None) -> Wish | None:
    if request:
        return Wish(parse_request(request), "--python", places.cwd)
    if chosen := places.environ.get("PYPM_PYTHON"):
        return Wish(parse_request(chosen), "PYPM_PYTHON", places.cwd)
    folders = [places.cwd]
    if root is not None and places.cwd.is_relative_to(root):
        folders += [parent for parent in places.cwd.parents if parent.is_relative_to(root)]
    elif root is not None:
        folders.append(root)
    for folder in folders:
        file = folder / PIN_FILE
        # "system" is pyenv's word for "no pyenv": no wish.
        names = [name for name in _pins(file) if name != "system"]
        if names:
            return Wish(parse_request(names[0]), str(file), folder)
    return None


def _named_path(wish: Wish, places: Places) -> str | None:
    """The executable a request names outright, or None if it describes one."""
    request = wish.request
    if request.path:
        path = os.path.normpath(os.path.join(wish.base, os.path.expanduser(request.path)))
        return environment_python(path) or path
    if not request.executable:
        return None
    # A folder (.venv), one of pyenv's versions by its name (pypy3.10-7.3.12), a program.
    for folder in (wish.base, places.pyenv / "versions"):
        if (python := environment_python(str(folder / request.executable))) is not None:
            return python
    for place in places.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(place, request.executable)
        if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return os.path.join(wish.base, request.executable)


def _the_named(wish: Wish, path: str, requires_python: str, cache: ProbeCache) -> Interpreter:
    found = probe(path, cache)
    if isinstance(found, Skipped):
        missing = not os.path.exists(path) and bool(wish.request.executable)
        why = "is no file, and PATH has no program of that name" if missing else found.reason
        raise NoPython(wish.request.text, requires_python, wish.asked_by, ((found.path, why),))
    if (reason := _unfit(found, requires_python)) is not None:
        raise NoPython(wish.request.text, requires_python, wish.asked_by, ((found.path, reason),))
    return found


def _unfit(found: Interpreter, requires_python: str) -> str | None:
    if found.release < OLDEST:
        return f"is {found.version} (pypm makes environments for {OLDEST[0]}.{OLDEST[1]} and later)"
    if requires_python and not specifiers.contains(requires_python, found.version):
        return f"is {found.version}, and requires-python is {requires_python}"
    return None
