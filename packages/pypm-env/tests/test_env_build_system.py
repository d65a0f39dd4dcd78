from __future__ import annotations

import os
from pathlib import Path

import pytest

from pypm_env.build.system import (
    LEGACY_BACKEND,
    LEGACY_REQUIRES,
    InvalidBuildSystem,
    NothingToBuild,
    read_build_system,
)


def write(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path, text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(InvalidBuildSystem) as caught:
        read_build_system(write(folder, text))
    return [(fault.message, fault.line) for fault in caught.value.faults]


def test_a_whole_table(tmp_path: Path) -> None:
    (tmp_path / "build" / "deep").mkdir(parents=True)
    system = read_build_system(
        write(
            tmp_path,
            '[build-system]\nrequires = ["flit_core >=3,<5", "x; python_version < \'3.9\'"]\n'
            'build-backend = "own.backend:make.it"\nbackend-path = ["build/deep", "."]\n'
            '[project]\nname = "a"\n',
        )
    )
    assert system.requires == ("flit_core >=3,<5", "x; python_version < '3.9'")
    assert (system.backend, system.backend_path) == ("own.backend:make.it", ("build/deep", "."))
    assert system.project == {"name": "a"}


@pytest.mark.parametrize("text", ["", "[project]\nname = 'a'\n", "[tool.black]\n"])
def test_without_a_table_it_is_built_as_before_pep_517(tmp_path: Path, text: str) -> None:
    system = read_build_system(write(tmp_path, text))
    assert (system.requires, system.backend, system.backend_path) == (LEGACY_REQUIRES, LEGACY_BACKEND, ())


def test_requires_alone_means_the_legacy_backend(tmp_path: Path) -> None:
    system = read_build_system(write(tmp_path, '[build-system]\nrequires = ["setuptools", "cython"]\n'))
    assert (system.requires, system.backend) == (("setuptools", "cython"), LEGACY_BACKEND)


def test_setup_py_alone(tmp_path: Path) -> None:
    with pytest.raises(NothingToBuild, match="nothing says how"):
        read_build_system(tmp_path)
    with pytest.raises(NothingToBuild, match=r"^demo: neither"):
        read_build_system(tmp_path, shown="demo: pyproject.toml")
    (tmp_path / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    assert read_build_system(tmp_path).requires == LEGACY_REQUIRES


def test_every_fault_of_the_table_with_its_line(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        '[project]\nname = "a"\n\n[build-system]\nrequires = ["ok", "not ok", "=1"]\n'
        'build-backend = "no-module"\nbackend-path = ["..", "gone", "/"]\n',
    )
    assert [line for _, line in found] == [5, 5, 6, 7, 7, 7]
    assert "'not ok'" in found[0][0] and "'=1'" in found[1][0] and "no-module" in found[2][0]
    assert ["outside" in m for m, _ in found[3:]] == [True, False, True]
    assert "no folder" in found[4][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[build-system]\nbuild-backend = "x"\n', "requires is missing"),
        ('[build-system]\nrequires = "x"\n', "must be a list of strings"),
        ("[build-system]\nrequires = [1]\n", "must be a list of strings"),
        ("build-system = 3\n", "must be a table"),
        ("[build-system]\nrequires = []\nbuild-backend = 3\n", "must name a module"),
        ('[build-system]\nrequires = []\nbackend-path = ["."]\n', "needs a build-backend"),
        ('[build-system]\nrequires = []\nbuild-backend="x"\nbackend-path = "."\n', "must be a list"),
        ("[build-system\n", "not TOML"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, message: str) -> None:
    assert message in faults(tmp_path, text)[0][0]


def test_errors_say_where(tmp_path: Path) -> None:
    write(tmp_path, "[build-system]\nrequires = [\n  x\n]\n")
    with pytest.raises(InvalidBuildSystem) as caught:
        read_build_system(tmp_path, shown="packages/a/pyproject.toml")
    assert str(caught.value).startswith("packages/a/pyproject.toml:3:3: not TOML")
    assert caught.value.exit == 2
    assert caught.value.to_json()["code"] == "invalid-build-system"


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"[project]\nname = '\xff'\n")
    with pytest.raises(InvalidBuildSystem, match=r":2: not UTF-8"):
        read_build_system(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_out_of_the_tree_is_outside(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (project / "backend").symlink_to(tmp_path / "elsewhere")
    text = '[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["backend"]\n'
    assert "outside" in faults(project, text)[0][0]
