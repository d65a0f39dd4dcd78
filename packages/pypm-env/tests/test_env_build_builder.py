from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from kit.builds import HATCHLING, build_environment, contents, is_installed, own_result
from kit.wheels import make_project
from pypm_env.build.builder import Builder
from pypm_env.build.environment import BuildEnvironment
from pypm_env.build.failures import BuildFailed
from pypm_env.build.inputs import Kind
from pypm_env.build.jobs import Built, Described, Job, Memory
from pypm_env.build.system import InvalidBuildSystem
from pypm_model.events import Advanced, Event, Finished, Started
from pypm_store.store import Store

pytestmark = pytest.mark.slow

PROJECTS: Mapping[str, tuple[str, ...]] = {
    "flit_core.buildapi": ("flit_core",),
    "hatchling.build": HATCHLING,
    "setuptools.build_meta": ("setuptools",),
    "in-tree": (),
}
EDITABLE_WITHOUT_MORE = "dev-mode-dirs = ['src']"
"""hatchling asks for no further package then."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def builder(tmp_path: Path, store: Store) -> Iterator[Builder]:
    (tmp_path / "temporary").mkdir()
    with Builder(store=store, temporary=tmp_path / "temporary") as builder:
        yield builder
    assert list((tmp_path / "temporary").iterdir()) == []


def built_in(store: Store) -> int:
    """How many wheels the store keeps."""
    return len(list((store.path / "built").glob("*/*.whl")))


def project(folder: Path, backend: str, name: str = "acme-lib", **facts: object) -> Path:
    extra = EDITABLE_WITHOUT_MORE if backend == "hatchling.build" else ""
    return make_project(
        folder, name, "1.2", backend=backend, requires=["httpx>=0.28"], scripts={"acme": "acme_lib:run"},
        pyproject_extra=extra, **facts,  # type: ignore[arg-type]
    )  # fmt: skip


def built(builder: Builder, job: Job) -> Path:
    (result,) = builder.build([job])
    assert isinstance(result, Built), result
    return result.wheel


def described(builder: Builder, job: Job) -> str:
    (result,) = builder.build([job])
    assert isinstance(result, Described), result
    return result.text


@pytest.mark.parametrize("kind", ["editable", "wheel"])
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith(("setuptools", "hatchling")) else name
        for name in PROJECTS
    ],
)
def test_results_are_what_the_backend_gives_on_its_own(
    tmp_path: Path, builder: Builder, backend: str, kind: Kind
) -> None:
    environment = build_environment(tmp_path, *PROJECTS[backend])
    folder = project(tmp_path / "project", backend)
    wheel = built(builder, Job(folder, kind, environment, name="acme-lib", version="1.2"))
    if backend == "in-tree":
        assert "acme_lib/__init__.py" in contents(wheel) or kind == "editable"
        return
    own = own_result(environment, folder, f"build_{kind}", tmp_path / "own")
    assert (wheel.name, contents(wheel)) == (own.name, contents(own))
    if kind == "editable":
        paths = [text for name, text in contents(wheel).items() if name.endswith(".pth")]
        assert [os.fsdecode(text).strip() for text in paths] == [str(folder / "src")]


@pytest.mark.parametrize("forking", [True, False])
def test_both_ways_to_call_hooks_give_the_same(tmp_path: Path, forking: bool) -> None:
    environment = build_environment(tmp_path, "flit_core")
    folder = project(tmp_path / "project", "flit_core.buildapi")
    with Builder(forking=forking) as builder:
        wheel = built(builder, Job(folder, "editable", environment))
        own = own_result(environment, folder, "build_editable", tmp_path / "own")
        assert contents(wheel) == contents(own)


@pytest.mark.parametrize("backend", list(PROJECTS))
def test_metadata_without_a_wheel(tmp_path: Path, builder: Builder, backend: str) -> None:
    environment = build_environment(tmp_path, *PROJECTS[backend])
    folder = project(tmp_path / "project", backend, dynamic=("version",))
    text = described(builder, Job(folder, "metadata", environment))
    lines = text.splitlines()
    assert "Version: 1.2" in lines and "Requires-Dist: httpx>=0.28" in lines
    assert list(builder.scratch.glob("out*/*")) == []


def in_tree(folder: Path, backend: str, table: str = "[project]\nname = 'odd'\nversion = '1'\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "backend.py").write_text(backend)
    (folder / "pyproject.toml").write_text(
        f"{table}[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    return folder


def test_metadata_out_of_a_wheel(tmp_path: Path, builder: Builder) -> None:
    folder = in_tree(
        tmp_path / "p",
        "import zipfile\n"
        "def build_wheel(folder, settings=None, metadata=None):\n"
        "    with zipfile.ZipFile(folder + '/odd-1-py3-none-any.whl', 'w') as z:\n"
        "        z.writestr('odd-1.dist-info/METADATA', 'Name: odd')\n"
        "        z.writestr('x/odd-1.dist-info/METADATA', 'Name: other')\n"
        "    return 'odd-1-py3-none-any.whl'\n",
    )
    assert described(builder, Job(folder, "metadata", build_environment(tmp_path))) == "Name: odd"


def test_metadata_is_remembered_by_what_it_was_made_from(tmp_path: Path) -> None:
    known: dict[str, str] = {}
    asked: list[int] = []

    def get(keys: list[str]) -> Mapping[str, str]:
        asked.append(len(keys))
        return {key: known[key] for key in keys if key in known}

    memory = Memory(get, known.update)
    environment = build_environment(tmp_path, "flit_core")
    folders = [project(tmp_path / name, "flit_core.buildapi", dynamic=("version",)) for name in ("a", "b")]
    jobs = [Job(folder, "metadata", environment) for folder in folders]
    with Builder(memory=memory) as builder:
        first = builder.build(jobs)
        assert [r.kept for r in first if isinstance(r, Described)] == [False, False]
        assert [r.kept for r in builder.build(jobs) if isinstance(r, Described)] == [True, True]
        (folders[0] / "src/acme_lib/__init__.py").write_text('"""acme"""\n__version__ = "2.0"\n')
        again = builder.build(jobs)
    assert [r.kept for r in again if isinstance(r, Described)] == [False, True]
    assert isinstance(again[0], Described) and "Version: 2.0" in again[0].text
    assert asked == [2, 2, 2]


def test_a_second_builder_pays_nothing(tmp_path: Path, store: Store) -> None:
    environment = build_environment(tmp_path, "flit_core")
    folder = project(tmp_path / "project", "flit_core.buildapi")
    found = []
    for forking in (True, False):
        with Builder(store=store, forking=forking) as builder:
            (result,) = builder.build([Job(folder, "editable", environment)])
            assert isinstance(result, Built)
            found.append(result)
    assert [result.kept for result in found] == [False, True]
    assert found[0].wheel == found[1].wheel and found[0].sha256 == found[1].sha256
    assert built_in(store) == 1


def test_many_projects_and_failures_as_values(tmp_path: Path, builder: Builder) -> None:
    environment = build_environment(tmp_path, "flit_core")
    folders = [project(tmp_path / f"m{n}", "flit_core.buildapi", f"acme-{n}") for n in range(12)]
    (folders[3] / "src/acme_3/__init__.py").unlink()
    (folders[3] / "src/acme_3").rmdir()
    (folders[5] / "pyproject.toml").write_text("[build-system]\nrequires = 5\n")
    events: list[Event] = []
    jobs = [Job(f, "editable", environment, f"acme-{n}", "1.2") for n, f in enumerate(folders)]
    results = builder.build(jobs, events.append)
    assert [n for n, r in enumerate(results) if not isinstance(r, Built)] == [3, 5]
    failed = results[3]
    assert isinstance(failed, BuildFailed) and isinstance(results[5], InvalidBuildSystem)
    assert (failed.name, failed.hook, failed.backend) == ("acme-3", "build_editable", "flit_core.buildapi")
    assert "No file/folder found for module acme_3" in str(failed)
    assert failed.output[-1].startswith("ValueError")
    names = [r.wheel.name for r in results if isinstance(r, Built)]
    assert [name.partition("-py")[0] for name in names] == [
        f"acme_{n}-1.2" for n in range(12) if n not in (3, 5)
    ]
    assert events[0] == Started("build", total=12) and events[-1] == Finished("build")
    assert sorted(e.subject for e in events if isinstance(e, Advanced)) == sorted(
        f"acme-{n}" for n in range(12)
    )


def test_two_at_a_time(tmp_path: Path) -> None:
    """Each hook waits until another one runs: alone they would never end."""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    backend = (
        "import os, time, zipfile\n"
        "def get_requires_for_build_wheel(settings=None):\n"
        f"    open(os.path.join({str(meeting)!r}, str(os.getpid())), 'w').close()\n"
        "    for _ in range(200):\n"
        f"        if len(os.listdir({str(meeting)!r})) > 1: return []\n"
        "        time.sleep(0.05)\n"
        "    raise RuntimeError('alone')\n"
    )
    folders = [in_tree(tmp_path / f"p{n}", backend) for n in range(2)]
    environment = build_environment(tmp_path)
    with Builder(workers=2) as builder:
        assert builder.requirements([Job(f, "wheel", environment) for f in folders]) == ((), ())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return '../odd-1-py3-none-any.whl'", "no file name"),
        ("return 5", "no file name"),
        ("return 'odd-1-py3-none-any.whl'", "made no such file"),
        ("open(folder + '/x.zip', 'w').close(); return 'x.zip'", "no wheel's"),
        ("return make(folder, 'other-1-py3-none-any.whl')", "a wheel of other instead of odd"),
        ("return make(folder, 'odd-2-py3-none-any.whl')", "version 2 instead of 1"),
        ("open(folder + '/' + NAME, 'w').write('x'); return NAME", "no zip"),
        ("import os; os.symlink('/etc/hosts', folder + '/' + NAME); return NAME", "made no such file"),
    ],
)  # fmt: skip
def test_wheels_that_are_none(
    tmp_path: Path, builder: Builder, store: Store, body: str, message: str
) -> None:
    backend = (
        "import zipfile\nNAME = 'odd-1-py3-none-any.whl'\n"
        "def make(folder, name):\n"
        "    zipfile.ZipFile(folder + '/' + name, 'w').close()\n    return name\n"
        f"def build_wheel(folder, settings=None, metadata=None):\n    {body}\n"
    )
    job = Job(in_tree(tmp_path / "p", backend), "wheel", build_environment(tmp_path), "odd", "1.0")
    (result,) = builder.build([job])
    assert isinstance(result, BuildFailed) and message in result.reason
    assert built_in(store) == 0


def test_a_backend_without_editables(tmp_path: Path, builder: Builder) -> None:
    job = Job(in_tree(tmp_path / "p", "def build_wheel(*a): pass\n"), "editable", build_environment(tmp_path))
    (result,) = builder.build([job])
    assert isinstance(result, BuildFailed)
    assert "no such hook" in result.reason and "ordinary wheel" in (result.hint or "")


def test_a_module_that_build_requirements_miss(tmp_path: Path, builder: Builder) -> None:
    job = Job(in_tree(tmp_path / "p", "import surely_missing\n"), "wheel", build_environment(tmp_path), "odd")
    (result,) = builder.build([job])
    assert isinstance(result, BuildFailed)
    assert "cannot be imported" in result.reason
    assert "add its project to build-system.requires" in (result.hint or "")


@pytest.mark.parametrize("forking", [True, False])
def test_a_build_that_takes_too_long(tmp_path: Path, forking: bool) -> None:
    backend = "import time\ndef build_wheel(*a):\n    print('here I am', flush=True); time.sleep(60)\n"
    job = Job(in_tree(tmp_path / "p", backend), "wheel", build_environment(tmp_path))
    with Builder(timeout=1.0, forking=forking) as builder:
        (result,) = builder.build([job])
    assert isinstance(result, BuildFailed)
    assert "still running after 1 seconds" in result.reason and result.output == ("here I am",)


class TestRequirements:
    @pytest.mark.slow
    def test_what_backends_say(self, tmp_path: Path, builder: Builder) -> None:
        environment = build_environment(tmp_path, "flit_core", "setuptools", *HATCHLING)
        folders = [project(tmp_path / str(n), backend) for n, backend in enumerate(PROJECTS)]
        asked = builder.requirements([Job(folder, "editable", environment) for folder in folders])
        assert asked[0] == asked[2] == asked[3] == ()
        assert isinstance(asked[1], tuple) and [text[:9] for text in asked[1]] == ["editables"]
        assert builder.requirements([Job(folders[1], "wheel", environment)]) == ((),)

    def test_one_is_asked_for_all_that_are_alike(self, tmp_path: Path) -> None:
        environment = build_environment(tmp_path, *HATCHLING)
        folders = [project(tmp_path / str(n), "hatchling.build", f"a{n}") for n in range(6)]
        with (folders[4] / "pyproject.toml").open("a") as file:
            file.write("\n[tool.hatch.build.targets.wheel.hooks.custom]\ndependencies = ['extra-one']\n")
        (folders[4] / "hatch_build.py").write_text(
            "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
            "class Own(BuildHookInterface): pass\n"
        )
        events: list[Event] = []
        with Builder() as builder:
            asked = builder.requirements([Job(f, "editable", environment) for f in folders], events.append)
        assert events[0] == Started("build", total=2)
        assert len({asked[n] for n in range(6) if n != 4}) == 1
        assert isinstance(asked[4], tuple) and asked[4][0] == "extra-one"

    @pytest.mark.slow
    def test_each_says_itself_what_is_wrong_when_the_one_asked_fails(self, tmp_path: Path) -> None:
        environment = build_environment(tmp_path, *HATCHLING)
        folders = [project(tmp_path / str(n), "hatchling.build", f"a{n}") for n in range(3)]
        text = (folders[0] / "pyproject.toml").read_text()
        (folders[0] / "pyproject.toml").write_text(
            text.replace("[tool.hatch.build.targets.wheel]", "[tool.hatch.build.targets]\nwheel = 5\n[x]")
        )
        with Builder() as builder:
            asked = builder.requirements([Job(f, "editable", environment) for f in folders])
        assert [isinstance(answer, tuple) for answer in asked] == [False, True, True]

    def test_answers_that_are_no_requirements(self, tmp_path: Path, builder: Builder) -> None:
        for number, answer in enumerate(("['no requirement at all']", "5", "[1]")):
            backend = f"def get_requires_for_build_wheel(settings=None): return {answer}\n"
            job = Job(in_tree(tmp_path / str(number), backend), "wheel", build_environment(tmp_path))
            (asked,) = builder.requirements([job])
            assert isinstance(asked, BuildFailed) and "no " in asked.reason


class TestKeeping:
    """What may be kept, and what must be made again."""

    @pytest.fixture
    def environment(self, tmp_path: Path) -> BuildEnvironment:
        return build_environment(tmp_path)

    EXTENSION = (
        "import os, zipfile\n"
        "def build_editable(folder, settings=None, metadata=None):\n"
        "    open('made.so', 'w').close()\n"
        "    with zipfile.ZipFile(folder + '/odd-1-py3-none-any.whl', 'w') as z:\n"
        "        z.writestr('odd.pth', os.getcwd())\n"
        "    return 'odd-1-py3-none-any.whl'\n"
        "build_wheel = build_editable\n"
    )

    def kept(self, builder: Builder, job: Job) -> bool:
        (result,) = builder.build([job])
        assert isinstance(result, Built), result
        return result.kept

    def test_an_editable_build_that_leaves_files_in_the_tree(
        self, tmp_path: Path, builder: Builder, environment: BuildEnvironment
    ) -> None:
        folder = in_tree(tmp_path / "p", self.EXTENSION)
        job = Job(folder, "editable", environment)
        assert [self.kept(builder, job), self.kept(builder, job)] == [False, True]
        (folder / "made.so").unlink()
        assert [self.kept(builder, job), (folder / "made.so").exists()] == [False, True]

    def test_a_tree_that_changes_while_it_is_built(
        self, tmp_path: Path, builder: Builder, environment: BuildEnvironment
    ) -> None:
        backend = self.EXTENSION.replace(
            "open('made.so', 'w').close()", "open('version.txt', 'a').write('x')"
        )
        folder = in_tree(tmp_path / "p", backend)
        (folder / "version.txt").write_text("1")
        job = Job(folder, "wheel", environment)
        assert [self.kept(builder, job), self.kept(builder, job)] == [False, False]
        (result,) = builder.build([job])
        assert isinstance(result, Built) and result.key is None and zipfile.is_zipfile(result.wheel)

    def test_two_at_once_build_once(
        self, tmp_path: Path, store: Store, environment: BuildEnvironment
    ) -> None:
        slow = f"    import time; time.sleep(0.5); open({str(tmp_path / 'count')!r}, 'a').write('x')\n"
        backend = self.EXTENSION.replace("    open('made.so'", f"{slow}    open('made.so'")
        folder = in_tree(tmp_path / "p", backend)

        def run() -> None:
            with Builder(store=store) as builder:
                self.kept(builder, Job(folder, "wheel", environment))

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (tmp_path / "count").read_text() == "x"


@pytest.mark.slow
@pytest.mark.skipif(not is_installed("editables"), reason="needs editables")
def test_hatchling_s_own_way_to_editables(tmp_path: Path, builder: Builder) -> None:
    environment = build_environment(tmp_path, *HATCHLING, "editables")
    folder = make_project(tmp_path / "p", "acme-lib", "1", backend="hatchling.build")
    wheel = built(builder, Job(folder, "editable", environment))
    assert contents(wheel) == contents(own_result(environment, folder, "build_editable", tmp_path / "own"))


def test_an_editable_says_where_its_project_is(tmp_path: Path, builder: Builder, store: Store) -> None:
    environment = build_environment(tmp_path, "flit_core")
    folders = [project(tmp_path / name, "flit_core.buildapi") for name in ("one", "two")]
    wheels = [built(builder, Job(folder, "editable", environment)) for folder in folders]
    assert [contents(w)["acme_lib.pth"].decode().strip() for w in wheels] == [str(f / "src") for f in folders]
    assert built_in(store) == 2
