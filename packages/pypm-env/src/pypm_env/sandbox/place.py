"""The folder of a sandbox: made for it, leased, and gone with it, whatever ended it.

The lease says where the folder is, and is held by the process that waits and by the sandbox itself: as long
as either lives, the folder is theirs. A folder whose lease nobody holds was left by a kill; whoever comes
next takes it away (`reap`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_store.atomic import remove_tree
from pypm_store.locks import StoreBusy, hold_until_exit, holding

LEASES = "sandboxes"
"""The store's folder of leases: a file for each sandbox, holding the path of its folder."""
PREFIX = "pypm-sandbox-"
"""Begins the name of every sandbox's folder."""
_TURNS = 20


class NoPlace(PypmError):
    """There can be no folder for a sandbox where temporary files go."""

    code: ClassVar[str] = "no-place"
    exit: ClassVar[int] = 2
    folder: str
    reason: str

    def __str__(self) -> str:
        return f"cannot make a folder in {self.folder}: {self.reason}"

    @property
    def hint(self) -> str:
        return "set TMPDIR to a folder that can be written, or name one with -d"


@record
class Place:
    """A sandbox's folder."""

    folder: Path
    """All that is made for the sandbox is in it."""
    lease: Path
    lock: Path

    @property
    def work(self) -> Path:
        """Where the sandbox begins, if nowhere else."""
        return self.folder / "work"

    @property
    def own(self) -> Path:
        """What pypm needs for it."""
        return self.folder / "own"

    @property
    def view(self) -> Path:
        """Where the project's files go, if they are somewhere else."""
        return self.work / "view"

    @property
    def environment(self) -> Path:
        """Where an environment goes that is this sandbox's alone."""
        return self.own / "env"

    @property
    def layer(self) -> Path:
        """Where what changes in a copy-on-write view goes."""
        return self.own / "layer"

    @property
    def temporary(self) -> Path:
        """For temporary files, where their usual folders cannot be written."""
        return self.folder / "tmp"

    def remove(self) -> str:
        """Takes the folder away and ends the lease; the reason if that could not be done: then the lease
        stays, for `reap`."""
        reason = _removed(self.folder)
        if not reason:
            self.lease.unlink(missing_ok=True)
            self.lock.unlink(missing_ok=True)
        return reason


def temporary_folder(environ: Mapping[str, str]) -> str:
    """Where temporary files go."""
    names = ("TEMP", "TMP") if os.name == "nt" else ("TMPDIR",)
    named = [environ[name] for name in names if environ.get(name)]
    return next((os.path.abspath(path) for path in named if os.path.isdir(path)), _default(environ))


def _default(environ: Mapping[str, str]) -> str:
    return environ.get("SYSTEMROOT", "C:\\Windows") + "\\Temp" if os.name == "nt" else "/tmp"


def make_place(store: Path, environ: Mapping[str, str]) -> Place:
    """A new place, leased in the store whose layout folder is *store* until this process, and what it
    starts, has ended. Raises `NoPlace`, `CannotLock`."""
    base = os.path.realpath(temporary_folder(environ))
    while True:
        name = os.urandom(4).hex()
        folder = Path(base, PREFIX + name)
        place = Place(folder, store / LEASES / name, store / "locks" / f"sandbox-{name}")
        hold_until_exit(place.lock)
        try:
            place.lease.parent.mkdir(parents=True, exist_ok=True)
            # The lease first: a kill at any moment leaves nothing that nobody knows of.
            place.lease.write_bytes(os.fsencode(folder))
            folder.mkdir(mode=0o700)
            place.work.mkdir()
            place.own.mkdir()
            place.temporary.mkdir()
            return place
        except FileExistsError:
            _forget(place)
        except OSError as error:
            _forget(place)
            raise NoPlace(base, error.strerror or str(error)) from error


def _forget(place: Place) -> None:
    place.lease.unlink(missing_ok=True)
    place.lock.unlink(missing_ok=True)


def reap(store: Path) -> int:
    """Takes away what killed sandboxes left; how many."""
    try:
        names = os.listdir(store / LEASES)
    except FileNotFoundError:
        return 0
    gone = 0
    for name in names:
        lease = store / LEASES / name
        try:
            with holding(store / "locks" / f"sandbox-{name}", timeout=0):
                folder = Path(os.fsdecode(lease.read_bytes()))
                # What is no sandbox's folder by its name is not ours to remove, whatever a file says.
                if folder.name == PREFIX + name and _removed(folder):
                    continue
                lease.unlink(missing_ok=True)
                gone += 1
        except (StoreBusy, FileNotFoundError):
            continue
    return gone


def _removed(folder: Path) -> str:
    """Removes *folder*; why not, if that cannot be done."""
    for turn in range(_TURNS):
        try:
            remove_tree(folder)
            return ""
        except OSError as error:
            # Something that outlived its shell may still be writing.
            reason = f"{error.strerror or error}: {error.filename}"
            if turn + 1 < _TURNS:
                time.sleep(0.01)
    return reason
