"""Real kills, two processes at once, and a disk that is full: the store stays usable."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kit.wheels import make_wheel, sha256
from pypm_store.atomic import remove_tree
from pypm_store.locks import holding
from pypm_store.store import Store
from pypm_store.tree_check import has_right_content

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits of Unix")

UNPACK = """
import sys
from pathlib import Path
from pypm_store.atomic import remove_tree
from pypm_store.store import Store
store = Store.open(Path(sys.argv[1]))
print("ready", flush=True)
if len(sys.argv) > 4:
    sys.stdin.readline()
tree = store.unpack(Path(sys.argv[2]), sys.argv[3])
print(tree.root, flush=True)
"""

DOWNLOAD = """
import sys
from pathlib import Path
from pypm_store.atomic import remove_tree
from pypm_store.store import Store
store, content = Store.open(Path(sys.argv[1])), Path(sys.argv[2]).read_bytes()
print("ready", flush=True)
with store.writing(sys.argv[3]) as incoming:
    if not incoming.complete:
        for start in range(incoming.offset, len(content), 4096):
            incoming.write(content[start:start + 4096])
print("done", flush=True)
"""


def start(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True, **options,
    )  # type: ignore[call-overload,no-any-return] # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = random.Random(1)
    files = {f"big/p{n % 20}/m{n}.py": noise.randbytes(2000 + n % 5000) for n in range(800)}
    return make_wheel(tmp_path_factory.mktemp("wheel"), "big", "1.0", files=files)


@pytest.mark.slow
def test_a_process_killed_at_any_moment_leaves_all_or_nothing(wheel: Path, tmp_path: Path) -> None:
    digest = sha256(wheel)
    store = Store.open(tmp_path / "cache")
    # How long it takes undisturbed says when to strike.
    child = start(UNPACK, tmp_path / "other", wheel, digest)
    assert child.stdout is not None and child.stdout.readline() == "ready\n"
    began = time.monotonic()
    child.communicate()
    whole = time.monotonic() - began
    moments = random.Random(2)
    killed = 0
    for _ in range(60):
        if killed == 6:
            break
        child = start(UNPACK, tmp_path / "cache", wheel, digest)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, whole * 0.9))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        killed += child.returncode == -signal.SIGKILL
        tree = store.tree(digest)
        if tree is not None:
            assert has_right_content(tree)
            remove_tree(tree.root)
    assert killed == 6
    tree = store.unpack(wheel, digest)
    assert has_right_content(tree) and len(tree.files) == 803
    assert os.listdir(store.path / "trees") == [digest]


@pytest.mark.slow
def test_two_processes_make_one_tree(wheel: Path, tmp_path: Path) -> None:
    digest = sha256(wheel)
    children = [start(UNPACK, tmp_path / "cache", wheel, digest, "wait") for _ in range(3)]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate() for child in children]
    store = Store.open(tmp_path / "cache")
    assert [(child.returncode, error) for child, (_, error) in zip(children, answers, strict=True)] == [
        (0, "")
    ] * 3
    assert {out for out, _ in answers} == {f"{store.tree_path(digest)}\n"}
    tree = store.tree(digest)
    assert tree is not None and has_right_content(tree)
    assert os.listdir(store.path / "trees") == [digest]


@pytest.mark.slow
def test_the_second_goes_on_when_the_first_is_killed(wheel: Path, tmp_path: Path) -> None:
    digest = sha256(wheel)
    store = Store.open(tmp_path / "cache")
    with holding(store.path / "locks" / f"tree-{digest}"):
        waiting = start(UNPACK, tmp_path / "cache", wheel, digest)
        assert waiting.stdout is not None and waiting.stdout.readline() == "ready\n"
        time.sleep(0.1)
        # What a killed first one leaves: its lock goes with it, its half tree stays.
        half = store.path / "trees" / f".making-{digest}" / "site"
        half.mkdir(parents=True)
    out, error = waiting.communicate()
    assert (waiting.returncode, error) == (0, "") and digest in out
    assert store.tree(digest) is not None and os.listdir(store.path / "trees") == [digest]


@pytest.mark.slow
def test_a_killed_download_is_resumed_and_right(tmp_path: Path) -> None:
    content = random.Random(3).randbytes(4_000_000)
    source = tmp_path / "source"
    source.write_bytes(content)
    digest = sha256(source)
    store = Store.open(tmp_path / "cache")
    seen = 0
    for _ in range(4):
        child = start(DOWNLOAD, tmp_path / "cache", source, digest)
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        while store.partial(digest) < seen + 200_000 and not store.has_file(digest) and child.poll() is None:
            time.sleep(0.0005)
        child.kill()
        child.communicate()
        seen = store.partial(digest)
    assert seen > 0 or store.has_file(digest)
    child = start(DOWNLOAD, tmp_path / "cache", source, digest)
    assert child.communicate()[1] == "" and child.returncode == 0
    path = Store(store.root).file(digest)
    assert path is not None and path.read_bytes() == content


LIMITED = """
import resource, sys
from pathlib import Path
from pypm_store.store import Store, StoreUnwritable
if len(sys.argv) > 4:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
store = Store.open(Path(sys.argv[1]))
try:
    store.unpack(Path(sys.argv[2]), sys.argv[3])
except StoreUnwritable as error:
    print(error.full, error)
"""


@pytest.mark.slow
def test_a_file_that_cannot_be_written_whole(wheel: Path, tmp_path: Path) -> None:
    digest = sha256(wheel)
    child = start(LIMITED, tmp_path / "cache", wheel, digest, 3000)
    out, error = child.communicate()
    assert error == "" and out.startswith("True cannot write to the store at ")
    store = Store.open(tmp_path / "cache")
    assert os.listdir(store.path / "trees") == [] and store.tree(digest) is None
    assert has_right_content(store.unpack(wheel, digest))


def test_a_disk_that_is_full(wheel: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("cannot mount a tmpfs here")
    try:
        digest = sha256(wheel)
        child = start(LIMITED, small / "cache", wheel, digest)
        out, error = child.communicate()
        assert error == "" and out.startswith("True cannot write to the store at "), out
        store = Store.open(small / "cache")
        assert store.tree(digest) is None and os.listdir(store.path / "trees") == []
        # A little one still fits: nothing of the big one is left.
        little = make_wheel(tmp_path, "little", "1.0")
        assert has_right_content(store.unpack(little, sha256(little)))
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
