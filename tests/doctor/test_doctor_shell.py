"""Interpreters, and what the shell has set."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from kit.clinic import Clinic, with_paths
from pypm_model.records import replace

posix = pytest.mark.skipif(os.name != "posix", reason="shell scripts")


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME", "PYTHONPLATLIBDIR"])
def test_a_variable_that_changes_imports_is_an_issue(clinic: Clinic, name: str) -> None:
    clinic.environ[name] = "/somewhere"
    found = clinic.one("variables", "issue")
    assert name in found.message and found.fix.endswith((name, f"{name}="))


def test_lesser_variables_are_notes_and_empty_ones_nothing(clinic: Clinic) -> None:
    assert clinic.verdicts("variables") == ["ok"]
    clinic.environ.update(PYTHONPATH="", PYTHONOPTIMIZE="1", PYTHONSTARTUP="x")
    assert clinic.verdicts("variables") == ["note", "note"]


@pytest.mark.parametrize(
    ("epoch", "verdict"), [("0", "note"), ("yesterday", "issue"), ("1700000000", "ok"), ("²", "issue")]
)
def test_the_time_of_builds(clinic: Clinic, epoch: str, verdict: str) -> None:
    clinic.environ["SOURCE_DATE_EPOCH"] = epoch
    assert clinic.verdicts("variables") == [verdict]


def test_pips_variables_are_notes_and_their_values_are_not_told(clinic: Clinic) -> None:
    clinic.environ.pop("PIP_FIND_LINKS", None)
    assert clinic.verdicts("pip-variables") == ["ok"]
    clinic.environ.update(
        PIP_EXTRA_INDEX_URL="https://u:hunter2@x.example.test/", PIP_USER="0", PIP_TARGET="/t"
    )
    found = clinic.look("pip-variables")
    assert [(each.verdict, each.message.split()[0]) for each in found] == [
        ("note", "PIP_EXTRA_INDEX_URL"),
        ("note", "PIP_TARGET"),
    ]
    assert "hunter2" not in str(found)


def test_an_activated_environment_that_is_gone_is_an_issue(clinic: Clinic) -> None:
    clinic.environ["VIRTUAL_ENV"] = str(clinic.home / "gone")
    assert "is not there any more" in clinic.one("activated", "issue").message


def test_an_activated_environment_of_another_workspace_is_a_note(clinic: Clinic) -> None:
    clinic.project()
    other = clinic.home / "other"
    other.mkdir()
    clinic.environ["VIRTUAL_ENV"] = str(other)
    found = clinic.one("activated", "note")
    assert str(other) in found.message and str(clinic.root) in found.fix
    own = clinic.root / ".venv"
    own.mkdir()
    clinic.environ["VIRTUAL_ENV"] = str(own)
    assert clinic.verdicts("activated") == ["ok"]


def test_conda_is_told(clinic: Clinic) -> None:
    clinic.environ["CONDA_PREFIX"] = "/opt/conda"
    assert clinic.one("activated", "note").fix == "conda deactivate"


@posix
def test_several_pypm_on_path(clinic: Clinic) -> None:
    clinic.bare()
    assert clinic.one("path", "note").fix == "pypm self link"
    clinic.program("pypm")
    assert clinic.verdicts("path") == ["ok"]
    second = clinic.program("pypm", folder="more")
    found = clinic.one("path", "note")
    assert str(second) in found.message.partition(";")[0], "the first on PATH is the one"


def test_no_interpreter_fits(clinic: Clinic) -> None:
    clinic.project(requires_python='">=4"')
    del clinic.environ["PYPM_PYTHON"]
    clinic.bare()
    found = clinic.one("interpreter", "issue")
    assert ">=4" in found.message
    assert clinic.look("modules")[0].verdict == "unknown", "what builds on it cannot be found out"


def test_an_interpreter_fits(clinic: Clinic) -> None:
    clinic.project()
    assert sys.version.split()[0] in clinic.one("interpreter", "ok").message


def test_members_apart_may_have_interpreters_apart(clinic: Clinic) -> None:
    clinic.file("pypm-workspace.toml", '[workspace]\nmembers = ["a", "b"]\nshared-environment = false\n')
    for name, python in (("a", ">=3.11"), ("b", ">=4")):
        text = f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = "{python}"\n'
        clinic.file(f"{name}/pyproject.toml", text)
    del clinic.environ["PYPM_PYTHON"]
    clinic.bare()
    assert sorted(clinic.verdicts("interpreter")) == ["issue", "ok"]
    clinic.members = ("a",)
    assert clinic.verdicts("interpreter") == ["ok"]


def test_a_python_without_releases_is_a_note(clinic: Clinic) -> None:
    clinic.changes = lambda found: replace(
        found, version="3.8.18", markers={**found.markers, "python_version": "3.8"}
    )
    assert "security" in clinic.one("interpreter", "note").message


@posix
def test_what_looks_like_an_interpreter_and_is_none(clinic: Clinic) -> None:
    clinic.bare()
    broken = clinic.program("python3.99", "echo nothing; exit 3\n")
    found = [each for each in clinic.look("interpreters") if each.verdict == "note"]
    assert any(str(broken) in each.message for each in found)


@posix
def test_a_shim_is_told(clinic: Clinic) -> None:
    shim = clinic.program("python3", f'exec "{sys.executable}" "$@"\n')
    assert str(shim) in clinic.one("shadowed", "note").message


@posix
def test_python_on_path_is_the_one_in_use(clinic: Clinic) -> None:
    clinic.bare()
    assert clinic.verdicts("shadowed") == ["note"]
    (clinic.home / "bin").mkdir()
    (clinic.home / "bin" / "python3").symlink_to(os.path.realpath(sys.executable))
    assert clinic.verdicts("shadowed") == ["ok"]
    clinic.changes = lambda found: replace(found, path="/other/python3", real_path="/other/python3")
    assert "/other/python3" in clinic.one("shadowed", "note").message


def test_an_interpreter_that_the_system_manages(clinic: Clinic, tmp_path: Path) -> None:
    clinic.changes = with_paths(stdlib=str(tmp_path))
    assert clinic.verdicts("externally-managed") == ["ok"]
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    assert "PEP 668" in clinic.one("externally-managed", "note").message


@posix
@pytest.mark.parametrize(
    ("missing", "verdict"), [(["ssl"], "issue"), (["lzma"], "note"), (["tkinter"], "ok"), ([], "ok")]
)
def test_modules_that_were_not_built(clinic: Clinic, missing: list[str], verdict: str) -> None:
    told = json.dumps({"missing": missing, "stdlib": "/lib", "user-site": "/none", "sitecustomize": []})
    python = clinic.program("fake", f"echo '{told}'\n")
    clinic.changes = lambda found: replace(found, path=str(python))
    assert clinic.verdicts("modules") == [verdict]


@posix
def test_an_interpreter_that_says_nothing_is_unknown(clinic: Clinic) -> None:
    python = clinic.program("fake", "echo broken >&2; exit 1\n")
    clinic.changes = lambda found: replace(found, path=str(python))
    assert "broken" in clinic.one("modules", "unknown").message


@posix
def test_the_users_own_site_folder(clinic: Clinic) -> None:
    assert clinic.verdicts("user-site") == ["ok"]
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = clinic.home / ".local" / "lib" / version / "site-packages"
    if sys.platform != "linux":
        pytest.skip("elsewhere on this system")
    (site / "leak-1.0.dist-info").mkdir(parents=True)
    (site / "usercustomize.py").write_text("pass\n")
    found = clinic.look("user-site")
    assert [each.verdict for each in found] == ["note", "note"]
    assert "usercustomize.py" in found[0].message and found[1].message.startswith("1 package is in")


@pytest.mark.parametrize(
    ("tag", "verdict"),
    [
        ("manylinux_2_12_x86_64", "issue"),
        ("manylinux_2_17_x86_64", "note"),
        ("manylinux_2_36_aarch64", "ok"),
        ("musllinux_1_2_x86_64", "ok"),
        ("macosx_14_0_arm64", "ok"),
    ],
)
def test_the_newest_wheels_that_fit(clinic: Clinic, tag: str, verdict: str) -> None:
    tags = (
        f"cp311-cp311-linux_{tag[-6:]}",
        f"cp311-cp311-{tag}",
        "cp311-cp311-manylinux_2_5_x86_64",
        "py3-none-any",
    )
    if "manylinux" not in tag:
        tags = tags[:2]
    clinic.changes = lambda found: replace(found, tags=tags)
    (found,) = clinic.look("wheels")
    assert found.verdict == verdict
    if verdict == "ok":
        assert tag in found.message


def test_this_pypm_runs_on_something(clinic: Clinic) -> None:
    assert sys.version.split()[0] in clinic.look("pypm")[0].message
    assert clinic.verdicts("encoding")[0] in ("ok", "note")
