"""What is, and what should be, in an environment: one record per distribution."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pypm_env.interpreters import Interpreter
from pypm_model.names import NormalizedName
from pypm_model.records import field, record

LinkMode = Literal["auto", "farm", "hardlink", "reflink", "copy"]
"""How files come into an environment: ``auto`` is a hard link where store and environment are on one
device, else a copy; in a ``farm`` site-packages holds symbolic links to what is in the store."""
LINK_MODES: tuple[LinkMode, ...] = ("auto", "farm", "hardlink", "reflink", "copy")


@record
class WantedDist:
    """One distribution that should be installed."""

    name: NormalizedName
    version: str
    tree: str
    """The sha256 of the wheel, whose tree is in the store when the plan is applied."""
    direct_url: str = ""
    """The text of `direct_url.json` (PEP 610), for what came from a URL, a repository or a folder."""
    editable: bool = False
    requested: bool = False
    """Asked for by a member itself, not only by another package (PEP 376, REQUESTED)."""


@record
class Wanted:
    """What an environment should be. *dists* hold each name once."""

    interpreter: Interpreter
    dists: tuple[WantedDist, ...]
    link_mode: LinkMode = "auto"


@record
class InstalledDist:
    """One distribution that is installed."""

    dist: WantedDist
    """As it was wanted. One that pypm did not put there has an empty tree."""
    info: str
    """Its folder in site-packages: ``acme-1.0.dist-info``."""
    record_time: int = 0
    """Modification time of its RECORD in nanoseconds when pypm wrote it: another one, another install."""
    path_line: str = ""
    """For a member whose editable wheel is one path: the line it has in `MEMBERS_PTH`."""

    @property
    def name(self) -> NormalizedName:
        return self.dist.name

    @property
    def is_ours(self) -> bool:
        return bool(self.dist.tree)


MEMBERS_PTH = "_pypm_members.pth"
"""The one file in site-packages with the paths of all editable members that are a single path each."""

Kind = Literal["absent", "ours", "foreign", "occupied"]


@record
class Installed:
    """What an environment is, as far as its record and a look at it say."""

    folder: Path
    """Absolute."""
    kind: Kind
    """``absent``: nothing there, or an empty folder; ``ours``; ``foreign``: an environment made by another
    tool; ``occupied``: something that is no environment."""
    interpreter: str = ""
    """`Interpreter.identity`."""
    link_mode: str = ""
    dists: tuple[InstalledDist, ...] = ()
    """Sorted by name."""
    unfinished: frozenset[str] = field(default=frozenset())
    """.dist-info folders that an apply which was killed may have left in any state."""
    shared: tuple[tuple[str, tuple[NormalizedName, ...]], ...] = ()
    """Paths (relative to site-packages) that several distributions own, and which."""
    stale: frozenset[str] = field(default=frozenset())
    """.dist-info folders of what holds files of trees that were damaged, and made anew since
    (`pypm_env.stale`)."""
    problem: str = ""
    """Why it must be made anew, as a phrase, or empty."""
