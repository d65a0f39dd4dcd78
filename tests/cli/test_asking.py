"""At a terminal: whether an environment that pypm did not make may be replaced is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, pypm
from kit.wheels import make_wheel

if sys.platform == "win32":
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

import pty

pytestmark = pytest.mark.slow

QUESTION = "is an environment that pypm did not make. Replace it? [y/N]"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        make_wheel(folder, "idna", "3.7", files={"idna.py": ""})
        (made.root / "pyproject.toml").write_text(
            '[project]\nname = "alone"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["idna"]\n'
        )
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.root / ".venv"], check=True)
        (made.root / ".venv/precious").touch()
        made.environ.pop("CI", None)
        yield made


def at_terminal(stage: Stage, answer: str, *words: str) -> tuple[int, str]:
    """The exit code of pypm *words* and what it said, with *answer* typed ahead."""
    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(stage.root)
        argv = pypm(*words)
        os.execvpe(argv[0], argv, stage.environ)
    os.write(handle, answer.encode())
    said = b""
    while True:
        try:
            data = os.read(handle, 4096)
        except OSError:  # Linux says so at the end
            break
        if not data:
            break
        said += data
    os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


@pytest.mark.parametrize("answer", ["n\n", "\n", "maybe\n", "\x04"])
@pytest.mark.parametrize("words", [("sync",), ("sync", "--each"), ("add", "idna>3")])
def test_what_is_no_yes_is_a_no(stage: Stage, answer: str, words: tuple[str, ...]) -> None:
    manifest = (stage.root / "pyproject.toml").read_text()
    code, said = at_terminal(stage, answer, *words)
    assert code == 1
    assert QUESTION in said
    assert "error" in said
    assert (stage.root / ".venv/precious").exists()
    assert not (stage.root / "pypm.lock").exists()
    assert (stage.root / "pyproject.toml").read_text() == manifest


@pytest.mark.parametrize("words", [("sync",), ("sync", "--each"), ("run", "python", "-c", "import idna")])
def test_with_a_yes_it_is_replaced(stage: Stage, words: tuple[str, ...]) -> None:
    code, said = at_terminal(stage, "Yes\n", *words)
    assert code == 0, said
    assert QUESTION in said
    assert not (stage.root / ".venv/precious").exists()


@pytest.mark.parametrize("words", [("--dry-run",), ("--quiet",), ("--json",)])
def test_who_wants_to_hear_nothing_is_not_asked(stage: Stage, words: tuple[str, ...]) -> None:
    code, said = at_terminal(stage, "y\n", "sync", *words)
    assert code == 1
    assert "[y/N]" not in said
    assert (stage.root / ".venv/precious").exists()


def test_with_force_nothing_is_asked(stage: Stage) -> None:
    code, said = at_terminal(stage, "n\n", "sync", "--force")
    assert code == 0, said
    assert "[y/N]" not in said
