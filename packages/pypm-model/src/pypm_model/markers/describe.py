"""A set of environments in words, for messages: "on Python 3.13 and later on Windows"."""

from __future__ import annotations

from pypm_model.markers.diagram import (
    FALSE,
    TRUE,
    Diagram,
    Keys,
    all_of,
    branches,
    node,
    quantify,
)
from pypm_model.markers.inquiry import asked
from pypm_model.markers.literals import boolean_text
from pypm_model.markers.python_axis import ALPHA, FINAL, HIGHEST, LOWEST, Cut
from pypm_model.markers.render import text
from pypm_model.markers.variables import ORDER, PYTHON, SET_RANK, Variable

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
    """What *d* is, in words that fit behind a statement; always true, and short if *d* says one thing of
    each variable. Otherwise "where" and the text of the marker."""
    if d == TRUE:
        return "everywhere"
    if d == FALSE:
        return "nowhere"
    numbers = asked(d)
    if len(numbers) > 8:
        return f"where {text(d)}"
    parts = [_alone(d, n, numbers) for n in numbers]
    if all_of(parts) != d:
        return f"where {text(d)}"
    return " ".join([_words(part, n) for part, n in zip(parts, numbers, strict=True) if part != TRUE])


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
