"""Git repositories, through the git command: which commit a ref is, and the files of a commit.

A repository is fetched once into a bare copy in the store, whole (backends that take a version from
tags need them), and commits are checked out from there. What the user set up for git (credentials, proxies,
``insteadOf``) holds here too; nothing is asked on the terminal.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pypm_index.addresses import redacted
from pypm_index.errors import GitFailed
from pypm_index.git_command import NotRun, run_git
from pypm_model.digests import sha256
from pypm_model.patterns import pattern
from pypm_store.locks import holding

_commit = pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SECONDS = 600.0


class Git:
    """Repositories kept below one folder. May be used from any thread and by several processes."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        # Inside a hook of git these would point every command at the user's own repository.
        inherited = {key: value for key, value in environ.items() if key not in _OWN_VARIABLES}
        self._environ = {**inherited, "GIT_TERMINAL_PROMPT": "0"}

    def commit_of(self, url: str, ref: str) -> str:
        """The commit that *ref* (a branch, a tag, a commit; empty: the default branch) is now.

        A branch goes before a tag of the same name. Raises `GitFailed`.
        """
        if _commit.fullmatch(ref):
            return ref
        wanted = [ref, f"{ref}^{{}}"] if ref else ["HEAD"]
        listing = self._run(["ls-remote", "--", _plain(url), *wanted], url, "look up refs")
        found: dict[str, str] = {}
        for line in listing.splitlines():
            commit, _, name = line.partition("\t")
            found[name] = commit
        names = [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", ref] if ref else ["HEAD"]
        for name in names:
            if name in found:
                return found[name]
        if re.fullmatch(r"[0-9a-f]{4,39}", ref):
            return self._abbreviated(url, ref)
        raise GitFailed(redacted(url), f"find {ref!r}" if ref else "find a branch", "there is no such ref")

    def check_out(self, url: str, commit: str, folder: Path) -> None:
        """Puts the files of *commit*, submodules included, into *folder* (empty or missing), as a
        working tree with history and tags. Raises `GitFailed`."""
        bare = self._bare(url)
        with holding(bare.parent / (bare.name + ".lock")):
            self._ensure(url, bare, commit)
        plain = ["clone", "--quiet", "--no-checkout", "--template=", "--", str(bare), str(folder)]
        self._run(plain, url, "copy the repository")
        # Relative addresses of submodules are relative to where the repository came from.
        self._run(["-C", str(folder), "remote", "set-url", "origin", _plain(url)], url, "copy the repository")
        self._run(
            ["-C", str(folder), "checkout", "--quiet", "--detach", commit, "--"], url, f"check out {commit}"
        )
        if (folder / ".gitmodules").is_file():
            update = ["-C", str(folder), "submodule", "--quiet", "update", "--init", "--recursive"]
            self._run(update, url, "fetch submodules")

    def _bare(self, url: str) -> Path:
        return self._folder / sha256(_plain(url).encode()).hexdigest()[:32]

    def _abbreviated(self, url: str, ref: str) -> str:
        bare = self._bare(url)
        with holding(bare.parent / (bare.name + ".lock")):
            self._fetch(url, bare)
            return self._run(
                ["-C", str(bare), "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"],
                url,
                f"find {ref!r}",
            ).strip()

    def _ensure(self, url: str, bare: Path, commit: str) -> None:
        if self._has(bare, commit):
            return
        self._fetch(url, bare)
        if not self._has(bare, commit):
            # Not on a branch or tag: servers may still give it by its name.
            self._run(["-C", str(bare), "fetch", "--quiet", "origin", commit], url, f"fetch {commit}")

    def _has(self, bare: Path, commit: str) -> bool:
        if not (bare / "HEAD").is_file():
            return False
        done = self._process(["-C", str(bare), "cat-file", "-e", f"{commit}^{{commit}}"])
        return not isinstance(done, NotRun) and done.returncode == 0

    def _fetch(self, url: str, bare: Path) -> None:
        if not (bare / "config").is_file():
            self._run(["init", "--quiet", "--bare", "--template=", "--", str(bare)], url, "make a copy")
        config = ["-C", str(bare), "config", "--replace-all", "remote.origin.url", _plain(url)]
        self._run(config, url, "make a copy")
        refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        self._run(
            ["-C", str(bare), "fetch", "--quiet", "--force", "--prune", "--no-auto-gc", "origin", *refs],
            url,
            "fetch",
        )

    def _run(self, arguments: list[str], url: str, doing: str) -> str:
        done = self._process(arguments)
        if isinstance(done, NotRun):
            raise GitFailed(redacted(url), doing, done.reason)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            reason = next((line for line in said if line.startswith(("fatal:", "error:"))), "")
            reason = reason or (said[-1] if said else f"it ended with status {done.returncode}")
            raise GitFailed(redacted(url), doing, redacted(reason))
        return done.stdout

    def _process(self, arguments: list[str]) -> subprocess.CompletedProcess[str] | NotRun:
        quiet = ["-c", "core.hooksPath=" + os.devnull, "-c", "advice.detachedHead=false"]
        return run_git([*quiet, *arguments], self._environ, seconds=_SECONDS)


_OWN_VARIABLES = frozenset(
    (
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
    )
)


def _plain(url: str) -> str:
    """*url* as git takes it."""
    return url.removeprefix("git+")
