"""Repositories that use uv, as they stand: what decides their lock beyond members and indexes."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.transcripts import Stage, run
from kit.wheels import IN_TREE_BACKEND, make_sdist, make_wheel

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        yield made


def publish(stage: Stage, name: str, version: str, *requires: str) -> None:
    assert stage.server.folder is not None
    make_wheel(stage.server.folder, name, version, requires=requires)


def project(folder: Path, name: str, *requires: str, more: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    listed = ", ".join(f'"{each}"' for each in requires)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [{listed}]\n{more}"
    )


def said(stage: Stage, *arguments: str, code: int = 0) -> str:
    done = run(["pypm", *arguments], stage.root, stage.environ)
    assert done.returncode == code, done.stdout
    return done.stdout


def locked(stage: Stage) -> dict[str, dict[str, Any]]:
    said(stage, "lock")
    assert "is what the manifests give" in said(stage, "lock", "--check")
    with (stage.root / "pypm.lock").open("rb") as file:
        return {package["name"]: package for package in tomllib.load(file)["package"]}


def test_a_folder_brings_the_folders_beside_it(stage: Stage) -> None:
    """And not what an index has under their names."""
    publish(stage, "inner", "9.0")
    beside = '[tool.uv.sources]\ninner = { path = "../in ner", editable = true }\n'
    project(stage.root, "app", "outer", more='[tool.uv.sources]\nouter = { path = "../libs/outer" }\n')
    libs = stage.root.parent / "libs"
    project(libs / "outer", "outer", "inner", more=beside)
    project(libs / "in ner", "inner")
    found = locked(stage)
    assert found["outer"]["source"] == {"path": "../libs/outer"}
    assert found["inner"]["source"] == {"path": "../libs/in ner", "editable": True}
    project(libs / "outer", "outer", "inner")
    assert "outer" in said(stage, "lock", "--check", code=1)
    assert locked(stage)["inner"]["version"] == "9.0"


def test_a_folder_is_a_member_of_its_own_workspace(stage: Stage) -> None:
    publish(stage, "leaf", "1.0")
    project(stage.root, "app", "one[more]", more='[tool.uv.sources]\none = { path = "../other/one" }\n')
    other = stage.root.parent / "other"
    project(
        other, "top", more='[tool.uv.workspace]\nmembers = ["*"]\n[tool.uv.sources]\nthree = { path = "3" }\n'
    )
    extra = '[project.optional-dependencies]\nmore = ["three", "one[self]"]\nself = ["leaf"]\n'
    project(other / "one", "one", "two", more=extra + "[tool.uv.sources]\ntwo = { workspace = true }\n")
    project(other / "two", "two")
    project(other / "3", "three")
    found = locked(stage)
    assert {name: package["source"].get("path") for name, package in found.items()} == {
        "app": None,
        "leaf": None,
        "one": "../other/one",
        "three": "../other/3",
        "two": "../other/two",
    }


def test_what_an_extra_of_a_folder_brings_need_not_be_there_if_nobody_wants_it(stage: Stage) -> None:
    outer = '[tool.uv.sources]\nouter = { path = "../outer" }\n'
    project(stage.root, "app", "outer[fine]", more=outer)
    extras = '[project.optional-dependencies]\nmore = ["gone"]\nfine = ["outer[own]"]\nown = ["there"]\n'
    sources = '[tool.uv.sources]\ngone = { path = "../gone" }\nthere = { path = "../there" }\n'
    project(stage.root.parent / "outer", "outer", more=extras + sources)
    project(stage.root.parent / "there", "there")
    assert set(locked(stage)) == {"app", "outer", "there"}
    project(stage.root, "app", "outer[more]", more=outer)
    assert "gone from ../gone: there is no such file or folder" in said(stage, "lock", code=1)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_repository_brings_the_folders_in_it(stage: Stage) -> None:
    publish(stage, "two", "9.0")
    repository = stage.root.parent / "repository"
    more = '[tool.uv.sources]\ntwo = { path = "../two" }\n'
    project(repository / "one", "one", "two", more=more)
    project(repository / "two", "two")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "x")):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
        subprocess.run(["git", *identity, *arguments], cwd=repository, check=True)
    source = f'one = {{ git = "{repository.as_uri()}", subdirectory = "one" }}'
    project(stage.root, "app", "one", more=f"[tool.uv.sources]\n{source}\n")
    for _ in range(2):  # looked into, then remembered
        found = locked(stage)
        assert found["two"]["source"]["subdirectory"] == "two"
        assert found["two"]["source"]["commit"] == found["one"]["source"]["commit"]
        (stage.root / "pypm.lock").unlink()


def test_a_broken_source_of_a_folder_is_told_with_its_place(stage: Stage) -> None:
    project(stage.root, "app", "one", more='[tool.uv.sources]\none = { path = "../one" }\n')
    gone = "[tool.uv.sources]\ntwo = { workspace = true }\n"
    project(stage.root.parent / "one", "one", "two", more=gone)
    out = said(stage, "lock", code=1)
    assert "one from ../one: " in out
    assert "source `two` says it is a member, but no member has that name" in out


STATED = """
[[tool.uv.dependency-metadata]]
name = "Thing"
version = "1.0"
requires-dist = ["six", "idna; extra == 'more'"]
provides-extra = ["more"]

[[tool.uv.dependency-metadata]]
name = "other"
requires-dist = ["six"]
"""


def test_what_is_said_to_be_a_packages_metadata_counts(stage: Stage) -> None:
    for name in ("six", "idna", "rich"):
        publish(stage, name, "1.0")
    publish(stage, "thing", "1.0", "rich")
    publish(stage, "other", "2.0", "rich")
    project(stage.root, "app", "thing[more]", "other", more=STATED)
    assert set(locked(stage)) == {"app", "thing", "other", "six", "idna"}
    assert "dependency-metadata" in (stage.root / "pypm.lock").read_text()
    project(stage.root, "app", "thing[more]", "other", more=STATED.replace('["six"]', '["rich"]'))
    assert "dependency-metadata" in said(stage, "lock", "--check", code=1)
    assert set(locked(stage)) == {"app", "thing", "other", "six", "idna", "rich"}
    # Of another version nothing is said.
    publish(stage, "thing", "1.1", "rich")
    assert "idna" in locked(stage)
    said(stage, "lock", "--upgrade-package", "thing", "--refresh")
    assert "idna" not in locked(stage)


def test_what_is_said_of_an_sdist_or_folder_needs_no_build(stage: Stage) -> None:
    publish(stage, "six", "1.0")
    folder = stage.root.parent / "dynamic"
    folder.mkdir()
    (folder / "setup.py").write_text("raise SystemExit('no build was wanted')\n")
    more = STATED.replace("Thing", "dynamic") + '[tool.uv.sources]\ndynamic = { path = "../dynamic" }\n'
    project(stage.root, "app", "dynamic", more=more)
    found = locked(stage)
    assert set(found) == {"app", "dynamic", "six"}
    assert found["dynamic"]["version"] == "1.0"


def test_hints_are_in_uvs_words(stage: Stage) -> None:
    publish(stage, "six", "1.0")
    publish(stage, "lib", "1.0", "six<1")
    uv = "[tool.uv]\nno-build = false\n"
    project(stage.root, "app", "lib", "six", more=uv)
    out = said(stage, "lock", code=1)
    assert '[tool.uv] override-dependencies = ["six"]' in out and "[resolution]" not in out
    extras = '[project.optional-dependencies]\nx = ["six==1"]\ny = ["six==2"]\n'
    publish(stage, "six", "2.0")
    project(stage.root, "app", more=extras + uv)
    out = said(stage, "lock", "--refresh", code=1)
    assert (
        '[tool.uv] conflicts = [[{ package = "app", extra = "x" }, { package = "app", extra = "y" }]]' in out
    )


@pytest.mark.parametrize("ours", [False, True])
def test_what_builds_are_held_to_and_need_besides(stage: Stage, ours: bool) -> None:
    """As in an sdist from before somebody took something out of setuptools."""
    folder = stage.server.folder
    assert folder is not None
    for version in ("80.0", "90.0"):
        backend = IN_TREE_BACKEND + ("" if version == "80.0" else "\nraise ImportError('too new')\n")
        files = {"setuptools/__init__.py": "", "setuptools/build_meta.py": backend + "\nimport helper\n"}
        make_wheel(folder, "setuptools", version, files=files)
    make_wheel(folder, "helper", "1.0")
    make_sdist(
        folder, "old", "1.0", backend="setuptools.build_meta", build_requires=["setuptools"],
        requires_python=">=3.8", dynamic=["dependencies"],
    )  # fmt: skip
    uv = (
        '[tool.uv]\nbuild-constraint-dependencies = ["setuptools<81"]\n'
        'extra-build-dependencies = { Old = ["helper", { requirement = "helper", match-runtime = true }] }\n'
    )
    project(stage.root, "app", "old", more="" if ours else uv)
    if ours:
        (stage.root / "pypm-workspace.toml").write_text(
            '[resolution]\nbuild = { allow = ["old"], constraints = ["setuptools<81"], '
            'requires = { old = ["helper"] } }\n'
        )
    assert set(locked(stage)) == {"app", "old"}
    said(stage, "sync")
    said(stage, "exec", "python", "-c", "import old")
