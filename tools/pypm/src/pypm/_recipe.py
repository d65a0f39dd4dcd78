"""Where recipes of syncs are kept, and whether what one followed from is as it was.

`pypm.ops.recipes` keeps and follows them; `pypm._again` follows those of environments that are simply made
once more. Imported by a sync that only links, so only what `pypm._stamp` imports may be imported here.
"""

from __future__ import annotations

import os
import sys

from pypm._stamp import VENV
from pypm._verbs import VERSION
from pypm_model.digests import blake2b

TYPE_CHECKING = False  # as in `typing`, which is not loaded
if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "recipes"
"""In the store."""
WORKSPACE, PROJECT = "pypm-workspace.toml", "pyproject.toml"
_DIGEST = 20
"""Bytes: nobody is kept from writing what they like into their own store, only chance has to be."""
_ABSENT = ""
_OTHERS_MAY_WRITE = 0o022
_CHOOSING = ("PATH", "PYENV_VERSION", "PYENV_ROOT", "UV_PYTHON_INSTALL_DIR", "XDG_DATA_HOME", "HOME")
"""Variables that an interpreter is searched by, besides pypm's own."""


def name_of(environ: Mapping[str, str], key: str, lock: bytes) -> str:
    """The name of the recipe for a sync that was asked for in the way *key* (`pypm._stamp.key_of`), with this
    content of the lock."""
    running = getattr(sys, "_base_executable", "") or sys.executable
    choosing = [environ.get(name, "") for name in _CHOOSING]
    text = "\0".join([VERSION, sys.version, key, running, *choosing]).encode("utf-8", "surrogateescape")
    return digest(b"%d %b %b" % (len(text), text, lock))


def is_place(root: str, environ: Mapping[str, str]) -> bool:
    """Whether a look at names tells that *root*, the current folder, is a workspace's root."""
    if environ.get("PYP_WORKSPACE_ROOT"):
        return False
    if os.path.lexists(f"{root}/{WORKSPACE}"):
        return True
    if not os.path.lexists(f"{root}/{PROJECT}"):
        return False
    above = os.path.dirname(root)
    while above != os.path.dirname(above):
        # A workspace above might have it as a member.
        if os.path.lexists(f"{above}/{WORKSPACE}") or os.path.lexists(f"{above}/{PROJECT}"):
            return False
        above = os.path.dirname(above)
    return True


def seen(root: str, path: str) -> tuple[int, int, int]:
    """(modification time in ns, size, inode) of a file; -1 each if there is none."""
    try:
        status = os.stat(f"{root}/{path}")
    except OSError:
        return -1, -1, -1
    return status.st_mtime_ns, status.st_size, status.st_ino


def content_of(path: str) -> bytes | None:
    """The content of a file; None if it cannot be had."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def own_content(path: str | os.PathLike[str], most: int = -1) -> bytes | None:
    """The first *most* bytes of a file (default: all) if nobody but the user can have written it: a folder
    for caches may be shared."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if os.name == "posix" and (status.st_uid != os.getuid() or status.st_mode & _OTHERS_MAY_WRITE):
                return None
            return file.read(most)
    except OSError:
        return None


def contents(path: str) -> str:
    """A digest of a file's content; empty if it cannot be had."""
    content = content_of(path)
    return _ABSENT if content is None else digest(content)


def names(path: str) -> str:
    """A digest of the names in a folder; empty if it cannot be read."""
    try:
        found = os.listdir(path)
    except OSError:
        return _ABSENT
    # The environment comes and goes.
    text = "\0".join(sorted(name for name in found if name != VENV))
    return digest(text.encode("utf-8", "surrogateescape"))


def digest(content: bytes) -> str:
    """A short digest, hexadecimal."""
    return blake2b(content, digest_size=_DIGEST).hexdigest()
