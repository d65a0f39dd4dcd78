"""Environments made by our own code behave like those of the standard library."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pypm_env.interpreters import Interpreter, Layout
from pypm_env.probe import probe
from pypm_env.venv import (
    NoLauncher,
    base_python,
    create,
    python_names,
    python_path,
    read_config,
)
from pypm_model.records import replace

_HERE = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
_ASK = """
import json, os, sys, sysconfig
paths = sysconfig.get_paths()
keys = ("purelib", "platlib", "scripts", "data")
facts = {key: os.path.realpath(paths[key]) for key in keys}
facts["path"] = [os.path.realpath(one) for one in sys.path if "-packages" in one]
facts.update(prefix=sys.prefix, executable=sys.executable, base=sys.base_prefix, stdlib=paths["stdlib"])
print(json.dumps(facts))
"""


def _interpreters() -> list[str]:
    found = {_HERE}
    for pattern in ("~/.pyenv/versions/3.*/bin/python3", "/usr/bin/python3", "/usr/bin/pypy3"):
        found |= {os.path.realpath(path) for path in glob.glob(os.path.expanduser(pattern))}
    return sorted(path for path in found if "python3.6" not in path and "python3.7" not in path)


def _interpreter(path: str = _HERE) -> Interpreter:
    found = probe(path)
    assert isinstance(found, Interpreter), found
    return found


def _make(folder: Path, interpreter: Interpreter, **more: str) -> Path:
    create(folder, interpreter, final=folder, pypm_version="1.2", **more)
    return folder


def _facts(python: Path) -> dict[str, object]:
    done = subprocess.run([str(python), "-I", "-c", _ASK], capture_output=True, text=True, check=True)
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


posix = pytest.mark.skipif(os.name == "nt", reason="POSIX layout")


@posix
@pytest.mark.parametrize(
    "path",
    [path if path == _HERE else pytest.param(path, marks=pytest.mark.slow) for path in _interpreters()],
)
def test_it_is_what_the_standard_library_makes(tmp_path: Path, path: str) -> None:
    interpreter = _interpreter(path)
    ours = _make(tmp_path / "ours" / ".venv", interpreter)
    facts = _facts(ours / "bin" / "python")
    site = str(ours / interpreter.layout.site_packages)
    assert facts["prefix"] == str(ours)
    assert facts["purelib"] == facts["platlib"] == site
    assert facts["path"] == [site]
    assert facts["base"] == interpreter.base_prefix
    assert facts["scripts"] == str(ours / "bin")
    assert facts["executable"] == str(ours / "bin" / "python")
    for name in python_names(interpreter):
        assert _facts(ours / "bin" / name)["prefix"] == str(ours)


@posix
def test_its_files_are_those_of_the_standard_library(tmp_path: Path) -> None:
    ours = _make(tmp_path / "ours", _interpreter())
    subprocess.run([_HERE, "-m", "venv", "--without-pip", str(tmp_path / "theirs")], check=True)
    site = _interpreter().layout.site_packages
    for name in ("bin/python", "bin/python3", f"bin/python3.{sys.version_info.minor}", site, "pyvenv.cfg"):
        assert (ours / name).exists()
        assert (tmp_path / "theirs" / name).exists()
    assert os.path.islink(ours / "lib64") == os.path.islink(tmp_path / "theirs" / "lib64")
    assert (ours / ".gitignore").read_text() == "*\n"
    mine, theirs = read_config(ours), read_config(tmp_path / "theirs")
    assert mine is not None
    assert theirs is not None
    assert {key: mine[key] for key in ("home", "version", "include-system-site-packages")} == {
        key: theirs[key] for key in ("home", "version", "include-system-site-packages")
    }
    assert mine["pypm"] == "1.2"


@posix
@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "csh"])
@pytest.mark.parametrize("name", ["plain", "it's a $HOME `x` !y"])
def test_activation_puts_it_first_and_deactivation_takes_it_out(
    tmp_path: Path, shell: str, name: str
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"no {shell} here")
    folder = _make(tmp_path / name / ".venv", _interpreter())
    suffix = {"fish": ".fish", "csh": ".csh"}.get(shell, "")
    source = "source" if suffix else "."
    script = (
        f'{source} "$ACTIVATE"; python -c "import sys; print(sys.prefix)"; '
        'echo "$VIRTUAL_ENV|$VIRTUAL_ENV_PROMPT"; deactivate; echo "$PATH"; env | grep -c ^VIRTUAL_ENV'
    )
    environ = {
        "PATH": os.environ["PATH"],
        "ACTIVATE": str(folder / "bin" / ("activate" + suffix)),
        "HOME": "/",
    }
    done = subprocess.run([program, "-c", script], capture_output=True, text=True, env=environ, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(folder), f"{folder}|{name}", os.environ["PATH"], "0"]


@posix
def test_activating_twice_is_the_same_as_once_and_strict_shells_are_fine(tmp_path: Path) -> None:
    folder = _make(tmp_path / ".venv", _interpreter())
    script = f'set -eu; . {folder}/bin/activate; . {folder}/bin/activate; deactivate; echo "$PATH"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (os.environ["PATH"] + "\n", "")


def _windows(base: Path, **more: object) -> Interpreter:
    here = _interpreter()
    return replace(
        here,
        path=str(base / "python.exe"),
        base_prefix=str(base),
        markers={**here.markers, "os_name": "nt", "sys_platform": "win32", "platform_machine": "AMD64"},
        layout=Layout("Scripts", "Lib/site-packages", "Include"),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("files", "free", "chosen"),
    [
        (["venvlauncher.exe", "venvwlauncher.exe"], False, ["venvlauncher.exe", "venvwlauncher.exe"]),
        (["venvlauncher.exe", "venvlaunchert.exe"], True, ["venvlaunchert.exe", None]),
        (["python.exe", "pythonw.exe"], False, ["python.exe", "pythonw.exe"]),
    ],
)
def test_windows_gets_copies_of_the_launchers(
    tmp_path: Path, files: list[str], free: bool, chosen: list[str | None]
) -> None:
    source = tmp_path / "base" / "Lib" / "venv" / "scripts" / "nt"
    source.mkdir(parents=True)
    for name in files:
        (source / name).write_text(name)
    interpreter = _windows(tmp_path / "base", is_free_threaded=free)
    folder = _make(tmp_path / ".venv", interpreter)
    made = [folder / "Scripts" / name for name in ("python.exe", "pythonw.exe")]
    assert [file.read_text() if file.exists() else None for file in made] == chosen
    assert python_path(folder, interpreter) == made[0]
    assert (
        "%" not in (folder / "Scripts" / "activate.bat").read_text().split("VIRTUAL_ENV=")[1].splitlines()[0]
    )
    assert (folder / "Scripts" / "deactivate.bat").exists()
    assert not (folder / "lib64").exists()


def test_windows_without_launchers(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(NoLauncher):
        _make(tmp_path / ".venv", _windows(tmp_path / "base"))
    (tmp_path / "base" / "pypy3.exe").write_text("pypy")
    (tmp_path / "base" / "libpypy3.dll").write_text("dll")
    (tmp_path / "base" / "python.exe").write_text("python")
    folder = _make(tmp_path / "pypy", _windows(tmp_path / "base", implementation="pypy"))
    names = {file.name for file in (folder / "Scripts").iterdir()}
    assert {"pypy3.exe", "libpypy3.dll", "python.exe"} <= names


@posix
def test_what_it_was_made_from(tmp_path: Path) -> None:
    folder = _make(tmp_path / ".venv", _interpreter())
    assert base_python(folder) == _interpreter().path
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/gone/python")
    assert base_python(folder) == ""
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
    assert base_python(folder) == ""
    assert base_python(tmp_path) == ""


def test_the_configuration_survives_odd_names(tmp_path: Path) -> None:
    folder = _make(tmp_path / "e", _interpreter(), prompt="two\nlines = x")
    config = read_config(folder)
    assert config is not None
    assert config["prompt"] == "two"
    assert read_config(tmp_path) is None
