"""Disks, the store, and the operating system."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from contextlib import suppress
from pathlib import Path

import pytest

from kit.clinic import Clinic
from kit.transcripts import pypm
from kit.wheels import make_wheel
from pypm.ops.doctor import storage, system
from pypm_model.records import replace
from pypm_store.linking import Able
from pypm_store.store import Store

posix = pytest.mark.skipif(os.name != "posix", reason="modes and limits of POSIX")
Usage = namedtuple("Usage", "total used free")


def store(clinic: Clinic) -> Store:
    return Store.open(environ=clinic.environ)


def unpacked(clinic: Clinic, tmp_path: Path) -> Path:
    """The tree of a wheel in the store."""
    wheel = make_wheel(tmp_path, "idna", "3.7", files={"idna/__init__.py": "x = 1\n"})
    opened = store(clinic)
    with opened.writing() as incoming:
        incoming.write(wheel.read_bytes())
    return opened.unpack(incoming.path, incoming.sha256, filename=wheel.name).root


def test_a_store_that_is_not_there_is_not_made(clinic: Clinic) -> None:
    shutil.rmtree(clinic.home / "cache")
    assert "will be made" in clinic.one("store", "ok").message
    assert clinic.verdicts("cache-health") == ["ok"]
    assert clinic.verdicts("links") == ["ok"]
    assert not (clinic.home / "cache").exists()


def test_a_file_in_the_place_of_the_store(clinic: Clinic) -> None:
    clinic.environ["PYPM_CACHE_DIR"] = str(clinic.file("cache"))
    assert "is no folder" in clinic.one("store", "issue").message


def test_a_store_that_cannot_be_written(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.os, "access", lambda place, mode: False)
    assert "cannot be written" in clinic.one("store", "issue").message
    clinic.environ["PYPM_CACHE_DIR"] = str(clinic.home / "none")
    assert "cannot be made" in clinic.one("store", "issue").message


@posix
def test_a_store_of_another_user(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage.os, "geteuid", lambda: os.getuid() + 4242)
    found = clinic.one("store", "issue")
    assert "another user" in found.message and "chown" in found.fix


def test_a_store_on_a_network(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clinic.verdicts("store") == ["ok"]
    monkeypatch.setattr(storage, "filesystem_of", lambda place: "nfs4")
    assert "nfs4" in clinic.one("store", "note").message


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_the_file_system_of_a_folder() -> None:
    assert storage.filesystem_of(Path("/proc/self")) == "proc"
    assert storage.filesystem_of(Path("/"))


def test_links(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    store(clinic)
    (clinic.root / ".venv").mkdir()
    before = clinic.root.stat().st_mtime_ns
    assert clinic.look("links")[0].verdict == "ok"
    assert clinic.root.stat().st_mtime_ns == before, "the workspace's own folder is left alone"
    monkeypatch.setattr(storage, "able", lambda source, target: Able(hardlink=False, reflink=False))
    assert "PYPM_CACHE_DIR" in clinic.one("links", "note").fix


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="no second device")
def test_two_devices(clinic: Clinic) -> None:
    if os.stat("/dev/shm").st_dev == os.stat(clinic.root).st_dev:
        pytest.skip("one device")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        clinic.environ["PYPM_CACHE_DIR"] = other
        assert "two devices" in clinic.one("links", "note").message


@pytest.mark.parametrize(("free", "verdict"), [(10 << 30, "ok"), (500 << 20, "note"), (1 << 20, "issue")])
def test_room(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, free: int, verdict: str) -> None:
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda place: Usage(1 << 40, 0, free))
    found = clinic.look("disk")
    assert {each.verdict for each in found} == {verdict}
    assert all(each.fix for each in found if verdict != "ok")


@posix
@pytest.mark.parametrize(
    ("total", "free", "verdict"),
    [(0, 0, "ok"), (10**6, 10**5, "ok"), (10**6, 5000, "note"), (10**6, 3, "issue")],
)
def test_inodes(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, total: int, free: int, verdict: str) -> None:
    status = namedtuple("status", "f_files f_favail")(total, free)
    monkeypatch.setattr(storage.os, "statvfs", lambda place: status)
    assert set(clinic.verdicts("inodes")) == {verdict}


def test_a_store_that_is_whole(clinic: Clinic, tmp_path: Path) -> None:
    unpacked(clinic, tmp_path)
    assert "1 unpacked wheel is whole" in clinic.one("cache-health", "ok").message


def test_a_tree_that_was_changed_is_mended(clinic: Clinic, tmp_path: Path) -> None:
    tree = unpacked(clinic, tmp_path)
    file = tree / "site" / "idna" / "__init__.py"
    file.chmod(0o644)
    time.sleep(0.05)  # the clock of a file system may be that coarse
    os.utime(file)
    changed = file.stat().st_mtime_ns
    found = clinic.one("cache-health", "issue")
    assert str(tree) in found.message and found.repair is not None
    assert file.stat().st_mtime_ns == changed and file.stat().st_mode & 0o200, (
        "nothing is changed until it is asked for"
    )
    found.repair()
    assert clinic.verdicts("cache-health") == ["ok"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_tree_with_other_contents_is_made_anew_or_thrown_away(
    kept: bool, clinic: Clinic, tmp_path: Path
) -> None:
    tree = unpacked(clinic, tmp_path)
    file = tree / "site" / "idna" / "__init__.py"
    file.chmod(0o644)
    file.write_text("x = 2\n")
    if not kept:
        shutil.rmtree(store(clinic).path / "files")
    found = clinic.one("cache-health", "issue")
    assert found.repair is not None
    found.repair()
    assert clinic.verdicts("cache-health") == ["ok"]
    assert tree.exists() == kept and (not kept or file.read_text() == "x = 1\n")


def test_a_metadata_cache_that_is_damaged(clinic: Clinic) -> None:
    file = store(clinic).path / "meta-2.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE a (b)")
    database.close()
    assert clinic.verdicts("cache-health") == ["ok"]
    file.write_bytes(b"no database, but some text that is long enough to be taken for one" * 50)
    assert "is damaged" in clinic.one("cache-health", "issue").message


def test_what_killed_runs_left(clinic: Clinic) -> None:
    opened = store(clinic)
    left = opened.folder("trees") / ".making-x"
    left.mkdir()
    assert clinic.verdicts("cache-health") == ["ok"], "it may belong to a run that is at work"
    old = time.time() - 2 * 86400
    os.utime(left, (old, old))
    opened.lease(clinic.home / "gone", [])
    found = clinic.one("cache-health", "note")
    assert "1 leftover" in found.message and "1 reference" in found.message and found.repair is not None
    found.repair()
    assert clinic.verdicts("cache-health") == ["ok"] and not left.exists()


@posix
def test_a_temporary_folder_that_runs_nothing(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clinic.verdicts("temporary") == ["ok"]

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(system.subprocess, "run", refuse)
    found = clinic.one("temporary", "issue")
    assert "noexec" in found.message and "TMPDIR" in found.fix


def test_no_temporary_folder(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.tempfile, "tempdir", str(clinic.home / "none"))
    assert "no temporary file" in clinic.one("temporary", "issue").message


def test_a_temporary_folder_that_is_named_and_gone(clinic: Clinic) -> None:
    clinic.environ["TMPDIR"] = str(clinic.home / "none")
    assert clinic.one("temporary", "note").fix == "unset TMPDIR"


@posix
@pytest.mark.parametrize(("limit", "verdict"), [(100, "issue"), (500, "note"), (2000, "ok")])
def test_open_files(clinic: Clinic, limit: int, verdict: str) -> None:
    command = f'ulimit -n {limit}; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *pypm("doctor", "--only", "open-files")],
        cwd=clinic.root,
        env=clinic.environ,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(verdict) and str(limit) in done.stdout
    assert done.returncode == (1 if verdict == "issue" else 0)


def test_limits_without_a_system_that_has_them(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_open_files", lambda: None)
    assert clinic.verdicts("open-files") == ["ok"]
    assert clinic.look("watches")[0].verdict in ("ok", "note")
    assert clinic.verdicts("sandbox") == ["ok"]
    assert clinic.verdicts("symbolic-links") == ["ok"]
    assert clinic.verdicts("compression") == ["ok"]


@posix
def test_root_in_the_folder_of_another(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clinic.verdicts("user") == ["ok"]
    monkeypatch.setattr(system.os, "geteuid", lambda: 0)
    if os.getuid() == 0:
        os.chown(clinic.root, 4242, -1)
    assert "root" in clinic.one("user", "note").message


def test_a_workspace_that_cannot_be_written(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clinic.verdicts("writable") == ["ok"]
    lock = clinic.file("pypm.lock")
    monkeypatch.setattr(system.os, "access", lambda place, mode: place != lock)
    assert "pypm.lock cannot be written" in clinic.one("writable", "issue").message
    monkeypatch.setattr(system.os, "access", lambda place, mode: False)
    assert str(clinic.root) in clinic.one("writable", "issue").message


def test_folders_that_do_not_mind_the_case(clinic: Clinic) -> None:
    """A hard link of the other name is what such a folder looks like."""
    file = clinic.file("Readme.txt")
    assert clinic.verdicts("letter-case") == ["ok"]
    with suppress(FileExistsError):  # where it does not mind indeed
        os.link(file, clinic.root / "rEADME.TXT")
    assert clinic.verdicts("letter-case") == ["note"]
    clinic.file("pypm-workspace.toml", '[workspace]\nmembers = ["m", "M"]\n')
    for path in ("m", "M"):
        clinic.file(f"{path}/pyproject.toml", f'[project]\nname = "x{ord(path)}"\nversion = "1"\n')
    (clinic.root / "Readme.txt").rename(clinic.root / "Areadme.txt")
    (clinic.root / "rEADME.TXT").rename(clinic.root / "aREADME.TXT")
    os.remove(clinic.root / "aREADME.TXT")
    os.link(clinic.root / "Areadme.txt", clinic.root / "aREADME.TXT")
    assert sorted(clinic.verdicts("letter-case")) == ["issue", "note"]


def test_a_folder_with_nothing_in_it_has_a_name(clinic: Clinic) -> None:
    assert clinic.verdicts("letter-case") == ["ok"]


def test_long_paths(clinic: Clinic) -> None:
    assert clinic.look("long-paths")[0].verdict == "ok" or len(str(clinic.root)) > 160
    clinic.root = clinic.root / ("x" * 90) / ("y" * 90)
    clinic.root.mkdir(parents=True)
    assert clinic.verdicts("long-paths") == ["note"]


def test_windows_without_long_paths(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = clinic.patient()
    patient.tools.world = replace(patient.world, cwd=Path(f"C:/{'x' * 80}"))
    monkeypatch.setattr(system.os, "name", "nt")
    monkeypatch.setattr(system, "_long_paths_enabled", lambda: False)
    said = next(iter(system.long_paths(patient)))
    monkeypatch.undo()
    assert (said.verdict, "LongPathsEnabled" in said.fix) == ("note", True)
