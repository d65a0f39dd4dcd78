"""What a resolution needs to know, and the answers: the seam between resolver and index.

The resolver asks with keys and never learns how or in which order they were answered. A fact is
immutable; a fresher answer is a new object (its version bits must not be mixed with the old one's).
"""

from __future__ import annotations

from functools import cached_property

from pypm_model.names import NormalizedName
from pypm_model.records import NamedTuple, field, record
from pypm_model.requirements import Requirement
from pypm_model.sources import DirectSource


class ListingKey(NamedTuple):
    """All versions of *name*: on the index named *index*, or, if empty, on the first (in order of
    priority, explicit ones left out) that has the name.

    A named tuple, as `MetadataKey` and `FileClass` are: they are looked up by the ten thousand.
    """

    name: NormalizedName
    index: str = ""  # type: ignore[assignment]  # hides a method of tuples that nobody needs here


class MetadataKey(NamedTuple):
    """Dependencies of one version, as found on the index that answered the listing."""

    name: NormalizedName
    version: str
    index: str  # type: ignore[assignment]


@record
class DirectKey:
    """What is at a direct source: answered by a `Direct`."""

    name: NormalizedName
    source: DirectSource


Key = ListingKey | MetadataKey | DirectKey


class FileClass(NamedTuple):
    """Files of a version that are alike for resolving.

    *tags* is None for an sdist; for wheels it is what their tags cover, each atom
    ``python|os|machine``: python is ``py3``, ``py310+`` (any Python >= 3.10), ``cp311`` (exactly
    CPython 3.11), ``cp311t`` (free-threaded), ``cp38+`` (abi3: CPython 3.8 and later), ``pp310``;
    os is a ``sys_platform`` value, a platform of Pyodide (``pyemscripten_2026_0``) or ``*``; machine is a
    ``platform_machine`` value or ``*`` (``macosx universal2`` gives both ``x86_64`` and ``arm64``). Sorted,
    no duplicates.
    """

    requires_python: str
    tags: tuple[str, ...] | None


@record(slots=False)
class Listing:
    """All versions of one package on one index. Bit *i* of every mask speaks of ``versions[i]``."""

    key: ListingKey
    name: NormalizedName
    index: str
    """The index that answered."""
    versions: tuple[str, ...]
    """Ascending in PEP 440 order, as the file names spell them; of equal ones, the first."""
    keys: tuple[str, ...]
    """`pypm_model.versions.sort_key` of each version: comparing strings compares versions."""
    prereleases: int
    """Pre-releases and development releases."""
    yanked: int
    """Versions all of whose files are yanked."""
    too_new: int
    """Versions without a file older than the cut-off that is in force (exclude-newer, cooldown)."""
    classes: tuple[tuple[FileClass, int], ...]
    """Each kind of file and the versions that have one (files that are too new, or yanked while
    others of the version are not, left out)."""
    yank_reasons: tuple[tuple[int, str], ...] = ()
    """(index into versions, reason), for messages."""
    status: str = ""
    """PEP 792: ``archived``, ``deprecated``, ``quarantined``, or empty for active."""

    @cached_property
    def all(self) -> int:
        """The mask with every version's bit."""
        return (1 << len(self.versions)) - 1


@record
class Absent:
    """No index that was asked has the package (404 or 410 from each): a fact, not an error."""

    key: ListingKey
    asked: tuple[str, ...]
    """Names of the indexes, in order."""


@record
class Metadata:
    """Dependencies of one version, from the file named in *origin*."""

    key: MetadataKey
    requires: tuple[Requirement, ...]
    extras: tuple[NormalizedName, ...]
    """Provides-Extra, sorted."""
    requires_python: str = ""
    origin: str = ""
    """File name of the wheel or sdist the facts came from."""
    invalid: tuple[str, ...] = ()
    """Requires-Dist lines that are no valid requirement, as written."""


@record
class NoMetadata:
    """The version cannot be used: nothing says what it depends on. *reason* is one sentence."""

    key: MetadataKey
    reason: str
    needs_build: bool = False
    """Only building the sdist would tell, and that is not allowed for this name."""


@record
class Direct:
    """What a direct source holds, with the source pinned down (commit, sha256)."""

    key: DirectKey
    source: DirectSource
    version: str
    requires: tuple[Requirement, ...]
    extras: tuple[NormalizedName, ...]
    requires_python: str = ""
    is_wheel: bool = False
    tags: tuple[str, ...] = field(default=())
    """As in `FileClass`, when the source is a wheel."""


Fact = Listing | Absent | Metadata | NoMetadata | Direct


@record
class Needs:
    """What the session must know to go on, and what it will probably ask next."""

    keys: tuple[Key, ...]
    """Required, in the order in which they matter. Never empty."""
    speculative: tuple[Key, ...] = ()
    """Worth fetching at the same time; answers may be fed or not, the result is the same."""
