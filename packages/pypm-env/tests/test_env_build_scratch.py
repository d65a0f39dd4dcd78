from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pypm_env.build.scratch import reap, scratch_folder

OWNER = """
import sys, time
from pathlib import Path
from pypm_env.build.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


def owner(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(parent)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_goes_away_with_all_that_is_in_it(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as folder:
        (folder / "a" / "b").mkdir(parents=True)
        (folder / "a" / "b" / "c").write_text("x")
        (folder / "a" / "b").chmod(0o500)
        (folder / "a").chmod(0o500)
        assert folder.stat().st_mode & 0o077 == 0 or os.name == "nt"
    assert list(tmp_path.iterdir()) == []


def test_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), scratch_folder(tmp_path):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM there")
def test_after_sigterm_too(tmp_path: Path) -> None:
    process, folder = owner(tmp_path)
    assert folder.is_dir()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_the_next_one_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    process, folder = owner(tmp_path)
    with scratch_folder(tmp_path):
        assert folder.is_dir(), "its owner lives"
    process.kill()
    process.wait()
    assert folder.is_dir()
    with scratch_folder(tmp_path) as mine:
        assert [mine.name] == [path.name for path in tmp_path.iterdir()]


def test_what_others_have_in_the_folder_is_left(tmp_path: Path) -> None:
    (tmp_path / "pypm-build-file").write_text("")
    (tmp_path / "other").mkdir()
    young, old = tmp_path / "pypm-build-young", tmp_path / "pypm-build-old"
    young.mkdir()
    old.mkdir()
    os.utime(old, (time.time() - 10**6,) * 2)
    assert reap(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "other",
        "pypm-build-file",
        "pypm-build-young",
    ]
    assert reap(tmp_path / "nowhere") == 0


def test_a_handler_of_the_caller_s_stays(tmp_path: Path) -> None:
    def own(number: int, frame: object) -> None:
        pass

    old = signal.signal(signal.SIGTERM, own)
    try:
        with scratch_folder(tmp_path):
            assert signal.getsignal(signal.SIGTERM) is own
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with scratch_folder(tmp_path):
            assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, own)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, old)
