"""Locks: between threads and processes, shared and alone, and on a system without flock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pypm_store import lock_file
from pypm_store.locks import CannotLock, StoreBusy, holding


def test_one_alone_at_a_time(tmp_path: Path) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with holding(tmp_path / "locks" / "x"):
                with guard:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.001)
                with guard:
                    inside -= 1

    helpers = [threading.Thread(target=work) for _ in range(4)]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join()
    assert most == 1
    assert os.listdir(tmp_path / "locks") == []


def test_sharing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with (
        holding(path, shared=True),
        holding(path, shared=True, timeout=0),
        pytest.raises(StoreBusy),
        holding(path, timeout=0.05),
    ):
        pass
    with holding(path, timeout=0), pytest.raises(StoreBusy), holding(path, shared=True, timeout=0):
        pass


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "x"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom pypm_store.locks import holding\n"
        "with holding(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    with pytest.raises(StoreBusy), holding(path, timeout=0.05):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    with holding(path, timeout=5):
        pass


def test_a_lock_file_that_was_removed_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with holding(path):
        path.unlink()
        # Whoever comes now must not believe in the old file.
        with holding(path, timeout=0):
            assert path.exists()


class FakeWindows:
    """`msvcrt.locking` over a table: exclusive ranges of bytes per file."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.held: list[tuple[int, int, int]] = []

    def locking(self, handle: int, mode: int, count: int) -> None:
        assert mode == self.LK_NBLCK
        start = os.lseek(handle, 0, os.SEEK_CUR)
        for other, begin, end in self.held:
            if other != handle and begin < start + count and start < end:
                raise PermissionError
        self.held.append((handle, start, start + count))

    def release(self, handle: int) -> None:
        self.held = [one for one in self.held if one[0] != handle]


def test_windows_has_shared_locks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWindows()
    monkeypatch.setattr(lock_file, "_fcntl", None)
    monkeypatch.setattr(lock_file, "_msvcrt", fake)
    path = tmp_path / "x"
    path.touch()
    handles = [os.open(path, os.O_RDWR) for _ in range(4)]
    first, second, alone, again = handles
    assert lock_file.acquire(first, True) and lock_file.acquire(second, True)
    assert not lock_file.acquire(alone, False)
    fake.release(first)
    fake.release(second)
    assert lock_file.acquire(alone, False)
    assert not lock_file.acquire(again, False) and not lock_file.acquire(again, True)
    for handle in handles:
        os.close(handle)


def test_a_file_system_without_locks_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        LOCK_SH, LOCK_EX, LOCK_NB = 1, 2, 4

        @staticmethod
        def flock(handle: int, operation: int) -> None:
            raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock_file, "_fcntl", Without)
    with holding(tmp_path / "x", timeout=0):
        pass


def test_a_place_where_there_can_be_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotLock) as caught, holding(tmp_path / "file" / "x"):
        pass
    assert str(tmp_path / "file" / "x") in str(caught.value) and caught.value.hint
