"""Which interpreters are found, in which order, and which one is chosen."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pypm_env.finding import (
    Candidate,
    NoPython,
    Places,
    candidates,
    choose,
    launcher_paths,
    survey,
)
from pypm_env.interpreters import Interpreter
from pypm_env.probe import ProbeCache, Skipped, probe
from pypm_model.records import replace

_HERE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture(scope="module")
def here() -> Interpreter:
    found = probe(_HERE)
    assert isinstance(found, Interpreter)
    return found


@dataclass
class Machine:
    """Another machine: files that are no interpreters, and what each would answer if it were one."""

    folder: Path
    here: Interpreter
    answers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def python(self, path: str, version: str, *, name: str = "cpython", free: bool = False) -> Path:
        """An interpreter at *path* that says it is *version*."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
        file.chmod(0o755)
        short = ".".join(version.split(".")[:2])
        markers = {**self.here.markers, "python_version": short, "python_full_version": version}
        self.answers[str(file)] = replace(
            self.here,
            path=str(file),
            real_path=str(file),
            version=version,
            implementation=name,
            markers=markers,
            is_free_threaded=free,
        ).to_text()
        return file

    @property
    def cache(self) -> ProbeCache:
        def get(key: str) -> str | None:
            self.asked.append(key.split("\n")[1])
            return self.answers.get(self.asked[-1])

        return ProbeCache(get, lambda key, text: None)

    def places(self, cwd: str = "", **environ: str) -> Places:
        folders = [str(path) for path in sorted(self.folder.iterdir()) if path.is_dir()]
        variables = {"PATH": os.pathsep.join(folders), "HOME": str(self.folder / "home"), **environ}
        return Places(variables, self.folder / cwd, running="", platform="linux")

    def choose(self, request: str | None = None, requires_python: str = "", **environ: str) -> str:
        """The path of the chosen one, relative."""
        found = choose(request, requires_python, self.places(**environ), cache=self.cache)
        return os.path.relpath(found.path, self.folder)


@pytest.fixture
def machine(tmp_path: Path, here: Interpreter) -> Machine:
    return Machine(tmp_path, here)


@pytest.fixture
def many(machine: Machine) -> Machine:
    machine.python("a/python3", "3.11.5")
    machine.python("b/python3.13", "3.13.1")
    machine.python("b/python3.12", "3.12.2")
    machine.python("c/python3", "3.15.0rc1")
    machine.python("d/pypy3", "3.10.14", name="pypy")
    machine.python("e/python3.13t", "3.13.1", free=True)
    return machine


def _places(tmp_path: Path, *path: Path, **environ: str) -> Places:
    variables = {"PATH": os.pathsep.join(map(str, path)), "HOME": str(tmp_path / "home"), **environ}
    return Places(variables, tmp_path, running="", platform="linux")


def test_the_order_is_the_running_one_path_pyenv_uv(tmp_path: Path) -> None:
    files = [
        "one/python3.12",
        "one/python3",
        "one/python3.9",
        "one/pythonw-config",
        "one/pypy3.10",
        "two/python",
        "home/.pyenv/versions/3.9.1/bin/python3",
        "home/.pyenv/versions/3.12.10/bin/python3",
        "home/.pyenv/versions/3.12.9/bin/python3",
        "home/.local/share/uv/python/cpython-3.13.0-linux/bin/python3",
    ]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("")
        (tmp_path / file).chmod(0o755)
    places = _places(tmp_path, tmp_path / "one", tmp_path / "two", Path("relative"), Path(""))
    found = [os.path.relpath(one.path, tmp_path) for one in candidates(places)]
    assert found == [
        "one/python3",
        "one/python3.12",
        "one/python3.9",
        "one/pypy3.10",
        "two/python",
        "home/.pyenv/versions/3.12.10/bin/python3",
        "home/.pyenv/versions/3.12.9/bin/python3",
        "home/.pyenv/versions/3.9.1/bin/python3",
        "home/.local/share/uv/python/cpython-3.13.0-linux/bin/python3",
    ]
    hints = [one.hint for one in candidates(places)]
    assert hints[:5] == ["3", "3.12", "3.9", "3.10", ""]
    assert hints[5] == "3.12.10"


def test_pyenvs_shims_are_resolved_without_starting_them(tmp_path: Path) -> None:
    root = tmp_path / "pyenv"
    for file in ("shims/python3", "versions/3.12.9/bin/python3", "versions/3.12.10/bin/python3"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("#!/bin/sh\nexit 1\n")
        (root / file).chmod(0o755)
    (root / "version").write_text("3.12.9\n")
    places = _places(tmp_path, root / "shims", PYENV_ROOT=str(root))
    assert next(candidates(places)) == Candidate(str(root / "versions/3.12.9/bin/python3"), "3")
    (tmp_path / ".python-version").write_text("# ours\n3.12\n")
    assert next(candidates(places)).path == str(root / "versions/3.12.10/bin/python3"), "the newest of 3.12"
    chosen = _places(tmp_path, root / "shims", PYENV_ROOT=str(root), PYENV_VERSION="3.12.9")
    assert next(candidates(chosen)).path == str(root / "versions/3.12.9/bin/python3")


def test_links_to_one_interpreter_count_once(tmp_path: Path) -> None:
    for name in ("a/python3", "b/python3.99"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).symlink_to(_HERE)
    found = survey(_places(tmp_path, tmp_path / "a", tmp_path / "b"))
    assert [one.path for one in found if isinstance(one, Interpreter)] == [str(tmp_path / "a" / "python3")]


def test_a_broken_one_is_skipped_with_a_reason(machine: Machine) -> None:
    broken = machine.folder / "a" / "python3"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    good = machine.python("b/python3", "3.12.4")
    found = list(survey(machine.places(), machine.cache))
    assert found[0] == Skipped(str(broken), "does not work: exit code 1")
    assert isinstance(found[1], Interpreter)
    assert found[1].path == str(good)


@pytest.mark.parametrize(
    ("request_text", "requires_python", "chosen"),
    [
        (None, "", "a/python3"),
        (None, ">=3.12", "b/python3.13"),
        (None, ">=3.12,<3.13", "b/python3.12"),
        (None, ">=3.14", "c/python3"),
        ("3.12", "", "b/python3.12"),
        ("312", "", "b/python3.12"),
        ("3", "", "a/python3"),
        ("3.12.*", "", "b/python3.12"),
        (">=3.12", "", "b/python3.13"),
        (">=3.12", "<3.13", "b/python3.12"),
        ("~=3.12.0", "", "b/python3.12"),
        ("cpython@3.13", "", "b/python3.13"),
        ("cpython@3.13t", "", "e/python3.13t"),
        ("3.13t", "", "e/python3.13t"),
        ("cp313", "", "b/python3.13"),
        ("pypy", "", "d/pypy3"),
        ("pypy@3.10", "", "d/pypy3"),
        ("pypy3.10", "", "d/pypy3"),
        ("pp310", "", "d/pypy3"),
        ("python3.12", "", "b/python3.12"),
        ("3.15", "", "c/python3"),
        ("3.15.0rc1", "", "c/python3"),
        ("e/python3.13t", "", "e/python3.13t"),
        ("./a/python3", "", "a/python3"),
        ("pypy3", "", "d/pypy3"),
    ],
)
def test_every_spelling(many: Machine, request_text: str | None, requires_python: str, chosen: str) -> None:
    assert many.choose(request_text, requires_python) == chosen


def test_an_executables_name_is_looked_up(many: Machine) -> None:
    many.python("b/snake", "3.12.7")
    assert many.choose("snake") == "b/snake"


def test_an_environment_is_a_request_too(tmp_path: Path, here: Interpreter) -> None:
    folder = tmp_path / "v"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(here.path)
    (folder / "pyvenv.cfg").write_text(f"home = {os.path.dirname(here.path)}\n")
    assert choose("v", "", _places(tmp_path)).real_path == here.real_path
    assert choose(str(folder), "", _places(tmp_path)).real_path == here.real_path


@pytest.mark.parametrize("text", ["3.9", "pypy@3.11", "cpython@3.12t", "<3.10", "3.13.7"])
def test_an_error_lists_what_there_is_and_why_it_does_not_fit(many: Machine, text: str) -> None:
    with pytest.raises(NoPython) as caught:
        many.choose(text)
    listed = dict(caught.value.found)
    assert len(listed) == 6
    assert all(reason.startswith("is ") for reason in listed.values())
    assert text in str(caught.value)
    assert "--python" in str(caught.value)


def test_requires_python_stands_in_the_error(many: Machine) -> None:
    with pytest.raises(NoPython, match=r"requires-python >=3\.12") as caught:
        many.choose("./a/python3", ">=3.12")
    assert caught.value.exit == 2
    assert reasons(caught.value)[0].endswith("a/python3 is 3.11.5, and requires-python is >=3.12")
    with pytest.raises(NoPython) as caught:
        many.choose("nonsense")
    assert "PATH has no program of that name" in reasons(caught.value)[0]
    with pytest.raises(NoPython) as caught:
        many.choose("./nonsense")
    assert "no such file" in reasons(caught.value)[0]


def reasons(error: NoPython) -> list[str]:
    """Why each interpreter did not fit, as it is shown."""
    return [text for text, _ in error.story]


def test_too_old_for_an_environment(machine: Machine) -> None:
    machine.python("a/python3", "3.7.1")
    with pytest.raises(NoPython) as caught:
        machine.choose()
    assert "is 3.7.1 (pypm makes environments for 3.8 and later)" in reasons(caught.value)[0]


def test_flag_variable_file_in_this_order(many: Machine) -> None:
    pin = many.folder / ".python-version"
    pin.write_text("\n# comment\n3.12\n3.11\n")
    assert many.choose() == "b/python3.12"
    assert many.choose(PYPM_PYTHON="3.13") == "b/python3.13"
    assert many.choose("3.11", PYPM_PYTHON="3.13") == "a/python3"
    below = many.places("x/y")
    assert choose(None, "", below, cache=many.cache).version == "3.11.5", "a file above the root is not ours"
    assert choose(None, "", below, root=many.folder, cache=many.cache).version == "3.12.2"
    pin.write_text("3.8\n")
    with pytest.raises(NoPython, match=r"Python 3.8 \(from .*\.python-version\)"):
        many.choose()
    pin.write_text("system\n")
    assert many.choose() == "a/python3"


def test_the_present_environments_interpreter_is_kept_while_it_fits(many: Machine) -> None:
    present = str(many.folder / "b" / "python3.12")

    def chosen(request: str | None, prefer: str) -> str:
        return choose(request, ">=3.10", many.places(), prefer=prefer, cache=many.cache).version

    assert chosen(None, present) == "3.12.2"
    assert chosen("3.11", present) == "3.11.5"
    assert chosen(None, "/gone/python3") == "3.11.5"


def test_only_what_may_fit_is_asked(many: Machine) -> None:
    assert many.choose("3.12") == "b/python3.12"
    assert "python3.13" not in {os.path.basename(path) for path in many.asked}


def test_what_the_windows_launcher_lists() -> None:
    output = (
        " -V:3.13 *        C:\\Users\\me\\AppData\\Local\\Programs\\Python\\Python313\\python.exe\r\n"
        " -V:3.12          C:\\Program Files\\Python312\\python.exe\r\n"
        " -3.9-64          C:\\Python39\\python.exe\r\n"
        " No runtimes are installed\r\n"
    )
    assert launcher_paths(output) == [
        "C:\\Users\\me\\AppData\\Local\\Programs\\Python\\Python313\\python.exe",
        "C:\\Program Files\\Python312\\python.exe",
        "C:\\Python39\\python.exe",
    ]
