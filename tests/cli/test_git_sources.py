"""Branches of git repositories in a lock: they stay where they are until somebody asks for more, whatever the
cache knows of them."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_wheel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]


class Upstream:
    """A repository with a package, the workspace that asks for its branch, and an index."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.repository = stage.folder / "upstream"
        self.repository.mkdir()
        self.git("init", "-q", "-b", "main")
        folder = stage.server.folder
        assert folder is not None
        for name, version in (("idna", "2.0"), ("idna", "3.0"), ("click", "8.0"), ("rich", "13.0")):
            make_wheel(folder, name, version)
        self.first = self.push("1.0", "idna")
        self.ask("lib", "click")
        self.lock()

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.test"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.repository, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def push(self, version: str, asks: str) -> str:
        """A commit on top of the branch; its name."""
        (self.repository / "pyproject.toml").write_text(
            f'[project]\nname = "lib"\nversion = "{version}"\ndependencies = ["{asks}"]\n'
            '[build-system]\nrequires = ["flit_core"]\nbuild-backend = "flit_core.buildapi"\n'
        )
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", version)
        return self.git("rev-parse", "HEAD")

    def ask(self, *requirements: str) -> None:
        asked = ", ".join(f'"{each}"' for each in requirements)
        (self.stage.root / "pyproject.toml").write_text(
            f'[project]\nname = "app"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
            f"dependencies = [{asked}]\n"
            f'[tool.pypm.sources]\nlib = {{ git = "{self.repository.as_uri()}", branch = "main" }}\n'
        )

    def lock(self, *arguments: str, code: int = 0) -> str:
        done = run(["pypm", "lock", *arguments], self.stage.root, self.stage.environ)
        assert done.returncode == code, done.stdout
        return done.stdout

    def locked(self) -> str:
        """The commit in the lock."""
        lock = tomllib.loads((self.stage.root / "pypm.lock").read_text())
        (commit,) = [p["source"]["commit"] for p in lock["package"] if p["name"] == "lib"]
        return str(commit)


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    with Stage(tmp_path / "stage") as stage:
        yield Upstream(stage)


@pytest.mark.parametrize("arguments", [[], ["--refresh"], ["--upgrade-package", "click"]])
def test_a_branch_that_has_moved_stays_where_it_is_locked(upstream: Upstream, arguments: list[str]) -> None:
    upstream.push("2.0", "idna")
    shutil.rmtree(upstream.stage.home / "cache")  # as on another machine
    upstream.ask("lib", "click", "rich")
    assert "lib" not in upstream.lock(*arguments)
    assert upstream.locked() == upstream.first


@pytest.mark.parametrize("arguments", [["--upgrade"], ["--upgrade-package", "lib"]])
def test_an_upgrade_asks_where_the_branch_is_now(upstream: Upstream, arguments: list[str]) -> None:
    """However lately that was asked."""
    for version in ("2.0", "3.0"):
        second = upstream.push(version, "idna")
        assert f"-> {version}" in upstream.lock(*arguments)
        assert upstream.locked() == second


def test_a_branch_is_looked_at_again_where_the_locked_commit_does_not_fit(upstream: Upstream) -> None:
    upstream.push("2.0", "idna<3")
    upstream.lock("--upgrade")
    third = upstream.push("3.0", "idna")
    upstream.ask("lib", "click", "idna>=3")
    assert "~ lib 2.0 -> 3.0" in upstream.lock()
    assert upstream.locked() == third
    upstream.push("4.0", "idna<3")
    assert "lib 4.0 (the only version) depends on idna<3" in upstream.lock("--upgrade", code=1)


def test_a_commit_that_is_gone_is_not_missed(upstream: Upstream) -> None:
    """The branch was rewritten: what is locked can be had nowhere any more."""
    shutil.rmtree(upstream.repository)
    upstream.repository.mkdir()
    upstream.git("init", "-q", "-b", "main")
    new = upstream.push("5.0", "idna")
    shutil.rmtree(upstream.stage.home / "cache")
    upstream.ask("lib", "click", "rich")
    upstream.lock()
    assert upstream.locked() == new


def test_an_import_keeps_the_commits_that_the_other_tool_had(upstream: Upstream) -> None:
    upstream.push("2.0", "idna")
    (upstream.stage.root / "pypm.lock").unlink()
    shutil.rmtree(upstream.stage.home / "cache")
    url = f"{upstream.repository.as_uri()}?branch=main"
    (upstream.stage.root / "uv.lock").write_text(
        f'[[package]]\nname = "lib"\nversion = "1.0"\nsource = {{ git = "{url}#{upstream.first}" }}\n'
    )
    done = run(["pypm", "import"], upstream.stage.root, upstream.stage.environ)
    assert done.returncode == 0 and "Not carried over" not in done.stdout, done.stdout
    assert upstream.locked() == upstream.first
    upstream.ask("lib", "idna>=3")
    upstream.push("3.0", "idna")
    upstream.lock()
    assert upstream.locked() == upstream.first
