"""One comparison of a marker as a diagram: ``sys_platform == 'win32'``.

Meaning is that of ``packaging`` 26.3 (PEP 508 as amended in January 2026): texts are equal or not, an
ordered comparison of texts is equality or false; versions compare by PEP 440. Where the environments that
occur allow a more useful answer, it is given, and differs from ``packaging`` only in environments that do
not occur:

* ``sys_platform in 'linux darwin'`` asks for a part of the text. It is true for known values and for the
  words of the text, not for other parts of it such as ``inu`` or the empty text.
* what one field says of another (`pypm_model.markers.variables`) is taken as given.
* ``'x' in extra`` is ``extra == 'x'``.
* the local part of ``python_full_version`` (``3.13.0+``) is not looked at.

A comparison that ``packaging`` refuses to evaluate (``sys_platform ~= 'linux'``) is refused when it is read.
"""

from __future__ import annotations

from functools import lru_cache

from pypm_model.markers import python_axis
from pypm_model.markers.diagram import FALSE, TRUE, Diagram, any_of, boolean, both, named, negate, node
from pypm_model.markers.python_axis import Undefined
from pypm_model.markers.variables import (
    ALIASES,
    ATOM_RANK,
    KNOWN,
    LOOSE_FIELDS,
    SETS,
    TEXT_NUMBERS,
    Variable,
)
from pypm_model.names import normalize
from pypm_model.patterns import pattern

_word = pattern(r"[^\s,;|]+")
_PYTHON_FIELDS = ("python_version", "python_full_version")


@lru_cache(maxsize=16384)
def comparison(field: str, operator: str, literal: str, *, mirrored: bool) -> Diagram:
    """``field operator 'literal'``, or with *mirrored* ``'literal' operator field``.

    Raises `python_axis.Undefined` for a comparison that has no meaning in any environment.
    """
    if field in _PYTHON_FIELDS and not (mirrored and operator in ("in", "not in")):
        return python_axis.compare(
            operator, literal, mirrored=mirrored, two_components=field == "python_version"
        )
    if field in SETS:
        return _membership(field, operator, literal, mirrored)
    if field in LOOSE_FIELDS:
        return _loose(field, operator, literal, mirrored)
    match operator:
        case "==" | "<=" | ">=":
            return equal(field, literal)
        case "!=":
            return negate(equal(field, literal))
        case "<" | ">":
            return FALSE
        case "in" | "not in" if mirrored or not KNOWN[field]:
            is_always = mirrored and not literal
            found = TRUE if is_always else boolean(Variable(ATOM_RANK, field, "in", literal, mirrored))
            return negate(found) if operator == "not in" else found
        case "in" | "not in":
            values = {*_word.findall(literal), *KNOWN[field]}
            found = any_of([equal(field, value) for value in sorted(values) if value in literal])
            return negate(found) if operator == "not in" else found
        case _:
            raise Undefined(f"{field} is no version: {operator} cannot compare it")


def equal(field: str, value: str) -> Diagram:
    """Where the text *field* is *value*."""
    field, value = ALIASES.get((field, value), (field, value))
    return node(TEXT_NUMBERS[field], (value,), (TRUE, FALSE))


def _membership(field: str, operator: str, literal: str, mirrored: bool) -> Diagram:
    """Extras and groups: several may be there at once."""
    if operator in ("in", "not in"):
        if mirrored:
            found = named(field, normalize(literal))
        elif field == "extra":
            found = any_of([named(field, normalize(word)) for word in sorted(set(_word.findall(literal)))])
        else:
            raise Undefined(f"{field} is a set: a name can be in it, it is in nothing")
        return negate(found) if operator == "not in" else found
    if field != "extra" or operator in ("~=", "==="):
        raise Undefined(f"{operator} cannot be used with {field}")
    if operator in ("<", ">"):
        return FALSE
    found = named(field, normalize(literal))
    return negate(found) if operator == "!=" else found


def _loose(field: str, operator: str, literal: str, mirrored: bool) -> Diagram:
    """A field with a version or any other text: nothing is known of one comparison from another."""
    if operator == "===" and not mirrored and not python_axis.is_identity(literal):
        raise Undefined("=== needs a word")
    if operator == "~=" and not mirrored:
        return _compatible(field, literal)
    if operator in ("<", ">", "<=", ">=") and not _is_version(literal, ">=" if mirrored else operator):
        # Compared as texts; with "3.*" "==" would compare versions.
        if operator in ("<", ">"):
            return FALSE
        operator = "<=" if _is_version(literal, "==") else "=="
    # "!=" with a version is false of a text that is none, and then no complement of "==".
    is_version = _is_version(literal, ">=" if mirrored else "==")
    has_complement = operator == "not in" or (operator == "!=" and is_version == mirrored)
    positive = {"!=": "==", "not in": "in"}[operator] if has_complement else operator
    found = boolean(Variable(ATOM_RANK, field, positive, literal, mirrored=mirrored))
    return negate(found) if has_complement else found


def _compatible(field: str, literal: str) -> Diagram:
    """``field ~= 'X.Y'`` as ``>= 'X.Y'`` and ``== 'X.*'``, which have opposites."""
    clause = python_axis.clause_of("~=", literal)
    if clause is None or clause.version is None:
        raise Undefined("~= needs a version")
    version = clause.version
    series = version._replace(release=version.release[:-1], pre=None, post=None, dev=None, local=())
    return both(
        _loose(field, ">=", clause.text, mirrored=False),
        _loose(field, "==", f"{series}.*", mirrored=False),
    )


def _is_version(literal: str, operator: str) -> bool:
    """Whether *operator* can compare versions with *literal*."""
    return python_axis.clause_of(operator, literal) is not None
