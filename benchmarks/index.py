"""A local package index that brings what it needs from the live one, once, and replays it.

    with LocalIndex(tree) as index:
        ... index.url, index.slow_url ...

By hand: ``python3 benchmarks/index.py TREE [--port N]`` serves until standard input ends.
The source is the default index as pypm finds it: ``PYPM_INDEX_URL``, ``PIP_INDEX_URL``, pip's
configuration file, else the public index.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [str(ROOT), *(str(ROOT / "packages" / name / "src") for name in ("pypm-index", "pypm-model"))]
if __name__ == "__main__":
    sys.path[:1] = SOURCES

from benchmarks.recording import Recorder, Source  # noqa: E402
from benchmarks.serving import COUNT, Counter, serve  # noqa: E402

LATENCY = 0.03
"""Seconds before each answer at the slow address."""


class LocalIndex:
    """The index in processes of its own, for as long as the context lasts."""

    def __init__(
        self,
        tree: Path,
        *,
        latency: float = LATENCY,
        environ: Mapping[str, str] = os.environ,
        record: bool = True,
        log: Path | None = None,
    ) -> None:
        self.tree = tree
        self.latency = latency
        self.environ = environ
        self.record = record
        self.log = log
        self.port = self.slow_port = 0

    @property
    def url(self) -> str:
        """What a client is told."""
        return f"http://127.0.0.1:{self.port}/simple/"

    @property
    def slow_url(self) -> str:
        """The same index with latency."""
        return f"http://127.0.0.1:{self.slow_port}/simple/"

    def requests(self) -> int:
        """How many there were since the start."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{COUNT}") as answer:
            return int(answer.read())

    def __enter__(self) -> LocalIndex:
        argv = [
            sys.executable,
            "-E",
            str(Path(__file__).resolve()),
            str(self.tree),
            "--latency",
            str(self.latency),
        ]
        if not self.record:
            argv.append("--replay")
        with open(self.log or os.devnull, "ab") as errors:
            self.process = subprocess.Popen(
                argv, env=dict(self.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(f"the local index did not start; see {self.log or 'its standard error'}")
        ports = json.loads(line)
        self.port, self.slow_port = ports["port"], ports["slow_port"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def main() -> None:
    """Serves *tree* until standard input ends; says the ports on standard output."""
    default = Path(tempfile.gettempdir()) / "pypm-benchmarks" / "index"
    parser = argparse.ArgumentParser(description="A recording package index.")
    parser.add_argument("tree", type=Path, nargs="?", default=default)
    parser.add_argument("--port", type=int, default=0, help="port without latency (default: any)")
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds, at the second port")
    parser.add_argument("--replay", action="store_true", help="bring nothing: serve what was recorded")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    recorder = Recorder(options.tree, None if options.replay else Source.from_environment())
    plain, slow = _listen(options.port), _listen(0)
    print(json.dumps({"port": plain.getsockname()[1], "slow_port": slow.getsockname()[1]}), flush=True)
    counter = Counter(options.processes)
    if hasattr(os, "fork"):
        for number in range(1, options.processes):
            if os.fork() == 0:
                counter.slot = number
                break
    # Every process holds the same standard input and ends with it, however the client ended.
    asyncio.run(serve(recorder, counter, [(plain, 0.0), (slow, options.latency)]))


def _listen(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(1024)
    sock.setblocking(False)
    return sock


if __name__ == "__main__":
    main()
