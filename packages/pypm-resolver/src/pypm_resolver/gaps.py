"""Where a chosen version has no file though one is expected, in words."""

from __future__ import annotations

from pypm_model.markers import FALSE, Diagram, any_of, both, describe, implies, minus, projected, simplify
from pypm_resolver.files import Expected

_PYTHON = "python_full_version"
_SYSTEM = "sys_platform"
_MACHINE = "platform_machine"
_NEEDED = "where it is needed"
_WIDEST_FIRST = ((_PYTHON,), (_SYSTEM,), (_PYTHON, _SYSTEM), (_PYTHON, _SYSTEM, _MACHINE))


def gap(expected: Expected, files: Diagram, scope: Diagram) -> str:
    """Where of *scope*, in which a version is needed, it has no file, if that is where one is expected
    (`Expected.platforms`): ``on Windows``, ``on Python 3.13 on macOS``. Empty if there is no such place.

    There is no file in any environment that is named; where nobody expects one there may be more without.
    """
    if scope == FALSE:
        return ""
    lacking = [found for p in expected.platforms if (found := minus(both(scope, p.where), files)) != FALSE]
    if not lacking:
        return ""
    bare = minus(scope, files)
    known = both(projected(scope, (_PYTHON,)), expected.settled)
    together = _words(any_of(lacking), scope, bare, known)
    if _is_one(together) or together == _NEEDED:
        return together
    return ", or ".join(dict.fromkeys([_words(one, scope, bare, known) for one in lacking]))


def _words(lacking: Diagram, scope: Diagram, bare: Diagram, known: Diagram) -> str:
    """What *lacking* is, as wide as it is true: *scope* has no file there at all."""
    words = ""
    for variables in _WIDEST_FIRST:
        there = projected(lacking, variables)
        for said in (simplify(there, known), there):
            if minus(both(scope, said), bare) != FALSE:
                continue
            if implies(scope, said):
                return _NEEDED
            words = describe(said)
            if _is_one(words):
                return words
    return words or describe(lacking)


def _is_one(words: str) -> bool:
    """Whether *words* are of one place, not of several or of a marker."""
    return ", or " not in words and not words.startswith("where ")
