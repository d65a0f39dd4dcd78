"""What one run of a verb leaves for the next one in the same process.

All of it is what a fresh run would find out again: with it and without it a run gives the same bytes. A
verb that runs once is given an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pypm.ops.world import LOCK
from pypm_model.artifacts import Artifact
from pypm_model.facts import Fact, Key
from pypm_model.lock_pins import Pins, pins_of
from pypm_model.lock_text import Written, read
from pypm_model.locks import Lock
from pypm_model.markers import Diagram
from pypm_model.markers.coverage import WheelsFor
from pypm_model.names import NormalizedName
from pypm_model.resolutions import Resolution

if TYPE_CHECKING:
    from pypm_store.metadata_cache import MetadataCache

Release = tuple[NormalizedName, str, str]
"""(name, version, name of the index)."""
Files = tuple[Artifact, ...]


class Retained:
    """Bounded by what the last run had to do with. For one thread."""

    def __init__(self, cache: MetadataCache | None = None) -> None:
        """*cache* is used in place of one that each run opens."""
        self.cache = cache
        self.keys: tuple[Key, ...] = ()
        """What the last resolution had to know of the packages it chose: the next one will ask it again."""
        self.remembered: tuple[Key, ...] = ()
        """Those that the next process will know (`pypm.ops.asked`)."""
        self.consulted: tuple[Key, ...] = ()
        """All that the last resolution was told of."""
        self.written = Written()
        """The last lock's text, package by package."""
        self._lock: tuple[str, Lock] | None = None
        self._pins: tuple[Lock, Pins] | None = None
        self._usable: tuple[Diagram, WheelsFor] | None = None
        self._files: dict[Release, tuple[object, Files, Files]] = {}

    def read(self, text: str) -> Lock:
        """The lock that *text* holds; raises what reading it raises."""
        if self._lock is None or self._lock[0] != text:
            self._lock = text, read(text, LOCK)
        return self._lock[1]

    def pins(self, lock: Lock) -> Pins:
        """The versions *lock* holds, and where."""
        if self._pins is None or self._pins[0] is not lock:
            self._pins = lock, pins_of(lock)
        return self._pins[1]

    def usable(self, region: Diagram) -> WheelsFor:
        """The wheels that some environment of *region* can use."""
        if self._usable is None or self._usable[0] != region:
            self._usable = region, WheelsFor(region)
        return self._usable[1]

    def kept(self, release: Release, files: Files, rule: object, choose: Callable[[], Files]) -> Files:
        """What *choose* makes of *files* under *rule*, which says everything else it hangs on."""
        known = self._files.get(release)
        if known is None or known[0] != rule or known[1] != files:
            known = self._files[release] = rule, files, choose()
        return known[2]

    def learn(self, resolution: Resolution, facts: Iterable[Fact]) -> None:
        """Keeps what matters of a run, and drops what only earlier ones had to do with."""
        names = {package.name for package in resolution.packages}
        self.consulted = tuple(dict.fromkeys(fact.key for fact in facts))
        keys = tuple(key for key in self.consulted if key.name in names)
        if set(keys) != set(self.keys):
            self.keys = keys
        self._files = {release: found for release, found in self._files.items() if release[0] in names}
