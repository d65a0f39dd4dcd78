"""Forks of two kinds at once: none keeps another one waiting."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from pypm_store import forks as forks_module
from pypm_store.forking import close_feed, feed, fork, may_fork
from pypm_store.forks import Forks

pytestmark = pytest.mark.skipif(not may_fork(), reason="no forks here")


def test_a_fork_has_no_end_of_another_ones_pipe() -> None:
    queue, end = os.pipe()
    feed(end)
    answers, reply = os.pipe()
    pid = fork()
    if pid == 0:
        with open(reply, "wb") as told:
            try:
                os.fstat(end)
                told.write(b"open")
            except OSError:
                told.write(b"closed")
        os._exit(0)
    os.close(reply)
    with open(answers, "rb") as told:
        assert told.read() == b"closed"
    os.waitpid(pid, 0)
    os.fstat(end)
    close_feed(end)
    assert os.read(queue, 1) == b""
    os.close(queue)
    with pytest.raises(OSError):
        os.fstat(end)


def test_a_long_lived_fork_does_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks_module, "processors", lambda: 2)
    done: list[int] = []
    with Forks(4, lambda number: number) as forks:
        pid = fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        try:
            for number in range(4):
                forks.add(number)
            # Waits until the forks have ended, which they do when no process has their pipe any more.
            done += forks.rest()
        finally:
            os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
    assert sorted(done) == [0, 1, 2, 3] and os.WTERMSIG(status) == signal.SIGKILL


KILLED = """
import os, sys, time
from pypm_store import forks as forks_module
from pypm_store.forking import feed, fork
from pypm_store.forks import Forks
forks_module.processors = lambda: 2
forks = Forks(4, lambda number: number)
queue, end = os.pipe()
feed(end)
pid = fork()
if pid == 0:
    os.read(queue, 1)
    os._exit(0)
print("ready", flush=True)
time.sleep(60)
"""


def test_forks_end_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
        parent.kill()
        # Every fork has the pipe too: it ends when the last of them does.
        readable, _, _ = select.select([parent.stdout], [], [], 20)
        assert readable and parent.stdout.read() == b""
