"""The archives the tests are made of are right, whoever looks at them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kit.wheels import BACKEND_REQUIRES, make_project, make_sdist, make_wheel, sha256
from pypm_store.archive import WheelArchive
from pypm_store.sdist_archive import unpack_sdist


def test_wheels_are_equal_on_every_run(tmp_path: Path) -> None:
    digests = {
        sha256(make_wheel(tmp_path / folder, "a-b", "1", extras={"x": ["c; os_name == 'nt'"]}))
        for folder in "xy"
    }
    assert len(digests) == 1


def test_wheels_pass_the_reference(tmp_path: Path) -> None:
    sources = pytest.importorskip("installer.sources")
    wheel = make_wheel(
        tmp_path, "Foo.Bar", "1.0", scripts={"x": "#!python"}, data={"share/a, b": "c"}, headers={"h.h": ""},
        entry_points={"console_scripts": {"foo": "foo:main"}}, build="1", tag="py2.py3-none-any",
    )  # fmt: skip
    with sources.WheelFile.open(wheel) as source:
        source.validate_record()
    with WheelArchive(wheel) as archive:
        assert archive.tags == ("py2-none-any", "py3-none-any")


@pytest.mark.parametrize("form", [".tar.gz", ".tar.bz2", ".tar.xz", ".zip"])
def test_sdists_are_equal_on_every_run(tmp_path: Path, form: str) -> None:
    digests = {sha256(make_sdist(tmp_path / folder, "a", "1", form=form)) for folder in "xy"}
    assert len(digests) == 1


BUILD = """
import importlib, sys
sys.path[:0] = sys.argv[3:]
backend = importlib.import_module(sys.argv[1])
print(getattr(backend, sys.argv[2])("dist"))
"""


SLOWEST = "setuptools.build_meta"


@pytest.mark.parametrize(
    ("backend", "hook"),
    [
        *((backend, "build_wheel") for backend in sorted(BACKEND_REQUIRES) if backend != SLOWEST),
        pytest.param(SLOWEST, "build_wheel", marks=pytest.mark.slow),
        ("in-tree", "build_editable"),
    ],
)
def test_sdists_build_to_wheels_that_are_right(tmp_path: Path, backend: str, hook: str) -> None:
    module = "intree_backend" if backend == "in-tree" else backend
    if backend != "in-tree":
        pytest.importorskip(module)
    sdist = make_sdist(
        tmp_path, "Acme-Lib", "1.5", backend=backend, requires=["httpx>=1", "b; os_name == 'nt'"],
        extras={"x": ["c"]}, dynamic=["version"], scripts={"acme": "acme_lib:main"}, requires_python=">=3.9",
    )  # fmt: skip
    root = unpack_sdist(sdist, tmp_path / "src")
    (root / "dist").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BUILD, module, hook, "backend"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = (root / "dist").iterdir()
    with WheelArchive(wheel) as archive:
        for placed in archive.placed:
            archive.read(placed)
        assert (archive.name.lower(), archive.version) == ("acme_lib", "1.5")
        assert "Requires-Dist: httpx>=1" in archive.metadata() and "Provides-Extra: x" in archive.metadata()
        assert ("console_scripts", "acme", "acme_lib:main") in archive.entry_points


def test_dynamic_dependencies_and_the_hooks_of_the_in_tree_backend(tmp_path: Path) -> None:
    folder = make_project(
        tmp_path / "p",
        "acme",
        "2.0",
        backend="in-tree",
        requires=["httpx"],
        dynamic=["version", "dependencies"],
    )
    code = BUILD.replace('("dist")', "('.')")
    for hook in ("prepare_metadata_for_build_wheel", "build_sdist"):
        done = subprocess.run(
            [sys.executable, "-c", code, "intree_backend", hook, "backend"],
            cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        name = done.stdout.strip()
        assert (folder / name).exists()
    assert "Requires-Dist: httpx" in (folder / "acme-2.0.dist-info" / "METADATA").read_text()
    assert (unpack_sdist(folder / "acme-2.0.tar.gz", tmp_path / "again") / "pyproject.toml").exists()
    with pytest.raises(ValueError, match="dependencies"):
        make_project(tmp_path / "q", "acme", "2.0", dynamic=["dependencies"])
