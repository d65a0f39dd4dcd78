"""Which library a plugin's name means: what the workspace pins, else what was added.

Looks at files only; on the way to every start of a plugin, so small (see `pypm_plugins.shelf`).
"""

import sys

from pypm_plugins.shelf import (
    Refusal,
    check_folder,
    current_folder,
    digest_of,
    exists,
    folder_in,
    library_in,
    open_library,
    pinned_in,
    read_record,
    record_in,
    system,
    variable,
    what_is_wrong_with,
)

PINS = ".pypm/plugin-pins"
"""In a workspace: what its file pins, so that the file need not be parsed for each start of a plugin."""
WORKSPACE, PROJECT = "pypm-workspace.toml", "pyproject.toml"
_LARGE = 1 << 20
"""Bytes from which on the quicker hash is worth the time that loading OpenSSL takes."""
_ATTEMPTS = 3

Pins = dict[str, str]
"""Digest by name."""
UNREAD: Pins = {}
"""Stands for pins that nobody has read yet."""
NO_PINS = "none"
"""In `PINS`: the workspace's file has no table of plugins."""


class PinsUnread(Exception):
    """The workspace's file has to be parsed to know what it pins; the text is the root."""


class Native:
    """A library that was looked at: the descriptor that was hashed, and its path."""

    def __init__(self, name: str, handle: int, path: str) -> None:
        self.name = name
        self.handle = handle
        self.path = path


# --- where ---------------------------------------------------------------------------------------


def root_above() -> str:
    """The folder that ``PYP_WORKSPACE_ROOT`` names, else the nearest one above the current folder with a
    workspace's file, else the nearest with a project's; empty if there is none."""
    named = variable("PYP_WORKSPACE_ROOT")
    folder = current_folder()
    if named:
        return named if named[:1] == "/" or named[1:2] == ":" else f"{folder}/{named}"
    project = ""
    while True:
        base = folder.rstrip("/\\")
        if exists(f"{base}/{WORKSPACE}"):
            return folder
        if not project and exists(f"{base}/{PROJECT}"):
            project = folder
        above = base[: max(base.rfind("/"), base.rfind("\\"), 0)]
        if not above and base:
            above = "/"
        if above == folder or not base or above.endswith(":"):
            return project
        folder = above


def pins_of(root: str) -> Pins | None:
    """What the workspace at *root* pins; None if it says nothing of plugins. Raises `PinsUnread`."""
    if not root:
        return None
    manifest = f"{root}/{WORKSPACE}"
    try:
        status = system.stat(manifest)
        content = whole(manifest)
    except OSError:
        return None
    if b"plugins" not in content:
        return None
    try:
        lines = whole(f"{root}/{PINS}").decode("ascii").split("\n")
    except (OSError, ValueError):
        raise PinsUnread(root) from None
    if lines[0] != pins_head(status) or lines[-1] != "end":
        raise PinsUnread(root)
    if lines[1:-1] == [NO_PINS]:
        return None
    return {name: sha256 for name, _, sha256 in (line.partition(" ") for line in lines[1:-1])}


def pins_head(status: object) -> str:
    """The first line of `PINS`: which state of the workspace's file it was read from."""
    seen = (status.st_mtime_ns, status.st_size, status.st_ino)  # type: ignore[attr-defined]
    return "pypm-pins 1 " + " ".join(map(str, seen))


def whole(path: str) -> bytes:
    """The content of a file."""
    handle = system.open(path, system.O_RDONLY | getattr(system, "O_BINARY", 0))
    try:
        parts = []
        while part := system.read(handle, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        system.close(handle)


# --- native --------------------------------------------------------------------------------------


def find_native(name: str, pins: Pins | None, folder: str) -> Native | None:
    """The library of the plugin *name*, whose digest is the one that is pinned or recorded; None if there is
    no such plugin. *folder* is pypm's home, empty if there is none. Raises `Refusal`."""
    if why := what_is_wrong_with(name):
        raise Refusal("name", name, "", why)
    if not folder:
        if pins and name in pins:
            raise Refusal("no-home", name)
        return None
    if pins and name in pins:
        return _pinned(folder, name, pins[name])
    for attempt in range(_ATTEMPTS):
        try:
            digests, _ = read_record(record_in(folder, name), name)
        except Refusal as refusal:
            if refusal.code == "unknown":
                return None
            raise
        for place in (folder, folder_in(folder)):
            check_folder(place, name)
        path = library_in(folder, name)
        handle, size = open_library(path, name)
        found = digest_of(handle, _sha256(size))
        if found in digests:
            return Native(name, handle, path)
        system.close(handle)
        # Somebody may just have put another one in its place: then the record has changed, too.
        if attempt + 1 == _ATTEMPTS or read_record(record_in(folder, name), name)[0] == digests:
            raise Refusal("changed", name, path, found)
    return None


def path_to_load(native: Native) -> str:
    """By which path the library is loaded that was hashed: through its descriptor, where the system has paths
    for those."""
    path = f"/proc/self/fd/{native.handle}"
    return path if sys.platform == "linux" and exists(path) else native.path


def _pinned(folder: str, name: str, sha256: str) -> Native:
    path = pinned_in(folder, sha256)
    for place in (folder, f"{folder}/pinned"):
        check_folder(place, name)
    try:
        handle, size = open_library(path, name)
    except Refusal as refusal:
        if refusal.code == "missing":
            raise Refusal("pin-missing", name, path, sha256) from None
        raise
    found = digest_of(handle, _sha256(size))
    if found != sha256:
        system.close(handle)
        raise Refusal("changed", name, path, found)
    return Native(name, handle, path)


def _sha256(size: int) -> object:
    if size > _LARGE:
        from hashlib import sha256
    elif sys.version_info >= (3, 12):
        from _sha2 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore]
    elif sys.implementation.name == "cpython":
        from _sha256 import sha256  # type: ignore[import-not-found,no-redef,unused-ignore]
    else:
        from hashlib import sha256
    return sha256()
