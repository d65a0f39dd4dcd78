"""Whether a candidate's files fit a region, and where to cut the region when they fit a part of it."""

from __future__ import annotations

from collections.abc import Callable

from pypm_model.markers import FALSE, Diagram, all_of, any_of, both, implies, minus, negate, parse
from pypm_model.records import record
from pypm_resolver.files import Cover, Expected, Needed
from pypm_resolver.package import Package


@record
class Cut:
    """The region must be solved in two: where *marker* holds, and where it does not. Where the better
    candidate can be used is said first: what is solved first is kept afterwards if it fits."""

    marker: Diagram


class Fits:
    """It can be chosen."""


class Misses:
    """There is no environment in question in which it can be used."""


FITS = Fits()
MISSES = Misses()

_SYSTEMS = tuple(parse(f"sys_platform == '{system}'") for system in ("linux", "darwin", "win32"))


class Fitting:
    """Judges covers for one region; answers for the whole region are remembered."""

    def __init__(self, where: Diagram, expected: Expected, around: Diagram | None = None) -> None:
        """*around* is a wider region, for which a candidate needs a file instead."""
        self.where = where
        self.expected = expected
        self.around = where if around is None else around
        self._whole: dict[Cover, bool] = {}
        self._barred: dict[Cover, str] = {}

    def barred(self, cover: Cover) -> str:
        """Why versions with this cover are out of the question in all of the region: ``python``,
        ``files``, ``required``, or empty if they are not."""
        kind = self._barred.get(cover)
        if kind is None:
            kind = self._barred[cover] = self._barring(cover)
        return kind

    def _barring(self, cover: Cover) -> str:
        if both(self.where, cover.strict) == FALSE:
            return "python" if cover.strict != FALSE or cover.files != FALSE else "files"
        if both(self.around, cover.files) == FALSE:
            return "files"
        for needed in self.expected.required:
            if self._misses(needed, cover, self.around) and self._is_all(needed, self.where):
                return "required"
        return ""

    def _misses(self, needed: Needed, cover: Cover, scope: Diagram) -> bool:
        """Whether a required environment in *scope* has no file at all."""
        part = all_of((scope, needed.where, needed.counts))
        return part != FALSE and both(part, cover.files) == FALSE

    def _is_all(self, needed: Needed, scope: Diagram) -> bool:
        return implies(both(scope, needed.counts), needed.where)

    def is_whole(self, cover: Cover) -> bool:
        """Whether versions with this cover leave nothing to ask for in the region."""
        known = self._whole.get(cover)
        if known is None:
            known = self._whole[cover] = not self._lacks(cover, self.where)
        return known

    def _lacks(self, cover: Cover, scope: Diagram) -> bool:
        if implies(scope, cover.files):
            return False
        expected = self.expected
        return not (
            implies(scope, cover.strict)
            and both(scope, cover.files) != FALSE
            and not any(self._misses(needed, cover, scope) for needed in expected.required)
            and implies(both(scope, expected.settled), cover.pythons)
            and all(implies(both(scope, place.where), cover.files) for place in expected.platforms)
        )

    def judge(
        self,
        package: Package,
        cover: Cover,
        scope: Diagram,
        around: Diagram,
        others: int,
        elsewhere: Callable[[Diagram], int] = lambda _: 0,
    ) -> Fits | Misses | Cut:
        """Whether a version with this cover serves *scope*, the part of the region that needs it; a file it
        must have somewhere in *around*.

        *others* are the candidates that could be chosen instead: what no other one covers either is
        nothing to cut a region for, unless Requires-Python or a required environment is at stake. *elsewhere*
        says which more could be if a part of the region were solved by itself.
        """
        if scope == FALSE or self.is_whole(cover):
            return FITS
        expected = self.expected
        if both(scope, cover.strict) == FALSE or both(around, cover.files) == FALSE:
            return MISSES
        if not implies(scope, cover.strict):
            return Cut(cover.strict)
        for needed in expected.required:
            if self._misses(needed, cover, around):
                return MISSES if self._is_all(needed, scope) else self._cut((*needed.at, scope))
        missing = minus(both(scope, expected.settled), cover.pythons)
        if self._rescued(package, cover, missing, others | elsewhere(missing)) != FALSE:
            return self._cut((cover.pythons, cover.files))
        lacking = [
            p
            for p in (both(scope, place.where) for place in expected.platforms)
            if not implies(p, cover.files)
        ]
        missing = minus(any_of(lacking), cover.files)
        missing = self._rescued(package, cover, missing, others | elsewhere(missing))
        if missing != FALSE:
            systems = [
                s
                for s in _SYSTEMS
                if both(s, missing) != FALSE and implies(both(s, self._expected(scope)), any_of(lacking))
            ]
            places = [place.marker for place in expected.platforms if both(place.where, missing) != FALSE]
            lacks = (*systems, *places)
            return self._cut((*map(negate, lacks), cover.files))
        return FITS

    def _expected(self, scope: Diagram) -> Diagram:
        return both(scope, any_of(place.where for place in self.expected.platforms))

    def _cut(self, markers: tuple[Diagram, ...]) -> Fits | Cut:
        for marker in markers:
            if both(self.where, marker) != FALSE and not implies(self.where, marker):
                return Cut(marker)
        return FITS

    def _rescued(self, package: Package, cover: Cover, missing: Diagram, others: int) -> Diagram:
        """The part of *missing* in which one of *others* has a file."""
        if missing == FALSE:
            return FALSE
        files = (other.files for other, mask in package.covers if mask & others and other != cover)
        return both(missing, any_of(files))
