"""Killed, crowded and starved: whatever happens in the middle of a sync, the next one puts it right."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kit.transcripts import Stage, pypm, run
from kit.wheels import make_project, make_wheel

pytestmark = pytest.mark.slow

PACKAGES = 12


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A workspace with two editable members and an index with many wheels of some files each."""
    with Stage(tmp_path / "stage") as made:
        folder = made.server.folder
        assert folder is not None
        for number in range(PACKAGES):
            for version in ("1.0", "2.0"):
                make_wheel(folder, f"dep{number}", version, files=files_of(number, version))
        write_members(made.root, range(PACKAGES), "")
        yield made


def files_of(number: int, version: str) -> dict[str, str | bytes]:
    name = f"dep{number}"
    files: dict[str, str | bytes] = {f"{name}/__init__.py": f'__version__ = "{version}"\n'}
    files |= {f"{name}/part{i}.py": f"VALUE = {i}\n" * 50 for i in range(6)}
    files[f"{name}/data.bin"] = random.Random(number).randbytes(20_000)
    return files


def write_members(root: Path, numbers: range, specifier: str) -> None:
    """Two members that ask for *numbers* of the packages, in the versions of *specifier*."""
    root.mkdir(exist_ok=True)
    (root / "pypm-workspace.toml").write_text('[workspace]\nmembers = ["packages/*"]\n')
    wanted = [f"dep{number}{specifier}" for number in numbers]
    for name, share in (("one", wanted[::2]), ("two", wanted[1::2])):
        folder = root / "packages" / name
        make_project(folder, name, "1.0", requires=share, requires_python=">=3.11", backend="in-tree")


def start(stage: Stage, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
    """A pypm in a process group of its own."""
    return subprocess.Popen(
        pypm(*arguments),
        cwd=cwd or stage.root,
        env=stage.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kills the process and its children, as a power cut would."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def sync(stage: Stage, *arguments: str, cwd: Path | None = None) -> str:
    done = run(["pypm", "sync", *arguments], cwd or stage.root, stage.environ)
    assert done.returncode == 0, done.stdout
    return done.stdout


def check_environment(root: Path, numbers: range, version: str) -> None:
    """Asserts that the environment holds these packages and the members, every file as RECORD says."""
    (site,) = (root / ".venv" / "lib").glob("python*/site-packages")
    infos = {info.name for info in site.glob("*.dist-info")}
    assert infos == {f"dep{n}-{version}.dist-info" for n in numbers} | {
        "one-1.0.dist-info",
        "two-1.0.dist-info",
    }
    folders = {path.name for path in site.iterdir() if path.name.startswith("dep") and path.is_dir()} - infos
    assert folders == {f"dep{number}" for number in numbers}
    for info in sorted(infos):
        with (site / info / "RECORD").open(newline="") as file:
            for path, digest, _ in csv.reader(file):
                content = (site / path).read_bytes()
                if digest:
                    found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                    assert digest == f"sha256={found}", f"{info}: {path}"
    names = ", ".join([*(f"dep{number}" for number in numbers), "one", "two"])
    subprocess.run([root / ".venv/bin/python", "-I", "-c", f"import {names}"], check=True, timeout=60)


@pytest.mark.parametrize("rounds", [5, pytest.param(60, marks=pytest.mark.soak)])
def test_the_next_sync_repairs_what_a_killed_one_left(stage: Stage, rounds: int) -> None:
    """Each round has something to do: other versions, fewer packages, no environment, an empty cache."""
    begun = time.monotonic()
    said, _ = start(stage, "sync").communicate()
    longest = time.monotonic() - begun
    assert "Synced" in said
    dice = random.Random(rounds)
    killed = 0
    for number in range(rounds):
        version = "1.0" if number % 2 == 0 else "2.0"
        numbers = range(PACKAGES if number % 3 else PACKAGES // 2)
        write_members(stage.root, numbers, f"=={version}")
        if number % 4 == 1:
            shutil.rmtree(stage.root / ".venv")
        if number % 4 == 2:
            shutil.rmtree(stage.home / "cache")
        process = start(stage, "sync")
        time.sleep(dice.uniform(0.1, 0.8) * longest if number else longest / 3)
        killed += process.poll() is None
        kill(process)
        said = sync(stage)
        assert "internal" not in said and "Traceback" not in said
        check_environment(stage.root, numbers, version)
        assert "Nothing to do" in sync(stage)
    assert killed, "every sync was over before it could be killed"
    leftovers = {path.name for path in stage.root.glob(".venv*")} - {".venv"}
    assert not leftovers


def test_two_syncs_at_once_in_one_workspace(stage: Stage) -> None:
    processes = [start(stage, "sync") for _ in range(2)]
    for process in processes:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    check_environment(stage.root, range(PACKAGES), "2.0")
    assert "Nothing to do" in sync(stage)


def test_two_workspaces_share_a_cold_cache(stage: Stage) -> None:
    other = stage.folder / "other"
    write_members(other, range(PACKAGES), "")
    processes = [start(stage, "sync"), start(stage, "sync", cwd=other)]
    for process in processes:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    for root in (stage.root, other):
        check_environment(root, range(PACKAGES), "2.0")
    assert (stage.root / "pypm.lock").read_bytes() == (other / "pypm.lock").read_bytes()


def test_one_of_two_is_killed_and_the_other_goes_on(stage: Stage) -> None:
    other = stage.folder / "other"
    write_members(other, range(PACKAGES), "")
    doomed, survivor = start(stage, "sync"), start(stage, "sync", cwd=other)
    time.sleep(0.5)
    kill(doomed)
    said, _ = survivor.communicate(timeout=120)
    assert survivor.returncode == 0, said
    check_environment(other, range(PACKAGES), "2.0")
    sync(stage)
    check_environment(stage.root, range(PACKAGES), "2.0")


# --- a full disk -----------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of *size* at *folder*, and whether there is one: making it needs to be allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = False
    if sys.platform == "linux" and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount"):
        options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        mounted = subprocess.run(["mount", *options], capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def no_big_files() -> None:
    """Files end at 64 KiB in this process: the nearest thing to a full disk that everybody may have."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, 64 << 10))


def big_release(stage: Stage) -> None:
    folder = stage.server.folder
    assert folder is not None
    make_wheel(
        folder,
        "big",
        "1.0",
        files={"big/__init__.py": "", "big/data.bin": random.Random(1).randbytes(3 << 20)},
    )
    (stage.root / "pypm-workspace.toml").unlink()
    shutil.rmtree(stage.root / "packages")
    (stage.root / "pyproject.toml").write_text(
        '[project]\nname = "alone"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["big"]\n'
    )


def starved(stage: Stage, *, limited: bool) -> str:
    """What a sync says that finds no room; asserts that it says it well."""
    done = subprocess.run(
        pypm("sync"),
        cwd=stage.root,
        env=stage.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        preexec_fn=no_big_files if limited else None,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout and "[internal]" not in done.stdout, done.stdout
    return done.stdout


def test_a_full_disk_below_the_cache_is_told_and_leaves_nothing_broken(stage: Stage) -> None:
    big_release(stage)
    cache = stage.home / "cache"
    with small_disk(cache, "2m") as mounted:
        said = starved(stage, limited=not mounted)
        assert ("no space left on device" if mounted else "file too large") in said.lower(), said
        assert not (stage.root / ".venv/lib").exists()
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=64m", str(cache)], check=True)
        sync(stage)
        subprocess.run([stage.root / ".venv/bin/python", "-c", "import big"], check=True)


def test_a_full_disk_below_the_workspace_is_told_and_repaired(stage: Stage) -> None:
    big_release(stage)
    manifest = (stage.root / "pyproject.toml").read_text()
    with small_disk(stage.root, "1m") as mounted:
        if not mounted:
            pytest.skip("no file system can be made here: the test above has the limit instead")
        (stage.root / "pyproject.toml").write_text(manifest)
        said = starved(stage, limited=False)
        assert f"no space left on device: {stage.root}/.venv" in said, said
        assert "help: free some space" in said
        subprocess.run(["mount", "-o", "remount,size=64m", str(stage.root)], check=True)
        sync(stage)
        subprocess.run([stage.root / ".venv/bin/python", "-c", "import big"], check=True)
        assert "Nothing to do" in sync(stage)


def test_what_is_in_step_needs_no_room_and_no_leave_to_write(stage: Stage) -> None:
    manifests = {path.relative_to(stage.root): path for path in stage.root.rglob("*") if path.is_file()}
    texts = {path: file.read_bytes() for path, file in manifests.items()}
    with small_disk(stage.root, "64m") as mounted:
        if not mounted:
            pytest.skip("no file system can be made here")
        for path, text in texts.items():
            (stage.root / path).parent.mkdir(parents=True, exist_ok=True)
            (stage.root / path).write_bytes(text)
        sync(stage)
        subprocess.run(["mount", "-o", "remount,ro", str(stage.root)], check=True)
        for command in (("sync",), ("ci",), ("sync", "--frozen"), ("exec", "python", "-c", "import dep1")):
            done = run(["pypm", *command], stage.root, stage.environ)
            assert done.returncode == 0, (command, done.stdout)
        done = run(["pypm", "sync", "--reinstall"], stage.root, stage.environ)
        assert done.returncode == 1
        assert done.stdout.startswith("error[system]: read-only file system: "), done.stdout


# --- a damaged cache -------------------------------------------------------------------------------


def cut(path: Path) -> None:
    """Leaves the first half of the file."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def scramble(path: Path) -> None:
    """Other bytes, as many."""
    path.chmod(0o644)
    path.write_bytes(b"\xa5" * path.stat().st_size)


def database(cache: Path) -> Path:
    (found,) = cache.glob("*.sqlite")
    return found


def damaged(cache: Path, kind: str) -> None:
    match kind:
        case "database-cut":
            cut(database(cache))
        case "database-scrambled":
            scramble(database(cache))
        case "database-a-folder":
            path = database(cache)
            path.unlink()
            path.mkdir()
        case "trees-cut":
            for tree in (cache / "trees").iterdir():
                for path in tree.rglob("*.py"):
                    path.parent.chmod(0o755)
                    cut(path)
        case "trees-emptied":
            for tree in (cache / "trees").iterdir():
                for path in [*tree.rglob("__init__.py")]:
                    path.parent.chmod(0o755)
                    path.unlink()
        case "manifests-gone":
            for tree in (cache / "trees").iterdir():
                tree.chmod(0o755)
                (tree / "tree").unlink()
        case "files-cut":
            shutil.rmtree(cache / "trees")
            for path in (cache / "files").rglob("*"):
                if path.is_file():
                    cut(path)
        case "files-scrambled":
            shutil.rmtree(cache / "trees")
            for path in (cache / "files").rglob("*"):
                if path.is_file():
                    scramble(path)
        case _:
            raise ValueError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "database-cut",
        "database-scrambled",
        "database-a-folder",
        "trees-cut",
        "trees-emptied",
        "manifests-gone",
        "files-cut",
        "files-scrambled",
    ],
)
def test_a_damaged_cache_is_mended_without_a_word_of_the_user(stage: Stage, kind: str) -> None:
    sync(stage)
    (store,) = (stage.home / "cache").glob("v*")
    damaged(store, kind)
    shutil.rmtree(stage.root / ".venv")
    write_members(stage.root, range(PACKAGES), "==2.0")
    said = sync(stage)
    assert "internal" not in said
    check_environment(stage.root, range(PACKAGES), "2.0")
