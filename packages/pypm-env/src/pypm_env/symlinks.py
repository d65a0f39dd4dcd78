"""Whether a folder can hold symbolic links, which a farm is made of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from pypm_model.errors import PypmError
from pypm_store.atomic import beside_name


class NoSymbolicLinks(PypmError):
    """A farm was asked for where there can be no symbolic links."""

    folder: str

    code: ClassVar[str] = "no-symbolic-links"

    def __str__(self) -> str:
        return f"{self.folder} cannot hold symbolic links, which a farm is made of"

    @property
    def hint(self) -> str | None:
        return "choose another link mode; on Windows the developer mode allows them"


def can_symlink(folder: Path, platform: str = os.name) -> bool:
    """Whether *folder*, which exists, can hold symbolic links to folders.

    On POSIX it must: an environment's own ``python`` is one. On Windows it hangs on the user's rights and
    on the file system, and is tried.
    """
    if platform == "posix":
        return True
    probe = beside_name(folder / "probe")
    try:
        os.symlink(folder, probe, target_is_directory=True)
    except (OSError, NotImplementedError):
        return False
    os.rmdir(probe) if platform == "nt" and os.name == "nt" else os.unlink(probe)
    return True
