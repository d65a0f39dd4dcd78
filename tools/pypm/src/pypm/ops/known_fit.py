"""That a lock is the one the manifests give, looked into once for each text of both.

Reading a lock of a thousand members and comparing it with what they ask takes most of the time of a
`pypm lock` that has nothing to do. What was found to fit is remembered beside the parsed manifests, by a
digest of the lock's text and of all manifests. It is remembered only where nothing else has a say: not a
build backend, a folder, the interpreter at hand, or a file that is kept in step.
"""

from __future__ import annotations

from pypm._recipe import own_content
from pypm._verbs import VERSION
from pypm.ops.folders import folder_manifests
from pypm.ops.remembered import fit_file, keep
from pypm.ops.world import World
from pypm_model.digests import of_text
from pypm_model.locks import Lock
from pypm_model.sources import MemberSource
from pypm_workspace.workspace import Workspace

_LONGEST = 200
"""Bytes of the file that are read."""
_IN_PACKAGES = b"packages"


def known_fit(
    world: World, workspace: Workspace, text: str | None, *, in_packages: bool = False
) -> tuple[int, int] | None:
    """How many packages and members are in the lock *text* if it is known to be sound and what *workspace*
    gives, with *in_packages* by what its packages say, too; None if it has to be looked into."""
    if text is None or not _is_all(workspace):
        return None
    words = (own_content(fit_file(world, workspace.root), _LONGEST) or b"").split()
    if len(words) != 4 or words[0] != _digest(workspace, text) or (in_packages and words[3] != _IN_PACKAGES):
        return None
    return int(words[1]), int(words[2])


def note_fit(world: World, workspace: Workspace, text: str, lock: Lock, *, in_packages: bool = False) -> None:
    """Remembers that *text*, which reads as *lock*, is sound and what *workspace* gives, *in_packages* by
    what its packages say, too."""
    if _is_all(workspace) and not folder_manifests(lock):
        packages = sum(1 for package in lock.packages if not isinstance(package.source, MemberSource))
        how = _IN_PACKAGES if in_packages else b"text"
        content = b"%b %d %d %b" % (_digest(workspace, text), packages, lock.member_count, how)
        keep(fit_file(world, workspace.root), content, mode=0o600)


def _is_all(workspace: Workspace) -> bool:
    """Whether the manifests alone say what is to be locked, and nothing is to be kept in step with it."""
    return workspace.is_told_whole and not workspace.settings.lock_export


def _digest(workspace: Workspace, text: str) -> bytes:
    return of_text("\0".join((VERSION, workspace.state, text))).encode()
