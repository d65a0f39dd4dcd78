"""The git repository around a folder, asked by the git command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm_model.errors import PypmError

if TYPE_CHECKING:
    import subprocess

_SECONDS = 60
_under_way = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply")
_TAIL = 4096
_ABANDONED = 30.0
"""Seconds after which a lock of the index is taken to be left behind."""
_STEP = 1.0
"""Seconds without news after which a rebase is taken to wait for its user."""


class NoRepository(PypmError):
    """The folder is in no git repository."""

    code: ClassVar[str] = "no-repository"
    exit: ClassVar[int] = 2
    folder: str

    def __str__(self) -> str:
        return f"{self.folder} is not in a git repository"

    @property
    def hint(self) -> str:
        return "run `git init` first, or name a file"


class GitRefused(PypmError):
    """The git command did not do what it was asked."""

    code: ClassVar[str] = "git-refused"
    doing: str
    reason: str

    def __str__(self) -> str:
        return f"git could not {self.doing}: {self.reason}"


class UnknownRevision(PypmError):
    """The repository has no such revision."""

    code: ClassVar[str] = "unknown-revision"
    exit: ClassVar[int] = 2
    revision: str

    def __str__(self) -> str:
        return f"{self.revision!r} is no file and no revision of this repository"


class Repository:
    """The repository that holds *folder*. Raises `NoRepository`. Nothing is asked of git until a method is
    called."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        found = git_folder(folder)
        if found is None:
            raise NoRepository(str(folder))
        self.folder = folder
        self.git_folder = found
        self._environ = environ

    def show(self, revision: str, file: str) -> str | None:
        """The text of *file*, relative to the folder, at *revision* (``:2`` is ours in a merge); None if
        there is none."""
        done = self.run("show", f"{revision}:./{file}")
        return done.stdout if done.returncode == 0 else None

    def check_revision(self, revision: str) -> None:
        """Raises `UnknownRevision` unless *revision* is a commit."""
        named = f"{revision}^{{commit}}"
        if revision.startswith("-") or self.run("rev-parse", "--quiet", "--verify", named).returncode:
            raise UnknownRevision(revision)

    def configure(self, key: str, value: str) -> bool:
        """Sets *key* for this repository; whether that was a change. Raises `GitRefused`."""
        if self.run("config", "--local", "--get", key).stdout.removesuffix("\n") == value:
            return False
        done = self.run("config", "--local", "--replace-all", key, value)
        if done.returncode:
            raise GitRefused(f"set {key}", done.stderr.strip() or f"status {done.returncode}")
        return True

    def left_out(self, files: Sequence[str]) -> frozenset[str]:
        """Those of *files*, relative to the folder, that git knows and leaves out of this checkout, which is
        sparse. Raises `GitRefused`."""
        if not (self.git_folder / "info" / "sparse-checkout").exists():
            return frozenset()
        listed = self.run("ls-files", "-t", "-z", "--", *files).stdout.split("\0")
        return frozenset(line.removeprefix("S ") for line in listed if line.startswith("S "))

    def merges(self) -> bool:
        """Whether a merge, a rebase or the like is under way."""
        return any((self.git_folder / name).exists() for name in _under_way)

    def is_at_work(self, now: float) -> bool:
        """Whether git is changing the checkout at this moment (*now*, seconds since the epoch): it holds the
        lock of its index, or is between two steps of a rebase. A lock that somebody was killed with is not
        waited for."""
        if _age(self.git_folder / "index.lock", now) < _ABANDONED:
            return True
        steps = ("rebase-merge", "rebase-apply", "sequencer")
        if not any((self.git_folder / name).exists() for name in steps):
            return False
        return min(_age(self.git_folder / name, now) for name in ("HEAD", "index", *steps)) < _STEP

    def has_merged(self) -> bool:
        """Whether the last thing that happened to HEAD was a merge. Read from the log that git keeps, so
        that nothing has to be started to know that it was not."""
        try:
            with (self.git_folder / "logs" / "HEAD").open("rb") as log:
                log.seek(max(log.seek(0, os.SEEK_END) - _TAIL, 0))
                last = log.read().rstrip(b"\n").rpartition(b"\n")[2]
        except OSError:
            return False
        doing = last.partition(b"\t")[2]
        return doing.startswith((b"merge", b"pull", b"commit (merge)")) and b"Fast-forward" not in doing

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs git in the folder; raises `GitRefused` if that is not possible."""
        from pypm_index.git_command import NotRun, run_git

        done = run_git(arguments, self._environ, seconds=_SECONDS, folder=self.folder)
        if isinstance(done, NotRun):
            raise GitRefused(arguments[0], done.reason)
        return done


def _age(path: Path, now: float) -> float:
    """Seconds since *path* was changed; endless if it is not there."""
    try:
        return now - path.stat().st_mtime
    except OSError:
        return float("inf")


def run_in(
    folder: Path, environ: Mapping[str, str], *arguments: str, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Runs git in *folder*, in a repository or not, with bytes in and out; raises `GitRefused` if that is not
    possible."""
    from pypm_index.git_command import NotRun, run_git_raw

    done = run_git_raw(arguments, environ, seconds=_SECONDS, folder=folder, given=given)
    if isinstance(done, NotRun):
        raise GitRefused(arguments[0], done.reason)
    return done


def git_folder(folder: Path) -> Path | None:
    """Where git keeps what it knows of the checkout around *folder*; None if there is none."""
    for above in (folder, *folder.parents):
        place = above / ".git"
        if place.is_dir():
            return place
        try:
            text = place.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if text.startswith("gitdir:"):
            return above / text.removeprefix("gitdir:").strip()
    return None
