"""What can go wrong with the store itself."""

from __future__ import annotations

import errno
import os
from typing import ClassVar

from pypm_model.errors import PypmError


class WrongDigest(PypmError):
    """A file is not the one that was asked for; it has been thrown away."""

    file: str
    expected: str
    actual: str

    code: ClassVar[str] = "wrong-digest"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"{self.file} has sha256 {self.actual}, not {self.expected}"

    @property
    def hint(self) -> str | None:
        return "the file was changed on its way or at its source; do not use it until you know why"


class StoreUnwritable(PypmError):
    """Something cannot be written to the store; it is as it was before."""

    path: str
    reason: str
    full: bool = False
    """No space is left, or a quota or size limit is reached."""

    code: ClassVar[str] = "store-unwritable"
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        return f"cannot write to the store at {self.path}: {self.reason}"

    @property
    def hint(self) -> str | None:
        if self.full:
            return "free some space (pypm cache prune), or put the store elsewhere with PYPM_CACHE_DIR"
        return "check who owns the folder, or put the store elsewhere with PYPM_CACHE_DIR"


FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""What the system says where no space is left, or a quota or size limit is reached."""


def unwritable(place: object, error: OSError) -> StoreUnwritable:
    """The error of the system as ours, for *place* in the store."""
    reason = error.strerror or os.strerror(error.errno or 0)
    return StoreUnwritable(str(place), reason, error.errno in FULL)
