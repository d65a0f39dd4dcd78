"""Incompatibilities: sets of terms that can not hold together, and where they come from.

A term is an integer over the states of one node: bit *i* stands for version *i*, the bit after the
last version for "not selected". So one kind of term is enough: "not 1.0" is every other bit, the
absent one included. Every incompatibility remembers on which markers it hangs that are not constant
in the region being solved (`Incompatibility.markers`), and a derived one from which two it follows.
"""

from __future__ import annotations

from pypm_model.markers import TRUE, Diagram
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Ask
from pypm_model.requirements import Requirement


@record
class Wanted:
    """A member (or its extra or group) asks for a package."""

    ask: Ask
    requirement: Requirement
    """What counts: the ask's own requirement or the override that replaces it."""


@record
class Depends:
    """A version of a package depends on another package (``extra``: only with that extra)."""

    requirement: Requirement
    extra: NormalizedName | None = None


@record
class Constrained:
    """A constraint of the workspace."""

    ask: Ask


@record
class Barred:
    """Versions nobody may choose. *kind* is one of ``yanked``, ``too-new``, ``python``, ``files``,
    ``prerelease``, ``build``, ``metadata``, ``url``, ``source``; *detail* is the sentence's own fact."""

    kind: str
    detail: str = ""


@record
class Structure:
    """True by construction: the root asks for every member, an extra comes with its member."""


Cause = Wanted | Depends | Constrained | Barred | Structure


@record(eq=False)
class Incompatibility:
    """Terms that exclude each other; compared by identity."""

    terms: tuple[tuple[int, int], ...]
    """(node, bits), each node once; no term allows everything or nothing."""
    cause: Cause | tuple[Incompatibility, Incompatibility]
    markers: frozenset[Diagram] = frozenset()
    """Markers not constant in the region under which this was derived (their union over the derivation)."""
    marker: Diagram = TRUE
    """Of a leaf: where it holds."""


def leaves(proof: Incompatibility) -> list[Incompatibility]:
    """The leaves *proof* follows from, each once, in the order in which they are met from the end."""
    found: list[Incompatibility] = []
    seen: set[int] = set()
    unseen = [proof]
    while unseen:
        incompatibility = unseen.pop()
        if id(incompatibility) in seen:
            continue
        seen.add(id(incompatibility))
        if isinstance(incompatibility.cause, tuple):
            unseen += reversed(incompatibility.cause)
        else:
            found.append(incompatibility)
    return found


def resolve(first: Incompatibility, second: Incompatibility, node: int, everything: int) -> Incompatibility:
    """What follows from both by cases on *node*: the union of its terms (dropped when it is
    *everything*), the intersection of all others."""
    terms: dict[int, int] = dict(first.terms)
    for other, bits in second.terms:
        known = terms.get(other)
        if known is None:
            terms[other] = bits
        elif other == node:
            terms[other] = known | bits
        else:
            terms[other] = known & bits
    if terms.get(node) == everything:
        del terms[node]
    return Incompatibility(tuple(terms.items()), (first, second), first.markers | second.markers)
