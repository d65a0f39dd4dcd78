"""A command that pypm does not have itself: found among plugins, and run.

The way from `pypm NAME` to a plugin's first instruction. Everything on it is small (see
`pypm_plugins.shelf`); what is needed when something is wrong is imported then. Found, in this order: a
plugin that the workspace pins, one that was added, an entry point of a distribution, a program
``pypm-NAME`` on PATH.
"""

import sys

from pypm._plugin_search import (
    UNREAD,
    WORKSPACE,
    Native,
    Pins,
    PinsUnread,
    find_native,
    path_to_load,
    pins_of,
    root_above,
)
from pypm_plugins.shelf import (
    RECORD,
    Refusal,
    current_folder,
    exists,
    folder_in,
    home,
    record_in,
    system,
    variable,
    what_is_wrong_with,
)

FORKS = sys.platform == "linux"
"""Whether a process may go on in a fork and load what it likes: elsewhere the child is a new interpreter."""
_QUIET = frozenset({"-q", "--quiet"})
_HARMLESS = _QUIET | {"-v", "--verbose", "--no-progress", "--offline", "--frozen"}


def run(words: list[str], common: list[str]) -> int | None:
    """Runs the plugin that the first of *words* names with the others, which are its own, if there is
    nothing to say about it; the exit code. None: it was not run, `pypm plugin run` finds out why.

    *common* are pypm's own options that stood before the name.
    """
    if not words or not _HARMLESS.issuperset(common):
        return None
    try:
        return launch(words[0], words[1:], common)
    except (Refusal, PinsUnread):
        return None


def is_plugin(name: str) -> bool:
    """Whether there is something of that name to run, or something to say about it."""
    try:
        root = root_above()
        return find_other(name, root) is not None or _is_native(name, root)
    except (Refusal, PinsUnread):
        return True


def names() -> list[str]:
    """The names of all plugins that could be run here, each kind in the order in which they are found."""
    from pypm._plugin_commands import entry_points_in, environments, programs

    found: list[str] = []
    root = root_above()
    try:
        found += pins_of(root) or ()
    except PinsUnread:
        found = []
    folder = home(variable)
    try:
        listed = sorted(system.listdir(folder_in(folder))) if folder else []
    except OSError:
        listed = []
    found += [each[: -len(RECORD)] for each in listed if each.endswith(RECORD)]
    for _, _, sites in environments(root):
        for site in sites:
            found += entry_points_in(site)
    return [*found, *programs()]


def _is_native(name: str, root: str) -> bool:
    if what_is_wrong_with(name):
        return False
    folder = home(variable)
    return name in (pins_of(root) or ()) or (bool(folder) and exists(record_in(folder, name)))


def launch(name: str, arguments: list[str], common: list[str], pins: Pins | None = UNREAD) -> int:
    """Runs the plugin *name*; its exit code. *pins* are the workspace's, where they were just read.

    Raises `Refusal`, and `PinsUnread` if pins were not given and have to be.
    """
    root = root_above()
    if pins is UNREAD:
        pins = pins_of(root)
    try:
        found = find_native(name, pins, home(variable)) or find_other(name, root)
    except OSError as error:
        raise Refusal("unreadable", name, error.filename or "", (error.strerror or "").lower()) from None
    if found is None:
        raise Refusal("unknown", name)
    if pins is not None and name not in pins and "--frozen" in common:
        raise Refusal("not-pinned", name, WORKSPACE)
    if isinstance(found, list):
        return _become(name, found + arguments, surroundings(root))
    return _call(found, [name, *arguments], root, common)


# --- in a child ----------------------------------------------------------------------------------


def _call(native: Native, arguments: list[str], root: str, common: list[str]) -> int:
    """Runs *native* in a child; its exit code. A signal that ended it is told."""
    if not FORKS:
        from pypm_plugins.interpreter import run as run_interpreter

        script = [native.name, native.path, *arguments]
        code = run_interpreter(child_command(), script, {**surroundings(root)}, common)
        return code if code >= 0 else _ended(native.name, -code)
    encoding = sys.getfilesystemencoding()
    words = [word.encode(encoding, "surrogateescape") for word in arguments]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    from pypm_plugins.forked import run as run_forked

    def child() -> None:
        for key, value in surroundings(root).items():
            system.putenv(key, value)
        in_child(native, words, common)

    status = run_forked(native.name, child)
    number = status & 0x7F
    return _ended(native.name, number) if number else status >> 8


def in_child(native: Native, words: list[bytes], common: list[str]) -> None:
    """Calls the plugin with *words* and ends this process with its exit code."""
    from pypm_plugins.calling import CANNOT_LOAD, call_main, end

    def complain(code: str, detail: str) -> None:
        from pypm.cli.render.errors import render_error
        from pypm_plugins.errors import from_child

        sys.stderr.write(render_error(from_child(native.name, code, detail)))

    def host() -> object:
        with_site()
        from pypm.ops.plugin_host import table

        return table(native.name, common)

    try:
        code = call_main(path_to_load(native), words, host, complain)
    except Exception as error:  # a fault of ours: nobody above would say it
        complain("plugin-unloadable", f"{type(error).__name__}: {error}")
        code = CANNOT_LOAD
    end(code)


def _ended(name: str, number: int) -> int:
    import signal

    # Ctrl-C and a reader that has gone are no news.
    if number not in (signal.SIGINT, getattr(signal, "SIGPIPE", None)):
        with_site()
        from pypm.cli.render.errors import render_error
        from pypm_plugins.errors import PluginEnded

        try:
            said = signal.Signals(number).name
        except ValueError:
            said = f"signal {number}"
        sys.stderr.write(render_error(PluginEnded(name, said, number)))
    return 128 + number


def with_site() -> None:
    """Makes everything importable that pypm needs: the launcher of `pypm self link` starts without."""
    if sys.flags.no_site:
        import site

        site.main()


# --- what it is told -----------------------------------------------------------------------------


def surroundings(root: str) -> dict[str, str]:
    """The environment variables that a plugin gets besides those that pypm has."""
    told = {"PYPM_HOST_PYTHON": sys.executable or ""}
    if root:
        told["PYPM_WORKSPACE_ROOT"] = root
    if program := _own_program():
        told["PYPM"] = program
    return told


def _own_program() -> str:
    given = sys.argv[0] if sys.argv else ""
    end = "pypm.exe" if sys.platform == "win32" else "pypm"
    if given.rpartition("/")[2].rpartition("\\")[2].lower() not in ("pypm", "pypm.exe", "pypm.cmd"):
        python = sys.executable or ""
        cut = max(python.rfind("/"), python.rfind("\\"))
        given = python[: cut + 1] + end if cut >= 0 else ""
    elif given[:1] not in ("/", "\\") and given[1:2] != ":":
        given = f"{current_folder()}/{given}"
    return given if given and system.access(given, 1) else ""


def child_command() -> list[str]:
    """A command line that runs `child_main` with the words after it, in an interpreter of its own."""
    script = (
        f"import sys; sys.path[:0] = {[each for each in sys.path if each]!r}\n"
        "from pypm._plugins import child_main; child_main()"
    )
    return [sys.executable, "-I", "-S", "-c", script]


def _pins() -> Pins | None:
    """What the workspace pins, found out the long way where it must be."""
    try:
        return pins_of(root_above())
    except PinsUnread as unread:
        with_site()
        from pypm.ops.plugins import read_pins

        return read_pins(str(unread))


def child_main() -> None:
    """The child where there is no fork: looks at the library again, because nothing but its path could be
    handed on, and keeps it open while it is loaded. Its words: pypm's options up to ``--``, the plugin's
    name, the library's path, and the plugin's arguments."""
    import signal

    at = sys.argv.index("--")
    common, name, path, words = sys.argv[1:at], sys.argv[at + 1], sys.argv[at + 2], sys.argv[at + 3 :]
    try:
        native = find_native(name, _pins(), home(variable))
        if native is None or native.path != path:
            raise Refusal("missing", name, path)
    except Refusal as refusal:
        with_site()
        from pypm.cli.render.errors import render_error
        from pypm_plugins.errors import from_refusal

        error = from_refusal(refusal)
        sys.stderr.write(render_error(error))
        sys.exit(error.exit)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    encoding = sys.getfilesystemencoding()
    in_child(native, [word.encode(encoding, "surrogateescape") for word in words], common)


def describe_main() -> None:
    """Loads the plugin that is the first word, and writes a line: nothing, or why it is not run (the code of
    the error and the detail). With a second word what it says of itself follows. What else it prints goes
    nowhere."""
    import os

    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        native = find_native(sys.argv[1], _pins(), home(variable))
    except Refusal:
        native = None
    if native is None:
        sys.exit(1)
    from pypm_plugins.calling import call_describe, open_checked

    complaint: list[str] = []
    library = open_checked(path_to_load(native), lambda code, detail: complaint.extend((code, detail)))
    os.write(answer, " ".join(" ".join(complaint).split()).encode("utf-8", "replace") + b"\n")
    if library is not None and len(sys.argv) > 2:
        os.write(answer, call_describe(library) or b"")
    os._exit(0)


# --- others --------------------------------------------------------------------------------------


def find_other(name: str, root: str) -> list[str] | None:
    """The command line of something that is no library: an entry point of a distribution, or a program
    ``pypm-NAME`` on PATH; None if there is neither."""
    if what_is_wrong_with(name):
        return None
    from pypm._plugin_commands import entry_point, program

    return entry_point(name, root) or program(name)


def _become(name: str, command: list[str], told: dict[str, str]) -> int:
    """Replaces this process by *command* where the system can; else runs it and gives its exit code. Raises
    `Refusal` if it cannot be started."""
    import os

    from pypm._command import replace_process

    environ = {**os.environ, **told}
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    replace_process(command, environ)
    import subprocess

    try:
        return subprocess.run(command, env=environ).returncode
    except OSError as error:
        reason = f"{command[0]}: {(error.strerror or str(error)).lower()}"
        raise Refusal("not-started", name, command[0], reason) from None
