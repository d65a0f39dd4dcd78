"""A library becomes the plugin of a name: judged first, then put in its place in one step.

Nothing is made in the folder of plugins until the library has been judged. Several may add at once: each
puts in a whole library with its record, and the last one stays.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pypm_model.records import record
from pypm_plugins import shelf
from pypm_plugins.errors import (
    BadPluginName,
    NoHome,
    NoPluginFolder,
    NotAPlugin,
    OpenPluginFolder,
    PluginHash,
    UnknownPlugin,
)
from pypm_plugins.images.image import BadImage
from pypm_plugins.images.reading import Machine, read_image, this_machine
from pypm_store.atomic import beside_name, rename_over, sync_folder, write_all
from pypm_store.locks import holding

_LEFT_BEHIND = 3600
"""Seconds after which what lies beside a plugin was left by a run that was killed."""


@record
class Origin:
    """Where a library comes from, and what was said when it was added: `update` needs all of it."""

    source: str
    """An address, or an absolute path."""
    asked_sha256: bool = False
    """The user said which digest it must have."""
    allow_http: bool = False


@record
class Added:
    """A plugin as it is recorded."""

    name: str
    path: str
    sha256: str
    size: int
    origin: Origin
    added: str
    """RFC 3339, UTC."""
    replaced: str = ""
    """The digest of the library that had the name before; empty if there was none."""


@record
class Staged:
    """A library that was copied and hashed, and is in nobody's way."""

    path: Path
    sha256: str
    size: int


def home_of(environ: Mapping[str, str]) -> Path:
    """``PYPM_HOME``, else ``~/.pypm``. Raises `NoHome`."""
    found = shelf.home(lambda name: environ.get(name, ""))
    if not found:
        raise NoHome()
    return Path(found)


def check_name(name: str) -> None:
    """Raises `BadPluginName`."""
    if reason := shelf.what_is_wrong_with(name):
        raise BadPluginName(name, reason)


@contextmanager
def staged(name: str, source: str, chunks: Callable[[], Iterable[bytes]]) -> Iterator[Staged]:
    """The bytes of *chunks* in a file of its own for the time of the block. Raises `NotAPlugin` if they are
    too many."""
    with tempfile.TemporaryDirectory(prefix="pypm-plugin-") as folder:
        path = Path(folder, f"plugin{shelf.SUFFIX}")
        sha256, size = hashlib.sha256(), 0
        with path.open("xb") as file:
            for chunk in chunks():
                size += len(chunk)
                if size > shelf.LARGEST:
                    raise NotAPlugin(name, source, f"it is larger than {shelf.LARGEST >> 20} MiB")
                sha256.update(chunk)
                file.write(chunk)
        yield Staged(path, sha256.hexdigest(), size)


def judge(
    name: str, source: str, library: Staged, sha256: str = "", machine: Callable[[], Machine] = this_machine
) -> None:
    """Raises `PluginHash` or `NotAPlugin` unless *library* is a plugin for this machine, with the digest
    *sha256* if one is given. Nothing of it is run."""
    if sha256 and library.sha256 != sha256:
        raise PluginHash(name, source, sha256, library.sha256)
    here = machine()
    try:
        image = read_image(str(library.path), (shelf.MAIN,), here.architecture)
    except BadImage as error:
        raise NotAPlugin(name, source, str(error)) from error
    if image.format != here.format:
        raise NotAPlugin(name, source, f"it is a file for another system: {image.format}, not {here.format}")
    if here.architecture not in image.machines:
        built = ", ".join(image.machines)
        raise NotAPlugin(name, source, f"it is built for {built}, and this is {here.architecture}")
    if image.kind == "program":
        raise NotAPlugin(name, source, "it is a program, no shared library (link it with -shared)")
    if image.kind != "library":
        raise NotAPlugin(name, source, "it is an object file, no shared library (link it with -shared)")
    if shelf.MAIN not in image.functions:
        raise NotAPlugin(name, source, f"it exports no function {shelf.MAIN}")


def put(home: Path, name: str, library: Staged, origin: Origin) -> Added:
    """Makes *library* the plugin *name*. At every moment there is a whole plugin of that name, the old one
    or the new one, or none; a kill in between leaves one that runs. Raises `NoPluginFolder`,
    `OpenPluginFolder`, OSError."""
    folder = _prepared(home)
    target, record_file = shelf.library_in(str(home), name), shelf.record_in(str(home), name)
    now = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    with holding(home / ".plugins.lock"):
        _sweep(folder)
        old = _recorded_digest(home, name)
        beside = _copied(library.path, target)
        try:
            if old:
                _write(record_file, _text((old, library.sha256), library.size, origin, now))
            else:
                # What lies here has no record that could be believed.
                with suppress(FileNotFoundError):
                    os.unlink(record_file)
            rename_over(beside, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise
        _write(record_file, _text((library.sha256,), library.size, origin, now))
        sync_folder(folder)
    return Added(name, target, library.sha256, library.size, origin, now, old)


def put_pinned(home: Path, library: Staged) -> Path:
    """Keeps *library* under its digest, where workspaces that pin it find it. Raises as `put`."""
    _prepared(home)
    folder = _made(home / "pinned")
    target = Path(shelf.pinned_in(str(home), library.sha256))
    with holding(home / ".plugins.lock"):
        _sweep(folder)
        beside = _copied(library.path, str(target))
        rename_over(beside, target)
        sync_folder(folder)
    return target


def remove(home: Path, name: str) -> None:
    """Takes the plugin *name* away. Raises `UnknownPlugin`, `BadPluginName`, OSError."""
    check_name(name)
    record_file, target = shelf.record_in(str(home), name), shelf.library_in(str(home), name)
    if not (shelf.exists(record_file) or shelf.exists(target)):
        raise UnknownPlugin(name, names(home))
    with holding(home / ".plugins.lock"):
        for path in (record_file, target):
            with suppress(FileNotFoundError):
                os.unlink(path)


def names(home: Path) -> tuple[str, ...]:
    """The plugins that were added, in order of their names."""
    try:
        found = os.listdir(shelf.folder_in(str(home)))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    ends = shelf.RECORD
    plain = (each.removesuffix(ends) for each in found if each.endswith(ends))
    return tuple(sorted(name for name in plain if not shelf.what_is_wrong_with(name)))


def recorded(home: Path, name: str) -> Added:
    """What is recorded of the plugin *name*. Raises `UnknownPlugin`, `BadPluginName`; `shelf.Refusal` if the
    record cannot be believed."""
    check_name(name)
    try:
        digests, said = shelf.read_record(shelf.record_in(str(home), name), name)
    except shelf.Refusal as refusal:
        if refusal.code == "unknown":
            raise UnknownPlugin(name, names(home)) from None
        raise
    source = said.get("source", "").encode("ascii", "replace").decode("unicode_escape")
    size = said.get("size", "")
    origin = Origin(source, said.get("asked-sha256") == "yes", said.get("allow-http") == "yes")
    return Added(
        name,
        shelf.library_in(str(home), name),
        digests[-1],
        int(size) if size.isdigit() else 0,
        origin,
        said.get("added", ""),
    )


def _recorded_digest(home: Path, name: str) -> str:
    """The digest of the library that has the name now, if its record knows it."""
    try:
        digests, _ = shelf.read_record(shelf.record_in(str(home), name), name)
        handle, _ = shelf.open_library(shelf.library_in(str(home), name), name)
    except shelf.Refusal:
        return ""
    try:
        found = shelf.digest_of(handle, hashlib.sha256())
    finally:
        os.close(handle)
    return found if found in digests else ""


def _prepared(home: Path) -> Path:
    """The folder of plugins, made if it is missing, and nobody's but the user's. Raises `NoPluginFolder`,
    `OpenPluginFolder`."""
    _made(home)
    return _made(home / "plugins")


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise NoPluginFolder(str(folder), "something else is there") from None
    except OSError as error:
        raise NoPluginFolder(str(folder), (error.strerror or str(error)).lower()) from error
    if why := shelf.what_is_open(folder.stat()):
        raise OpenPluginFolder(str(folder), why)
    return folder


def _sweep(folder: Path) -> None:
    """Takes away what runs that were killed have left. Called under the lock."""
    limit = time.time() - _LEFT_BEHIND
    for path in folder.glob(".*.new"):
        with suppress(OSError):
            if path.lstat().st_mtime < limit:
                path.unlink()


def _copied(source: Path, target: str) -> str:
    """A copy beside *target*, on the disk, that nobody but the user may write."""
    beside = beside_name(target)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with source.open("rb") as file:
            while chunk := file.read(1 << 20):
                write_all(handle, chunk)
        os.fsync(handle)
    except BaseException:
        os.close(handle)
        os.unlink(beside)
        raise
    os.close(handle)
    os.chmod(beside, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
    return beside


def _write(path: str, text: str) -> None:
    """Not `write_atomically`, which follows a link that lies in the place."""
    beside = beside_name(path)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        write_all(handle, text.encode("ascii"))
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.chmod(beside, 0o644)
        rename_over(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def _text(digests: tuple[str, ...], size: int, origin: Origin, now: str) -> str:
    lines = [shelf.HEAD, *(f"sha256 {each}" for each in digests), f"size {size}"]
    lines.append(f"source {origin.source.encode('unicode_escape').decode('ascii')}")
    lines.append(f"added {now}")
    if origin.asked_sha256:
        lines.append("asked-sha256 yes")
    if origin.allow_http:
        lines.append("allow-http yes")
    return "\n".join([*lines, shelf.END, ""])
