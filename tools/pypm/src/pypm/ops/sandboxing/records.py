"""What the parts of a sandbox tell each other. Loaded by every run: it may import next to nothing."""

from __future__ import annotations

from pypm.ops.selection import Selection
from pypm_model.records import record

_BETWEEN = "\t"


@record
class SandboxOptions:
    """What kind of sandbox."""

    command: tuple[str, ...] = ()
    """Empty: a shell."""
    selection: Selection = Selection()
    extra: tuple[str, ...] = ()
    """Requirements for this session."""
    folder: str = ""
    """Where it begins; it stays."""
    fs: str = ""
    """As of `Walls`: ``ro``, ``cow``; empty: open."""
    keep_diff: str = ""
    checkout: bool = False
    staged: bool = False
    """With *checkout*: what is staged, not what was committed."""
    no_net: bool = False
    isolate: bool = False
    frozen: bool = False


@record
class Ready:
    """An environment for a sandbox. Paths are absolute."""

    venv: str
    digest: str
    """Its name in the store; empty: it is none of the store's."""
    member: str
    folder: str
    """The member's; without a member, the workspace's."""
    root: str
    """The workspace's; empty: there is none."""
    python: str
    scripts: str
    """Relative to *venv*."""
    needs: tuple[str, ...]
    """Folders of the interpreter."""

    def to_line(self) -> str:
        """All of it in one line of text, for a stamp."""
        fields = (self.venv, self.digest, self.member, self.folder, self.root, self.python, self.scripts)
        return _BETWEEN.join((*fields, *self.needs))


def from_line(line: str) -> Ready | None:
    """What `Ready.to_line` gave; None if it is something else (a path may hold anything)."""
    pieces = line.split(_BETWEEN)
    if len(pieces) not in (8, 9, 10):
        return None
    venv, digest, member, folder, root, python, scripts, *needs = pieces
    return Ready(venv, digest, member, folder, root, python, scripts, tuple(needs))
