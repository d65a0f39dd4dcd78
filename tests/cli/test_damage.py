"""What is done by hand inside one environment, and what the others and the store have of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import make_project, make_wheel

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="hard links and modes as on POSIX"),
]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An index with two packages; workspaces are made by the tests."""
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        script = {"console_scripts": {"acme": "acme:main"}}
        files: dict[str, str | bytes] = {
            "acme/__init__.py": "v = 1\ndef main(): print('acme', v)\n",
            "acme/sub/m.py": "",
        }
        make_wheel(
            made.server.folder, "acme", "1.0", files=files, entry_points=script, data={"share/acme.txt": "1"}
        )
        make_wheel(made.server.folder, "beta", "1.0", files={"beta/__init__.py": "v = 1\n"})
        yield made


def workspace(stage: Stage, name: str, *requires: str) -> Path:
    root = stage.folder / name
    asks = requires or ("acme", "beta")
    make_project(root, name, "1.0", requires=asks, requires_python=">=3.11", backend="in-tree")
    return root


def pypm(stage: Stage, root: Path, *words: str, code: int = 0) -> str:
    done = run(["pypm", *words], root, stage.environ)
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    return str(done.stdout)


def sync(stage: Stage, root: Path, *words: str) -> str:
    return pypm(stage, root, "sync", *words)


def site(root: Path) -> Path:
    (found,) = (root / ".venv").glob("lib/python*/site-packages")
    return found


def works(root: Path) -> bool:
    code = "import acme, acme.sub.m, beta; print(acme.v, beta.v)"
    python = root / ".venv/bin/python"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=False)
    data = root / ".venv/share/acme.txt"
    return done.stdout == "1 1\n" and data.read_text() == "1"


def edit(file: Path) -> None:
    """In place, as root does, or who changes the modes first."""
    file.chmod(0o644)
    with open(file, "a") as opened:
        opened.write("v = 666\n")
    file.chmod(0o444)


@pytest.mark.parametrize("mode", ["hardlink", "farm"])
def test_an_edit_in_place_is_taken_back_everywhere(stage: Stage, mode: str) -> None:
    a, b, c = (workspace(stage, name) for name in "abc")
    for root in (a, b, c):
        sync(stage, root, "--link-mode", mode)
    again = workspace(stage, "again")
    edit(site(a) / "acme/__init__.py")
    edit(a / ".venv/share/acme.txt")
    assert not works(b), "they share the file"
    # Whoever links the tree next finds it, and all who hold its files are told.
    sync(stage, again, "--link-mode", mode)
    assert works(again)
    for root in (a, b, c):
        said = sync(stage, root, "--link-mode", mode)
        assert "acme" in said and "beta" not in said
        assert works(root)
        assert sync(stage, root, "--link-mode", mode).startswith("Nothing to do")


def test_an_environment_that_is_not_told_is_mended_when_it_is_looked_at(stage: Stage) -> None:
    """As one on a disk that was not mounted then."""
    a, b = workspace(stage, "a"), workspace(stage, "b")
    for root in (a, b):
        sync(stage, root)
    edit(site(a) / "acme/__init__.py")
    hidden = stage.folder / "unmounted"
    b.rename(hidden)
    sync(stage, workspace(stage, "again"))
    hidden.rename(b)
    (b / ".venv/pypm.stamp").unlink()
    assert "acme" in sync(stage, b)
    assert works(b)


def test_one_made_by_a_blueprint_is_told_too(stage: Stage) -> None:
    a = workspace(stage, "a")
    for _ in range(2):
        sync(stage, a)
        shutil.rmtree(a / ".venv")
    sync(stage, a)
    b = workspace(stage, "b")
    sync(stage, b)
    edit(site(b) / "acme/__init__.py")
    sync(stage, workspace(stage, "again"))
    assert "acme" in sync(stage, a)
    assert works(a)


def test_cleaning_the_cache_forgets_no_damage(stage: Stage) -> None:
    a, b = workspace(stage, "a"), workspace(stage, "b")
    for root in (a, b):
        sync(stage, root)
    edit(site(a) / "acme/__init__.py")
    pypm(stage, a, "cache", "clean")
    assert "acme" in sync(stage, b)
    assert works(b)


@pytest.mark.parametrize("mode", ["hardlink", "farm"])
def test_everything_else_done_inside_one_reaches_nobody(stage: Stage, mode: str) -> None:
    """pip, rm, bytecode and modes: the store and the others work on, with nothing to do."""
    a, b = workspace(stage, "a"), workspace(stage, "b")
    for root in (a, b):
        sync(stage, root, "--compile", "--link-mode", mode)
    newer = make_wheel(stage.folder, "acme", "2.0", files={"acme/__init__.py": "v = 2\n"})
    pip = [sys.executable, "-m", "pip", "--python", str(a / ".venv/bin/python"), "-q"]
    python = str(a / ".venv/bin/python")
    done: list[list[str]] = [
        [python, "-m", "compileall", "-q", "-f", str(site(a) / "acme")],
        [*pip, "install", "--no-index", "-U", str(newer)],
        [*pip, "uninstall", "-y", "beta"],
        ["chmod", "-R", "a+rwX", str(a / ".venv")],
        ["rm", "-rf", str(a / ".venv")],
    ]
    for command in done:
        subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
        assert works(b), command
        assert sync(stage, b, "--compile", "--link-mode", mode).startswith("Nothing to do")
    sync(stage, a, "--link-mode", mode)
    assert works(a) and works(b)
    found = json.loads(pypm(stage, b, "doctor", "--json", "--only", "cache-health"))
    assert found["issues"] == 0, found


def findings(stage: Stage, root: Path, *words: str, code: int) -> dict[str, list[str]]:
    """The issues that doctor has, by check."""
    told = json.loads(pypm(stage, root, "doctor", "--json", *words, *ONLY, code=code))
    found: dict[str, list[str]] = {}
    for one in told["findings"]:
        if one["verdict"] == "issue":
            found.setdefault(one["name"], []).append(one["message"])
    return found


@pytest.mark.parametrize("many", [0, 4], ids=["unpacked by threads", "unpacked by forks"])
def test_a_kept_wheel_that_was_damaged_is_fetched_again(stage: Stage, many: int) -> None:
    assert stage.server.folder is not None
    others = [f"other{number}" for number in range(many)]
    for name in others:
        make_wheel(stage.server.folder, name, "1.0")
    a = workspace(stage, "a", "acme", "beta", *others)
    sync(stage, a)
    kept = sorted((stage.home / "cache/v1/files").glob("*/*"), key=lambda path: path.read_bytes())
    for wheel in kept[::2]:
        content = bytearray(wheel.read_bytes())
        content[len(content) // 2] ^= 1
        wheel.write_bytes(content)
    for folder in ("trees", "blueprints", "recipes"):
        shutil.rmtree(stage.home / "cache/v1" / folder, ignore_errors=True)
    shutil.rmtree(a / ".venv")
    before = len(stage.server.requests)
    sync(stage, a)
    assert works(a)
    fetched = [seen.path for seen in stage.server.requests[before:] if seen.path.endswith(".whl")]
    assert len(fetched) == len(kept[::2])
    for wheel in kept:
        assert sha256(wheel.read_bytes()).hexdigest() == wheel.name


ONLY = ("--only", "cache-health", "--only", "environments")


@pytest.mark.parametrize("mode", ["hardlink", "farm"])
@pytest.mark.parametrize("kept", [True, False], ids=["wheel kept", "wheel fetched"])
def test_doctor_tells_damage_and_mends_the_store_and_every_environment(
    stage: Stage, mode: str, kept: bool
) -> None:
    a, b = workspace(stage, "a"), workspace(stage, "b")
    for root in (a, b):
        sync(stage, root, "--link-mode", mode)
    edit(site(a) / "acme/__init__.py")
    if not kept:
        shutil.rmtree(stage.home / "cache/v1/files")
    (told,) = findings(stage, b, code=1)["cache-health"]
    assert (
        told.startswith("acme 1.0 in the store is not what was unpacked") and "2 environments have it" in told
    )
    assert findings(stage, b, "--fix", code=0) == {}
    assert works(a) and works(b)
    before = len(stage.server.requests)
    for root in (a, b):
        assert "updated" not in sync(stage, root, "--link-mode", mode)
        assert works(root)
    assert len(stage.server.requests) == before
    assert findings(stage, a, code=0) == {}


def test_doctor_tells_who_holds_damage_that_the_store_has_not_any_more(stage: Stage) -> None:
    a, b, c = (workspace(stage, name) for name in "abc")
    for root in (a, b):
        sync(stage, root)
    edit(site(a) / "acme/__init__.py")
    sync(stage, c)
    found = findings(stage, a, code=2)
    assert ".venv has files that were damaged" in found["environments"][0]
    assert str(b / ".venv") in found["cache-health"][0] and str(c / ".venv") not in found["cache-health"][0]
    assert findings(stage, a, "--fix", code=0) == {}
    assert works(a) and works(b)


def test_bytecode_that_is_not_its_sources_is_damage(stage: Stage) -> None:
    stage.environ.pop("PYPM_BACKGROUND_COMPILE", None)
    a, b = workspace(stage, "a"), workspace(stage, "b")
    sync(stage, a, "--compile")
    sync(stage, b)
    (cached,) = (site(a) / "acme/__pycache__").iterdir()
    assert cached.stat().st_nlink == 3
    code = bytearray(cached.read_bytes())
    code[4] = 1  # PEP 552: not to be compared with its source
    time.sleep(0.05)
    cached.write_bytes(bytes(code))
    (told,) = findings(stage, b, code=1)["cache-health"]
    assert "acme/__pycache__" in told and "bytecode" in told
    assert findings(stage, b, "--fix", code=0) == {}
    for root in (a, b):
        held = list((site(root) / "acme/__pycache__").glob("__init__*"))
        assert all(file.read_bytes()[4] == 0 for file in held)
        assert works(root)


def test_a_farm_notices_that_its_store_was_lost_or_is_another(stage: Stage) -> None:
    a = workspace(stage, "a")
    sync(stage, a, "--link-mode", "farm")
    shutil.rmtree(stage.home / "cache/v1/trees")
    (told,) = findings(stage, a, code=1)["environments"]
    assert "links that lead to nothing" in told and "a, acme, beta" in told
    assert "3 updated" in sync(stage, a, "--link-mode", "farm")
    assert works(a)
    stage.environ["PYPM_CACHE_DIR"] = str(stage.home / "other")
    assert "3 updated" in sync(stage, a, "--link-mode", "farm")
    shutil.rmtree(stage.home / "cache")
    assert works(a)
    assert sync(stage, a, "--link-mode", "farm").startswith("Nothing to do")
