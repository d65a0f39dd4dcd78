from __future__ import annotations

from pathlib import Path

import pytest

from kit.builds import build_environment, contents
from kit.wheels import make_project, make_sdist, sha256
from pypm_env.build.builder import Builder
from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.failures import BuildFailed
from pypm_env.build.jobs import Built, Described, Memory
from pypm_env.build.sdist import Source, build_sources
from pypm_env.build.system import InvalidBuildSystem
from pypm_model.records import replace
from pypm_store.sdist_archive import unpack_sdist
from pypm_store.store import Store


class Prepared:
    """A *prepare* that remembers what it was asked for."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.environment = build_environment(folder, *names)
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, requires: tuple[str, ...], owner: str) -> BuildEnvironment:
        self.asked.append(requires)
        return replace(self.environment, digest=" ".join(requires))


@pytest.mark.parametrize(
    "backend",
    ["in-tree", "flit_core.buildapi", pytest.param("setuptools.build_meta", marks=pytest.mark.slow)],
)
def test_an_sdist_becomes_a_wheel_once(tmp_path: Path, backend: str) -> None:
    archive = make_sdist(tmp_path, "acme-lib", "1.2", backend=backend, requires=["httpx"])
    store = Store.open(tmp_path / "store")
    prepare = Prepared(tmp_path, "flit_core", "setuptools")
    wheels = []
    for number in range(2):
        folder = unpack_sdist(archive, tmp_path / f"unpacked{number}")
        source = Source(folder, "wheel", "acme-lib", "1.2", source=sha256(archive))
        with Builder(store=store) as builder:
            (result,) = build_sources(builder, [source], prepare)
            assert isinstance(result, Built)
            wheels.append(result.wheel)
    assert wheels[0] == wheels[1] and len(list((store.path / "built").glob("*/*.whl"))) == 1
    assert "acme_lib/__init__.py" in contents(wheels[0])
    assert len(set(prepare.asked)) == 1


def test_metadata_of_a_tree(tmp_path: Path) -> None:
    folder = make_project(
        tmp_path / "acme", "acme", "1", backend="in-tree", requires=["httpx"], dynamic=("dependencies",)
    )
    with Builder() as builder:
        (result,) = build_sources(builder, [Source(folder, "metadata")], Prepared(tmp_path))
    assert isinstance(result, Described) and "Requires-Dist: httpx" in result.text.splitlines()


def test_what_the_backend_wants_besides_is_prepared(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "backend.py").write_text(
        "import zipfile\n"
        "def get_requires_for_build_wheel(settings=None): return ['numpy>=2']\n"
        "def build_wheel(folder, settings=None, metadata=None):\n"
        "    zipfile.ZipFile(folder + '/odd-1-py3-none-any.whl', 'w').close()\n"
        "    return 'odd-1-py3-none-any.whl'\n"
    )
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['cython']\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    prepare = Prepared(tmp_path)
    with Builder() as builder:
        (result,) = build_sources(builder, [Source(folder, "wheel")], prepare)
        assert isinstance(result, Built)
    assert prepare.asked == [("cython",), ("cython", "numpy>=2")]


def test_one_environment_for_all_that_ask_for_the_same(tmp_path: Path) -> None:
    sources = [
        Source(
            make_project(tmp_path / f"m{n}", f"m{n}", "1", backend="flit_core.buildapi"), "editable", f"m{n}"
        )
        for n in range(4)
    ]
    (tmp_path / "m2" / "pyproject.toml").write_text("[build-system]\nrequires = 3\n")
    prepare = Prepared(tmp_path, "flit_core")
    with Builder() as builder:
        results = build_sources(builder, sources, prepare)
        assert len(builder._hosts) == 1
    assert [isinstance(result, Built) for result in results] == [True, True, False, True]
    assert isinstance(results[2], InvalidBuildSystem)
    assert len(prepare.asked) == 1


def test_requirements_that_cannot_be_had(tmp_path: Path) -> None:
    refusal = BuildFailed("x", "resolve", "nothing fits", "none")

    def prepare(requires: tuple[str, ...], owner: str) -> BuildEnvironment:
        raise refusal

    folder = make_project(tmp_path / "m", "m", "1", backend="flit_core.buildapi")
    with Builder() as builder:
        assert build_sources(builder, [Source(folder, "editable")], prepare) == (refusal,)


def test_a_kept_wheel_is_one_of_the_project_that_is_asked_for(tmp_path: Path) -> None:
    """Whoever asked for it first, and whatever they called it."""
    folder = make_project(tmp_path / "acme", "acme", "1.0", backend="in-tree")
    store, prepare = Store.open(tmp_path / "store"), Prepared(tmp_path)
    with Builder(store=store) as builder:
        asked = [("acme", "1.0"), ("acme", "1.0"), ("other", "1.0"), ("acme", "2.0")]
        results = [
            build_sources(builder, [Source(folder, "wheel", *each, source="a" * 64)], prepare)[0]
            for each in asked
        ]
    first, kept, other, newer = results
    assert isinstance(first, Built) and isinstance(kept, Built) and kept.kept
    assert isinstance(other, BuildFailed) and "a wheel of acme instead of other" in str(other)
    assert isinstance(newer, BuildFailed) and "version 1.0 instead of 2.0" in str(newer)


def test_a_wheel_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "acme", "acme", "1.0", backend="in-tree")
    with Builder() as builder:
        (result,) = build_sources(builder, [Source(folder, "wheel", "acme", "2")], Prepared(tmp_path))
    assert isinstance(result, BuildFailed) and "version 1.0 instead of 2" in str(result)


def test_a_backend_that_may_read_any_file_is_asked_once_for_a_tree(tmp_path: Path) -> None:
    """Neither for what it wants besides, nor for the metadata; of a changed tree it is asked again."""
    folder = make_project(
        tmp_path / "acme", "acme", "1", backend="in-tree", requires=["httpx"], dynamic=("dependencies",)
    )
    log = tmp_path / "log"
    (backend,) = (path for path in folder.rglob("*.py") if "def build_wheel" in path.read_text())
    backend.write_text(
        backend.read_text() + f"\n\ndef get_requires_for_build_wheel(settings=None):\n"
        f"    open({str(log)!r}, 'a').write('asked ')\n    return []\n"
    )
    known: dict[str, str] = {}
    memory = Memory(lambda keys: {key: known[key] for key in keys if key in known}, known.update)

    def told() -> tuple[bool, str]:
        with Builder(memory=memory) as builder:
            (result,) = build_sources(builder, [Source(folder, "metadata")], Prepared(tmp_path))
        assert isinstance(result, Described)
        return result.kept, log.read_text()

    assert told() == (False, "asked ")
    assert told() == (True, "asked ")
    (folder / "more.txt").write_text("x")
    assert told() == (False, "asked asked ")
