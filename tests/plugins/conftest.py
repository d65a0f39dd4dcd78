"""A user with an empty home, a C compiler, and pypm on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.plugins import COMPILER, SUFFIX, compile_library
from kit.transcripts import environment, pypm, remember_python

collect_ignore_glob = [] if COMPILER is not None else ["test_*"]

_IN_INTERPRETER = (
    "import sys; from pypm import _plugins; _plugins.FORKS = False\n"
    "from pypm._entry import main; sys.exit(main(sys.argv[1:]))"
)


@dataclass
class User:
    folder: Path
    environ: dict[str, str]

    @property
    def home(self) -> Path:
        """Where pypm keeps plugins."""
        return self.folder / "home" / ".pypm"

    @property
    def plugins(self) -> Path:
        return self.home / "plugins"

    def library(self, name: str, source: str, *flags: str) -> Path:
        """A library that is made, and not added."""
        return compile_library(source, self.folder / "made" / f"{name}{SUFFIX}", *flags)

    def has(self, name: str, source: str, *flags: str) -> Path:
        """A plugin that is made and added; its library in the folder of plugins."""
        self.run("plugin", "add", name, str(self.library(name, source, *flags)), check=True)
        return self.plugins / f"{name}{SUFFIX}"

    def run(
        self,
        *arguments: str | bytes,
        cwd: Path | None = None,
        input: bytes = b"",
        check: bool = False,
        forks: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        command = pypm() if forks else [sys.executable, "-c", _IN_INTERPRETER]
        argv = [os.fsencode(each) for each in (*command, *arguments)]
        done = subprocess.run(
            argv, cwd=cwd or self.folder, env=self.environ, input=input, capture_output=True, timeout=120
        )
        if check:
            assert done.returncode == 0, done.stderr.decode()
        return done

    def refused(self, *arguments: str, code: str, exit: int, cwd: Path | None = None) -> str:
        """What is said when a command is refused."""
        done = self.run(*arguments, cwd=cwd)
        said = done.stderr.decode()
        assert done.returncode == exit and f"error[{code}]" in said, (done.returncode, said)
        assert "Traceback" not in said and done.stdout == b""
        return said


@pytest.fixture
def user(tmp_path: Path) -> User:
    (tmp_path / "home").mkdir()
    remember_python(tmp_path / "home")
    return User(tmp_path, environment(tmp_path / "home"))
