"""Where every run of pypm begins.

``version``, ``help`` and a mistyped verb end here, having imported ``sys`` and the table of verbs;
a ``sync`` with nothing to do ends here too, after a few stats (`pypm._stamp`), and one that only links what
it linked before (`pypm._again`); an ``exec`` or ``run`` with nothing to sync becomes its command
(`pypm._command`, `pypm._tasks`), and a plugin is run (`pypm._plugins`). Nothing else may be imported at the
top of this file: a test pins the set of modules. Not even `__future__`, which is a file like any other and
takes as long as this one.
"""

import sys

from pypm._verbs import (
    ALIASES,
    COMMON_FLAGS,
    COMMON_OPTIONS,
    OUTPUT_OPTIONS,
    TAKE_OUTPUT,
    VERBS,
    VERSION,
)

_is_program = False
"""Whether this process is for one command line and ends with it."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command line (without the program's name) and gives its exit code."""
    arguments = list(sys.argv[1:]) if argv is None else argv
    common, verb, rest = _split(arguments)
    if verb == "help" and rest:
        about = ALIASES.get(rest[0], rest[0])
        if about in VERBS:
            return _run(about, ["--help"])
        if about not in ("--help", "-h"):
            if not _is_plugin(about):
                sys.stderr.write(_unknown(about))
                return 2
            return _run("plugin", ["info", about])
    if verb in ("", "help", "--help", "-h"):
        sys.stdout.write(_help())
        return 0
    if verb in ("version", "--version", "-V") and not (common or rest):
        sys.stdout.write(f"pypm {VERSION}\n")
        return 0
    verb = verb if verb in VERBS else ALIASES.get(verb, verb)
    if verb not in VERBS:
        return _plugin(verb, rest, common)
    if verb == "plugin" and rest[:1] == ["run"] and not (rest[1:2] and rest[1].startswith("-")):
        code = _start(rest[1:], common)
        if code is not None:
            return code
    rest = common + rest
    if verb == "sync":
        from pypm._stamp import nothing_to_do

        message = nothing_to_do(rest)
        if message is not None:
            if message:
                sys.stderr.write(message + "\n")
            return 0
        code = _again(rest)
        if code is not None:
            return code
    elif verb == "exec":
        from pypm import _command

        _command.become(rest)
    elif verb == "run":
        from pypm import _tasks

        _tasks.become(rest)
    return _run(verb, rest)


def program() -> None:
    """Runs the command line of this process, and ends it there: what a run has made goes back to the
    system at once and not object by object, which takes 10 ms after a lock."""
    try:
        from posix import _exit
    except ImportError:
        from nt import _exit  # type: ignore[attr-defined,no-redef,unused-ignore]
    global _is_program
    _is_program = True
    if _split(sys.argv[1:])[1] == "doctor":
        _without_environment()
    code = main()
    if "pypm._code" in sys.modules:
        from pypm import _code

        _code.keep()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    _exit(code)


def _split(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    """Options that may stand before the verb and do, the verb, and what follows it. The first option that
    may not stands for the verb."""
    common: list[str] = []
    i = 0
    while i < len(arguments):
        word = arguments[i]
        if word in COMMON_FLAGS or (word.split("=", 1)[0] in COMMON_OPTIONS and "=" in word):
            common.append(word)
            i += 1
        elif word in COMMON_OPTIONS:
            common += arguments[i : i + 2]
            i += 2
        elif word.startswith(OUTPUT_OPTIONS):
            after = i + 2 if word in OUTPUT_OPTIONS else i + 1
            more, verb, rest = _split(arguments[after:])
            if verb in TAKE_OUTPUT:
                return common + arguments[i:after] + more, verb, rest
            return common, word, arguments[i + 1 :]
        else:
            return common, word, arguments[i + 1 :]
    return common, "", []


def _plugin(verb: str, rest: list[str], common: list[str]) -> int:
    """Runs the plugin *verb*; says that there is no such command if there is none."""
    if not verb.startswith("-"):
        code = _start([verb, *rest], common)
        if code is not None:
            return code
        if _is_plugin(verb):
            return _run("plugin", [*common, "run", verb, *rest])
    sys.stderr.write(_unknown(verb))
    return 2


def _start(words: list[str], common: list[str]) -> int | None:
    """The exit code of the plugin that *words* begin with; None if it was not run."""
    _find_plugins()
    from pypm._plugins import run

    return run(words, common)


def _is_plugin(name: str) -> bool:
    _find_plugins()
    from pypm._plugins import is_plugin

    return is_plugin(name)


def _plugin_names() -> list[str]:
    _find_plugins()
    from pypm._plugins import names

    return names()


def _find_plugins() -> None:
    try:
        import pypm_plugins  # noqa: F401
    except ImportError:
        _with_site()


def _with_site() -> None:
    """What pypm stands on is linked into its environment, which the launcher of `pypm self link` does not ask
    (`pypm.ops.launcher`). Raises the ImportError at hand if that was not it."""
    if not sys.flags.no_site:
        raise
    import site

    site.main()


def _again(rest: list[str]) -> int | None:
    """The exit code of a sync that only has to link what it linked before; None if it takes more."""
    from os.path import lexists

    if lexists(".venv") or not lexists("pypm.lock"):
        return None
    try:
        from pypm import _again
    except ImportError:
        _with_site()
        from pypm import _again
    try:
        return 0 if _again.again(rest) else None
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130


def _run(verb: str, rest: list[str]) -> int:
    if sys.flags.no_site:
        import site

        site.main()  # the launcher of `pypm self link` starts without; see pypm.ops.launcher
    import gc

    # A run makes hundreds of thousands of records that live to its end and next to no cycles: looking
    # for garbage among them costs up to a quarter of the time and finds none.
    gc.disable()
    if _is_program:
        from pypm import _code

        _code.serve()
    from pypm.cli.main import run

    return run(verb, rest)


def _without_environment() -> None:
    """Begins again where PYTHONHOME or PYTHONPATH decides what is imported: `doctor` has to say so, and may
    not fall over it. What only PYTHONPATH leads to is looked for last."""
    try:
        from posix import environ, execv
    except ImportError:
        return
    flags = sys.flags
    if flags.ignore_environment or not (environ.get(b"PYTHONHOME") or environ.get(b"PYTHONPATH")):
        return
    script = (
        f"import sys; sys.path += [p for p in {sys.path!r} if p not in sys.path]\n"
        "from pypm._entry import program; program()"
    )
    options = ["-E", "-P", *(["-B"] if flags.dont_write_bytecode else [])]
    execv(sys.executable, [sys.executable, *options, "-c", script, *sys.argv[1:]])


def _help() -> str:
    lines = [f"pypm {VERSION}: the npm-style package manager and monorepo tool for Python", ""]
    lines += ["usage: pypm COMMAND [OPTIONS]", ""]
    width = max(map(len, VERBS))
    for verb, (_, summary) in VERBS.items():
        lines.append(f"  {verb:<{width}}  {summary}")
    lines += ["", "`pypm help COMMAND` tells a command's options.", ""]
    return "\n".join(lines)


def _unknown(verb: str) -> str:
    if verb.startswith("-"):
        return f"error[usage]: no such option: {verb}\n  `pypm help` lists the commands.\n"
    near = _nearest(verb, [*VERBS, *ALIASES, *_plugin_names()])
    hint = f"did you mean `pypm {near}`?" if near else "`pypm help` lists the commands."
    return f"error[usage]: no such command: {verb}\n  {hint}\n"


def _nearest(word: str, known: list[str]) -> str:
    """The known word within two edits of *word*, or an empty text (Levenshtein, two rows)."""
    best, best_distance = "", 3
    for other in known:
        row = list(range(len(other) + 1))
        for i, a in enumerate(word, 1):
            previous, row[0] = row[0], i
            for j, b in enumerate(other, 1):
                previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
        if row[-1] < best_distance and row[-1] < max(len(word), len(other)):
            best, best_distance = other, row[-1]
    return best
