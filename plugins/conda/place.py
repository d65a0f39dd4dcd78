"""An environment that pypm made, and conda's folder in it.

The folder is a prefix of conda's own, ``conda``, with one line in the environment's site-packages that leads
there: pypm's records know nothing of it, and need not. Python is the environment's: in the prefix it is a
package without files.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asked_files import Refused, platform

FOLDER, LINE, RECORD = "conda", "pypm-conda.pth", "pypm.json"


class Place:
    """The environment, and conda's folder in it."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.root = Path(said["environment"])
        if not said.get("exists"):
            raise Refused("conda-environment", f"there is no environment {self.root} yet", "pypm sync")
        self.python, self.version = Path(said["path"]), str(said["version"])
        self.site = Path(said["site-packages"])
        self.prefix = self.root / FOLDER
        self.new, self.old = self.root / f".{FOLDER}-new", self.root / f".{FOLDER}-old"
        self.below = self.site.relative_to(self.root).as_posix()
        self.record = self.prefix / "conda-meta" / RECORD

    def sweep(self) -> None:
        """Removes what is beside its place."""
        for path in (self.new, self.old):
            shutil.rmtree(path, ignore_errors=True)

    def remembered(self) -> dict[str, Any]:
        """What was asked for before: specs, channels, and the commands that were put beside the others'."""
        empty: dict[str, Any] = {"specs": {}, "channels": [], "commands": {}, "python": self.version}
        try:
            found: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
            return empty | found
        except FileNotFoundError:
            return empty
        except ValueError:
            raise Refused("conda-record", f"{self.record} cannot be read", f"remove {self.prefix}") from None

    def installed(self) -> list[Any]:
        """Records of what is there, without Python."""
        import rattler

        found = []
        for path in sorted((self.prefix / "conda-meta").glob("*.json")):
            if path.name not in (RECORD, f"{self._python_name}.json"):
                record = rattler.PrefixRecord.from_path(path)
                if record.name.normalized != "python":
                    found.append(record)
        return found

    @property
    def _python_name(self) -> str:
        minor = int(self.version.split(".")[1])
        threads = "t" if f"python3.{minor}t" in self.below else ""
        build = f"0_cp3{minor}{threads}" if threads or minor > 12 else "0_cpython"
        return f"python-{self.version}-{build}"

    def python_record(self, prefix: Path) -> Any:
        """Python as a package that is there and has no files; its record is written into *prefix*."""
        import rattler

        build = self._python_name.split("-", 2)[2]
        file = f"{self._python_name}.conda"
        record = {
            "name": "python", "version": self.version, "build": build, "build_number": 0,
            "subdir": platform(), "depends": [], "constrains": [], "fn": file,
            "url": f"file:///pypm/{file}", "channel": "file:///pypm/", "files": [],
            "paths_data": {"paths_version": 1, "paths": []}, "python_site_packages_path": self.below,
        }  # fmt: skip
        path = prefix / "conda-meta" / f"{self._python_name}.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record), encoding="utf-8")
        return rattler.PrefixRecord.from_path(path)

    # Commands: what lies in conda's bin, put beside the environment's own unless the name is taken.

    def put_commands(self, before: dict[str, str]) -> tuple[dict[str, str], list[str]]:
        """(name → mark of what was put there, names that are taken) after those of *before* are gone."""
        folder, own = self.python.parent, self.prefix / "bin"
        for name, mark in before.items():
            if _mark(folder / name) == mark:
                (folder / name).unlink()
        put, taken = {}, []
        for path in sorted(own.iterdir()) if own.is_dir() else ():
            target = folder / path.name
            if not os.access(path, os.X_OK) or path.is_dir():
                continue
            if os.path.lexists(target):
                taken.append(path.name)
                continue
            start = f"#!{own}/python".encode()
            data = path.read_bytes() if path.stat().st_size < 1 << 20 else b""
            if data.startswith(start):
                # Of the environment's Python, so that it sees what is beside it.
                target.write_bytes(f"#!{self.python}\n".encode() + data.partition(b"\n")[2])
                target.chmod(0o755)
            else:
                target.symlink_to(os.path.relpath(path, folder))
            put[path.name] = _mark(target)
        return put, taken


def _mark(path: Path) -> str:
    """Tells a file that was put there from another one of the name."""
    if path.is_symlink():
        return os.readlink(path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


@contextmanager
def alone(place: Place) -> Iterator[None]:
    """Nobody else changes conda's folder meanwhile. What a run that was killed left is put right first."""
    handle = os.open(place.root, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if place.old.exists() and not place.prefix.exists():
            place.old.rename(place.prefix)
        place.sweep()
        yield
    finally:
        place.sweep()
        os.close(handle)
