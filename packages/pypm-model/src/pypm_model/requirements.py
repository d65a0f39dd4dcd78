"""One dependency specifier (PEP 508), parsed once."""

from __future__ import annotations

from pypm_model.names import NormalizedName
from pypm_model.records import NamedTuple


class Requirement(NamedTuple):
    """What is asked of one package. All fields are normalised texts, so that equal means equal.

    A named tuple rather than a dataclass: a large resolution makes tens of thousands of them.
    """

    name: NormalizedName
    extras: tuple[NormalizedName, ...] = ()
    """Sorted, no duplicates."""
    specifier: str = ""
    """PEP 440 clauses as ``packaging`` writes them, sorted, joined by ``,``; empty allows all."""
    marker: str = ""
    """PEP 508 marker text; empty means everywhere."""
    url: str = ""
    """The direct reference after ``@``, or empty."""
