"""How a resolution ends: solved, impossible, or undecided."""

from __future__ import annotations

from pypm_model.locks import LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Ask


@record
class Resolution:
    """One universal answer: valid in every environment and for every choice of extras and groups."""

    packages: tuple[LockedPackage, ...]
    """Sorted by name, version, source; without their files (the index has them)."""
    splits: tuple[str, ...] = ()
    """Markers of the regions that were solved apart; empty: one region."""
    warnings: tuple[str, ...] = ()
    """Unknown extras, deprecated packages and the like, one sentence each."""
    steps: int = 0


@record
class Reason:
    """One line of a conflict's story: a leaf (who asked for what, what an index has not) or a
    conclusion drawn from earlier lines. *uses* are positions of earlier reasons in the story."""

    text: str
    asks: tuple[Ask, ...] = ()
    """The requirements of members this line speaks of: their places are shown."""
    uses: tuple[int, ...] = ()


@record
class Unsolvable:
    """Nothing fits, and why. Every reason is true of the facts that were fed."""

    story: tuple[Reason, ...]
    """In reading order; the last one is the contradiction."""
    region: str = ""
    """The marker of where it is impossible; empty: everywhere."""
    hints: tuple[str, ...] = ()
    names: tuple[NormalizedName, ...] = ()
    """Packages in the story."""


@record
class Undecided:
    """The step budget ran out: neither solved nor shown to be impossible."""

    steps: int
    names: tuple[NormalizedName, ...] = ()
    """Packages with the most conflicts, worst first."""


Outcome = Resolution | Unsolvable | Undecided
