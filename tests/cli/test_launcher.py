"""``pypm self link``: where the launcher goes, whom it leaves alone, and that it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the launcher is another there")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        yield made


def link(stage: Stage, *arguments: str, path: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """``self link`` with these folders of the home on PATH, all of which are made."""
    for folder in path:
        (stage.home / folder).mkdir(parents=True, exist_ok=True)
    found = [str(stage.home / folder) for folder in path]
    environ = {**stage.environ, "PATH": os.pathsep.join([*found, "/usr/bin", "/bin"])}
    return run(["pypm", "self", "link", *arguments], stage.root, environ)


@pytest.mark.slow
def test_a_folder_of_the_user_is_taken_and_none_of_a_tool(stage: Stage) -> None:
    tools = (".cargo/bin", ".pyenv/shims", "work/.venv/bin", "env/bin")
    (stage.home / "env").mkdir()
    (stage.home / "env/pyvenv.cfg").touch()
    done = link(stage, path=tools)
    assert done.returncode == 1
    assert "error[no-folder-on-path]" in done.stdout and ".local/bin" in done.stdout
    done = link(stage, path=(*tools, "scripts"))
    assert (done.returncode, done.stdout) == (0, f"{stage.home}/scripts/pypm\n")
    done = link(stage, path=(*tools, "scripts", ".local/bin"))
    assert done.stdout == f"{stage.home}/.local/bin/pypm\n"


@pytest.mark.slow
def test_it_starts_whatever_python_variables_say(stage: Stage) -> None:
    (stage.root / "pyproject.toml").write_text('[project]\nname = "alone"\nversion = "1"\n')
    done = link(stage, "a place/bin")
    launcher = stage.root / "a place/bin/pypm"
    assert done.returncode == 0
    assert set(done.stdout.splitlines()) == {str(launcher), f"{launcher} is not in a folder on PATH"}
    (stage.root / "json.py").write_text("raise SystemExit('the current folder is on the path')\n")
    environ = {**stage.environ, "PYTHONHOME": "/nonexistent", "PYTHONPATH": str(stage.root)}
    for words in (["version"], ["ls", "--json"], ["lock"], ["sync"]):
        done = run([str(launcher), *words], stage.root, environ)
        assert done.returncode == 0, done.stdout
    (stage.root / "json.py").unlink()
    assert link(stage, "a place/bin").returncode == 0  # ours is replaced


@pytest.mark.parametrize("kind", ["file", "console-script", "link", "dangling", "folder"])
def test_what_is_in_the_way_stays(stage: Stage, kind: str) -> None:
    folder = stage.root / "bin"
    folder.mkdir()
    place, other = folder / "pypm", stage.root / "other"
    script = "#!/usr/bin/python3\nimport sys\nfrom pypm._entry import main\nsys.exit(main())\n"
    match kind:
        case "file":
            place.write_text("mine")
        case "console-script":
            place.write_text(script)
        case "link":
            link(stage, "elsewhere")
            (stage.root / "elsewhere/pypm").rename(other)
            place.symlink_to(other)
        case "dangling":
            place.symlink_to(other)
        case _:
            place.mkdir()
    before = other.read_text() if kind == "link" else ""
    done = link(stage, "bin")
    assert done.returncode == 1
    assert (
        f"error[launcher-in-the-way]: {place} exists and was not written by `pypm self link`" in done.stdout
    )
    assert "help: remove it, or name another folder" in done.stdout
    match kind:
        case "file":
            assert place.read_text() == "mine"
        case "console-script":
            assert place.read_text() == script
        case "link":
            assert other.read_text() == before and place.is_symlink()
        case "dangling":
            assert place.is_symlink() and not other.exists()
        case _:
            assert place.is_dir()
