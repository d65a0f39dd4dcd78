"""A process that has imported pypm and becomes a command of it whenever one is asked for.

Most of what a short command costs is Python's start and pypm's imports. `kit.transcripts.run` has hundreds of
them in a run of the tests, so they are forked off a process that has both behind it: each is one of its own
still, with the arguments, folder, environment and output it is given, that begins at ``python -m pypm`` and
ends as it likes. Its hash seed is the starter's, and what it imports is there already: tests of either, and
of being killed, start processes anew. With the variable ``KIT_FRESH`` set all do.

This file is also what that process runs: it imports nothing of the kit.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

MEMBERS = (
    "pypm_model",
    "pypm_store",
    "pypm_index",
    "pypm_env",
    "pypm_workspace",
    "pypm_resolver",
    "pypm_memory",
    "pypm_plugins",
    "pypm_audit",
    "pypm_bundle",
    "pypm",
)
LEFT_OUT = ("pypm.mcp", "pypm_index.quick_json")
"""Heavy, and needed seldom; whether the second is loaded decides how it is read."""


def can_start(environ: dict[str, str]) -> bool:
    """Whether a command with these variables would be the same as one that Python started with them."""
    return (
        hasattr(os, "pidfd_open")
        and "KIT_FRESH" not in os.environ
        and environ.get("LC_ALL") == "C.UTF-8"
        and not any(name.startswith(("PYTHON", "LD_")) for name in environ)
    )


class Starter:
    """The process, from the side of the tests."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"LC_ALL": "C.UTF-8"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environ,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.end)

    def end(self) -> None:
        """Lets the process end, as nothing more will be asked of it."""
        self._line.close()
        self._process.wait()

    def run(
        self, argv: list[str], cwd: Path, environ: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Like `subprocess.run` of pypm with *argv*; output is stdout and stderr together."""
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        with ours, open(read, "rb", buffering=0) as output:
            try:
                socket.send_fds(self._line, [b"+"], [theirs.fileno(), write])
            finally:
                theirs.close()
                os.close(write)
            ours.sendall(json.dumps([argv, str(cwd), environ]).encode("utf-8", "surrogateescape"))
            ours.shutdown(socket.SHUT_WR)
            answers = ours.makefile()
            pid = int(answers.readline())
            said, until = b"", time.monotonic() + timeout
            while select.select([output], [], [], max(0.0, until - time.monotonic()))[0]:
                part = output.read(1 << 16)
                if not part:
                    break
                said += part
            else:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(argv, timeout, said)
            code = int(answers.readline())
        text = said.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        return subprocess.CompletedProcess(argv, code, text)


@cache
def starter() -> Starter:
    """The one of this process; it ends when this one does."""
    return Starter()


def serve(line: socket.socket) -> None:
    """Forks a child for every request; returns in the child, which is to become pypm, and at the end."""
    import_all()
    gc.collect()
    gc.freeze()
    asked: dict[int, tuple[int, socket.socket]] = {}
    poll = select.poll()
    poll.register(line, select.POLLIN)
    while True:
        for handle, _ in poll.poll():
            if handle == line.fileno():
                _, handles, _, _ = socket.recv_fds(line, 16, 2)
                if not handles:
                    os._exit(0)
                answer = socket.socket(fileno=handles[0])
                with answer.makefile("rb") as request:
                    argv, cwd, environ = json.loads(request.read())
                pid = os.fork()
                if not pid:
                    become(argv, cwd, environ, handles[1])
                    return
                os.close(handles[1])
                answer.sendall(f"{pid}\n".encode())
                watched = os.pidfd_open(pid)
                asked[watched] = pid, answer
                poll.register(watched, select.POLLIN)
            else:
                poll.unregister(handle)
                pid, answer = asked.pop(handle)
                os.close(handle)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with answer, suppress(BrokenPipeError):
                    answer.sendall(f"{code}\n".encode())


def import_all() -> None:
    """Imports what commands may need."""

    def walk(name: str) -> None:
        if name in LEFT_OUT:
            return
        try:
            module = importlib.import_module(name)
        except ImportError:
            return  # of another system, or of an extra that is not installed
        for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
            if not found.name.startswith("__") and not found.name.endswith("_script"):
                walk(f"{name}.{found.name}")

    for name in MEMBERS:
        walk(name)


def become(argv: list[str], cwd: str, environ: dict[str, str], output: int) -> None:
    """Makes this process what ``python -m pypm`` finds itself in."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, 1024)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    tempfile.tempdir = None
    sys.path.insert(0, os.getcwd())
    sys.argv[1:] = argv
    sys.orig_argv[1:] = ["-m", "pypm", *argv]


if __name__ == "__main__":
    del sys.path[0]  # the kit's folder
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("pypm", run_name="__main__", alter_sys=True)
