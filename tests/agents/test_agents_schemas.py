"""Arguments of agents become command lines that mean what was given, whatever it is."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm.cli.arguments import Argument, Gathered, Option, read
from pypm.mcp.catalog import TOOLS, Tool
from pypm.mcp.errors import BadCall
from pypm.mcp.schemas import checked, words
from pypm_model.records import as_dict

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
) | st.sampled_from(["-p", "--", "--help", "-", "--json", "--member=x", "=", "-vq"])
VERBS = [tool for tool in TOOLS if tool.verb]


@st.composite
def calls(draw: st.DrawFn) -> tuple[Tool, dict[str, Any]]:
    """A tool, and arguments that its schema allows."""
    tool = draw(st.sampled_from(VERBS))
    arguments: dict[str, Any] = {}
    for value in tool.values:
        needed = isinstance(value, Argument) and value.required
        if not needed and draw(st.booleans()):
            continue
        if value.many:
            arguments[value.name] = draw(st.lists(texts, min_size=int(needed), max_size=3))
        elif isinstance(value, Argument):
            arguments[value.name] = draw(texts)
        elif not value.metavar:
            arguments[value.name] = draw(st.booleans())
        elif value.choices:
            arguments[value.name] = draw(st.sampled_from(value.choices))
        elif value.least is not None:
            arguments[value.name] = draw(st.integers(value.least, 10**6))
        else:
            arguments[value.name] = draw(texts)
    if tool.name == "run" and "task" not in arguments:
        arguments["task"] = draw(texts)
    return tool, arguments


@given(calls())
def test_a_command_line_reads_as_what_was_given(call: tuple[Tool, dict[str, Any]]) -> None:
    """No value is taken for an option, none gets lost; for every tool, by the command line's own reader."""
    tool, arguments = call
    jsonschema.validate(arguments, tool.input_schema)
    line = ["--json", *tool.fixed, *words(tool.values, checked(tool.name, tool.values, arguments))]
    found = read(tool.command, line)
    assert found is not None
    flat: dict[str, Any] = {}
    for part in tool.command.parts:
        match part:
            case Gathered(name=name):
                made = found[name]
                flat |= as_dict(made) if hasattr(made.__class__, "__record_fields__") else {}
            case Option(name=name) | Argument(name=name):
                flat[name] = found[name]
    for name, value in arguments.items():
        expected = tuple(value) if isinstance(value, list) else value
        assert flat[name] == expected, (name, line)
    assert found["common"].json
    unsaid = {option.name for option in tool.command.options} - arguments.keys() - _fixed(tool)
    assert not any(flat.get(name) for name in unsaid if name not in _with_default(tool))


def _fixed(tool: Tool) -> set[str]:
    flags = {flag: option.name for option in tool.command.options for flag in option.flags}
    return {flags[flag] for flag in (*tool.fixed, "--json")}


def _with_default(tool: Tool) -> set[str]:
    return {option.name for option in tool.command.options if option.default}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_schema_is_one(tool: Tool) -> None:
    jsonschema.Draft202012Validator.check_schema(tool.input_schema)
    jsonschema.Draft202012Validator.check_schema(tool.output_schema)
    assert all(each.get("description") for each in tool.input_schema["properties"].values()), tool.name
    assert tool.read_only is not (tool.writes or bool(tool.answers))
    assert tool.idempotent or not tool.read_only
    assert not (tool.destructive and tool.read_only)


@given(st.sampled_from(TOOLS), st.dictionaries(st.text(max_size=3), st.none() | texts | st.integers()))
def test_what_the_schema_refuses_is_refused(tool: Tool, arguments: dict[str, Any]) -> None:
    allowed = jsonschema.Draft202012Validator(tool.input_schema).is_valid(arguments)
    try:
        checked(tool.name, tool.values, arguments)
    except BadCall as error:
        assert not allowed and error.tool == tool.name
    else:
        assert allowed
