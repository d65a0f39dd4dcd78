"""`pypm check` parses a source once: what it found is remembered by the file's size and time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

from kit.transcripts import environment
from pypm.ops.check import check
from pypm.ops.checks import reading
from pypm.ops.world import World
from pypm_store import shared_work


def refuse(source: bytes, minor: int) -> NoReturn:
    raise AssertionError(f"parsed: {source!r}")


def test_a_file_is_parsed_again_only_if_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "processors", lambda: 1)
    folder = tmp_path / "work"
    (folder / "a").mkdir(parents=True)
    manifest = '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.10"\n'
    (folder / "pyproject.toml").write_text(manifest)
    files = {folder / "a/__init__.py": "import nowhere\n", folder / "a/other.py": "import tomllib\n"}
    for file, text in files.items():
        file.write_text(text)
        os.utime(file, (1, 1))
    world = World(folder, environment(tmp_path / "home"))
    first = check(world, ("imports", "pythons"))
    assert [finding.code for _, finding in first.findings] == ["undeclared-import", "newer-module"]
    with monkeypatch.context() as patched:
        patched.setattr(reading, "facts_of", refuse)
        assert check(world, ("imports", "pythons")) == first
        (folder / "a/other.py").write_text("import tomllib  # still\n")
        with pytest.raises(AssertionError, match="still"):
            check(world, ("pythons",))
    (folder / "a/other.py").write_text("import json\n")
    assert check(world, ("pythons",)).findings == ()
    with monkeypatch.context() as patched:
        # Written just now: it may change again without another time, and is not remembered.
        patched.setattr(reading, "facts_of", refuse)
        with pytest.raises(AssertionError, match="json"):
            check(world, ("pythons",))
    (folder / "pyproject.toml").write_text(manifest.replace("3.10", "3.9"))
    with monkeypatch.context() as patched:
        # Other grammar.
        patched.setattr(reading, "facts_of", refuse)
        with pytest.raises(AssertionError, match="nowhere"):
            check(world, ("pythons",))


@pytest.mark.parametrize("ending", ["py", "pyi", "pyw"])
def test_every_ending_of_a_source_is_looked_into(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "work"
    (folder / "a").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.10"\n'
    )
    (folder / f"a/window.{ending}").write_text("import nowhere\n")
    found = check(World(folder, environment(tmp_path / "home")), ("imports",)).findings
    assert [(finding.code, finding.place.file) for _, finding in found] == [
        ("undeclared-import", f"a/window.{ending}")
    ]
