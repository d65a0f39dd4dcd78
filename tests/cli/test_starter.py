"""The kit's own conscience: a command that is forked off does what one started anew does (`kit.starter`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kit.starter import Starter, can_start
from kit.transcripts import Stage, pypm
from kit.wheels import make_wheel

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="commands are started anew here"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def forked() -> Iterator[Starter]:
    made = Starter()
    yield made
    made.end()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as made:
        assert made.server.folder is not None
        make_wheel(made.server.folder, "acme", "1.0")
        (made.root / "pyproject.toml").write_text(
            '[project]\nname = "one"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["acme"]\n'
        )
        yield made


def anew(arguments: list[str], stage: Stage) -> tuple[int, str]:
    done = subprocess.run(
        pypm(*arguments),
        cwd=stage.root,
        env=stage.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def off(forked: Starter, arguments: list[str], stage: Stage) -> tuple[int, str]:
    done = forked.run(arguments, stage.root, stage.environ, 60)
    return done.returncode, done.stdout


def test_it_says_the_same(forked: Starter, stage: Stage) -> None:
    for words in (
        ["version"],
        ["frobnicate"],
        ["tree", "-p", "x"],
        ["lock", "--check"],
        ["lock", "--dry-run"],
    ):
        assert off(forked, words, stage) == anew(words, stage), words
    assert off(forked, ["sync", "-q"], stage) == (0, "")
    for words in (["sync"], ["tree"], ["exec", "sh", "-c", "exit 7"], ["exec", "nonesuch"]):
        assert off(forked, words, stage) == anew(words, stage), words


def test_it_is_where_and_what_it_is_told(forked: Starter, stage: Stage) -> None:
    """Variables, folder, a closed input, no open file of the starter; and what ends it is told."""
    assert off(forked, ["sync", "-q"], stage) == (0, "")
    stage.environ.update(MINE="ä", TZ="Asia/Tokyo")
    code = (
        "import json, os, sys, time\n"
        "fds = [n for n in range(3, 64) if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "print(json.dumps([os.getcwd(), dict(os.environ), sys.stdin.read(), time.tzname, fds]))"
    )
    words = ["exec", "python", "-c", code]
    for found, said in (off(forked, words, stage), anew(words, stage)):
        cwd, environ, given, zone, files = json.loads(said)
        assert (found, cwd, given, zone, files) == (0, str(stage.root), "", ["JST", "JST"], [])
        assert environ["MINE"] == "ä" and "KIT_FRESH" not in environ
    assert off(forked, ["exec", "sh", "-c", "kill -9 $$"], stage)[0] == -signal.SIGKILL


def test_each_is_a_process_of_its_own(forked: Starter, stage: Stage) -> None:
    """Many at once, and none knows of what the one before it did."""
    assert off(forked, ["sync", "-q"], stage) == (0, "")
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda _: off(forked, ["exec", "sh", "-c", "echo $$"], stage), range(12)))
    assert {code for code, _ in said} == {0} and len({pid for _, pid in said}) == 12
    (stage.root / "pyproject.toml").write_text("broken")
    assert off(forked, ["lock"], stage)[0] == 2


def test_what_would_not_be_the_same_is_started_anew(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KIT_FRESH", raising=False)
    assert can_start(stage.environ)
    assert not can_start({**stage.environ, "PYTHONPATH": "x"})
    assert not can_start({**stage.environ, "LC_ALL": "C"})
    monkeypatch.setenv("KIT_FRESH", "1")
    assert not can_start(stage.environ)


def test_one_that_does_not_end_is_ended(forked: Starter, stage: Stage) -> None:
    assert off(forked, ["sync", "-q"], stage) == (0, "")
    endless = "zeros = open('/dev/zero', 'rb')\nwhile zeros.read(9): pass"
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run(["exec", "python", "-c", endless], stage.root, stage.environ, 0.5)
