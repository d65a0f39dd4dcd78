"""JSON schemas from the records of the command line, and command lines from arguments that fit them.

An agent's argument bears the name of the parameter that the option has in the verb: ``members`` for
``-p/--member``, ``everything`` for ``--all``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from pypm.cli.arguments import Argument, Command, Gathered, Option
from pypm.mcp.errors import BadCall

Value = Option | Argument
Schema = dict[str, Any]

LONGEST = 4096
"""Characters of an argument that goes to a command line."""
MOST = 256
"""Values of an argument that may be given several times."""

_variable = re.compile(r"\s*\[PYPM_[A-Z_]+\]")


def values_of(command: Command, names: Sequence[str]) -> tuple[Value, ...]:
    """The options and arguments of *command* whose parameters are *names*, in that order. Raises KeyError."""
    found: dict[str, Value] = {}
    for part in command.parts:
        match part:
            case Option() | Argument():
                found[part.name] = part
            case Gathered(options=options):
                found.update((each.name, each) for each in options)
    return tuple(found[name] for name in names)


def input_schema(values: Sequence[Value], told: Mapping[str, str]) -> Schema:
    """The schema of an object with *values*; *told* has sentences for those that have none of their own."""
    return {
        "type": "object",
        "properties": {each.name: _property(each, told.get(each.name, "")) for each in values},
        "required": [each.name for each in values if isinstance(each, Argument) and each.required],
        "additionalProperties": False,
    }


def _property(value: Value, told: str) -> Schema:
    sentence = told or (_variable.sub("", value.help) if isinstance(value, Option) else "")
    schema = _type_of(value)
    if isinstance(value, Option) and value.default not in (None, ""):
        schema["default"] = value.default
    return schema | ({"description": sentence} if sentence else {})


def _type_of(value: Value) -> Schema:
    if value.many:
        least = {"minItems": 1} if isinstance(value, Argument) and value.required else {}
        return {"type": "array", "items": {"type": "string"}, **least}
    if isinstance(value, Argument):
        return {"type": "string"}
    if not value.metavar:
        return {"type": "boolean", "default": False}
    if value.choices:
        return {"type": "string", "enum": list(value.choices)}
    if value.least is not None:
        return {"type": "integer", "minimum": value.least}
    return {"type": "string"}


def checked(
    tool: str, values: Sequence[Value], arguments: Mapping[str, Any], longest: int = LONGEST
) -> dict[str, Any]:
    """*arguments* if they are what `input_schema` of *values* says. Raises `BadCall`, which names the first
    that is not."""
    known = {each.name: each for each in values}
    for name in arguments:
        if name not in known:
            raise BadCall(
                tool, name[:80], f"is none of its arguments, which are {', '.join(known) or 'none'}"
            )
    for each in values:
        if each.name not in arguments:
            if isinstance(each, Argument) and each.required:
                raise BadCall(tool, each.name, "is missing")
            continue
        reason = _fault(each, arguments[each.name], longest)
        if reason:
            raise BadCall(tool, each.name, reason)
    return dict(arguments)


def _fault(value: Value, given: object, longest: int) -> str:
    """Why *given* is no value of *value*; empty if it is one."""
    if value.many:
        if not isinstance(given, list):
            return "must be an array of strings"
        if len(given) > MOST:
            return f"has more than {MOST} values"
        if not given and isinstance(value, Argument) and value.required:
            return "is empty"
        return next(
            (f"has a value that {fault}" for each in given if (fault := _text_fault(each, longest))), ""
        )
    if isinstance(value, Option) and not value.metavar:
        return "" if isinstance(given, bool) else "must be true or false"
    if isinstance(value, Option) and value.least is not None:
        number = isinstance(given, int) and not isinstance(given, bool)
        fits = number and value.least <= given < 2**63  # type: ignore[operator]
        return "" if fits else f"must be a whole number from {value.least} on"
    if isinstance(value, Option) and value.choices and given not in value.choices:
        return f"must be one of {', '.join(value.choices)}"
    return _text_fault(given, longest)


def _text_fault(given: object, longest: int) -> str:
    if not isinstance(given, str):
        return "must be a string"
    if len(given) > longest:
        return f"is longer than {longest} characters"
    try:
        given.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return "holds a null character" if "\0" in given and longest == LONGEST else ""


def words(values: Sequence[Value], arguments: Mapping[str, Any]) -> list[str]:
    """The command line that means *arguments*: each option with its value in one word, and whatever has no
    dashes of its own after ``--``, so that nothing that is given can be taken for an option."""
    found: list[str] = []
    plain: list[str] = []
    for each in values:
        given = arguments.get(each.name)
        if given is None or given is False:
            continue
        if isinstance(each, Argument):
            plain += given if each.many else [given]
            continue
        flag = each.flags[-1]
        if given is True:
            found.append(flag)
        else:
            found += [f"{flag}={one}" for one in (given if each.many else [given])]
    return [*found, "--", *plain] if plain else found


def output_schema(answers: Sequence[type]) -> Schema:
    """The schema of an object that is one of the typed dictionaries *answers*."""
    shapes = [_dictionary(each) for each in answers]
    return shapes[0] if len(shapes) == 1 else {"type": "object", "anyOf": shapes}


def _dictionary(kind: type) -> Schema:
    # `__required_keys__` cannot be had: where annotations are texts it holds every key.
    hints = get_type_hints(kind, include_extras=True)
    return {
        "type": "object",
        "properties": {name: _hinted(_plain(hint)) for name, hint in hints.items()},
        "required": sorted(name for name, hint in hints.items() if _plain(hint) is hint),
        "additionalProperties": False,
    }


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _hinted(hint: Any) -> Schema:
    if get_origin(hint) is Literal:
        options = list(get_args(hint))
        return {"const": options[0]} if len(options) == 1 else {"enum": options}
    if get_origin(hint) in (Union, UnionType):
        return {"anyOf": [_hinted(each) for each in get_args(hint)]}
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean"}[hint]}
