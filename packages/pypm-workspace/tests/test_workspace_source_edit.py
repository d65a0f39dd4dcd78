"""Sources of names edited in place: the table a manifest uses, every other byte as it was."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_workspace.edit import NotEditable
from pypm_workspace.source_edit import inline, with_source, without_source

HEAD = '[project]\nname = "a"  # it\nversion = "1"\n'
GIT = {"git": "https://example.test/b", "tag": "v1"}
GIT_TEXT = '{ git = "https://example.test/b", tag = "v1" }'


def sources(text: str, tool: str = "pypm") -> Any:
    return tomllib.loads(text).get("tool", {}).get(tool, {}).get("sources")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"\n[tool.pypm.sources]\nb = {GIT_TEXT}\n"),
        ("\n[tool.x]\ny = 1\n", f"\n[tool.x]\ny = 1\n\n[tool.pypm.sources]\nb = {GIT_TEXT}\n"),
        (
            "\n[tool.pypm.sources]\n# why\na = { index = 'x' }  # so\n\n[tool.x]\ny = 1\n",
            f"\n[tool.pypm.sources]\n# why\na = {{ index = 'x' }}  # so\nb = {GIT_TEXT}\n\n[tool.x]\ny = 1\n",
        ),
        (
            "\n[tool.pypm.sources]\nB = { index = 'x' }  # so\n",
            f"\n[tool.pypm.sources]\nB = {GIT_TEXT}  # so\n",
        ),
        (
            "\n[tool.pypm.sources]\nb.index = 'x'\nb.marker = 'y'\n",
            f"\n[tool.pypm.sources]\nb = {GIT_TEXT}\n",
        ),
        ("\n[tool.pypm.sources.b]\nindex = 'x'\n", f"\n[tool.pypm.sources]\nb = {GIT_TEXT}\n"),
        ("\n[tool.pypm.sources.c]\nindex = 'x'\n", None),
        ("\n[[tool.pypm.sources.b]]\nindex = 'x'\n[[tool.pypm.sources.b]]\nindex = 'y'\n", None),
        ("\n[tool.pypm]\nsources = {}\n", f"\n[tool.pypm]\nsources = {{ b = {GIT_TEXT} }}\n"),
        (
            "\n[tool.pypm]\nsources = { c = { index = 'x' } }\n",
            f"\n[tool.pypm]\nsources = {{ c = {{ index = 'x' }}, b = {GIT_TEXT} }}\n",
        ),
        (
            "\n[tool.pypm]\nsources.c.index = 'x'\n",
            f"\n[tool.pypm]\nsources.c.index = 'x'\nsources.b = {GIT_TEXT}\n",
        ),
        (
            "\n[tool.pypm]\ndefault-groups = []\n",
            f"\n[tool.pypm]\ndefault-groups = []\n\n[tool.pypm.sources]\nb = {GIT_TEXT}\n",
        ),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_source_is_written(before: str, after: str | None, end: str) -> None:
    text = (HEAD + before).replace("\n", end)
    changed = with_source(text, "b", GIT)
    assert {name.lower(): source for name, source in sources(changed).items()}["b"] == GIT
    if after is not None:
        assert changed == (HEAD + after).replace("\n", end)
    assert with_source(changed, "b", GIT) == changed
    assert with_source("\ufeff" + text, "b", GIT) == "\ufeff" + changed


def test_the_table_that_is_there_is_used() -> None:
    uvs = HEAD + "\n[tool.uv.sources]\nc = { workspace = true }\n"
    assert sources(with_source(uvs, "b", GIT), "uv") == {"c": {"workspace": True}, "b": GIT}
    assert sources(with_source(uvs, "c", GIT), "uv") == {"c": GIT}
    assert sources(with_source(HEAD, "b", {"workspace": True}, uv=True), "uv") == {"b": {"workspace": True}}
    both = uvs + "\n[tool.pypm.sources]\nd = { index = 'x' }\n"
    assert sources(with_source(both, "b", GIT)) == {"d": {"index": "x"}, "b": GIT}
    assert sources(with_source(both, "b", GIT, uv=True), "uv") == {"c": {"workspace": True}, "b": GIT}
    assert sources(with_source(both, "c", GIT), "uv") == {"c": GIT}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("\n[tool.pypm.sources]\nb = { index = 'x' }\n", ""),
        ("\n[tool.x]\ny = 1\n\n[tool.pypm.sources]\nb = { index = 'x' }  # gone\n", "\n[tool.x]\ny = 1\n"),
        ("\n[tool.pypm.sources]\nb = { index = 'x' }\n\n[tool.x]\ny = 1\n", "\n[tool.x]\ny = 1\n"),
        (
            "\n[tool.pypm.sources]\n# for all\nb = { index = 'x' }\n",
            "\n[tool.pypm.sources]\n# for all\n",
        ),
        (
            "\n[tool.pypm.sources]\nb = { index = 'x' }\nc = { index = 'x' }  # stays\n",
            "\n[tool.pypm.sources]\nc = { index = 'x' }  # stays\n",
        ),
        ("\n[tool.uv.sources]\nB = { index = 'x' }\nc = 1\n", "\n[tool.uv.sources]\nc = 1\n"),
        ("\n[[tool.uv.sources.b]]\nurl = 'x'\n\n[[tool.uv.sources.b]]\nurl = 'y'\n\n[z]\n", "\n[z]\n"),
        ("\n[tool.uv]\nsources = { b = { url = 'x' }, c = 1 }\n", "\n[tool.uv]\nsources = { c = 1 }\n"),
        ("\n[tool.uv]\nsources = { c = 1, b.url = 'x' }\n", "\n[tool.uv]\nsources = { c = 1 }\n"),
        ("\n[tool.uv]\nsources.b.url = 'x'\nsources.c = 1\n", "\n[tool.uv]\nsources.c = 1\n"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_source_is_taken_away(before: str, after: str, end: str) -> None:
    text = (HEAD + before).replace("\n", end)
    assert without_source(text, "b") == (HEAD + after).replace("\n", end)


def test_what_is_no_table_is_not_touched() -> None:
    with pytest.raises(NotEditable, match=r"p\.toml: the source of `b`"):
        with_source(HEAD + "\n[tool]\npypm = 3\n", "b", GIT, file="p.toml")


@given(
    st.dictionaries(st.sampled_from(["git", "rev", "path", "marker"]), st.text(max_size=8) | st.booleans())
)
def test_any_value_is_written_as_toml(source: dict[str, str | bool]) -> None:
    assert tomllib.loads(f"x = {inline(source)}") == {"x": source}


NAMES = ("b", "c-d", "E")


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=6), st.booleans())
def test_any_order_of_edits_gives_what_was_said(steps: list[tuple[str, bool]], uv: bool) -> None:
    text, said = HEAD, dict[str, Any]()
    for name, keep in steps:
        if keep:
            text = with_source(text, name, GIT, uv=uv)
            said[name] = GIT
        else:
            text = without_source(text, name)
            said.pop(name, None)
    assert (sources(text, "uv" if uv else "pypm") or {}) == said
    assert text.startswith(HEAD)
    assert said or text == HEAD
