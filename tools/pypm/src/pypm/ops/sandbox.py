"""``pypm sandbox``: a place that vanishes, the environment of one member, and walls where they are asked for.

A run that finds everything ready loads little more than what starts a process: what makes environments and
views is imported when one has to be made.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pypm import _stamp
from pypm.ops.sandboxing.errors import BadPlace, NotExecutable
from pypm.ops.sandboxing.records import Ready, SandboxOptions, from_line
from pypm.ops.selection import spelled
from pypm.ops.world import World
from pypm_env.sandbox.environ import clean_environment
from pypm_env.sandbox.machine import Machine, can_view, run_behind
from pypm_env.sandbox.place import Place, make_place, reap
from pypm_env.sandbox.session import CannotStart, Start
from pypm_env.sandbox.shells import Shell, choose_shell, shell
from pypm_env.sandbox.walls import Walls, is_inside
from pypm_model.records import record, replace
from pypm_store.locations import default_root, layout_folder
from pypm_store.locks import hold_until_exit

_MISSING = (2, 20)
"""errno of what is not there."""


@record
class Sandbox:
    """A sandbox that is ready to run."""

    place: Place
    ready: Ready
    start: Start
    walls: Walls
    copied: str = ""
    """Where the project was copied to, if its view is a copy."""
    shows: bool = True
    """Whether the shell's prompt will say where it is."""
    forget: Callable[[], None] = lambda: None
    """To be called when it is gone."""


# --- getting ready -------------------------------------------------------------------------------


def prepare(world: World, options: SandboxOptions, machine: Machine) -> Sandbox:
    """Everything but the process. What killed sandboxes left is taken away first. If this raises, nothing of
    it is left; else `run` takes it away. Raises `BadPlace`, `NoPlace`, and what making the environment and a
    view raise."""
    _check(world, options)
    store = layout_folder(default_root(world.environ))
    reap(store)
    key = _key(world, options)
    ready = None if options.checkout or world.refresh else _remembered(store, key)
    if ready is None and not options.checkout:
        from pypm.ops.sandboxing.environment import environment_here

        ready = environment_here(world, options, key)
    place = make_place(store, world.environ)
    with _removed_on_error(world, options, place):
        return _prepared(world, options, machine, place, ready)


def _check(world: World, options: SandboxOptions) -> None:
    if options.folder:
        folder = world.cwd / options.folder
        if folder.exists() and not folder.is_dir():
            raise BadPlace("-d", options.folder, "it is a file")
        if not folder.exists() and not folder.parent.is_dir():
            raise BadPlace("-d", options.folder, f"there is no folder {folder.parent}")
        if options.checkout and folder.exists() and any(folder.iterdir()):
            raise BadPlace("-d", options.folder, "a checkout needs an empty folder")
    if options.keep_diff:
        file = world.cwd / options.keep_diff
        if file.is_dir():
            raise BadPlace("--keep-diff", options.keep_diff, "it is a folder")
        if not file.parent.is_dir():
            raise BadPlace("--keep-diff", options.keep_diff, f"there is no folder {file.parent}")


def _key(world: World, options: SandboxOptions) -> str:
    """Of the stamp: all that chooses the environment, besides the workspace's files."""
    words = [*spelled(options.selection, options.frozen), *(f"--with={text}" for text in options.extra)]
    if any(name.startswith((".", "!.")) for name in options.selection.members):
        words.append(f"in={world.cwd}")
    settings = [
        f"{name}={value}"
        for name, value in world.environ.items()
        if name.startswith(("PYPM_", "PYP_")) and name not in ("PYP_DEBUG", "PYPM_SANDBOX")
    ]
    text = "\x1f".join(["sandbox", *sorted(words), *sorted(settings)])
    return text.replace("\n", "\x1e")


def _remembered(store: Path, key: str) -> Ready | None:
    """What an earlier run made, if nothing has changed that it depends on."""
    found = _stamp.held(key)
    ready = None if found is None else from_line(found.say)
    if ready is None:
        return None
    hold_until_exit(store / "locks" / f"using-{ready.digest}")
    # It may have been pruned before it was held.
    return ready if os.path.exists(os.path.join(ready.venv, "pyvenv.cfg")) else None


def _prepared(
    world: World, options: SandboxOptions, machine: Machine, place: Place, ready: Ready | None
) -> Sandbox:
    """The rest, in *place*. Steps: where it begins, the files, the walls, the process."""
    forget: Callable[[], None] = lambda: None  # noqa: E731
    copied = ""
    folder = ""
    if options.folder:
        (world.cwd / options.folder).mkdir(exist_ok=True)
        folder = os.path.realpath(world.cwd / options.folder)
    if ready is None:
        from pypm.ops.sandboxing.elsewhere import in_checkout

        made = in_checkout(world, options, Path(folder or place.view), place.environment)
        ready, forget = made.ready, made.forget
    project = "" if options.checkout else ready.root or (str(world.cwd) if options.fs else "")
    project = os.path.realpath(project) if project else ""
    if options.fs and project:
        _check_project(options, project, folder)
    walls = _walls(world, options, place, ready, project, folder)
    if walls.fs == "cow":
        os.mkdir(place.layer)
        os.mkdir(walls.upper)
        os.mkdir(walls.scratch)
        why = can_view(machine, walls)
        if why:
            from pypm.ops.sandboxing.elsewhere import in_copy

            _tell_copied(world, why)
            copied = str(place.view)
            made = in_copy(world, options, Path(project), place.view, place.environment, ready)
            ready, forget = made.ready, made.forget
            walls = replace(_walls(world, options, place, ready, walls.project, folder), fs="")
    if folder and not options.checkout:
        cwd = folder
    elif options.checkout or copied or (options.fs and options.selection.members):
        cwd = ready.folder
    elif options.fs:
        here = os.path.realpath(world.cwd)
        cwd = here if is_inside(here, walls.project) else walls.project
    else:
        cwd = str(place.work)
    start, shows = _start(world, options, place, ready, cwd)
    return Sandbox(place, ready, start, walls, copied, shows, forget)


def _check_project(options: SandboxOptions, project: str, folder: str) -> None:
    if project == os.path.dirname(project):
        raise BadPlace("--fs", project, "the whole file system is no project")
    if folder and is_inside(project, folder):
        raise BadPlace(
            "-d", options.folder, f"the project is in it, and --fs {options.fs} is to keep it as it is"
        )


def _walls(
    world: World, options: SandboxOptions, place: Place, ready: Ready, project: str, folder: str
) -> Walls:
    """*project* is the folder that ``--fs`` is about; *folder* the one that ``-d`` named."""
    homes = {os.path.realpath(path) for path in ("/home", "/root", "/Users", os.path.expanduser("~"))}
    store = os.path.realpath(default_root(world.environ))
    return Walls(
        fs=options.fs,
        no_net=options.no_net,
        isolate=options.isolate,
        project=project,
        upper=str(place.layer / "upper"),
        scratch=str(place.layer / "scratch"),
        writable=tuple(filter(None, (str(place.work), str(place.temporary), folder))),
        readable=tuple(dict.fromkeys((str(place.own), store, ready.venv, *ready.needs))),
        temporary=str(place.temporary),
        homes=tuple(sorted(path for path in homes if path != "/" and os.path.isdir(path))),
    )


def _start(world: World, options: SandboxOptions, place: Place, ready: Ready, cwd: str) -> tuple[Start, bool]:
    """The command or shell, and whether a prompt will show where it is."""
    shown = f"sandbox {ready.member}".strip()
    venv = Path(ready.venv)
    environment = clean_environment(world.environ, venv / ready.scripts, venv, shown)
    if options.command:
        return Start(options.command, environment, cwd), True
    program = choose_shell(environment)
    if sys.stdin is None or not sys.stdin.isatty():
        return Start((program,), environment, cwd), True  # it reads commands, and shows no prompt
    begun: Shell = shell(program, shown, environment, place.own, os.path.expanduser("~"))
    for path, text in begun.files.items():
        Path(path).write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    return Start(begun.argv, {**environment, **begun.variables}, cwd, is_shell=True), begun.shows


def _tell_copied(world: World, why: str) -> None:
    from pypm_model.events import Warned

    world.listener(Warned("copied-view", f"the view is a copy of the project: {why}"))


@contextmanager
def _removed_on_error(world: World, options: SandboxOptions, place: Place) -> Iterator[None]:
    """A block that leaves nothing if it does not end well, also when somebody asks the process to end."""
    folder = world.cwd / options.folder if options.folder else None
    is_new = folder is not None and not folder.exists()
    with _ending_in_order():
        try:
            yield
        except BaseException:
            with _undisturbed():
                place.remove()
                if folder is not None and folder.exists() and (is_new or options.checkout):
                    _empty(folder)
                    if is_new:
                        folder.rmdir()
            raise


def _empty(folder: Path) -> None:
    from pypm_store.atomic import remove_tree

    for path in list(folder.iterdir()):
        remove_tree(path)


_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """A block that a request to end leaves by an exception, so that it can clear away."""
    before = {number: signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler == signal.SIG_DFL:
            signal.signal(number, _leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A block that no request to end interrupts: it is short, and the end comes after it."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, *_ENDING)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


# --- running -------------------------------------------------------------------------------------


def run(
    world: World, sandbox: Sandbox, options: SandboxOptions, machine: Machine, tell: Callable[[str], None]
) -> int:
    """Runs what the sandbox is for, having told what it is; its exit code. The sandbox is gone afterwards.

    Raises `CannotIsolate`, `CommandNotFound`, `NotExecutable`; `GitRefused` if what changed cannot be told.
    """
    ready = sandbox.ready
    what = f"with {ready.member} on Python {ready.python}" if ready.member else f"with Python {ready.python}"
    prompt = "" if sandbox.shows else " (the prompt of this shell does not say so)"

    def told(left_open: str) -> None:
        tell(f"Sandbox in {sandbox.start.cwd} {what}{prompt}; not walled off: {left_open}")

    with _taken_away(sandbox, tell):
        try:
            code = run_behind(machine, sandbox.walls, sandbox.start, told)
        except CannotStart as error:
            program = sandbox.start.argv[0]
            if error.number not in _MISSING:
                raise NotExecutable(program, str(error)) from None
            from pypm.ops.command import CommandNotFound

            raise CommandNotFound(program) from None
        if options.keep_diff:
            _keep_diff(world, sandbox, options)
    return code


@contextmanager
def _taken_away(sandbox: Sandbox, tell: Callable[[str], None]) -> Iterator[None]:
    with _ending_in_order():
        try:
            yield
        finally:
            with _undisturbed():
                with suppress(OSError):
                    sandbox.forget()
                left = sandbox.place.remove()
    if left:
        tell(f"{sandbox.place.folder} could not be removed ({left}); the next sandbox tries again")


def _keep_diff(world: World, sandbox: Sandbox, options: SandboxOptions) -> None:
    from pypm.ops.sandboxing.difference import changes_above, changes_between, patch_of
    from pypm_store.atomic import write_atomically

    project = sandbox.walls.project
    if sandbox.copied:
        changes = changes_between(project, sandbox.copied)
    else:
        changes = changes_above(project, sandbox.walls.upper)
    patch = patch_of(changes, Path(project), sandbox.place.own / "difference", world.environ)
    write_atomically(world.cwd / options.keep_diff, patch)
