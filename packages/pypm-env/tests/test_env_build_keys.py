"""Equal keys, equal results: what changes a key, and what does not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kit.builds import HATCHLING, build_environment, contents
from kit.wheels import make_project
from pypm_env.build.builder import Builder
from pypm_env.build.inputs import Kind, inputs
from pypm_env.build.jobs import Built, Job
from pypm_env.build.keys import Repositories, folder_key, source_key, steering
from pypm_env.build.system import read_build_system
from pypm_model.records import replace

BACKENDS = ["flit_core.buildapi", "hatchling.build", "setuptools.build_meta"]


def key(
    folder: Path, kind: Kind = "editable", environment: str = "one", today: str = "", **more: str
) -> str | None:
    made = folder_key(
        folder,
        kind,
        read_build_system(folder),
        replace(build_environment(folder.parent), digest=environment),
        more,
        (),
        Repositories(lambda: today),
    )
    return None if made is None else made.key


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def make(backend: str, extra: str = "", dynamic: tuple[str, ...] = (), **files: str) -> Path:
        folder = make_project(
            tmp_path / f"p{len(list(tmp_path.iterdir()))}", "acme", "1.0", backend=backend, dynamic=dynamic,
            pyproject_extra=extra,
        )  # fmt: skip
        for path, text in files.items():
            (folder / path).write_text(text)
        return folder

    return make


def changes(folder: Path, path: str, text: str = "changed = 1\n", kind: Kind = "editable") -> bool:
    """Whether writing the file changes the key."""
    before = key(folder, kind)
    assert before is not None
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
    return key(folder, kind) != before


@pytest.mark.parametrize("backend", BACKENDS)
class TestKnownBackends:
    def test_the_manifest_and_documents_count_and_the_code_does_not(
        self, make: Callable[..., Path], backend: str
    ) -> None:
        folder = make(backend)
        assert key(folder) == key(folder)
        assert not changes(folder, "src/acme/__init__.py")
        assert not changes(folder, "src/acme/another.py")
        assert not changes(folder, "tests/notes.txt") or backend != "flit_core.buildapi"
        assert changes(folder, "LICENSE.txt", "free")
        assert changes(folder, "LICENSE.txt", "freer")
        manifest = (folder / "pyproject.toml").read_text()
        assert changes(folder, "pyproject.toml", manifest.replace("1.0", "1.1"))

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["editable", "metadata"])
    def test_equal_keys_equal_results(
        self, tmp_path: Path, make: Callable[..., Path], backend: str, kind: Kind
    ) -> None:
        names = {"hatchling.build": HATCHLING, "flit_core.buildapi": ("flit_core",)}
        environment = build_environment(tmp_path, *names.get(backend, ("setuptools",)))
        folder = make(backend, "dev-mode-dirs = ['src']" if backend == "hatchling.build" else "")
        found = []
        with Builder() as builder:
            for text in ('"""one"""\n', '"""two"""\nimport os\n'):
                (folder / "src/acme/__init__.py").write_text(text)
                (folder / "src/acme" / f"more{len(text)}.py").write_text(text)
                before = key(folder, kind)
                (result,) = builder.build([Job(folder, kind, environment)])
                assert before == key(folder, kind), "what a build leaves behind does not count"
                made = contents(result.wheel) if isinstance(result, Built) else result
                found.append((before, made if isinstance(made, dict) else getattr(made, "text", made)))
        assert found[0] == found[1]

    def test_a_readme_by_name(self, make: Callable[..., Path], backend: str) -> None:
        folder = make(backend)
        text = (folder / "pyproject.toml").read_text().replace("[project]", '[project]\nreadme = "docs/R.md"')
        (folder / "pyproject.toml").write_text(text)
        assert changes(folder, "docs/R.md", "hello")
        assert changes(folder, "docs/R.md", "hello again")
        assert not changes(folder, "docs/other.md", "hello") or backend != "flit_core.buildapi"

    def test_a_dynamic_version_counts_its_file(self, make: Callable[..., Path], backend: str) -> None:
        folder = make(backend, dynamic=("version",))
        assert changes(folder, "src/acme/__init__.py", '"""a"""\n__version__ = "9"\n')
        assert not changes(folder, "src/acme/code.py")

    def test_a_version_that_must_be_imported_counts_everything(
        self, make: Callable[..., Path], backend: str
    ) -> None:
        if backend == "hatchling.build":
            pytest.skip("reads its version by a pattern")
        folder = make(backend, dynamic=("version",))
        text = '"""a"""\nfrom acme.numbers import *\n__version__ = str(MAJOR)\n'
        (folder / "src/acme/__init__.py").write_text(text)
        assert changes(folder, "src/acme/numbers.py", "MAJOR = 1\n")
        assert changes(folder, "src/acme/numbers.py", "MAJOR = 2\n")

    def test_a_wheel_holds_the_code(self, make: Callable[..., Path], backend: str) -> None:
        folder = make(backend)
        assert changes(folder, "src/acme/__init__.py", kind="wheel")
        assert changes(folder, "src/acme/more.txt", kind="wheel")
        assert not changes(folder, "src/acme.egg-info/PKG-INFO", kind="wheel")
        assert not changes(folder, "src/acme/__pycache__/x.pyc", kind="wheel")
        assert not changes(folder, ".git/index", kind="wheel")

    def test_an_editable_belongs_to_its_place(self, make: Callable[..., Path], backend: str) -> None:
        folder = make(backend)
        twin = folder.with_name("twin")
        shutil.copytree(folder, twin)
        assert key(folder) != key(twin)
        assert key(folder, "metadata") == key(twin, "metadata")
        assert key(folder, "wheel") == key(twin, "wheel")

    def test_conditions(self, make: Callable[..., Path], backend: str) -> None:
        folder = make(backend)
        keys = {key(folder), key(folder, environment="two"), key(folder, "metadata"), key(folder, a="b")}
        assert len(keys) == 4

    def test_a_plugin_counts_everything(self, make: Callable[..., Path], backend: str) -> None:
        folder = make(backend)
        text = (folder / "pyproject.toml").read_text()
        (folder / "pyproject.toml").write_text(text.replace("requires = [", 'requires = ["some-plugin", '))
        assert changes(folder, "src/acme/__init__.py")

    def test_another_layout(self, make: Callable[..., Path], backend: str) -> None:
        folder = make(backend)
        before = key(folder)
        shutil.move(folder / "src/acme", folder / "acme")
        assert key(folder) != before


def test_hatchling_hooks_and_inclusions_count_everything(make: Callable[..., Path]) -> None:
    for table in (
        "[tool.hatch.build.hooks.custom]\npath = 'x.py'",
        "[tool.hatch.metadata.hooks.custom]\npath = 'x.py'",
        "[tool.hatch.build.targets.wheel.force-include]\na = 'b'",
        "[tool.hatch.build.targets.wheel.shared-data]\na = 'b'",
    ):
        folder = make("hatchling.build", table)
        assert inputs(read_build_system(folder), folder, "editable").everything, table
    folder = make("hatchling.build")
    assert changes(folder, "hatch.toml", "")


def test_hatchling_patterns_count_names(make: Callable[..., Path]) -> None:
    folder = make("hatchling.build", "exclude = ['src/acme/hidden.py']")
    assert changes(folder, "src/acme/hidden.py")
    assert not changes(folder, "src/acme/hidden.py", "more")


def test_the_nearest_ignore_file_counts_for_hatchling(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make("hatchling.build")
    before = key(folder)
    (tmp_path / ".gitignore").write_text("src\n")
    above = key(folder)
    (folder / ".git").mkdir()
    assert above != before and key(folder) == before


@pytest.mark.parametrize(
    ("setup", "everything"),
    [
        ("from setuptools import setup\nsetup()\n", False),
        ("import setuptools\nif __name__ == '__main__':\n    setuptools.setup()\n", False),
        ('"""shim"""\nfrom setuptools import setup\n\nsetup()  # nothing\n', False),
        ("from setuptools import setup\nsetup(version=open('V').read())\n", True),
        ("import os\nfrom setuptools import setup\nsetup()\n", True),
        ("this is not python", True),
    ],
)
def test_setup_py(make: Callable[..., Path], setup: str, everything: bool) -> None:
    folder = make("setuptools.build_meta")
    (folder / "setup.py").write_text(setup)
    assert inputs(read_build_system(folder), folder, "editable").everything is everything


def test_setup_cfg(make: Callable[..., Path]) -> None:
    folder = make("setuptools.build_meta")
    for text, everything in (("[flake8]\nx = 1\n", False), ("[metadata]\nversion = file: V\n", True)):
        (folder / "setup.cfg").write_text(text)
        assert inputs(read_build_system(folder), folder, "editable").everything is everything


def test_setuptools_fields_from_files(make: Callable[..., Path]) -> None:
    folder = make("setuptools.build_meta", dynamic=("dependencies",))
    assert changes(folder, "requirements.txt", "httpx\n")
    assert not changes(folder, "other.txt")
    assert changes(folder, "MANIFEST.in", "include x\n")
    assert changes(folder, "src/new_package/__init__.py", "")


def test_unknown_backends_count_everything(make: Callable[..., Path]) -> None:
    folder = make("in-tree")
    assert changes(folder, "anything/at/all.bin", "x")
    assert changes(folder, "anything/at/all.bin", "y")


def test_trees_that_are_too_large_have_no_key(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make("in-tree")
    assert key(folder) is not None
    monkeypatch.setattr("pypm_env.build.keys.MAX_FILES", 2)
    assert key(folder) is None


def test_large_contents_are_known_by_size_and_time(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make("in-tree")
    monkeypatch.setattr("pypm_env.build.keys.MAX_BYTES", 10)
    before = key(folder)
    (folder / "src/acme/__init__.py").write_text('"""changed"""\n__version__ = "1"\n')
    assert key(folder) != before


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_versions_from_git(make: Callable[..., Path]) -> None:
    folder = make("setuptools.build_meta", dynamic=("version",))
    text = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(text.replace("requires = [", 'requires = ["setuptools-scm>=8", '))

    def git(*arguments: str) -> None:
        own = ["-c", "user.name=a", "-c", "user.email=a@example.test", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(folder), *own, *arguments], check=True, capture_output=True)

    outside = key(folder)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    first = key(folder)
    git("tag", "v1")
    tagged = key(folder)
    assert None not in {outside, first, tagged} and len({outside, first, tagged}) == 3
    assert key(folder) == tagged
    (folder / "new.txt").write_text("x")
    assert key(folder) is None, "uncommitted changes give versions that hold a date"
    # What the metadata says beyond that is known for the day.
    today, tomorrow = "2026-11-26", "2026-11-27"
    dated = key(folder, "metadata", today=today)
    assert dated is not None and dated == key(folder, "metadata", today=today)
    assert dated != key(folder, "metadata", today=tomorrow)
    (folder / "other.txt").write_text("x")
    assert dated != key(folder, "metadata", today=today)
    git("add", ".")
    git("commit", "-qm", "two")
    assert key(folder, "metadata", today=today) == key(folder, "metadata", today=tomorrow) is not None


def test_keys_of_archives(tmp_path: Path, make: Callable[..., Path]) -> None:
    system = read_build_system(make("in-tree"))
    environment = build_environment(tmp_path)
    given = (system, environment, dict[str, str](), ())
    one = source_key("a" * 64, "", "wheel", *given)
    assert one == source_key("a" * 64, "", "wheel", *given)
    assert one != source_key("b" * 64, "", "wheel", *given)
    assert one != source_key("a" * 64, "one", "wheel", *given)
    assert one != source_key("a" * 64, "", "wheel", system, environment, {"x": "y"}, ())
    assert one != source_key("a" * 64, "", "wheel", system, environment, {}, (("CC", "clang"),))


def test_steering_variables() -> None:
    said = ["CC", "CFLAGS", "SETUPTOOLS_SCM_PRETEND_VERSION", "SOURCE_DATE_EPOCH"]
    environ = dict.fromkeys([*said, "HOME", "PATH", "CARGO_REGISTRY_TOKEN", "LANG"], "x")
    names = [name for name, _ in steering(environ)]
    assert names == said
