"""Files and folders exchanged in one step: a reader, or a run after a kill, sees the old or the new.

New content is written beside its place, on the same file system, and renamed over it.
"""

from __future__ import annotations

import os
import stat
import time

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)
_RETRIES = 20 if os.name == "nt" else 1
"""On Windows a rename fails while a virus scanner or another process has the file open for a moment."""


def write_atomically(
    path: Path | str, data: bytes | str, *, fsync: bool = False, mode: int | None = None
) -> None:
    """Makes *data* (text as UTF-8, line ends as they are) the content of the file at *path*.

    A file that is there keeps its permissions unless *mode* is given; a symbolic link stays one and
    the file it points to is replaced. A device or a pipe is written into: it is no file to be replaced, and
    with the rights of an administrator it could be. With *fsync* the content is on the disk before the
    rename, and the rename when this returns: for what cannot be made again. Raises OSError that names
    *path*; then nothing changed.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        try:
            before = os.stat(path).st_mode
        except FileNotFoundError:
            before = None
        if before is not None and not stat.S_ISREG(before):
            _write_into(path, content)
            return
        if mode is None and before is not None:
            mode = stat.S_IMODE(before)
        _replace(os.path.realpath(path), content, fsync, mode)
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None  # not the name it has meanwhile
        raise


def _write_into(path: Path | str, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | _BINARY)
    try:
        write_all(handle, content)
    finally:
        os.close(handle)


def _replace(target: str, content: bytes, fsync: bool, mode: int | None) -> None:
    beside = beside_name(target)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666 if mode is None else 0o600)
    try:
        try:
            write_all(handle, content)
            if mode is not None:
                os.chmod(beside, mode)
            if fsync:
                os.fsync(handle)
        finally:
            os.close(handle)
        rename_over(beside, target)
    except BaseException:
        os.unlink(beside)
        raise
    if fsync:
        sync_folder(os.path.dirname(target))


def beside_name(target: Path | str) -> str:
    """A new hidden name in the same folder, for what shall be renamed to *target*."""
    folder, name = os.path.split(target)
    # 180: room for the rest within the 255 bytes a name may have, also when characters take several.
    short = name.encode()[:180].decode(errors="ignore")
    return os.path.join(folder, f".{short}.{os.getpid()}.{os.urandom(4).hex()}.new")


def write_all(handle: int, content: bytes) -> None:
    """Writes all of *content*: one call may write less than asked (at most 2 GiB on Linux)."""
    written = os.write(handle, content)
    while written < len(content):
        written += os.write(handle, memoryview(content)[written:])


def rename_over(source: Path | str, target: Path | str) -> None:
    """Renames, replacing a file (or an empty folder, where the system allows it) at *target*."""
    for turn in range(_RETRIES):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if turn + 1 == _RETRIES:
                raise
            time.sleep(0.05)


def sync_folder(folder: Path | str) -> None:
    """Puts the names in *folder* on the disk, where the system can do that for a folder."""
    if os.name == "nt":
        return
    handle = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        # Some network file systems cannot; they order renames by themselves.
        pass
    finally:
        os.close(handle)


_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_anew(path: str, content: bytes) -> int:
    """Writes a file in place, whatever was there; its modification time in nanoseconds. What was there may be
    a link into the store: it is taken away, never written through."""
    try:
        return write_new(path, content)
    except FileExistsError:
        os.unlink(path)
        return write_new(path, content)


def write_new(path: str, content: bytes, mode: int = 0o666) -> int:
    """Writes a file where none is, with *mode* as far as the umask allows; its modification time in
    nanoseconds. Raises FileExistsError."""
    handle = os.open(path, _ANEW, mode)
    try:
        write_all(handle, content)
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def remove_tree(path: Path | str) -> int:
    """Removes a file, or a folder with all that is in it, read-only or not; bytes that were freed.

    Links are removed, never followed. What is not there is no error, nor is what another process
    removes at the same time.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return 0
    if not stat.S_ISDIR(status.st_mode):
        freed = status.st_size if status.st_nlink == 1 else 0
        try:
            os.unlink(path)
        except FileNotFoundError:
            return 0
        except PermissionError:
            if stat.S_ISLNK(status.st_mode):
                raise  # never through it
            os.chmod(path, stat.S_IWRITE | stat.S_IREAD)
            os.unlink(path)
        return freed
    freed = 0
    folders: list[str] = []
    waiting = [os.fspath(path)]
    while waiting:
        folder = waiting.pop()
        folders.append(folder)
        try:
            # Names can only be taken from a folder that is writable.
            os.chmod(folder, 0o700)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        freed += remove_tree(entry.path)
        except FileNotFoundError:
            continue
    for folder in reversed(folders):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
    return freed


def make_room(folder: Path, most: int) -> None:
    """Lets the oldest files in *folder* go until one more makes *most*. Raises OSError."""
    names = os.listdir(folder)
    if len(names) >= most:
        names.sort(key=lambda name: os.stat(folder / name).st_mtime_ns)
        for name in names[: len(names) - most + 1]:
            (folder / name).unlink(missing_ok=True)
