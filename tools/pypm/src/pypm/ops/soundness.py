"""Whether a lock is sound, looked into once for each text of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypm._recipe import own_content
from pypm.ops.remembered import keep, sound_file
from pypm.ops.world import World
from pypm_model.digests import of_text
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
    digest = of_text(text).encode()
    if own_content(file, 65) == digest:
        return None
    found = lock_soundness.flaw(lock)
    if found is None:
        keep(file, digest, mode=0o600)
    return found
