"""Compilers, toolchains and git: missing ones count where something here needs them."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from kit.clinic import Clinic, with_paths
from pypm.ops.merge_setup import CONFIG, LINE

posix = pytest.mark.skipif(os.name != "posix", reason="shell scripts")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")
CYTHON = '[build-system]\nrequires = ["setuptools", "Cython>=3"]\n'
RUST = '[build-system]\nrequires = ["maturin>=1"]\nbuild-backend = "maturin"\n'


def git(clinic: Clinic, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.test"]
    subprocess.run(
        ["git", *identity, *arguments], cwd=clinic.root, env=clinic.environ, check=True, capture_output=True
    )


def test_headers_count_where_something_is_compiled(clinic: Clinic) -> None:
    clinic.changes = with_paths(include=str(clinic.home))
    clinic.project()
    assert "nothing here needs it" in clinic.one("headers", "ok").message
    clinic.project(CYTHON)
    found = clinic.one("headers", "issue")
    assert "cython (pyproject.toml:6:27)" in found.message and "dev" in found.fix
    (clinic.home / "Python.h").touch()
    assert clinic.verdicts("headers") == ["ok"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("setup.py", "setup(ext_modules=[Extension('x', ['x.c'])])\n"),
        ("pyproject.toml", None),
    ],
)
def test_setuptools_extensions_need_a_compiler(clinic: Clinic, file: str, text: str | None) -> None:
    system = '[build-system]\nrequires = ["setuptools"]\n'
    more = "" if text else '[[tool.setuptools.ext-modules]]\nname = "x"\nsources = ["x.c"]\n'
    clinic.project(system + more)
    if text:
        clinic.file(file, text)
    clinic.bare()
    assert f"({file})" in clinic.one("compiler", "issue").message


def test_a_compiler_that_is_missing(clinic: Clinic) -> None:
    clinic.bare()
    clinic.project('[build-system]\nrequires = ["setuptools"]\n')
    assert "nothing here needs it" in clinic.one("compiler", "ok").message
    clinic.project(CYTHON)
    assert "there is no C compiler" in clinic.one("compiler", "issue").message


@posix
def test_a_compiler_that_does_not_link(clinic: Clinic) -> None:
    (clinic.home / "Python.h").touch()
    clinic.changes = with_paths(include=str(clinic.home))
    clinic.program("broken-cc", "echo 'ld: error: no such thing' >&2; exit 1\n")
    clinic.environ["CC"] = "broken-cc -m64"
    clinic.project()
    assert "ld: error: no such thing" in clinic.one("compiler", "note").message
    clinic.project(CYTHON)
    assert "ld: error: no such thing" in clinic.one("compiler", "issue").message


@posix
@pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler")
def test_a_compiler_that_links(clinic: Clinic) -> None:
    clinic.project(CYTHON)
    found = clinic.look("compiler")
    assert [each.verdict for each in found] == ["ok"] and "links an extension" in found[0].message


@posix
def test_rust(clinic: Clinic) -> None:
    clinic.bare()
    clinic.project()
    assert clinic.verdicts("rust") == ["ok"]
    clinic.project(RUST)
    assert "maturin (pyproject.toml:6:13)" in clinic.one("rust", "issue").message
    clinic.program("cargo", "echo 'no default toolchain' >&2; exit 1\n")
    assert "no default toolchain" in clinic.one("rust", "issue").message
    clinic.program("cargo", "echo cargo 1.80.0\n")
    assert "cargo 1.80.0" in clinic.one("rust", "ok").message


def test_git_that_is_missing(clinic: Clinic) -> None:
    clinic.bare()
    clinic.project()
    assert clinic.verdicts("git") == ["ok"]
    (clinic.root / ".git").mkdir()
    assert clinic.verdicts("git") == ["note"]
    clinic.project(
        '[tool.pypm.sources]\nx = { git = "https://git.example.test/x", rev = "1" }\n', dependencies='["x"]'
    )
    assert "x comes from a git repository" in clinic.one("git", "issue").message
    clinic.project('[build-system]\nrequires = ["setuptools-scm"]\n')
    assert "setuptools-scm" in clinic.one("git", "issue").message


@posix
def test_git_that_is_old_or_broken(clinic: Clinic) -> None:
    clinic.program("git", "echo git version 2.9.1\n")
    assert clinic.verdicts("git") == ["note"]
    clinic.program("git", "echo no library >&2; exit 127\n")
    assert "no library" in clinic.one("git", "issue").message


@needs_git
def test_a_repository_that_belongs_to_somebody_else(clinic: Clinic) -> None:
    git(clinic, "init", "-q")
    assert clinic.verdicts("git") == ["ok"]
    clinic.environ["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
    found = clinic.look("git")[1]
    assert (found.verdict, "safe.directory" in found.fix) == ("issue", True)


@needs_git
def test_the_merge_driver(clinic: Clinic) -> None:
    clinic.project()
    assert "no git repository" in clinic.one("merge-driver", "ok").message
    git(clinic, "init", "-q")
    assert clinic.verdicts("merge-driver") == ["ok"]
    clinic.file(".gitattributes", f"{LINE}\n")
    assert clinic.one("merge-driver", "note").fix == "pypm init --git"
    git(clinic, "config", *CONFIG[-1])
    assert "with pypm" in clinic.one("merge-driver", "ok").message


@needs_git
def test_what_git_keeps(clinic: Clinic) -> None:
    clinic.project()
    assert clinic.verdicts("version-control") == ["ok"]
    git(clinic, "init", "-q")
    clinic.file("pypm.lock", "x")
    assert clinic.one("version-control", "note").fix == "git add pypm.lock"
    clinic.file(".gitignore", "*.lock\n")
    assert ".gitignore:1" in clinic.one("version-control", "issue").message
    git(clinic, "add", "-f", "pypm.lock")
    assert clinic.verdicts("version-control") == ["ok"]
    clinic.file(".venv/pyvenv.cfg", "")
    git(clinic, "add", "-f", ".venv")
    assert "git rm" in clinic.one("version-control", "issue").fix


TARGET = '[workspace]\nmembers = ["."]\nenvironments = ["sys_platform == \'{}\'"]\n'


@posix
@pytest.mark.parametrize(
    ("check", "platform", "tools"),
    [("wasi", "wasi", ["wasmtime"]), ("emscripten", "emscripten", ["emcc", "pyodide"])],
)
def test_toolchains_for_webassembly(clinic: Clinic, check: str, platform: str, tools: list[str]) -> None:
    clinic.bare()
    clinic.project(CYTHON)
    clinic.environ.pop("WASI_SDK_PATH", None)
    assert clinic.verdicts(check) == ["ok"]
    clinic.file("pypm-workspace.toml", TARGET.format(platform))
    assert platform in clinic.one(check, "issue").message
    clinic.file("pypm-workspace.toml", TARGET.format("linux"))
    assert clinic.verdicts(check) == ["ok"]
    clinic.file("pypm-workspace.toml", TARGET.format(platform))
    for tool in tools:
        clinic.program(tool)
    clinic.environ["WASI_SDK_PATH"] = str(clinic.home)
    assert clinic.verdicts(check) == ["ok"]
    clinic.project()
    clinic.bare()
    assert clinic.verdicts(check) == ["ok"], "a pure member is not compiled for it"
