"""The file: others use it too, it may be something else, the disk gets full, processes are killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from pypm_memory.memory import Memory
from pypm_memory.memory_errors import (
    BadArgument,
    MemoryUnusable,
    NewerMemory,
    NotAMemory,
    ValueTooLarge,
)
from pypm_memory.schema import STEPS
from pypm_model.errors import PypmError

unix = pytest.mark.skipif(os.name == "nt", reason="signals, modes and mounts of Unix")


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_session_that_nobody_made_has_256_places(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        assert memory.peek("s", "k") == {"hit": False}
        assert memory.flush("s") == {"status": "flushed", "cleared_count": 0}
        memory.set("s", "k", "v")
        assert memory.init("s") == {"status": "resumed", "session_id": "s", "silo_size": 256}


def test_looking_decides_nothing(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        session = memory.session("s")
        session.init(2)
        session.set("first", "1")
        session.set("second", "2")
        for _ in range(5):
            session.peek("first")
        session.set("third", "3")
        assert session.peek("first") == {"hit": False}
        assert session.touch("second") and not session.touch("first")
        session.set("fourth", "4")
        assert session.peek("second")["hit"] and not session.peek("third")["hit"]


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.session(""),
        lambda m: m.session("x" * 1025),
        lambda m: m.init("s", 0),
        lambda m: m.init("s", True),
        lambda m: m.init("s", 2**31),
        lambda m: m.init("s", "12"),
        lambda m: m.peek("s", 3),
        lambda m: m.peek(3, "k"),
        lambda m: m.set("s", "k", b"secret-7"),
        lambda m: m.set("s", "k", "secret-7", ttl_seconds=0),
        lambda m: m.set("s", "k", "secret-7", ttl_seconds=float("nan")),
        lambda m: m.set("s", "k", "secret-7", ttl_seconds="9"),
        lambda m: m.flush(None),
    ],
)
def test_a_bad_argument_changes_nothing(tmp_path: Path, call: object) -> None:
    with Memory(tmp_path / "m.db") as memory:
        with pytest.raises(BadArgument) as caught:
            call(memory)  # type: ignore[operator]
        assert "secret-7" not in str(caught.value.to_json())
        assert memory.init("s")["status"] == "initialized"


def test_a_value_over_the_limit_leaves_the_old_one(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db", value_limit=8) as memory:
        memory.set("s", "k", "äöüß")
        with pytest.raises(ValueTooLarge) as caught:
            memory.set("s", "k", "äöüßx")
        assert caught.value.to_json()["size"] == 9
        assert memory.peek("s", "k")["value"] == "äöüß"  # type: ignore[typeddict-item]


@pytest.mark.parametrize("content", [b"just a text file\n" * 300, b"SQLite format 3\0" + b"\xff" * 5000])
def test_another_file_is_refused_and_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(NotAMemory):
            Memory(path).set("s", "k", "v")
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE sessions (number, id, silo_size)")
        theirs.execute("PRAGMA user_version = 1")
    theirs.close()
    before = path.read_bytes()
    with pytest.raises(NotAMemory):
        Memory(path).peek("s", "k")
    assert path.read_bytes() == before


def test_a_newer_file_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        memory.set("s", "k", "v")
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(NewerMemory, match=str(len(STEPS) + 1)):
        Memory(path).peek("s", "k")
    assert path.read_bytes() == before


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        for number in range(200):
            memory.set("s", str(number), "v" * 500)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(NotAMemory, match="damaged"):
        Memory(path).set("s", "k", "v")


def test_a_folder_or_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(MemoryUnusable, match="file"):
        Memory(tmp_path / "file" / "m.db").set("s", "k", "v")
    with pytest.raises(MemoryUnusable):
        Memory(tmp_path).set("s", "k", "v")


def test_a_file_that_was_removed_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with Memory(path) as memory:
        memory.set("x", "k", "v")
        memory.set("s", "k", "v")
        for name in os.listdir(tmp_path):
            os.unlink(tmp_path / name)
        memory.set("s", "other", "w")
        assert memory.peek("s", "other")["hit"] and not memory.peek("s", "k")["hit"]
        with Memory(path) as other:
            assert other.peek("s", "other") == memory.peek("s", "other")


@unix
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    with Memory(tmp_path / "deep" / "m.db") as memory:
        memory.set("s", "k", "v")
        modes = {
            p.name: p.stat().st_mode & 0o077 for p in [tmp_path / "deep", *(tmp_path / "deep").iterdir()]
        }
    assert len(modes) == 4 and not any(modes.values()), modes


def test_threads_share_a_memory(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        session = memory.session("s")

        def work(number: int) -> None:
            for turn in range(20):
                session.set(f"{number}-{turn}", str(turn))
                assert session.peek(f"{number}-{turn}")["hit"]

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.flush()["cleared_count"] == 160


MANY = """
import sys
from pypm_memory.memory import Memory
session = Memory(sys.argv[1]).session("s")
for turn in range(25):
    session.set(f"{sys.argv[2]}-{turn}", "v" * 50)
"""


@pytest.mark.slow
def test_processes_make_and_fill_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    running = [start(MANY, path, number) for number in range(8)]
    for process in running:
        _, talk = process.communicate()
        assert process.returncode == 0, talk
    with Memory(path) as memory:
        indexes = {memory.peek("s", f"{n}-{t}")["index"] for n in range(8) for t in range(25)}  # type: ignore[typeddict-item]
        assert indexes == set(range(200))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_memory_crosses_a_fork(tmp_path: Path) -> None:
    with Memory(tmp_path / "m.db") as memory:
        memory.set("s", "k", "v")
        children = []
        for number in range(4):
            child = os.fork()
            if not child:
                code = 1
                try:
                    for turn in range(20):
                        memory.set("s", f"{number}-{turn}", "w")
                    code = 0 if memory.peek("s", "k")["hit"] else 2
                finally:
                    os._exit(code)
            children.append(child)
            memory.set("s", f"parent-{number}", "w")
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
        assert memory.flush("s")["cleared_count"] == 1 + 4 + 80
    check = sqlite3.connect(tmp_path / "m.db")
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


FILL = """
import sys
from pypm_memory.memory import Memory
session = Memory(sys.argv[1]).session("s")
session.init(100000)
number = 0
while True:
    session.set(str(number), str(number) * 50)
    print(number, flush=True)
    number += 1
"""


@unix
@pytest.mark.slow
def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    for turn in range(12):
        process = start(FILL, path)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.02 * turn)
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in process.communicate()[0].split()]
        with Memory(path) as memory:
            for number in [0, *acknowledged]:
                found = memory.peek("s", str(number))
                assert found["hit"] and found["value"] == str(number) * 50


FULL = """
import sys
from pypm_memory.memory import Memory
from pypm_memory.memory_errors import MemoryUnusable
from pathlib import Path
folder = Path(sys.argv[1])
memory = Memory(folder / "m.db")
session = memory.session("s")
session.init(100000)
kept, refused = 0, 0
while refused < 3:
    try:
        session.set(str(kept), str(kept) * 500)
        kept += 1
    except MemoryUnusable as error:
        assert error.full, error.to_json()
        refused += 1
for number in range(kept):
    assert session.peek(str(number))["value"] == str(number) * 500
assert not session.peek(str(kept))["hit"]
(folder / "ballast").unlink()
session.set("after", "v")
memory.close()
with Memory(folder / "m.db") as again:
    assert again.flush("s")["cleared_count"] == kept + 1
print("kept", kept)
"""


@unix
def test_a_full_disk_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=4m none "$1" && head -c 1500000 /dev/zero > "$1/ballast"'
        ' && exec "$2" -c "$3" "$1"'
    )
    argv = ["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path), sys.executable, FULL]
    try:
        probe = subprocess.run([*argv[:4], 'mount -t tmpfs none "$1"', *argv[5:7]], capture_output=True)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if probe.returncode:
        pytest.skip("no file system of one's own may be mounted here")
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("kept "), done.stderr
    assert int(done.stdout.split()[1]) > 100


def test_no_error_tells_a_value_or_a_key(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    memory = Memory(path, value_limit=64)
    memory.set("s", "secret-key", "secret-value")
    memory.close()
    path.write_bytes(b"nothing of the kind" * 400)
    texts = []
    for call in (
        lambda: memory.set("s", "secret-key", "secret-value"),
        lambda: memory.set("s", "secret-key", "secret-value" * 60),
        lambda: memory.peek("s", "secret-key"),
    ):
        with pytest.raises(PypmError) as caught:
            call()
        texts.append(str(caught.value.to_json()))
        texts += traceback.TracebackException.from_exception(caught.value, capture_locals=False).format()
    # The lines of this very file are part of the traceback.
    told = [text for text in texts if "lambda" not in text]
    assert len(told) > 5 and not any("secret" in text for text in told), told
