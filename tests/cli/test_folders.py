"""Folders with unusual names: they work, or are refused before anything is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_project, make_wheel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="has no such names"),
]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        make_wheel(
            folder,
            "idna",
            "1.0",
            files={"idna.py": "def main(): print('idna')\n"},
            entry_points={"console_scripts": {"idna": "idna:main"}},
        )
        yield made


def project(stage: Stage, name: str) -> Path:
    folder = stage.root / name
    make_project(folder, "app", "1.0", requires=["idna"], requires_python=">=3.11", backend="in-tree")
    return folder


@pytest.mark.parametrize("name", ['it\'s "q" $HOME', "ünï cödé", "-n", "a" * 120, "#!"])
def test_these_work(stage: Stage, name: str) -> None:
    folder = project(stage, name)
    for command in (
        ["sync"],
        ["exec", "idna"],
        ["exec", "python", "-c", "import app, idna"],
        ["ls"],
        ["export"],
    ):
        done = run(["pypm", *command], folder, stage.environ)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (os.fsdecode(b"b\xffd"), "its path is not UTF-8"),
        ("a:b", "its path has ':', which separates the entries of PATH"),
        ("new\nline", "its path has a line break"),
    ],
)
def test_these_are_refused(stage: Stage, name: str, reason: str) -> None:
    if sys.platform == "darwin" and not name.isprintable():
        pytest.skip("the file system takes no such name")
    folder = project(stage, name)
    before = sorted(os.listdir(folder))
    for command in (["sync"], ["add", "idna>0"], ["exec", "idna"]):
        done = run(["pypm", *command], folder, stage.environ)
        assert done.returncode == 2, done.stdout
        assert "error[unusable-folder]" in done.stdout and reason in done.stdout, done.stdout
        assert sorted(os.listdir(folder)) == before
