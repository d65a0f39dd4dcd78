"""A set of environments in words, for messages: "on Python 3.13 and later on Windows"."""

from __future__ import annotations

from pypm_model.markers.cover import cover
from pypm_model.markers.diagram import (
    FALSE,
    TRUE,
    Diagram,
    Keys,
    all_of,
    any_of,
    both,
    branches,
    minus,
    named,
    negate,
    node,
    quantify,
)
from pypm_model.markers.inquiry import asked
from pypm_model.markers.literals import boolean_text
from pypm_model.markers.python_axis import ALPHA, FINAL, HIGHEST, LOWEST, Cut
from pypm_model.markers.render import text
from pypm_model.markers.syntax import parse
from pypm_model.markers.variables import ORDER, PYTHON, SET_RANK, Variable
from pypm_model.patterns import pattern

_FIELDS, _FLAGS, _ALTERNATIVES = 8, 40, 3
"""What is put into words at most: variables but flags, flags, and sets that are joined by "or"."""
_DENIES = pattern(r"\b(except|not|without|no|where)\b|!=")

_PLATFORMS = {
    "win32": "Windows",
    "linux": "Linux",
    "darwin": "macOS",
    "android": "Android",
    "ios": "iOS",
    "emscripten": "Emscripten",
    "wasi": "WASI",
    "cygwin": "Cygwin",
    "aix": "AIX",
}


def describe(d: Diagram) -> str:
    """What *d* is, in words that fit behind a statement; always true. Where words would be no shorter to
    read, "where" and the text of the marker."""
    if d == TRUE:
        return "everywhere"
    if d == FALSE:
        return "nowhere"
    numbers = asked(d)
    flags = sum(ORDER[n].rank >= SET_RANK for n in numbers)
    if flags > _FLAGS or len(numbers) - flags > _FIELDS:
        return f"where {text(d)}"
    return _product(d) or _joined(d, 2) or _but(d) or _joined(d, _ALTERNATIVES) or f"where {text(d)}"


def _product(d: Diagram) -> str:
    """*d* if it says one thing of each variable, and of flags also that one of several is active."""
    numbers = asked(d)
    parts = [_alone(d, n, numbers) for n in numbers]
    if all_of(parts) == d:
        return " ".join([_words(part, n) for part, n in zip(parts, numbers, strict=True) if part != TRUE])
    of_flags = [n for n in numbers if ORDER[n].rank >= SET_RANK]
    if len(of_flags) < 2:
        return ""
    names = [ORDER[n] for n in of_flags]
    some = any_of([named(each.name, each.literal) for each in names])
    others = quantify(d, of_flags)
    if both(others, some) != d:
        return ""
    where = "" if others == TRUE else _product(others)
    members = f"with {_or([_member(each) for each in names])}"
    return f"{where} {members}".strip() if where or others == TRUE else ""


def _joined(d: Diagram, most: int) -> str:
    """*d* as *most* products or fewer."""
    found = _alternatives(d, most)
    if any_of(found) != d:
        return ""
    for i, one in enumerate(found):
        less = minus(one, any_of(found[:i] + found[i + 1 :]))  # what the others have need not be said again
        if less != FALSE and len(asked(less)) <= len(asked(one)) and len(text(less)) < len(text(one)):
            found[i] = less
    words = [_product(each).replace("except on ", "not on ") for each in found]
    return ", or ".join(words) if all(words) else ""


def _alternatives(d: Diagram, most: int) -> list[Diagram]:
    """Products that make *d*; empty if these are not *most* or fewer."""
    if _product(d):
        return [d]
    found: list[Diagram] = []
    for term in cover(d, d).terms:
        assert term.choice is not None
        chosen = parse(" or ".join([" and ".join(texts) for texts in term.choice.texts]))
        rests = [TRUE] if term.rest.diagram == TRUE else _alternatives(term.rest.diagram, most)
        found += [both(chosen, rest) for rest in rests]
        if not rests or len(found) > most:
            return []
    return found


def _but(d: Diagram) -> str:
    """*d* as all but a product that denies nothing."""
    words = _product(negate(d))
    return "" if not words or _DENIES.search(words) else f"except {words}"


def _alone(d: Diagram, variable: int, numbers: list[int]) -> Diagram:
    """What *d* says of *variable* whatever the others are."""
    if variable == PYTHON:
        cuts, children = branches(d)
        return node(PYTHON, cuts, tuple([FALSE if c == FALSE else TRUE for c in children]))
    return quantify(d, [n for n in numbers if n != variable])


def _words(part: Diagram, variable: int) -> str:
    keys, children = branches(part)
    if variable == PYTHON:
        return f"on Python {_pythons(keys, children)}"
    asked_ = ORDER[variable]
    if asked_.rank >= SET_RANK:
        return f"{'with' if children[1] == TRUE else 'without'} {_member(asked_)}"
    if not keys:
        return f"where {boolean_text(asked_, children[1] == TRUE)}"
    is_except = children[-1] == TRUE
    values = [key for key, child in zip(keys, children, strict=False) if (child == FALSE) == is_except]
    return _field(asked_.name, values, is_except)


def _field(name: str, values: list[str], is_except: bool) -> str:
    match name:
        case "sys_platform":
            platforms = _or([_PLATFORMS.get(value, value) for value in values])
            return f"except on {platforms}" if is_except else f"on {platforms}"
        case "platform_machine":
            return f"{'not on' if is_except else 'on'} {_or(values)} machines"
        case "platform_python_implementation":
            return f"{'not with' if is_except else 'with'} {_or(values)}"
        case _:
            return f"where {name} is {'not ' if is_except else ''}{_or([repr(v) for v in values])}"


def _member(variable: Variable) -> str:
    """A flag of `pypm_model.activation`, or an extra."""
    name = variable.literal
    if variable.name != "dependency_groups":
        return f"the extra {name}" if name else "no extra"
    if name.endswith("]"):
        member, extra = name[:-1].split("[", 1)
        return f"the extra {extra} of {member}"
    if ":" in name:
        member, group = name.split(":", 1)
        return f"the group {group} of {member}"
    return name


def _pythons(cuts: Keys, children: tuple[Diagram, ...]) -> str:
    bounds = (LOWEST, *cuts, HIGHEST)
    return _or(
        [_interval(bounds[i], bounds[i + 1]) for i in range(len(children)) if children[i] == TRUE],
    )


def _interval(low: Cut, high: Cut) -> str:
    if low == LOWEST:
        return f"before {_version(high)}"
    if high == HIGHEST:
        return f"{_version(low)} and later"
    if low[2:] == high[2:] == (0, ALPHA, 0) and low[0] == high[0]:
        last = f"{high[0]}.{high[1] - 1}"
        if high[1] - low[1] <= 2:
            return last if high[1] - low[1] == 1 else f"{_version(low)} or {last}"
        return f"{_version(low)} to {last}"
    if low[3] == FINAL and high == (low[0], low[1], low[2] + 1, ALPHA, 0):
        return f"{low[0]}.{low[1]}.{low[2]}"
    return f"{_version(low)} and later but before {_version(high)}"


def _version(cut: Cut) -> str:
    """``3.12`` if its pre-releases count too, else with three numbers."""
    if cut[2:] == (0, ALPHA, 0):
        return f"{cut[0]}.{cut[1]}"
    release = f"{cut[0]}.{cut[1]}.{cut[2]}"
    if cut[3] == FINAL:
        return f"{release} (final)"
    return release if cut[3:] == (ALPHA, 0) else release + ("a", "b", "rc")[cut[3]] + str(cut[4])


def _or(words: list[str]) -> str:
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} or {words[-1]}"
