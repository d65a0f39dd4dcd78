"""Several projects in one commit or one archive: each is itself, whichever is built first."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_project, make_wheel, sha256

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

PLACES = {"base": "", "one": "one", "two": "libs/two"}
"""Where which project is."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        yield made


def mono(stage: Stage, *, dynamic: bool = False) -> Path:
    """A repository with a project at its root and two further down."""
    folder = stage.folder / "mono"
    for name, place in PLACES.items():
        left = ("version", "dependencies") if dynamic else ()
        make_project(folder / place, name, f"1.{len(name)}", backend="in-tree", dynamic=left)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def archived(stage: Stage, folder: Path) -> Path:
    """The projects in *folder* as an archive that the index server has."""
    assert stage.server.folder is not None
    path = stage.server.folder / "mono-1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "mono-1", filter=lambda entry: None if ".git" in entry.name else entry)
    return path


def ask(stage: Stage, **sources: str) -> None:
    """The workspace asks for these, and each is where its inline table says."""
    asked = ", ".join(f'"{name}"' for name in sources)
    tables = "".join(f"{name} = {{ {table} }}\n" for name, table in sources.items())
    (stage.root / "pyproject.toml").write_text(
        f'[project]\nname = "app"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [{asked}]\n[tool.pypm.sources]\n{tables}"
    )


def at(where: str, place: str) -> str:
    return where + (f', subdirectory = "{place}"' if place else "")


def pypm(stage: Stage, *arguments: str, code: int = 0) -> str:
    done = run(["pypm", *arguments], stage.root, stage.environ)
    assert done.returncode == code, done.stdout
    return stage.plain(done.stdout)


def check(stage: Stage) -> None:
    """All three are there, and each is itself."""
    (site,) = (stage.root / ".venv/lib").glob("python*/site-packages")
    assert {path.name for path in site.glob("*.dist-info")} == {
        f"{name}-1.{len(name)}.dist-info" for name in PLACES
    }
    assert all((site / name / "__init__.py").is_file() for name in PLACES)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", ["git", "url"])
def test_each_is_built_from_its_own_folder(stage: Stage, kind: str, dynamic: bool) -> None:
    folder = mono(stage, dynamic=dynamic)
    path = archived(stage, folder)
    where = f'git = "{folder.as_uri()}"' if kind == "git" else f'url = "{stage.server.url_of(path.name)}"'
    ask(stage, **{name: at(where, place) for name, place in PLACES.items()})
    assert "+ one 1.3" in pypm(stage, "sync")
    check(stage)
    shutil.rmtree(stage.root / ".venv")
    pypm(stage, "ci", "--offline")
    check(stage)


@pytest.mark.parametrize("kind", ["vcs", "archive"])
def test_so_it_is_of_the_lock_of_another_tool(stage: Stage, kind: str) -> None:
    folder = mono(stage)
    path = archived(stage, folder)
    commit = run(["git", "rev-parse", "HEAD"], folder, stage.environ).stdout.strip()
    where = f'url = "{stage.server.url_of(path.name)}", hashes = {{ sha256 = "{sha256(path)}" }}'
    if kind == "vcs":
        where = f'type = "git", url = "{folder.as_uri()}", commit-id = "{commit}"'
    tables = "".join(
        f'[[packages]]\nname = "{name}"\n{kind} = {{ {at(where, place)} }}\n'
        for name, place in PLACES.items()
    )
    (stage.root / "pylock.toml").write_text(f'lock-version = "1.0"\ncreated-by = "uv"\n{tables}')
    pypm(stage, "sync", "--lock", "pylock.toml")
    check(stage)


def test_what_is_another_project_is_not_installed(stage: Stage) -> None:
    """Where a lock or another tool's says so; at an address of the manifest it is noticed before."""
    folder = mono(stage)
    commit = run(["git", "rev-parse", "HEAD"], folder, stage.environ).stdout.strip()
    assert stage.server.folder is not None
    wheel = make_wheel(stage.server.folder, "one", "1.3")

    def other(name: str, kind: str, table: str, version: str = "") -> str:
        said = f'version = "{version}"\n' if version else ""
        (stage.root / "pylock.toml").write_text(
            'lock-version = "1.0"\ncreated-by = "uv"\n'
            f'[[packages]]\nname = "{name}"\n{said}{kind} = {{ {table} }}\n'
        )
        output = pypm(stage, "sync", "--lock", "pylock.toml", code=1)
        assert not list(stage.root.glob(".venv/lib/python*/site-packages/*.dist-info")), output
        return output

    vcs = f'type = "git", url = "{folder.as_uri()}", commit-id = "{commit}"'
    archive = f'url = "{stage.server.url_of(wheel.name)}", hashes = {{ sha256 = "{sha256(wheel)}" }}'
    built = other("two", "vcs", at(vcs, "one"))
    assert "error[build-failed]: two: build_wheel" in built
    assert "it made a wheel of one instead of two" in built
    assert "version 1.3 instead of 2.0" in other("one", "vcs", at(vcs, "one"), "2.0")
    assert "no file name of a wheel of two" in other("two", "archive", archive)
    assert "version 1.3, not 2.0" in other("one", "archive", archive, "2.0")
    assert "no such folder" in other("one", "vcs", at(vcs, "nowhere"))

    ask(stage, two=at(f'git = "{folder.as_uri()}"', "one"))
    assert "that is the project 'one'" in pypm(stage, "sync", code=1)
    ask(stage, one=at(f'git = "{folder.as_uri()}"', "one"))
    pypm(stage, "lock")
    lock = (stage.root / "pypm.lock").read_text()
    assert tomllib.loads(lock)["package"][1]["source"]["subdirectory"] == "one"
    (stage.root / "pypm.lock").write_text(lock.replace('subdirectory = "one"', 'subdirectory = "libs/two"'))
    assert "it made a wheel of two instead of one" in pypm(stage, "sync", "--frozen", code=1)
