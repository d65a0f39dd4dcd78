"""What a manifest leaves to the build backend is part of what a sync depends on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.transcripts import Stage, run
from kit.wheels import IN_TREE_BACKEND, make_project, make_wheel

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An index that also has a "setuptools": the backend of our tests under its name, and a known one."""
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for name in ("idna", "sniffio"):
            make_wheel(folder, name, "1.0")
        backend = {"setuptools/__init__.py": "", "setuptools/build_meta.py": IN_TREE_BACKEND}
        make_wheel(folder, "setuptools", "80.0", files=backend)
        yield made


def said(stage: Stage, *arguments: str, folder: str = ".") -> str:
    done = run(["pypm", *arguments], stage.root / folder, stage.environ)
    assert done.returncode == 0, done.stdout
    return done.stdout


def later(path: Path, text: str) -> None:
    """Writes the file, with a time that differs from the last one's whatever the clock's grain."""
    path.write_text(text)
    stamp = path.stat().st_mtime_ns + 2_000_000_000
    os.utime(path, ns=(stamp, stamp))


@pytest.mark.parametrize("backend", ["setuptools.build_meta", "in-tree"])
def test_dependencies_in_a_file_of_their_own_are_looked_at(stage: Stage, backend: str) -> None:
    member = stage.root / "packages/app"
    make_project(
        member, "app", "1.0", backend=backend, dynamic=["dependencies"], requires=["idna"],
        requires_python=">=3.11", build_requires=["setuptools"] if backend != "in-tree" else None,
    )  # fmt: skip
    (stage.root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
    assert "+ idna 1.0" in said(stage, "sync")
    assert "Nothing to do" in said(stage, "sync")
    # Only where the files can be named is there a short cut.
    assert (stage.root / ".venv/pypm.stamp").exists() == (backend != "in-tree")
    later(member / "requirements.txt", "idna\nsniffio\n")
    assert "+ sniffio 1.0" in said(stage, "sync")
    said(stage, "exec", "python", "-c", "import sniffio")
    later(member / "requirements.txt", "sniffio\n")
    said(stage, "exec", "python", "-c", "import sniffio")  # synced first
    assert "Nothing to do" in said(stage, "sync")
    (member / "requirements.txt").unlink()
    done = run(["pypm", "sync"], stage.root, stage.environ)
    assert "Nothing to do" not in done.stdout


@pytest.mark.parametrize("backend", ["setuptools.build_meta", "in-tree"])
def test_a_version_in_the_module_is_looked_at(stage: Stage, backend: str) -> None:
    member = stage.root
    make_project(
        member, "app", "1.0", backend=backend, dynamic=["version"], requires=["idna"],
        requires_python=">=3.11", build_requires=["setuptools"] if backend != "in-tree" else None,
    )  # fmt: skip
    said(stage, "sync")
    # A member whose version alone is dynamic does not lose the short cut, whoever builds it.
    assert (stage.root / ".venv/pypm.stamp").exists()
    later(member / "src/app/__init__.py", '"""App."""\n__version__ = "1.1"\n')
    found = said(stage, "sync")
    assert ("app 1.0 -> 1.1" in found) == (backend != "in-tree")


@pytest.mark.parametrize("arguments", [["--no-editable"], ["-p", "app", "--no-editable"]])
def test_sources_that_are_copied_are_looked_at(stage: Stage, arguments: list[str]) -> None:
    member = stage.root / "packages/app"
    make_project(member, "app", "1.0", backend="in-tree", requires_python=">=3.11")
    (stage.root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
    (module,) = member.rglob("app/__init__.py")
    venv = (member if "-p" in arguments else stage.root) / ".venv"
    assert "+ app 1.0" in said(stage, "sync", *arguments)
    assert "Nothing to do" in said(stage, "sync", *arguments)
    later(module, "NEW = 1\n")
    assert "~ app 1.0" in said(stage, "sync", *arguments)
    (installed,) = venv.glob("lib/python*/site-packages/app/__init__.py")
    assert installed.read_text() == "NEW = 1\n"
    assert "Nothing to do" in said(stage, "sync", *arguments)


def test_folders_that_are_copied_are_looked_at(stage: Stage) -> None:
    folder = stage.root / "lib"
    make_project(folder, "lib", "1.0", backend="in-tree", requires_python=">=3.11")
    app = stage.root / "app"
    make_project(app, "app", "1.0", backend="in-tree", requires=["lib"], requires_python=">=3.11")
    manifest = app / "pyproject.toml"
    manifest.write_text(manifest.read_text() + '\n[tool.pypm.sources]\nlib = { path = "../lib" }\n')
    said(stage, "sync", folder="app")
    assert "Nothing to do" in said(stage, "sync", folder="app")
    (module,) = folder.rglob("lib/__init__.py")
    later(module, "NEW = 1\n")
    assert "~ lib 1.0" in said(stage, "sync", folder="app")
    assert "Nothing to do" in said(stage, "sync", folder="app")
    said(stage, "exec", "python", "-c", "import lib; assert lib.NEW", folder="app")
