"""Launchers and scripts: run for real where this platform can."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_env.launchers import (
    InvalidEntryPoint,
    LauncherKit,
    launcher,
    script_with_interpreter,
    windows_programs,
)

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX launchers")


def _run(folder: Path, python: Path, target: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    ((name, content),) = launcher(LauncherKit(str(python)), "acme", "hello", target, gui=False)
    file = folder / name
    file.write_bytes(content)
    file.chmod(0o755)
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([str(file), *arguments], capture_output=True, text=True, env=environ, check=False)


def _python(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    python = folder / "python"
    python.symlink_to(sys.executable)
    return python


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "acme.py").write_text(
        "import sys\n"
        "class Tool:\n"
        "    @staticmethod\n"
        "    def main():\n"
        "        print(sys.argv[1:], sorted(m for m in ('re', 'importlib.metadata') if m in sys.modules))\n"
        "        return 7\n"
    )
    return tmp_path


@posix
@pytest.mark.parametrize(
    "where",
    [
        "short",
        "with a blank",
        "long/" + "x" * 150,
        "tab\there",
        "quote's",
        'double"quote',
        "back\\slash",
        "$HOME",
        "`true`",
        "ünïcode" + "é" * 80,
        "tri'''ple and blank",
        "exclamation!",
    ],
)
def test_a_launcher_runs_wherever_its_interpreter_is(module: Path, where: str) -> None:
    folder = module / where
    python = _python(folder)
    # The last resort looks for the interpreter beside the script.
    done = _run(folder, python, "acme:Tool.main", "a b", "--x")
    (folder / "acme.py").write_text((module / "acme.py").read_text())
    done = _run(folder, python, "acme:Tool.main", "a b", "--x")
    assert done.stderr == ""
    assert done.stdout.startswith("['a b', '--x']")
    assert done.returncode == 7


@posix
def test_a_launcher_imports_nothing_but_its_target(module: Path) -> None:
    (module / "bare.py").write_text("import sys\ndef main(): print(*sorted(sys.modules))\n")
    python = _python(module)
    done = _run(module, python, "bare:main")
    environ = {**os.environ, "PYTHONPATH": str(module)}
    command = [str(python), "-c", "import bare; bare.main()"]
    bare = subprocess.run(command, capture_output=True, text=True, env=environ, check=True)
    assert set(done.stdout.split()) - set(bare.stdout.split()) == set()


@posix
def test_a_process_pool_may_import_the_launcher_again(module: Path) -> None:
    (module / "pool.py").write_text(
        "import multiprocessing\n"
        "def work(x): return x + 1\n"
        "def main():\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(work, [1, 2]))\n"
    )
    done = _run(module, _python(module), "pool:main")
    assert done.stdout == "[2, 3]\n", done.stderr


@pytest.mark.parametrize(
    "target", ["acme", "acme:", ":main", "acme:main()", "acme:main\nimport os", "a b:c", ""]
)
def test_what_names_nothing_to_call_is_an_error(target: str) -> None:
    with pytest.raises(InvalidEntryPoint, match="acme: entry point x"):
        launcher(LauncherKit("/p"), "acme", "x", target, gui=False)


def test_extras_after_the_target_are_passed_over() -> None:
    ((_, content),) = launcher(LauncherKit("/p"), "acme", "x", "acme.cli : main [tests, more]", gui=False)
    assert b"from acme.cli import main\n" in content


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r/"), min_size=1, max_size=300))
def test_every_launcher_is_python(name: str) -> None:
    ((_, content),) = launcher(LauncherKit(f"/{name}/bin/python"), "acme", "x", "acme:main", gui=False)
    compile(content, "x", "exec")
    assert content.startswith(b"#!")
    assert len(content.split(b"\n")[0]) <= 127


def test_scripts_of_a_wheel_get_the_environments_interpreter() -> None:
    kit = LauncherKit("/e/bin/python")
    assert script_with_interpreter(kit, b"#!python\nprint(1)\n") == b"#!/e/bin/python\nprint(1)\n"
    assert script_with_interpreter(kit, b"#!pythonw -u\r\nx\n") == b"#!/e/bin/python\nx\n"
    assert script_with_interpreter(kit, b"#!/bin/sh\necho\n") is None
    assert script_with_interpreter(kit, b"\x7fELF") is None
    windows = LauncherKit("C:\\e\\Scripts\\python.exe", windows=True)
    assert script_with_interpreter(windows, b"#!pythonw\n") == b"#!C:\\e\\Scripts\\pythonw.exe\n"


def test_windows_programs_come_from_the_interpreters_own_pip(tmp_path: Path) -> None:
    bundled = tmp_path / "Lib" / "ensurepip" / "_bundled"
    bundled.mkdir(parents=True)
    assert windows_programs(str(tmp_path), "AMD64") == (b"", b"")
    with zipfile.ZipFile(bundled / "pip-25.0-py3-none-any.whl", "w") as archive:
        for name in ("t32", "w32", "t64", "w64", "t64-arm", "w64-arm"):
            archive.writestr(f"pip/_vendor/distlib/{name}.exe", f"MZ {name}")
    assert windows_programs(str(tmp_path), "AMD64") == (b"MZ t64", b"MZ w64")
    assert windows_programs(str(tmp_path), "ARM64") == (b"MZ t64-arm", b"MZ w64-arm")
    assert windows_programs(str(tmp_path), "x86") == (b"MZ t32", b"MZ w32")


def test_a_windows_launcher_is_program_interpreter_and_zip(tmp_path: Path) -> None:
    kit = LauncherKit("C:\\my venv\\Scripts\\python.exe", True, b"MZ console", b"MZ gui")
    ((name, content),) = launcher(kit, "acme", "hello", "acme:main", gui=True)
    assert name == "hello.exe"
    assert content.startswith(b"MZ gui#!C:\\my venv\\Scripts\\pythonw.exe\nPK")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        source = archive.read("__main__.py").decode()
    (tmp_path / "acme.py").write_text("import sys\ndef main(): print(sys.argv[0])\n")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['hello.exe']\n{source}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "hello\n"


def test_without_a_windows_program_a_shell_can_still_run_it() -> None:
    made = dict(launcher(LauncherKit("C:\\e\\python.exe", True), "acme", "hello", "acme:main", gui=False))
    assert set(made) == {"hello-script.py", "hello.cmd"}
    assert made["hello.cmd"] == b'@"C:\\e\\python.exe" "%~dp0hello-script.py" %*\r\n'
