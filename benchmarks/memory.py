#!/usr/bin/env python3
"""pypm's memory beside diskcache, and redis on loopback.

    python3 benchmarks/memory.py [--entries N] [--waiters N] [--peers diskcache,redis] [--json FILE]

The peers are installed into a folder of their own below the temporary folder. redis-server is taken from the
machine (`--install-redis` gets it with apt); where there is none its column is left out. Exits with 1 if a
bar is missed, or if a row is slower than diskcache.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"this needs Python 3.11 or later; this is {sys.version.split()[0]} ({sys.executable})")

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [str(ROOT / "packages" / name / "src") for name in ("pypm-memory", "pypm-model")]
PACKAGES = {"diskcache": "diskcache", "redis": "redis"}
BARS = {
    "set, a new key": 300.0,
    "set, a key that is there": 300.0,
    "peek, a hit": 60.0,
    "peeks of 8 processes": 10_000.0,
    "hand-over to 64 waiters": 50_000.0,
}
"""Of pypm: at most so many us, at least so many a second."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and prints the table."""
    options = _options(argv)
    work: Path = options.work.absolute()
    peers = [name for name in PACKAGES if name in options.peers.split(",")]
    if "redis" in peers and not redis_server(options.install_redis):
        sys.stderr.write("redis is left out: there is no redis-server on PATH (--install-redis)\n")
        peers.remove("redis")
    try:
        python = environment(work / "tools" / "memory", [PACKAGES[name] for name in peers])
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{' and '.join(peers)} cannot be installed: {error.stderr.strip()[-1000:]}\n")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="memory-", dir=work))
    try:
        with serving_redis(folder) if "redis" in peers else _nothing():
            found = list(measured(python, folder, ["pypm", *peers], options))
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"a row failed: {error}\n")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missed = [row["row"] for row in found if verdict(row).endswith("MISSED")]
    print("\n".join(table(found, ["pypm", *peers])))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if missed else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="pypm's memory beside diskcache and redis.")
    parser.add_argument("--entries", type=int, default=100_000, metavar="N", help="how many (100,000)")
    parser.add_argument("--waiters", type=int, default=64, metavar="N", help="processes that wait (64)")
    parser.add_argument("--peekers", type=int, default=8, metavar="N", help="processes that peek (8)")
    parser.add_argument("--peers", default=",".join(PACKAGES), metavar="NAMES", help="leave one out")
    parser.add_argument("--install-redis", action="store_true", help="get redis-server with apt if missing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    default = Path(tempfile.gettempdir()) / "pypm-benchmarks"
    parser.add_argument("--work", type=Path, default=default, metavar="DIR", help=f"where ({default})")
    return parser.parse_args(argv)


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """An interpreter that has *packages*. Raises `subprocess.CalledProcessError`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not packages:
        return Path(sys.executable)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True, clear=True)
    argv = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    subprocess.run(argv, check=True, capture_output=True, text=True)
    return python


def redis_server(install: bool) -> str | None:
    """The program, installed if *install* and it is missing."""
    found = shutil.which("redis-server")
    if found is None and install and shutil.which("apt-get"):
        argv = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "redis-server"]
        subprocess.run(argv, stdout=sys.stderr, check=False)
        found = shutil.which("redis-server")
    return found


@contextmanager
def serving_redis(folder: Path) -> Iterator[None]:
    """A redis of our own on a free port of loopback, which it writes to ``redis-port``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([*argv, "--dir", str(folder)], stdout=subprocess.DEVNULL)
    try:
        (folder / "redis-port").write_text(str(port), encoding="utf-8")
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def measured(
    python: Path, folder: Path, names: Sequence[str], options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """The rows, as they are measured. Raises `subprocess.CalledProcessError`."""
    how = {
        "names": names,
        "entries": options.entries,
        "waiters": options.waiters,
        "peekers": options.peekers,
    }
    argv = [
        str(python),
        str(Path(__file__).with_name("memory_rows.py")),
        "rows",
        str(folder),
        json.dumps(how),
    ]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(SOURCES)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        for line in process.stdout:
            row = json.loads(line)
            sys.stderr.write(f"{row['row']}: {verdict(row)}\n")
            yield row
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "memory_rows.py")


def verdict(row: Mapping[str, Any]) -> str:
    """The bar, whether it is met, and whether diskcache is quicker."""
    ours, theirs = row["figures"]["pypm"], row["figures"].get("diskcache")
    more_is_better = row["unit"] == "1/s"
    bar = BARS.get(row["row"])
    if bar is None:
        within, said = True, ""
    elif more_is_better:
        within, said = ours >= bar, f">= {figure(bar, row['unit'])}"
    else:
        within, said = ours <= bar, f"<= {figure(bar, row['unit'])}"
    if theirs is not None:
        within = within and (ours >= theirs if more_is_better else ours <= theirs)
        said += f"{', ' if said else ''}not slower than diskcache"
    if not said:
        return ""
    return f"{said}  {'met' if within else 'MISSED'}"


def table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[str]:
    """The lines of the table."""
    width = max(len(row["row"]) for row in rows)
    yield " " * width + "".join(f"{name:>14}" for name in names)
    for row in rows:
        cells = "".join(f"{figure(row['figures'][name], row['unit']):>14}" for name in names)
        yield f"{row['row']:<{width}}{cells}  {verdict(row)}".rstrip()


def figure(number: float, unit: str) -> str:
    """A figure with its unit."""
    if unit == "1/s":
        return f"{number:,.0f}/s"
    return f"{number / 1000:.1f} ms" if number >= 1000 else f"{number:.1f} us"


if __name__ == "__main__":
    sys.exit(main())
