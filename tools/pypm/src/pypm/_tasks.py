"""``pypm run`` with nothing to do beforehand: what its word means, told by stats alone.

When the verb has read the workspace (`pypm.cli.verbs.run`), it leaves the names of the tasks in
``.venv/pypm.tasks``: a stamp (`pypm._stamp`) of all that was looked at, so that it holds as long as no
manifest changes. With a task that is one command in one folder, that command; nothing else is known of the
others, which take the long way. Only what `pypm._stamp` may import may be imported here: a test pins the set.
"""

from __future__ import annotations

import os
import sys

from pypm._command import activated, environment, replace_process, split, start
from pypm._stamp import VENV, held, key_of

NAME = "pypm.tasks"
SHELL = "/bin/sh"
_BETWEEN, _WITHIN = "\x1e", "\x1f"
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@%+=:,./-_")


class Alone:
    """A task that is one command in one folder, with nothing before it."""

    __slots__ = ("command", "cwd", "environ", "shown")

    def __init__(self, shown: str, command: str, cwd: str, environ: dict[str, str]) -> None:
        self.shown = shown
        """Member and task."""
        self.command = command
        self.cwd = cwd
        self.environ = environ
        """Variables set for this command alone."""


def become(words: list[str]) -> None:
    """Replaces this process by what ``pypm run`` with *words* means. Comes back, with nothing done, if that
    takes more than looking at stamps."""
    chosen, command = split(words)
    if not command or command[0].endswith((".py", ".pyw")) or _names_members(chosen):
        return
    found = remembered()
    if found is None:
        return
    root, tasks = found
    venv = environment(chosen)
    if venv is None or venv != f"{root}/{VENV}":
        return
    task = tasks.get(command[0])
    if task is not None:
        quiet = "-q" in words[: -len(command)] or "--quiet" in words[: -len(command)]
        start_alone(task, venv, root, command[1:], quiet=quiet)
    elif command[0] not in tasks:
        start(venv, command)


def start_alone(task: Alone, venv: str, root: str, arguments: list[str], *, quiet: bool) -> None:
    """Replaces this process by *task*, if there is a shell."""
    if os.name != "posix" or not os.access(SHELL, os.X_OK):
        return
    command = " ".join([task.command, *map(_quoted, arguments)])
    if not quiet:
        from pypm.cli.render.style import style

        sys.stderr.write(f"{style('>', 'dim')} {task.shown}: {command}\n")
        sys.stderr.flush()
    environ = {**activated(venv, dict(os.environ)), "PYP_WORKSPACE_ROOT": root, **task.environ}
    replace_process([SHELL, "-c", command], environ, task.cwd)


def key() -> str | None:
    """The key of the stamp with the tasks."""
    return key_of([])


def remembered() -> tuple[str, dict[str, Alone | None]] | None:
    """The root of the workspace around the current folder and its tasks by name, None for one that is more
    than one command; None if nothing that still holds says so."""
    wanted = key()
    found = None if wanted is None else held(wanted, NAME)
    if found is None:
        return None
    tasks: dict[str, Alone | None] = {}
    for text in filter(None, found.say.split(_BETWEEN)):
        name, *rest = text.split(_WITHIN)
        if not rest:
            tasks[name] = None
            continue
        shown, command, cwd, *variables = rest
        environ = dict(zip(variables[::2], variables[1::2], strict=True))
        tasks[name] = Alone(shown, command, cwd, environ)
    return found.root, tasks


def to_text(tasks: dict[str, Alone | None]) -> str:
    """What `remembered` reads again, in one line."""
    rows = []
    for name, task in tasks.items():
        parts = [name]
        if task is not None:
            variables = [text for pair in task.environ.items() for text in pair]
            whole = [name, task.shown, task.command, task.cwd, *variables]
            if not any(mark in text for text in whole for mark in (_BETWEEN, _WITHIN, "\n", "\r")):
                parts = whole
        rows.append(_WITHIN.join(parts))
    return _BETWEEN.join(rows)


def _names_members(chosen: list[str]) -> bool:
    return any(word.startswith("--member=") for word in chosen)


def _quoted(word: str) -> str:
    """As `shlex.quote`."""
    if word and _PLAIN.issuperset(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
