"""``pypm exec``: a command in an environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm import _command
from pypm.ops.activation import process_environment
from pypm.ops.world import World
from pypm_model.errors import PypmError
from pypm_model.later import later
from pypm_model.records import record

if TYPE_CHECKING:
    import shutil
    import subprocess
else:
    shutil = later("shutil")
    subprocess = later("subprocess")


class CommandNotFound(PypmError):
    """No such program in the environment or on PATH."""

    code: ClassVar[str] = "command-not-found"
    exit: ClassVar[int] = 127
    command: str
    tasks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"no task and no command {self.command!r}" if self.tasks else f"no command {self.command!r}"

    @property
    def hint(self) -> str | None:
        return f"tasks here: {', '.join(self.tasks)}" if self.tasks else None


@record
class Command:
    """A process to become."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: str = ""
    """The folder it runs in; empty: the current one."""

    def become(self) -> int:
        """Replaces this process where the system can; else runs it and gives its exit code."""
        sys.stdout.flush()
        sys.stderr.flush()
        if os.name == "posix":
            _command.replace_process(list(self.argv), self.environment, self.cwd)
        return subprocess.run(list(self.argv), env=self.environment, cwd=self.cwd or None).returncode


def command_in(venv: Path, world: World, argv: tuple[str, ...], tasks: tuple[str, ...] = ()) -> Command:
    """*argv* with the environment *venv* activated. Raises `CommandNotFound`."""
    environment = process_environment(venv, world.environ)
    which = _command.program if os.name == "posix" else _which
    program = which(argv[0], environment["PATH"])
    if program is None:
        raise CommandNotFound(argv[0], tasks)
    return Command((program, *argv[1:]), environment)


def _which(name: str, path: str) -> str | None:
    return shutil.which(name, path=path)


def is_script(world: World, word: str) -> bool:
    """Whether *word* is a file of Python in or below the current folder, or by its path."""
    return names_script(word) and (world.cwd / word).is_file()


def names_script(word: str) -> bool:
    """Whether *word* is spelled like a file of Python."""
    return word.endswith((".py", ".pyw"))
