"""What a plugin may ask of pypm. Runs in the plugin's own process."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pypm import _plugin_search
from pypm.cli.render.errors import render_error
from pypm.cli.render.progress import Progress
from pypm.cli.render.style import style
from pypm.ops.old_lock import lock_text
from pypm.ops.opening import open_workspace
from pypm.ops.plugins import read_pins
from pypm.ops.pythons import whereabouts
from pypm.ops.selection import Selection
from pypm.ops.world import LOCK, World
from pypm_index.addresses import redacted
from pypm_model.errors import PypmError
from pypm_model.events import Advanced, Finished, Started
from pypm_model.lock_toml import loads
from pypm_model.records import field_names
from pypm_model.requirement_text import to_text
from pypm_plugins.calling import Library, open_checked
from pypm_plugins.errors import from_child, from_refusal
from pypm_plugins.host_table import Table, make
from pypm_plugins.shelf import Refusal, home, variable
from pypm_workspace.configuration import Asked, Member, Written

_ERROR, _WARNING, _INFO = 0, 1, 2
_kept: list[object] = []
"""What must live as long as the process."""


def table(name: str, common: Sequence[str]) -> Table:
    """The host table for the plugin *name*; *common* are pypm's own options that it was started with."""
    host = Host(name, common)
    made = make(host)
    host.table = made
    _kept.append(host)
    return made


class Host:
    """Answers the plugin *name*."""

    def __init__(self, name: str, common: Sequence[str]) -> None:
        self.table: Table | None = None
        self._name = name
        self._frozen = "--frozen" in common
        self._quiet = "-q" in common or "--quiet" in common
        self._verbose = "-v" in common or "--verbose" in common
        shown = False if "--no-progress" in common or os.environ.get("CI") else None
        self._progress = Progress(shown=shown, quiet=self._quiet)
        self._done: dict[str, tuple[int, int]] = {}
        self._linked: dict[str, Library] = {}

    def workspace(self) -> Any:
        """Members as their manifests state them, and who depends on whom."""
        found = open_workspace(self._world)
        edges = [
            {"parent": e.parent, "child": e.child, "kind": e.kind, "label": e.label or None}
            for e in found.edges
        ]
        return {
            "root": found.root,
            "kind": found.kind,
            "name": found.name,
            "members": [_member(each, found.pythons.get(each.name, "")) for each in found.members],
            "edges": edges,
        }

    def lock(self) -> Any:
        """The tables of the lock file."""
        text = lock_text(open_workspace(self._world))
        if text is None:
            from pypm.ops.lock_faults import LockMissing

            raise LockMissing(LOCK)
        from pypm_model.lock_text import read

        read(text, LOCK)  # says what is wrong with one that cannot be read
        return loads(text)

    def settings(self) -> Any:
        """The workspace's settings, without credentials."""
        return _plain(open_workspace(self._world).settings)

    def environment(self, member: str | None) -> Any:
        """Where an environment and its interpreter are."""
        chosen = Selection(members=(member,)) if member is not None else Selection()
        found = whereabouts(self._world, chosen)
        return found[0].to_json()

    def log(self, level: int, message: str) -> None:
        """One line to stderr; what is for information only not with -q, what is for debugging with -v."""
        if (level > _INFO and not self._verbose) or (level >= _INFO and self._quiet):
            return
        self._progress.wipe()
        words = {_ERROR: ("error", "red"), _WARNING: ("warning", "yellow")}
        if level in words:
            word, colour = words[level]
            message = f"{style(word, colour)}[{self._name}]: {message}"
        sys.stderr.write(message + "\n")
        sys.stderr.flush()

    def progress(self, what: str, done: int, total: int) -> None:
        """How far the work *what* is, in the line of a terminal."""
        before, expected = self._done.get(what, (0, 0))
        if what not in self._done or total > expected:
            self._progress(Started(what, total=total - expected))
        self._progress(Advanced(what, amount=done - before))
        self._done[what] = done, max(total, expected)
        if total and done >= total:
            self._progress(Finished(what))
            del self._done[what]
            if not self._done:
                self._progress.wipe()

    def symbol(self, plugin: str, name: str) -> int:
        """The address of a function of another plugin, which is loaded if it is not yet."""
        try:
            if plugin not in self._linked:
                self._linked[plugin] = self._link(plugin)
            function = self._linked[plugin].function(name)
        except PypmError as error:
            sys.stderr.write(render_error(error))
            return 0
        if function is None:
            self.log(_ERROR, f"plugin {plugin} has no function {name}")
            return 0
        return ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]

    def _link(self, plugin: str) -> Library:
        root = _plugin_search.root_above()
        try:
            try:
                pins = _plugin_search.pins_of(root)
            except _plugin_search.PinsUnread:
                pins = read_pins(root)
            if self._frozen and pins is not None and plugin not in pins:
                raise Refusal("not-pinned", plugin, _plugin_search.WORKSPACE)
            native = _plugin_search.find_native(plugin, pins, home(variable))
            if native is None:
                raise Refusal("unknown", plugin)
        except Refusal as refusal:
            raise from_refusal(refusal) from None
        path = _plugin_search.path_to_load(native)
        said: list[PypmError] = []
        library = open_checked(path, lambda code, detail: said.append(from_child(plugin, code, detail)))
        if library is None:
            raise said[0]
        init = library.function("pypm_plugin_init")
        if init is not None and self.table is not None and (code := init(ctypes.byref(self.table))) != 0:
            raise from_child(plugin, "plugin-init", str(code))
        return library

    @property
    def _world(self) -> World:
        return World(cwd=Path.cwd(), environ=os.environ, listener=self._progress)


def _member(member: Member, requires_python: str) -> dict[str, Any]:
    return {
        "name": member.name,
        "path": member.path,
        "version": member.version,
        "requires-python": requires_python or member.requires_python or None,
        "virtual": member.is_virtual,
        "dependencies": _texts(member.dependencies),
        "extras": {name: _texts(asked) for name, asked in member.extras},
        "groups": {name: _texts(asked) for name, asked in member.groups},
    }


def _texts(asked: Sequence[Asked]) -> list[str]:
    return [to_text(each.requirement) for each in asked]


def _plain(value: Any) -> Any:
    """*value* as JSON knows it: records as objects without what only says where something is written."""
    if hasattr(value, "__record_fields__"):
        pairs = ((name, getattr(value, name)) for name in field_names(value.__class__))
        return {
            name.rstrip("_").replace("_", "-"): _plain(v) for name, v in pairs if not isinstance(v, Written)
        }
    if hasattr(value, "_asdict"):
        return {
            name.replace("_", "-"): _plain(v)
            for name, v in value._asdict().items()
            if not isinstance(v, Written)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return redacted(value) if isinstance(value, str) else value
