"""How a resolution ends: solved, impossible, or undecided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypm_model.locks import LockedPackage
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Ask, Conflict, Origin, Request

if TYPE_CHECKING:
    from pypm_model.claims import Claim


@record
class Gap:
    """A version that is needed where it has no file, and another would have none either."""

    name: NormalizedName
    version: str
    where: str
    """In words: ``on Windows``."""

    def __str__(self) -> str:
        return f"{self.name} {self.version} has no file that can be used {self.where}"


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
    detours: int = 0
    """How often something was in the way of what would have been chosen: a version that does not go with what
    was chosen before, or that serves a part of the environments only."""
    gaps: tuple[Gap, ...] = ()
    """Of the environments that people install on."""
    conflicts: tuple[Conflict, ...] = ()
    """Pairs of extras or groups of one member that were found to exclude each other, where members do not
    share an environment: the answer is for every choice without both."""


@record
class Reason:
    """One line of a conflict's story: a leaf (who asked for what, what an index has not) or a
    conclusion drawn from earlier lines. *uses* are positions of earlier reasons in the story."""

    text: str
    asks: tuple[Ask, ...] = ()
    """The requirements of members this line speaks of: their places are shown."""
    uses: tuple[int, ...] = ()
    claim: Claim | None = None
    """What the line says, as data; the text is made from it."""
    number: int = 0
    """Of a conclusion that more than one later line rests on: what they call it by."""
    origins: tuple[Origin, ...] = ()
    """Other places this line speaks of."""


@record
class Remedy:
    """A change that may help: to be tried (`pypm_resolver.trials`) before it is said.

    *request* is what would be asked with it. *lifted* are names whose facts are taken differently in
    the trial, because the answer does not come from the request: ``build`` (what a build would tell
    is taken to be nothing), ``too-new`` (the cut-off is not applied).
    """

    kind: str
    """``relax``, ``yanked``, ``prerelease``, ``python``, ``split``, ``build``, ``override``,
    ``too-new``, ``marker`` or ``spelling``."""
    request: Request
    text: str
    """The sentence. ``{place}`` in it stands for where *origin* is, ``{versions}`` for what the trial
    locks of *name*, ``{against}`` for the packages it locks that ask for other versions of it ("a asks",
    "a and b ask")."""
    name: NormalizedName | None = None
    origin: Origin | None = None
    """What would have to be edited; of several remedies for one origin the first that helps is said."""
    lifted: tuple[tuple[NormalizedName, str], ...] = ()


@record
class Unsolvable:
    """Nothing fits, and why. Every reason is true of the facts that were fed."""

    story: tuple[Reason, ...]
    """In reading order; the last one is the contradiction."""
    region: str = ""
    """The marker of where it is impossible; empty: everywhere."""
    hints: tuple[str, ...] = ()
    """What was tried and helps, one sentence each; empty until the remedies have been tried."""
    remedies: tuple[Remedy, ...] = ()
    """What may help, the most useful first: each has to be tried."""
    names: tuple[NormalizedName, ...] = ()
    """Packages in the story."""


@record
class Undecided:
    """The step budget ran out: neither solved nor shown to be impossible."""

    steps: int
    names: tuple[NormalizedName, ...] = ()
    """Packages with the most conflicts, worst first."""


Outcome = Resolution | Unsolvable | Undecided
