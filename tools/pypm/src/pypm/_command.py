"""A command in an environment of which a stamp says that it is in step: ``pypm exec`` with nothing to do.

Most runs of ``exec`` are such. Only what `pypm._stamp` may import may be imported here: a test pins the set.
What is unusual in any way is left to the verb itself (`pypm.cli.verbs.exec`), which says what is wrong with
it.
"""

from __future__ import annotations

import os
import sys

from pypm._stamp import held, held_here, key_of

_FLAGS = frozenset({"--all-extras", "--all-groups", "--no-default-groups", "--no-dev", "--frozen"})
_OPTIONS = frozenset({"-p", "--member", "--extra", "--group", "--only-group"})
_WITHOUT_EFFECT = frozenset({"-q", "--quiet", "--no-progress", "--offline", "--no-sync"})
"""Where there is nothing to sync."""


def become(words: list[str]) -> None:
    """Replaces this process by the command that ``pypm exec`` with *words* means. Comes back, with nothing
    done, if that takes more than looking at a stamp, or the command cannot be started."""
    chosen, command = split(words)
    venv = environment(chosen) if command else None
    if venv is not None:
        start(venv, command)


def start(venv: str, command: list[str]) -> None:
    """Replaces this process by *command* in the environment *venv*, if there is such a program."""
    environ = activated(venv, dict(os.environ))
    found = program(command[0], environ["PATH"])
    if found is not None:
        replace_process([found, *command[1:]], environ)


def replace_process(argv: list[str], environ: dict[str, str], cwd: str = "") -> None:
    """Replaces this process by the program *argv*, in the folder *cwd* if one is given. Comes back, with
    nothing done, where the system cannot, or cannot start this one."""
    if os.name != "posix":
        return
    # Python ignores these two, and what is ignored stays so: a writer into a pipe that nobody reads would
    # not end. The builtin module, as `signal` around it takes longer to load than all of this.
    import _signal  # type: ignore[import-not-found]

    before = os.getcwd() if cwd else ""
    ignored = (_signal.SIGPIPE, _signal.SIGXFSZ)
    actions = [_signal.signal(number, _signal.SIG_DFL) for number in ignored]
    try:
        if cwd:
            os.chdir(cwd)
        os.execve(argv[0], argv, environ)
    except OSError:
        if cwd:
            os.chdir(before)
        for number, action in zip(ignored, actions, strict=True):
            _signal.signal(number, action)


def environment(chosen: list[str]) -> str | None:
    """The environment (absolute) in which a command runs with *chosen*, as `pypm.ops.selection.spelled` has
    them, in step by its stamp: the shared one, that of the one member that is named, or, where nothing is
    shared, that of the member in the current folder. None if no stamp says so."""
    named = [word.partition("=")[2] for word in chosen if word.startswith("--member=")]
    if len(named) > 1 or not all(map(_is_name, named)):
        return None
    key = key_of(chosen)
    found = None if key is None else held(key)
    if key is not None and not named and (found is None or found.of_members):
        found = held_here(key)
    return found.environments[0] if found is not None and len(found.environments) == 1 else None


def activated(venv: str, environ: dict[str, str]) -> dict[str, str]:
    """*environ* as an activated *venv* changes it: first on PATH, no other interpreter's home."""
    changed = dict(environ)
    changed.pop("PYTHONHOME", None)
    changed["VIRTUAL_ENV"] = venv
    folders = (scripts_folder(venv), environ.get("PATH", os.defpath))
    changed["PATH"] = os.pathsep.join(folder for folder in folders if folder)
    return changed


def scripts_folder(venv: str) -> str:
    """Where the environment's programs are."""
    return os.path.join(venv, "Scripts" if sys.platform == "win32" else "bin")


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """The options before the command that choose the environment, each in one word, and the command; both
    are empty if any other option is among them."""
    chosen: list[str] = []
    i = 0
    while i < len(words):
        word = words[i]
        option, equals, value = word.partition("=")
        if option in _OPTIONS:
            if not equals:
                i += 1
                value = words[i] if i < len(words) else ""
            chosen.append(f"{'--member' if option == '-p' else option}={value}")
        elif word in _FLAGS:
            chosen.append(word)
        elif word == "--":
            return chosen, words[i + 1 :]
        elif not word.startswith("-") or word == "-":
            return chosen, words[i:]
        elif word not in _WITHOUT_EFFECT:
            break
        i += 1
    return [], []


def _is_name(text: str) -> bool:
    """Whether *text* can only be the name of one member: not a pattern, a folder, or what several hang on."""
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    return plain.isalnum() and text[0] != "." and ".." not in text


def program(name: str, path: str) -> str | None:
    """What *name* means on *path*, as `shutil.which` says where processes can be replaced. That costs ten
    modules to import."""
    for folder in [""] if os.path.dirname(name) else path.split(os.pathsep):
        found = os.path.join(folder, name)
        if os.access(found, os.X_OK) and not os.path.isdir(found):
            return found
    return None
