"""Whether a lock is sound, looked into once for each text of it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pypm.ops.opening import keep, sound_file
from pypm.ops.world import World
from pypm_model.digests import blake2b
from pypm_model.later import later
from pypm_model.lock_errors import LockUnsound
from pypm_model.locks import Lock

if TYPE_CHECKING:
    from pypm_model import lock_soundness
else:
    lock_soundness = later("pypm_model.lock_soundness")


def unsound(world: World, root: str, text: str, lock: Lock) -> LockUnsound | None:
    """The flaw of *lock*, which *text* reads as. That nothing is wrong is remembered by the text's digest,
    beside the parsed manifests: a lock that was changed by whomever is looked into anew."""
    file = sound_file(world, root)
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest().encode()
    if _own(file) == digest:
        return None
    found = lock_soundness.flaw(lock)
    if found is None:
        keep(file, digest, mode=0o600)
    return found


def _own(file: str | os.PathLike[str]) -> bytes | None:
    """What is in *file* if nobody but the user can have written it: a folder for caches may be shared."""
    try:
        with open(file, "rb") as opened:
            seen = os.fstat(opened.fileno())
            if os.name == "posix" and (
                seen.st_uid != os.getuid() or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            ):
                return None
            return opened.read(65)
    except OSError:
        return None
