"""What can go wrong with plugins, as records. A plugin that does not get to run gives 126 or 127, as in a
shell: every other exit code is its own."""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import Place, PypmError
from pypm_plugins.shelf import Refusal


class BadPluginName(PypmError):
    """A name that no plugin can have."""

    code: ClassVar[str] = "plugin-name"
    exit: ClassVar[int] = 2
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name!r} is no name for a plugin: {self.reason}"


class NotAPlugin(PypmError):
    """A file that is no plugin for this machine."""

    code: ClassVar[str] = "not-a-plugin"
    name: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.name}: {self.source}: {self.reason}"

    @property
    def hint(self) -> str:
        return "a plugin is a shared library that exports int pypm_plugin_main(int, char **)"


class PluginNotFetched(PypmError):
    """The library cannot be had from where it should be."""

    code: ClassVar[str] = "plugin-not-fetched"
    name: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.name}: {self.source}: {self.reason}"


class PluginOverHttp(PypmError):
    """An address without encryption: what comes from there anybody on the way may have written."""

    code: ClassVar[str] = "plugin-http"
    exit: ClassVar[int] = 2
    name: str
    source: str

    def __str__(self) -> str:
        return f"plugin {self.name}: {self.source} is not encrypted, and what comes from there would be run"

    @property
    def hint(self) -> str:
        return "use https, or --allow-http (with --sha256) if you must"


class PluginHash(PypmError):
    """The library is not the one that was asked for; it was not kept."""

    code: ClassVar[str] = "plugin-wrong-hash"
    name: str
    source: str
    expected: str
    got: str

    def __str__(self) -> str:
        wrong = f"has the wrong sha256: expected {self.expected}, got {self.got}"
        return f"plugin {self.name}: {self.source} {wrong}"


class UnknownPlugin(PypmError):
    """No plugin of that name was added."""

    code: ClassVar[str] = "unknown-plugin"
    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        return f"no plugin {self.name!r} was added"

    @property
    def hint(self) -> str:
        if self.known:
            return f"there are: {', '.join(self.known)}"
        return "pypm plugin add NAME SOURCE adds one"


class PluginNotFound(PypmError):
    """There is nothing of that name to run."""

    code: ClassVar[str] = "plugin-not-found"
    exit: ClassVar[int] = 127
    name: str
    near: str | None = None
    """What may have been meant, as a question."""

    def __str__(self) -> str:
        return f"no plugin {self.name!r}"

    @property
    def hint(self) -> str:
        return self.near or "`pypm plugin list` lists those there are, `pypm plugin add NAME SOURCE` adds one"


class PluginChanged(PypmError):
    """The library is not the one that was added."""

    code: ClassVar[str] = "plugin-changed"
    exit: ClassVar[int] = 126
    name: str
    path: str
    got: str

    def __str__(self) -> str:
        return f"plugin {self.name}: {self.path} was changed after it was added: it is not run"

    @property
    def hint(self) -> str:
        return f"find out why; `pypm plugin update {self.name}` takes it from its source again"


class PluginUnsafe(PypmError):
    """Somebody else could have put something of theirs in a plugin's place, or has."""

    code: ClassVar[str] = "plugin-unsafe"
    exit: ClassVar[int] = 126
    name: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.name}: {self.path}: {self.reason}"

    @property
    def hint(self) -> str | None:
        return f"chmod o-w {self.path}" if "everybody" in self.reason else None


class OpenPluginFolder(PypmError):
    """Others than the user could put something of theirs into the folder of plugins: nothing is put there."""

    code: ClassVar[str] = "plugin-folder"
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}: no plugin is put there"

    @property
    def hint(self) -> str:
        return f"`pypm doctor --only plugins --fix`, or: chmod go-w {self.path}"


class NoPluginFolder(PypmError):
    """The folder of plugins cannot be made where it should be."""

    code: ClassVar[str] = "plugin-folder-not-made"
    path: str
    reason: str

    def __str__(self) -> str:
        return f"the folder for plugins {self.path} cannot be made: {self.reason}"

    @property
    def hint(self) -> str:
        return "it is where PYPM_HOME says, else in ~/.pypm"


class PluginRecord(PypmError):
    """What pypm wrote of a plugin is not there or not readable."""

    code: ClassVar[str] = "plugin-record"
    exit: ClassVar[int] = 126
    name: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.name}: {self.path}: {self.reason}"

    @property
    def hint(self) -> str:
        return f"add it again: pypm plugin add {self.name} SOURCE"


class PluginUnloadable(PypmError):
    """The system does not load the library."""

    code: ClassVar[str] = "plugin-unloadable"
    exit: ClassVar[int] = 126
    name: str
    reason: str

    def __str__(self) -> str:
        return f"plugin {self.name} {self.clause}"

    @property
    def clause(self) -> str:
        """What speaks against running it, for a list."""
        return f"cannot be loaded: {self.reason}"


class PluginWithoutMain(PypmError):
    """The library has no main function for pypm."""

    code: ClassVar[str] = "plugin-without-main"
    exit: ClassVar[int] = 127
    name: str

    def __str__(self) -> str:
        return f"plugin {self.name} has no pypm_plugin_main"


class PluginAbi(PypmError):
    """The plugin was made for another pypm."""

    code: ClassVar[str] = "plugin-abi"
    exit: ClassVar[int] = 126
    name: str
    asked: str

    def __str__(self) -> str:
        return f"plugin {self.name} {self.clause}"

    @property
    def clause(self) -> str:
        """What speaks against running it, for a list."""
        return f"wants ABI {self.asked}; this pypm has 1"

    @property
    def hint(self) -> str:
        return "take a newer pypm, or an older version of the plugin"


class PluginInit(PypmError):
    """The plugin did not want to begin."""

    code: ClassVar[str] = "plugin-init"
    exit: ClassVar[int] = 126
    name: str
    gave: str

    def __str__(self) -> str:
        return f"plugin {self.name}: pypm_plugin_init gave {self.gave}"


class PluginEnded(PypmError):
    """A signal ended the plugin: it crashed or was told to end. pypm's exit code is 128 and the signal's."""

    code: ClassVar[str] = "plugin-ended"
    exit: ClassVar[int] = 128
    name: str
    signal: str
    number: int

    def __str__(self) -> str:
        return f"plugin {self.name} was ended by {self.signal} (exit code {128 + self.number})"


class PluginNotPinned(PypmError):
    """The workspace says which plugins are used, and this is none of them."""

    code: ClassVar[str] = "plugin-not-pinned"
    exit: ClassVar[int] = 126
    name: str
    file: str

    def __str__(self) -> str:
        return (
            f"plugin {self.name!r} is not among the plugins of this workspace, and --frozen allows no others"
        )

    @property
    def hint(self) -> str:
        return f"pin it: [plugins] {self.name} = {{ url = ..., sha256 = ... }}"

    @property
    def places(self) -> tuple[Place, ...]:
        return (Place(self.file),)


class PinNotFetched(PypmError):
    """The workspace pins a plugin that is not on this machine yet."""

    code: ClassVar[str] = "plugin-pin-missing"
    exit: ClassVar[int] = 126
    name: str
    sha256: str

    def __str__(self) -> str:
        return f"plugin {self.name}, which this workspace pins, is not here yet"

    @property
    def hint(self) -> str:
        return "`pypm sync` fetches it"


class NoHome(PypmError):
    """There is no folder for plugins: neither PYPM_HOME nor a home."""

    code: ClassVar[str] = "no-plugin-folder"

    def __str__(self) -> str:
        return "there is no place for plugins: neither PYPM_HOME nor HOME is set"


def from_refusal(refusal: Refusal) -> PypmError:
    """The error that *refusal*, which was told without loading this module, stands for."""
    name, path, detail = refusal.name, refusal.path, refusal.detail
    match refusal.code:
        case "name":
            return BadPluginName(name, detail)
        case "unknown":
            return PluginNotFound(name)
        case "changed":
            return PluginChanged(name, path, detail)
        case "open" | "odd-file":
            return PluginUnsafe(name, path, detail)
        case "missing":
            return PluginRecord(name, path, "the library is gone")
        case "record":
            return PluginRecord(name, path, "the record is damaged")
        case "not-pinned":
            return PluginNotPinned(name, path)
        case "pin-missing":
            return PinNotFetched(name, detail)
        case "not-started":
            return PluginUnloadable(name, detail)
        case "no-home":
            return NoHome()
        case _:
            return PluginRecord(name, path, detail)


def from_child(name: str, code: str, detail: str) -> PypmError:
    """The error with *code* that a plugin's own process has met."""
    match code:
        case "plugin-without-main":
            return PluginWithoutMain(name)
        case "plugin-abi":
            return PluginAbi(name, detail)
        case "plugin-init":
            return PluginInit(name, detail)
        case _:
            return PluginUnloadable(name, detail)
