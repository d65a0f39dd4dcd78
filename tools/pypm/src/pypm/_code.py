"""The bytecode of what commands import, side by side in one file.

A command imports one to two hundred modules. Python looks for each in several folders and reads a file of
its own for it, which takes 0.1 ms each time: a tenth of many a command. So the bytecode that was used once is
kept together, in the ``__pycache__`` folder of this package, and comes from there the next time. As with
Python's own files, it counts only for as long as the source has the time and the size it was made from; and
whatever is not there, or was found by another search path, is looked for in Python's way. Where that folder
cannot be written, or Python was told to write no bytecode, nothing is kept.
"""

import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from _thread import allocate_lock
from marshal import dumps, loads
from types import CodeType

_FEW = 10
"""Modules that may be missing before the file is written anew."""
_HEADER = 16
"""Bytes of a .pyc file before the code: magic number, flags, the source's time and size (PEP 552)."""
_SIZE = 8
"""Bytes at the beginning that tell how long the table is that follows."""

_LAYOUT = 1
"""Of the file: another one is none of ours."""
_UNREADABLE = (OSError, ValueError, EOFError, TypeError)
_Seen = tuple[int, int, int]
"""A source's mtime in ns, size and inode: an installer may give all files one time."""
_Kept = tuple[str, list[str] | None, str, _Seen]
"""(source, `__path__` of a package, Python's own file, the source as it was)"""


class Finder:
    """Finds modules whose code is in *file* (on `sys.meta_path`)."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.entries: dict[str, tuple[_Kept, int, int]] = {}
        """By module: what is kept of it, where its code begins, and its length."""
        self._imported = set(sys.modules)
        self._reading = allocate_lock()
        try:
            self._opened = opened = open(file, "rb", 0)  # noqa: SIM115 (until this process ends)
            size = int.from_bytes(opened.read(_SIZE), "little")
            found_by, entries = loads(opened.read(size))
            if found_by == _search():
                self.entries, self._begin = entries, _SIZE + size
        except _UNREADABLE:
            pass

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        entry = self.entries.get(name)
        if entry is None:
            return None
        (source, folders, cached, seen), begin, length = entry
        try:
            if _seen(os.stat(source)) != seen:
                return None
            code = loads(self._part(begin, length))
        except _UNREADABLE:
            return None
        spec = ModuleSpec(name, _Loader(name, source, code), origin=source, is_package=folders is not None)
        if folders is not None:
            spec.submodule_search_locations = folders
        spec.has_location = True
        spec.cached = cached
        return spec

    def _part(self, begin: int, length: int) -> bytes:
        """Some of the file that was opened: what is at its path by now is another one, maybe."""
        begin += self._begin
        if sys.platform != "win32":
            return os.pread(self._opened.fileno(), length, begin)  # forks share the place of `read`
        with self._reading:
            self._opened.seek(begin)
            return self._opened.read(length)

    def keep(self) -> None:
        """Writes the file anew if this run had to find more than a few modules in Python's way."""
        if sys.dont_write_bytecode or not os.access(os.path.dirname(self.file), os.W_OK):
            return
        found = {}
        for name, module in list(sys.modules.items()):
            spec = getattr(module, "__spec__", None)
            if name not in self._imported and spec is not None and type(spec.loader) is SourceFileLoader:
                found[name] = _read(spec)
        fresh = {name: kept for name, kept in found.items() if kept is not None}
        if len(fresh) <= _FEW:
            return
        entries: dict[str, tuple[_Kept, int, int]] = {}
        codes: list[bytes] = []
        begin = 0
        for name, (about, code) in fresh.items():
            entries[name] = (about, begin, len(code))
            codes.append(code)
            begin += len(code)
        for name, (about, at, length) in self.entries.items():
            if name not in entries and os.path.exists(about[0]):
                entries[name] = (about, begin, length)
                codes.append(self._part(at, length))
                begin += length
        table = dumps((_search(), entries))
        _write(self.file, b"".join([len(table).to_bytes(_SIZE, "little"), table, *codes]))


class _Loader(SourceFileLoader):
    """Python's own loader, with the code at hand."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType | None:
        return self._code if fullname == self.name else super().get_code(fullname)


def serve() -> None:
    """From here on, modules come out of the file beside this module's own bytecode, where it has them."""
    cached = globals().get("__cached__")
    if cached:
        folder, own = os.path.split(cached)
        own = own.replace("_code.", "commands.").removesuffix(".pyc")
        sys.meta_path.insert(0, Finder(os.path.join(folder, f"{own}.code")))


def keep() -> None:
    """Keeps what had to be found in Python's way since `serve`."""
    for finder in sys.meta_path:
        if isinstance(finder, Finder):
            finder.keep()


def _search() -> list[object]:
    """What decides which file a name leads to. A script's folder, which comes first, is none of it."""
    return [_LAYOUT, MAGIC_NUMBER, sys.version, *(sys.path if sys.flags.safe_path else sys.path[1:])]


def _seen(status: os.stat_result) -> _Seen:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(spec: ModuleSpec) -> tuple[_Kept, bytes] | None:
    """What is to be kept of a module that was imported from its source, and its code; None if Python's own
    file of it is not (or no longer) the source's."""
    source, cached, folders = spec.origin or "", spec.cached or "", spec.submodule_search_locations
    try:
        with open(cached, "rb", 0) as file:
            content = file.read()
        status = os.stat(source)
    except OSError:
        return None
    stamp = (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)
    if content[:_HEADER] != MAGIC_NUMBER + b"".join(n.to_bytes(4, "little") for n in (0, *stamp)):
        return None
    packages = None if folders is None else list(folders)
    return (source, packages, cached, _seen(status)), content[_HEADER:]


def _write(file: str, content: bytes) -> None:
    """A full disk, or another process that has *file* open, is no matter: the next run tries again."""
    beside = f"{file}.{os.getpid()}"
    try:
        with open(beside, "xb", 0) as opened:
            opened.write(content)
        os.replace(beside, file)
    except OSError:
        try:
            os.unlink(beside)
        except OSError:
            return
