"""What the checks look at: found out once, by the first that asks, in whatever thread that is.

Nothing here writes anything: the store is not made, and what interpreters say of themselves is read from
its cache but not put into it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pypm.ops.old_lock import lock_text
from pypm.ops.opening import open_workspace
from pypm.ops.roots import roots_of, selected_members
from pypm.ops.selection import Selection
from pypm.ops.tools import Tools
from pypm.ops.venvs import environment_in
from pypm.ops.world import LOCK, World
from pypm_env.finding import Places
from pypm_env.interpreters import Interpreter
from pypm_env.probe import ProbeCache, folder_cache, probe
from pypm_env.stale import look
from pypm_env.venv import base_python
from pypm_model import specifiers
from pypm_model.errors import PypmError
from pypm_model.events import ignore
from pypm_model.lock_select import select
from pypm_model.lock_text import read
from pypm_model.locks import Lock, Pin
from pypm_model.records import record, replace
from pypm_store.locations import default_root
from pypm_store.store import Store
from pypm_workspace.configuration import Member
from pypm_workspace.errors import NoWorkspace
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_env.dists import Installed
    from pypm_index.ports import BuildNeed
    from pypm_index.settings import Indexes

T = TypeVar("T")


class Once(Generic[T]):
    """The result, or the error, of a function that is called once, whichever threads ask for it."""

    def __init__(self, find: Callable[[], T]) -> None:
        self._find = find
        self._lock = threading.RLock()
        self._found: list[T] = []
        self._error: Exception | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._error is not None:
                raise self._error
            if not self._found:
                try:
                    self._found.append(self._find())
                except Exception as error:
                    self._error = error
                    raise
            return self._found[0]


class LookingTools(Tools):
    """Tools that leave no trace."""

    @property
    def store(self) -> Store:
        return Store(default_root(self.world.environ))

    @property
    def probes(self) -> ProbeCache:
        kept = folder_cache(self.store.path / "interpreters")
        return replace(kept, put=lambda key, text: None)


class NotKnown(PypmError):
    """What a check builds on could not be found out, and another check says why."""

    code: ClassVar[str] = "not-known"
    reason: str

    def __str__(self) -> str:
        return self.reason


@record
class EnvironmentFound:
    """An environment of the workspace."""

    shown: str
    """Its folder as the user would type it."""
    folder: Path
    members: tuple[Member, ...]
    """Who is to be in it."""
    installed: Installed


def _refuse(tools: Tools, need: BuildNeed) -> bytes:
    raise NotKnown("a build backend would have to be asked")


class Patient:
    """The machine as this process sees it, and the workspace around the current folder, if there is one.

    Raises when made: nothing. What cannot be found out raises where it is asked for.
    """

    def __init__(self, world: World, selected: tuple[str, ...] = ()) -> None:
        self.world = world
        self.environ: Mapping[str, str] = world.environ
        self.home = Places(world.environ, world.cwd).home
        self.shared: dict[str, Once[Any]] = {}
        """What several checks of one module find out together."""
        self.problem: PypmError | None = None
        """Why the workspace that is there cannot be read."""
        self.workspace: Workspace | None = None
        try:
            self.workspace = self.seek()
        except NoWorkspace as error:
            self.problem = error if error.variable else None
        except PypmError as error:
            self.problem = error
        except OSError as error:
            self.problem = NotKnown(
                f"{error.filename or world.cwd}: {(error.strerror or str(error)).lower()}"
            )
        self._selected = selected
        self.tools = LookingTools(world, self.workspace, _refuse)
        self.members = Once(self._members)
        self.lock = Once(self._lock)
        self.interpreter = Once(self._interpreter)
        self.pins = Once(self._pins)
        self.indexes: Once[Indexes] = Once(lambda: self.tools.indexes)
        self.environments = Once(self._environments)

    def seek(self) -> Workspace:
        """The workspace around the current folder. Raises `NoWorkspace` and what is wrong with it."""
        return open_workspace(replace(self.world, listener=ignore), remember=False)

    @property
    def is_here(self) -> bool:
        """Whether there is a workspace, however broken."""
        return self.workspace is not None or self.problem is not None

    @property
    def root(self) -> Path:
        """The workspace's folder; without one the current folder."""
        return self.tools.root

    @property
    def here(self) -> Workspace:
        """The workspace. Raises `NotKnown` where it cannot be read."""
        if self.workspace is None:
            raise NotKnown("the workspace cannot be read" if self.problem else "there is no workspace here")
        return self.workspace

    @property
    def store(self) -> Store:
        """The store where it is or would be; nothing is made."""
        return self.tools.store

    @property
    def chooses(self) -> bool:
        """Whether some members were named."""
        return bool(self._selected)

    @property
    def lock_is_there(self) -> bool:
        return self.workspace is not None and lock_text(self.workspace) is not None

    def _members(self) -> tuple[Member, ...]:
        return selected_members(self.world, self.here, Selection(members=self._selected))

    def _lock(self) -> Lock:
        text = lock_text(self.here)
        if text is None:
            raise NotKnown("there is no lock")
        try:
            return read(text, LOCK)
        except PypmError as error:
            raise NotKnown("the lock cannot be read") from error

    @property
    def is_shared(self) -> bool:
        """Whether all members are to be in one environment."""
        return self.workspace is None or self.workspace.settings.shared_environment

    def python_of(self, members: Iterable[Member]) -> str:
        """The Pythons that all of *members* run on."""
        text = ""
        for member in members:
            text = specifiers.merge(text, self.here.pythons.get(member.name, ""))
        return text

    def _interpreter(self) -> Interpreter:
        """The one to use; where members have environments of their own, the first member's."""
        if self.workspace is None:
            return self.tools.interpreter()
        members = self.members() if self.is_shared else self.members()[:1]
        return self.tools.interpreter(self.python_of(members), base_python(environment_in(self.root)))

    def _pins(self) -> Mapping[str, Pin]:
        """What is installed for the selected members, by name and version, on the interpreter that is
        used for them."""
        found: dict[str, Pin] = {}
        groups = [self.members()] if self.is_shared else [(member,) for member in self.members()]
        for members in groups:
            interpreter = self.interpreter() if self.is_shared else self.interpreter_for(members)
            found |= {
                f"{pin.package.name} {pin.package.version}": pin for pin in self.select(members, interpreter)
            }
        return found

    def interpreter_for(self, members: Iterable[Member]) -> Interpreter:
        """The interpreter an environment of *members* is made of. Raises `NoPython`."""
        return self.tools.interpreter(self.python_of(members))

    def select(
        self, members: Iterable[Member], interpreter: Interpreter, *, groups: bool = True
    ) -> tuple[Pin, ...]:
        """What the lock has for *members* on *interpreter*, with or without their default groups."""
        named = Selection(members=tuple(member.name for member in members), no_default_groups=not groups)
        roots = roots_of(self.world, self.here, self.lock(), named)
        return select(self.lock(), interpreter.environment, roots, build=self.here.build_policy)

    def _environments(self) -> tuple[EnvironmentFound, ...]:
        """Those that are there: the one at the root, and those in members' folders."""
        members = [member for member in self.members() if not member.is_virtual]
        places: list[tuple[str, tuple[Member, ...]]] = []
        if self.here.settings.shared_environment:
            places.append((".", tuple(self.members())))
        places += [(member.path, (member,)) for member in members if member.path != "."]
        found = []
        for path, of in places:
            folder = environment_in(self.root / path)
            if folder.is_dir():
                shown = ".venv" if path == "." else f"{path}/.venv"
                found.append(EnvironmentFound(shown, folder, of, look(folder, self.store)))
        return tuple(found)

    def interpreter_of(self, environment: EnvironmentFound) -> Interpreter:
        """The interpreter an environment was made from. Raises `NotKnown`."""
        for name in ("bin/python", "Scripts/python.exe"):
            python = environment.folder / name
            if python.exists():
                found = probe(str(python), self.tools.probes)
                if isinstance(found, Interpreter):
                    return found
                raise NotKnown(f"{environment.shown}: its interpreter {found.reason}")
        raise NotKnown(f"{environment.shown} has no interpreter")
