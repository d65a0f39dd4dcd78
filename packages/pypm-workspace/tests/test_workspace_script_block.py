"""Blocks of single-file scripts (PEP 723)."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypm_workspace import edit
from pypm_workspace.faults import InvalidManifest
from pypm_workspace.script_block import Script, edited_script, read_script


def test_a_script_says_what_it_needs() -> None:
    text = b'#!/usr/bin/env python\r\n"""Doc."""\r\n# /// script\r\n# requires-python = ">=3.11"\r\n'
    text += b'# dependencies = [\r\n#   "httpx",\r\n#\r\n#   "rich>=13",\r\n# ]\r\n# ///\r\nimport httpx\r\n'
    assert read_script(text, "s.py") == Script(("httpx", "rich>=13"), ">=3.11", 3, (6, 8))


@pytest.mark.parametrize(
    "text",
    ["", "import x\n", "# /// other\n# a = 1\n# ///\n", "#/// script\n#///\n", " # /// script\n # ///\n"],
)
def test_most_files_say_nothing(text: str) -> None:
    assert read_script(text.encode(), "s.py") is None


def test_bytes_that_are_no_text_are_pythons_business() -> None:
    assert read_script(b"\xff\xfe", "s.py") is None


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("# /// script\n# a = [\n# ///\n", ["s.py:3: not valid TOML"]),
        ("x\n# /// script\n# dependencies = []\nx", ["s.py:2: the block has no end"]),
        ("# /// script\n# ///\n\n# /// script\n# ///\n", ["s.py:4: there is a second `script` block"]),
        (
            '# /// script\n# requires-python = 3\n# dependencies = ["a b"]\n# extra = 1\n# ///\n',
            [
                "s.py:2: `requires-python` is no text",
                "s.py:3: 'a b' is no requirement",
                "s.py:4: `extra` is no key",
            ],
        ),
        ("# /// script\n# dependencies = { a = 1 }\n# ///\n", ["s.py:2: `dependencies` is no list of texts"]),
        ('# /// script\n# requires-python = ">=x"\n# ///\n', ["s.py:2: `requires-python` cannot be read"]),
    ],
)
def test_faults_are_told_with_their_lines(text: str, faults: list[str]) -> None:
    with pytest.raises(InvalidManifest) as caught:
        read_script(text.encode(), "s.py")
    told = [str(fault) for fault in caught.value.faults]
    assert len(told) == len(faults)
    assert all(one.startswith(fault) for one, fault in zip(told, faults, strict=True)), told


_STANDARD = r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"
"""The standard's own expression."""
_LINES = st.sampled_from(
    ["# /// script", "# ///", "# x = 1", "#", "# dependencies = []", "", "import a", "# /// other", "#x"]
)


@given(st.lists(_LINES, max_size=12))
@example(["# /// other", "# /// script", "#", "# ///"])
@example(["# /// other", "# ///", "", "# /// script", "# ///"])
def test_a_block_is_found_where_the_standard_finds_one(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    found = [match for match in re.finditer(_STANDARD, text) if match["type"] == "script"]
    try:
        script = read_script(text.encode(), "s.py")
    except InvalidManifest:
        # More than one, no end, keys that are none, or no TOML: for the standard none, or one to refuse.
        if len(found) == 1:
            content = "".join(line[2:] for line in found[0]["content"].splitlines(keepends=True))
            try:
                keys = set(tomllib.loads(content))
            except tomllib.TOMLDecodeError:
                return
            starts = [line for line in lines if line == "# /// script"]
            assert keys - {"dependencies", "requires-python", "tool"} or len(starts) > 1
        return
    # An empty block is one, too: to the standard it is nothing.
    is_empty = "# /// script\n# ///\n" in text
    assert (script is not None) == (len(found) == 1) or (script is not None and is_empty)


@pytest.mark.parametrize(
    ("allow", "names"),
    [
        ("[tool.pypm.resolution]\nbuild = { allow = ['a', 'b-c'] }", ("a", "b-c")),
        ("[tool.pypm]\nresolution.build.allow = []", ()),
        ("[tool.pypm]", ()),
        ("[tool.other]\nbuild = 1", ()),
        ("[tool.pypm]\nbuild = { allow = ['a'] }", None),
        ("[tool.pypm.resolution]\nbuild = { allow = 'a' }", None),
        ("[tool.pypm.resolution]\nbuild = { allow = ['a b'] }", None),
        ("[tool.pypm.resolution]\nbuild = { allow = ['a'], default = 'always' }", None),
    ],
)
def test_what_may_be_built_for_a_script(allow: str, names: tuple[str, ...] | None) -> None:
    text = "# /// script\n" + "".join(f"# {line}\n" for line in allow.splitlines()) + "# ///\n"
    if names is None:
        with pytest.raises(InvalidManifest, match=r"resolution\.build\.allow"):
            read_script(text.encode(), "a.py")
    else:
        script = read_script(text.encode(), "a.py")
        assert script is not None and script.may_build == names


def _added(text: str, *requirements: str) -> str:
    def change(manifest: str) -> str:
        for requirement in requirements:
            manifest = edit.add(manifest, requirement)
        return manifest

    return edited_script(text, change, ">=3.11")


def test_a_block_is_edited_in_place() -> None:
    text = (
        "import x\r\n\r\n# /// script\r\n# # why\r\n# dependencies = ['a', 'c']  # these\r\n#\r\n"
        "# [tool.x]\r\n# dependencies = ['z']\r\n# ///\r\nprint('\x0c')  # /// script\r\n"
    )
    assert _added(text, "b>=1") == text.replace("['a', 'c']", "['a', 'b>=1', 'c']")
    assert edited_script(text, lambda manifest: edit.remove(manifest, "A"), "") == text.replace("'a', ", "")
    assert edited_script(text, lambda manifest: manifest, "") == text


BLOCK = '# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#     "a",\n# ]\n# ///\n'


@pytest.mark.parametrize(
    ("text", "first", "rest"),
    [
        ("", "", ""),
        ("import x\n", "", "\nimport x\n"),
        ("\n\nimport x", "", "\n\nimport x"),
        ("#!/usr/bin/env python\nimport x\n", "#!/usr/bin/env python\n", "\nimport x\n"),
        ("#!/x\n# -*- coding: latin-1 -*-\nx", "#!/x\n# -*- coding: latin-1 -*-\n", "\nx"),
        ("# coding: utf-8\n\n", "# coding: utf-8\n", "\n"),
        ("\ufeffimport x\n", "\ufeff", "\nimport x\n"),
    ],
)
def test_a_script_gets_a_block(text: str, first: str, rest: str) -> None:
    assert _added(text, "a") == first + BLOCK + rest


@given(
    st.lists(st.sampled_from(["import x", "", "# a", "#", "x = '''", "# ///", "    y"]), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_not_the_block_stays(lines: list[str], ending: str) -> None:
    text = "".join(line + ending for line in lines)
    once = _added(text, "b")
    script = read_script(once.encode(), "a.py")
    assert script is not None and script.dependencies == ("b",)
    assert once.replace(ending, "").endswith(text.replace(ending, ""))
    twice = _added(once, "a")
    script = read_script(twice.encode(), "a.py")
    assert script is not None and script.dependencies == ("a", "b")
    assert edited_script(twice, lambda manifest: edit.remove(manifest, "a"), "") == once
