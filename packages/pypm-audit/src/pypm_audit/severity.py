"""How bad it is: CVSS scores and the words for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pypm_model.later import later
from pypm_model.records import record

if TYPE_CHECKING:
    import cvss  # type: ignore[import-untyped]
else:
    cvss = later("cvss")

RATINGS = ("critical", "high", "medium", "low", "none", "unknown")
"""The worst first."""
_WORDS = {"moderate": "medium", "important": "high", "negligible": "low"}
"""What databases call them otherwise."""


@record
class Severity:
    """A rating, one of `RATINGS`, and what it is from."""

    rating: str = "unknown"
    score: float | None = None
    """The CVSS base score, 0 to 10; None: there is no vector."""
    vector: str = ""

    @property
    def rank(self) -> int:
        """The worst has the lowest."""
        return RATINGS.index(self.rating)

    def __str__(self) -> str:
        return self.rating if self.score is None else f"{self.rating} {self.score:.1f}"


def severity(vectors: Iterable[str], words: Iterable[str]) -> Severity:
    """Of all *vectors* the one in the newest version of CVSS counts, of those the worst; without any that can
    be read the worst of the database's own *words*."""
    scored = []
    for vector in vectors:
        found = _score(vector)
        if found is not None:
            generation, score = found
            scored.append((generation, score, vector))
    if scored:
        _, score, vector = max(scored)
        return Severity(rating_of(score), score, vector)
    known = [word for word in (_WORDS.get(each, each) for each in words) if word in RATINGS]
    return Severity(min(known, key=RATINGS.index)) if known else Severity()


def rating_of(score: float) -> str:
    """The word for a score, by CVSS's qualitative scale."""
    if score <= 0:
        return "none"
    if score < 4:
        return "low"
    if score < 7:
        return "medium"
    return "high" if score < 9 else "critical"


def _score(vector: str) -> tuple[int, float] | None:
    """(version of CVSS, base score) of *vector*; None if it is none."""
    try:
        if vector.startswith("CVSS:4."):
            return 4, float(cvss.CVSS4(vector).base_score)
        if vector.startswith("CVSS:3."):
            return 3, float(cvss.CVSS3(vector).scores()[0])
        return 2, float(cvss.CVSS2(vector.strip("()")).scores()[0])
    except (cvss.CVSSError, ValueError, ArithmeticError, LookupError, TypeError):
        return None
