"""Environments of members as a team has them: several shells, kills, a lost store, other Pythons."""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kit.transcripts import Stage, pypm, run
from kit.wheels import make_project, make_wheel

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")]

MEMBERS = 6
PACKAGES = 10
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Six members, each with some of ten packages and the member before it."""
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for number in range(PACKAGES):
            for version in ("1.0", "2.0"):
                files: dict[str, str | bytes] = {
                    f"dep{number}/__init__.py": f"v = '{version}'\n",
                    f"dep{number}/sub/m.py": "",
                    f"shared/part{number}.py": "",
                }
                make_wheel(folder, f"dep{number}", version, files=files)
        write_members(made.root, "")
        yield made


def names_of(member: int) -> list[str]:
    return [f"dep{number}" for number in range(member, member + 5)]


def write_members(root: Path, specifier: str) -> None:
    (root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
    for member in range(MEMBERS):
        requires = [f"{name}{specifier}" for name in names_of(member)]
        if member:
            requires.append(f"m{member - 1}")
        make_project(
            root / "packages" / f"m{member}",
            f"m{member}",
            "1.0",
            requires=requires,
            requires_python=">=3.11",
            backend="in-tree",
        )


def sync(stage: Stage, *arguments: str, code: int = 0) -> str:
    done = run(["pypm", "sync", *arguments], stage.root, stage.environ)
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    return str(done.stdout)


def start(stage: Stage, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        pypm(*arguments),
        cwd=stage.root,
        env=stage.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def venv(stage: Stage, member: int) -> Path:
    return stage.root / "packages" / f"m{member}" / ".venv"


def check(stage: Stage, version: str = "2.0", members: range = range(MEMBERS)) -> None:
    """Each member's environment has what it and those it depends on declare, in *version*, and no more."""
    for member in members:
        (site,) = venv(stage, member).glob("lib/python*/site-packages")
        needed = {name for below in range(member + 1) for name in names_of(below)}
        assert {info.name for info in site.glob("dep*.dist-info")} == {
            f"{name}-{version}.dist-info" for name in needed
        }
        assert {path.name for path in site.glob("dep*") if path.suffix != ".dist-info"} == needed
        modules = [
            *(f"{name}.sub.m" for name in sorted(needed)),
            *(f"m{below}" for below in range(member + 1)),
        ]
        code = f"import {', '.join(modules)}, shared.part{member}; print(dep{member}.v)"
        done = subprocess.run(
            [venv(stage, member) / "bin/python", "-I", "-c", code], capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (0, f"{version}\n"), done.stderr


def test_all_at_once_then_one_then_nothing(stage: Stage) -> None:
    sync(stage, "--each")
    check(stage)
    assert sync(stage, "--each") == f"Nothing to do: {MEMBERS} environments of members\n"
    before = {m: (venv(stage, m) / "pypm-state").stat().st_mtime_ns for m in range(MEMBERS)}
    shutil.rmtree(venv(stage, 3))
    assert "Synced 1 environment, 5 unchanged" in sync(stage, "--each")
    after = {m: (venv(stage, m) / "pypm-state").stat().st_mtime_ns for m in range(MEMBERS)}
    assert {m for m in before if before[m] != after[m]} == {3}
    check(stage)


def test_shells_at_once_do_not_disturb_each_other(stage: Stage) -> None:
    asked = (["--each"], ["--each"], ["-p", "m5"], ["-p", "m0", "-p", "m5"], [])
    processes = [start(stage, "sync", *arguments) for arguments in asked]
    for process in processes:
        said, _ = process.communicate(timeout=180)
        assert process.returncode == 0, said
    check(stage)
    assert (stage.root / ".venv").is_dir()
    assert "Nothing to do" in sync(stage, "--each")


@pytest.mark.parametrize("rounds", [3, pytest.param(40, marks=pytest.mark.soak)])
def test_the_next_sync_repairs_what_a_killed_one_left(stage: Stage, rounds: int) -> None:
    dice = random.Random(7)
    begun = time.monotonic()
    said, _ = start(stage, "sync", "--each").communicate()
    longest = time.monotonic() - begun
    assert "Synced" in said
    killed = 0
    for number in range(rounds):
        version = "1.0" if number % 2 == 0 else "2.0"
        write_members(stage.root, f"=={version}")
        if number % 4 == 2:
            shutil.rmtree(venv(stage, 2))
        process = start(stage, "sync", "--each")
        time.sleep(dice.uniform(0.2, 0.9) * longest)
        killed += process.poll() is None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        sync(stage, "--each")
        check(stage, version)
    assert killed, "every sync was over before it could be killed"
    assert not [p for m in range(MEMBERS) for p in venv(stage, m).parent.glob(".*.new")]


def test_a_lost_store_is_noticed_and_fetched_again(stage: Stage) -> None:
    sync(stage, "--each")
    assert "Nothing to do" in sync(stage, "--each")
    shutil.rmtree(stage.home / "cache")
    assert "6 environments" in sync(stage, "--each")
    check(stage)
    # One tree alone.
    (tree,) = [
        tree for tree in (stage.home / "cache/v1/trees").iterdir() if (tree / "site/dep9").is_dir()
        and (tree / "site/dep9-2.0.dist-info").is_dir()
    ]  # fmt: skip
    shutil.rmtree(tree)
    said = sync(stage, "--each")
    assert "Synced 1 environment, 5 unchanged" in said
    check(stage)


def test_cleaning_and_pruning_leave_what_is_in_use(stage: Stage) -> None:
    sync(stage, "--each")
    for verb in ("prune", "clean"):
        done = run(["pypm", "cache", verb], stage.root, stage.environ)
        assert done.returncode == 0, done.stdout
        check(stage)
    assert "Nothing to do" in sync(stage, "--each")
    for member in range(MEMBERS):
        shutil.rmtree(venv(stage, member))
    assert run(["pypm", "cache", "prune"], stage.root, stage.environ).returncode == 0
    assert list((stage.home / "cache/v1/trees").iterdir()) == []
    assert list((stage.home / "cache/v1/leases").iterdir()) == []


def works_at(root: Path, member: int) -> None:
    python = root / f"packages/m{member}/.venv/bin/python"
    code = f"import dep{member}.sub.m; print(dep{member}.v)"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "2.0\n"), done.stderr


def test_pruning_leaves_what_a_workspace_that_moved_links_to(stage: Stage) -> None:
    sync(stage, "--each")
    elsewhere = stage.folder / "elsewhere"
    stage.root.rename(elsewhere)
    # Another clone comes to be where it was.
    stage.root.mkdir()
    write_members(stage.root, "==1.0")
    sync(stage, "-p", "m0")
    for verb in ("prune", "clean"):
        done = run(["pypm", "cache", verb], stage.folder, stage.environ)
        assert done.returncode == 0, done.stdout
        for member in range(MEMBERS):
            works_at(elsewhere, member)
    # And goes with it.
    shutil.rmtree(elsewhere)
    run(["pypm", "cache", "prune"], stage.folder, stage.environ)
    trees = (stage.home / "cache/v1/trees").iterdir()
    assert not [tree for tree in trees if list(tree.glob("site/dep*-2.0.dist-info"))]


def test_a_workspace_that_moved_is_made_anew(stage: Stage) -> None:
    sync(stage, "--each")
    elsewhere = stage.folder / "elsewhere"
    stage.root.rename(elsewhere)
    done = run(["pypm", "sync", "--each"], elsewhere, stage.environ)
    assert done.returncode == 0 and "6 environments" in done.stdout
    code = "import dep0; print(dep0.__file__)"
    python = elsewhere / "packages/m0/.venv/bin/python"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith(str(elsewhere))
    elsewhere.rename(stage.root)


def test_each_on_its_own_python(stage: Stage) -> None:
    other = next(
        (
            found
            for name in ("python3.12", "python3.13", "python3.14")
            if (found := _interpreter(stage, name)) is not None
        ),
        None,
    )
    if other is None:
        pytest.skip("there is one Python only")
    path, version = other
    for member, python in ((0, f">=3.11,<{version}"), (1, f">={version}")):
        if member == 0 and sys.version_info[:2] >= tuple(map(int, version.split("."))):
            pytest.skip("this Python is the newest")
        folder = stage.root / "packages" / f"m{member}"
        shutil.rmtree(folder)
        make_project(
            folder, f"m{member}", "1.0", requires=["dep0"], requires_python=python, backend="in-tree"
        )
    for member in range(2, MEMBERS):
        shutil.rmtree(stage.root / "packages" / f"m{member}")
    del stage.environ["PYPM_PYTHON"]
    stage.environ["PATH"] = f"{Path(path).parent}{os.pathsep}{stage.environ['PATH']}"
    (stage.root / ".python-version").write_text(f"{sys.version_info[0]}.{sys.version_info[1]}\n")
    report = json.loads(sync(stage, "--each", "--json"))
    pythons = {one["member"]: one["python"] for one in report["environments"]}
    assert pythons["m1"].startswith(version) and not pythons["m0"].startswith(version)
    assert "Nothing to do" in sync(stage, "--each")
    # A pin in the member's own folder is meant for it, and must fit.
    (stage.root / "packages/m0/.python-version").write_text(f"{version}\n")
    said = sync(stage, "--each", code=2)
    assert "no-python" in said and "packages/m0" in said


def _interpreter(stage: Stage, name: str) -> tuple[str, str] | None:
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    paths = [shutil.which(name), *map(str, home.glob(f"versions/{name[6:]}*/bin/{name}"))]
    for path in filter(None, paths):
        done = subprocess.run([path, "-c", "pass"], capture_output=True)
        if done.returncode == 0:
            return path, name[6:]
    return None


def test_one_that_cannot_be_made_stops_nothing_from_being_told(stage: Stage) -> None:
    """What can be refused is refused before anything changes: no lock, no environment."""
    folder = stage.root / "packages" / "m2"
    shutil.rmtree(folder)
    make_project(folder, "m2", "1.0", requires=["dep0"], requires_python=">=3.99", backend="in-tree")
    for member in range(3, MEMBERS):
        shutil.rmtree(stage.root / "packages" / f"m{member}")
    said = sync(stage, "--each", code=2)
    assert "packages/m2/pyproject.toml" in said and ">=3.99" in said
    assert not (stage.root / "pypm.lock").exists()
    assert not venv(stage, 0).exists()


def test_what_the_members_shared_is_told_when_they_share_it_no_more(stage: Stage) -> None:
    sync(stage)
    file = stage.root / "pypm-workspace.toml"
    file.write_text(f"{file.read_text()}shared-environment = false\n")
    assert "warning[environment-left]" not in sync(stage, "-p", "m0")
    assert f"warning[environment-left]: {stage.root}/.venv is what the members shared" in sync(stage)
    shutil.rmtree(stage.root / ".venv")
    assert "environment-left" not in sync(stage, "--reinstall")


def test_nothing_shared_means_each(stage: Stage) -> None:
    text = '[workspace]\nmembers = ["packages/*"]\nshared-environment = false\n'
    text += "[tasks.show]\ncommand = \"python -c 'import sys; print(sys.prefix)'\"\n"
    (stage.root / "pypm-workspace.toml").write_text(text)
    assert "Synced 6 environments" in sync(stage)
    assert not (stage.root / ".venv").exists()
    assert "Nothing to do: 6 environments of members" in sync(stage)
    check(stage)

    def pypm_in(folder: str, *arguments: str) -> tuple[int, str]:
        done = run(["pypm", *arguments], stage.root / folder, stage.environ)
        return done.returncode, stage.plain(done.stdout)

    assert pypm_in("packages/m1", "exec", "python", "-c", "import sys; print(sys.prefix)") == (
        0,
        "[ROOT]/packages/m1/.venv\n",
    )
    code, said = pypm_in(".", "exec", "python", "-c", "pass")
    assert code == 2 and "no-one-environment" in said
    code, said = pypm_in(".", "run", "-j1", "-p", "m0", "-p", "m2", "show")
    assert code == 0
    assert "m0:show | [ROOT]/packages/m0/.venv" in said and "m2:show | [ROOT]/packages/m2/.venv" in said
    # A change for one member.
    said = run(["pypm", "add", "-p", "m0", "dep9"], stage.root, stage.environ).stdout
    assert "Synced" in said
    python = venv(stage, 0) / "bin/python"
    assert subprocess.run([python, "-c", "import dep9"]).returncode == 0


def test_a_no_op_imports_next_to_nothing_and_reads_one_file(stage: Stage, tmp_path: Path) -> None:
    sync(stage, "--each")
    sources = [
        str(p / "src") for p in (*ROOT.glob("packages/*"), *ROOT.glob("tools/*")) if (p / "src").is_dir()
    ]
    script = (
        "import sys\n"
        f"sys.path[:0] = {sources!r}\n"
        "opened = []\n"
        "before = set(sys.modules)\n"
        "def hook(event, arguments):\n"
        "    if event == 'open': opened.append(str(arguments[0]))\n"
        "sys.addaudithook(hook)\n"
        "from pypm._entry import main\n"
        "code = main(['sync', '--each'])\n"
        "print([code, sorted(set(sys.modules) - before), opened])\n"
    )
    argv = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(argv, cwd=stage.root, env=stage.environ, capture_output=True, text=True, check=True)
    code, modules, opened = ast.literal_eval(done.stdout)
    assert code == 0 and "Nothing to do: 6 environments" in done.stderr
    assert "pypm._stamp" in modules and "pypm.cli.main" not in modules
    assert len(modules) <= 25, modules
    opened = [path for path in opened if not path.endswith((".py", ".pyc"))]
    assert len(opened) == 1 and "stamps" in opened[0], opened


@pytest.mark.parametrize(
    "changes",
    [
        ["manifest", "lock", "site", "state", "pin"],
        ["tree", "new member", "interrupted", "other way", "variable"],
    ],
    ids="-".join,
)
def test_a_no_op_notices(stage: Stage, changes: list[str]) -> None:
    """Whatever changes between two syncs, the second sees it, puts it right, and has nothing to do again."""
    sync(stage, "--each")
    for change in changes:
        environ: dict[str, Any] = {}
        match change:
            case "manifest":
                path = stage.root / "packages/m1/pyproject.toml"
                path.write_text(path.read_text() + "\n# touched\n")
            case "lock":
                (stage.root / "pypm.lock").unlink()
            case "site":
                (site,) = venv(stage, 4).glob("lib/python*/site-packages")
                (site / "mine.py").write_text("")
            case "state":
                (venv(stage, 4) / "pypm-state").unlink()
            case "pin":
                version = f"{sys.version_info[0]}.{sys.version_info[1]}"
                (stage.root / "packages/m2/.python-version").write_text(version)
            case "tree":
                shutil.rmtree(next((stage.home / "cache/v1/trees").iterdir()))
            case "new member":
                make_project(
                    stage.root / "packages/new", "new", "1.0", requires_python=">=3.11", backend="in-tree"
                )
            case "interrupted":
                (venv(stage, 5) / "pypm-journal").write_text("dep9-2.0.dist-info")
            case "variable":
                environ = {"PYPM_LINK_MODE": "copy"}
            case "other way":
                sync(stage, "-p", "m0", "--no-editable")
        done = run(["pypm", "sync", "--each"], stage.root, {**stage.environ, **environ})
        assert done.returncode == 0, (change, done.stdout)
        if change not in ("site", "manifest", "pin"):
            assert not done.stdout.startswith("Nothing to do"), change
        check(stage)
        again = run(["pypm", "sync", "--each"], stage.root, {**stage.environ, **environ}).stdout
        assert again.startswith("Nothing to do"), change
