"""What pypm makes, as pip and packaging see it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name

from kit.transcripts import Stage, run
from kit.wheels import make_project, make_wheel

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        make_wheel(folder, "Flask.Thing", "2.0", requires=["idna>=3"], extras={"async": ["greeny"]})
        make_wheel(folder, "idna", "3.7")
        make_wheel(folder, "greeny", "1.0", requires=["winonly; sys_platform == 'win32'"])
        make_wheel(folder, "winonly", "1.0")
        make_wheel(folder, "pytest", "8.0")
        make_wheel(
            folder,
            "scripts",
            "1.0",
            entry_points={"console_scripts": {"hello": "scripts:main"}},
            files={"scripts/__init__.py": "def main():\n    print('hello')\n"},
            data={"share/scripts/x.txt": "x"},
            scripts={"shelly": "#!python\nprint('shelly')\n"},
        )
        (made.root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
        make_project(
            made.root / "packages/app",
            "app",
            "1.0",
            requires=["flask-thing[async]", "lib", "scripts"],
            requires_python=">=3.11",
            backend="in-tree",
            pyproject_extra='[dependency-groups]\ndev = ["pytest"]',
        )
        make_project(made.root / "packages/lib", "lib", "2.0", requires_python=">=3.11", backend="in-tree")
        yield made


def pypm(stage: Stage, *arguments: str) -> str:
    done = run(["pypm", *arguments], stage.root, stage.environ)
    assert done.returncode == 0, done.stdout
    return done.stdout


def pip(stage: Stage, python: Path, *arguments: str) -> str:
    """pip of the environment that runs the tests, working on *python*; its stdout."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "--disable-pip-version-check",
        *arguments,
    ]
    done = subprocess.run(
        command, cwd=stage.root, env=stage.environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_pip_list_and_pip_check_agree_with_the_lock(stage: Stage) -> None:
    pypm(stage, "sync")
    python = stage.root / ".venv/bin/python"
    rows = json.loads(pip(stage, python, "list", "--format=json"))
    listed: dict[str, Any] = {canonicalize_name(row["name"]): row for row in rows}
    lock = tomllib.loads((stage.root / "pypm.lock").read_text())
    assert {name: row["version"] for name, row in listed.items()} == {
        package["name"]: package["version"] for package in lock["package"] if package["name"] != "winonly"
    }
    places = {name: row.get("editable_project_location") for name, row in listed.items()}
    assert places["app"] == str(stage.root / "packages/app") and places["lib"] == str(
        stage.root / "packages/lib"
    )
    assert places["idna"] is None
    assert "No broken requirements found" in pip(stage, python, "check")
    frozen = pip(stage, python, "freeze").splitlines()
    assert "idna==3.7" in frozen and any(line.startswith("-e ") and "packages/app" in line for line in frozen)


def test_pip_can_uninstall_what_pypm_installed(stage: Stage) -> None:
    pypm(stage, "sync")
    venv = stage.root / ".venv"
    (site,) = (venv / "lib").glob("python*/site-packages")
    before = {path.name for path in site.iterdir()}
    assert (venv / "bin/hello").exists() and (venv / "share/scripts/x.txt").exists()
    pip(stage, venv / "bin/python", "uninstall", "-y", "scripts", "app")
    gone = before - {path.name for path in site.iterdir()}
    assert {"scripts", "scripts-1.0.dist-info", "app-1.0.dist-info"} <= gone
    assert not (venv / "bin/hello").exists() and not (venv / "bin/shelly").exists()
    assert not (venv / "share/scripts/x.txt").exists()
    said = pypm(stage, "sync")
    assert "+ app 1.0 (editable)" in said and "+ scripts 1.0" in said
    for script, output in (("hello", "hello\n"), ("shelly", "shelly\n")):
        assert subprocess.run([venv / "bin" / script], capture_output=True, text=True).stdout == output


def test_packaging_selects_from_the_exported_pylock_what_sync_installs(stage: Stage) -> None:
    pypm(stage, "export", "-o", "pylock.toml")
    lock = Pylock.from_dict(tomllib.loads((stage.root / "pylock.toml").read_text()))
    tags = list(sys_tags())

    def chosen(groups: list[str] | None = None) -> dict[str, str | None]:
        selected = lock.select(tags=tags, dependency_groups=groups)
        return {package.name: str(package.version) if package.version else None for package, _ in selected}

    everything = {"app": None, "lib": None}  # folders, whose version is what they say when they are built
    everything |= {"flask-thing": "2.0", "greeny": "1.0", "idna": "3.7", "scripts": "1.0", "pytest": "8.0"}
    assert chosen() == everything
    assert chosen(["lib"]) == {"lib": None}
    assert chosen(["app-dev"]) == {"pytest": "8.0"}
    without = {name: version for name, version in everything.items() if name != "pytest"}
    assert chosen(["app"]) == without


def test_pip_installs_from_the_exported_requirements(stage: Stage) -> None:
    pypm(stage, "export", "--format", "requirements.txt", "-p", "app", "--only-group", "dev", "-o", "dev.txt")
    assert "--hash=sha256:" in (stage.root / "dev.txt").read_text()
    python = bare_environment(stage)
    pip(stage, python, "install", "--index-url", stage.server.url, "--require-hashes", "-r", "dev.txt")
    assert [row["name"] for row in json.loads(pip(stage, python, "list", "--format=json"))] == ["pytest"]


def bare_environment(stage: Stage) -> Path:
    """The interpreter of a fresh environment with nothing in it."""
    target = stage.folder / "target"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True)
    return target / "bin/python"


def test_pip_installs_from_the_exported_pylock(stage: Stage) -> None:
    """Without members: pip wants hashes of all if it has some, and folders have none."""
    pypm(stage, "export", "-p", "app", "--no-default-groups", "--no-members", "-o", "pylock.app.toml")
    python = bare_environment(stage)
    pip(stage, python, "install", "-r", "pylock.app.toml")
    rows = json.loads(pip(stage, python, "list", "--format=json"))
    assert {canonicalize_name(row["name"]) for row in rows} == {"flask-thing", "greeny", "idna", "scripts"}
    assert "No broken requirements found" in pip(stage, python, "check")


def test_uv_installs_from_the_exported_pylock(stage: Stage) -> None:
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed here")
    pypm(stage, "export", "-p", "app", "-o", "pylock.app.toml")
    python = bare_environment(stage)
    command = [uv, "pip", "install", "--no-config", "--no-build-isolation", "--python", str(python)]
    command += ["--preview-features", "pylock", "-r", "pylock.app.toml"]
    done = subprocess.run(command, cwd=stage.root, env=stage.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(pip(stage, python, "list", "--format=json"))
    named = {"app", "flask-thing", "greeny", "idna", "lib", "pytest", "scripts"}
    assert {canonicalize_name(row["name"]) for row in rows} == named
