"""Places in TOML texts, compared with what a real parser reads there."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_workspace.positions import Positions, dotted, undotted

ODD = """\
# a comment with [brackets] and "quotes
title = "x"   # trailing
"quoted key" = 1
'lit.eral'.sub = [ 1, 2, # one, two ] no
  3,
]
a.b.c = { d = [ {e = 1}, {e = "}"} ], "f g" = '''
]}''' }
date = 1979-05-27 07:32:00
text = \"\"\"
[not.a.table]
key = "\\" \"\"\"
[ table . "with.dot" ]
k = "v"
[[list]]
name = "one"
[[list]]
name = "two"
[list.below]
x = true
[[list.more]]
deep = [[1, 2], [3]]
"""


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    found: list[tuple[tuple[str | int, ...], Any]] = [(path, value)] if path else []
    if isinstance(value, dict):
        for key, below in value.items():
            found += leaves(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            found += leaves(below, (*path, number))
    return found


def agree(text: str) -> None:
    """Every path a parser finds has a spot, and the spot's text is the value."""
    positions = Positions(text)
    document = tomllib.loads(text)
    wanted = [
        (path, value)
        for path, value in leaves(document)
        # an array of tables has no text of its own: its tables have
        if not (
            isinstance(value, list)
            and value
            and (*path, 0) in positions.spots
            and path not in positions.spots
        )
    ]
    for path, value in wanted:
        spot = positions.spots[path]
        if spot.kind in ("value", "array", "inline"):
            assert tomllib.loads("x = " + text[spot.start : spot.end])["x"] == value, path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_odd_text_is_found_like_a_parser_reads_it(end: str) -> None:
    agree(ODD.replace("\n", end))


def test_lines_and_columns_point_at_keys_and_items() -> None:
    positions = Positions(ODD)
    assert positions.find(("lit.eral", "sub", 2)) == (5, 3)
    assert positions.find(("title",)) == (2, 1)
    assert positions.find(("list", 1, "name")) == (18, 1)
    assert positions.find(("list", 1, "below", "x")) == (20, 1)
    assert positions.find(("list", 1, "missing")) == (17, 1)
    assert positions.find(("nothing",)) is None


keys = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cs",))),
)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=3), max_leaves=12
)


@settings(max_examples=examples(60), deadline=None)
@given(st.dictionaries(keys, values, max_size=4))
def test_any_document_that_tomlkit_writes(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    try:
        same = tomllib.loads(text) == document
    except tomllib.TOMLDecodeError:
        same = False
    if same:  # the writer's own slips are not ours
        agree(text)


@given(st.lists(keys | st.integers(0, 99), min_size=1, max_size=5).filter(lambda p: isinstance(p[0], str)))
def test_dotted_paths_come_back(path: list[str | int]) -> None:
    assert undotted(dotted(path)) == tuple(path)


@pytest.mark.parametrize(
    "text", ["a = [1, ", "[", "x", 'a = "', "= 1", "a = {b = ", "[[a]\n", "\ufeffa=1", "[a]\nb = 'c"]
)
def test_broken_text_is_no_crash(text: str) -> None:
    assert Positions(text).find(("zz",)) is None
