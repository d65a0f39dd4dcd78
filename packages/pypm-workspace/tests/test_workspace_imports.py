"""What a source imports: exactly what was written into it, with what holds around it."""

from __future__ import annotations

import json
import keyword
import marshal
import sys
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_workspace.imports import (
    ELSEWHERE,
    LATE,
    OPTIONAL,
    PROBED,
    TYPING,
    Imported,
    SourceFacts,
    facts_of,
    words_of,
)


class Around(NamedTuple):
    """Lines around an import; what they make of it."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    bits: int = 0
    pythons: str = ""


AROUND = (
    Around(("def f(x=1):",), (), LATE),
    Around(("async def f():",), (), LATE),
    Around(("class A:",), ()),
    Around(("if TYPE_CHECKING:",), ("else:", "    pass"), TYPING),
    Around(("if not typing.TYPE_CHECKING:", "    pass", "else:"), (), TYPING),
    Around(("try:",), ("except ImportError:", "    pass"), OPTIONAL),
    Around(("try:",), ("except (OSError, ModuleNotFoundError) as e:", "    pass"), OPTIONAL),
    Around(("try:",), ("except OSError:", "    pass")),
    Around(("try:", "    pass", "finally:"), ()),
    Around(("with contextlib.suppress(ImportError):",), (), OPTIONAL),
    Around(("with open('x') as f, suppress(OSError):",), ()),
    Around(("if sys.version_info >= (3, 12):",), (), 0, ">=3.12"),
    Around(("if sys.version_info < (3, 12):", "    pass", "else:"), (), 0, ">=3.12"),
    Around(("if sys.version_info[0] == 2:", "    pass", "elif True:"), ()),
    Around(("if sys.platform == 'win32' and x:",), (), ELSEWHERE),
    Around(("for x in y:",), ("else:", "    pass")),
    Around(("while x:", "    pass", "else:"), ()),
    Around(("match x:", "    case 1:"), ()),
)
FORMS = (
    ("import {0}", (), 0),
    ("import {0} as x", (), 0),
    ("from {0} import a, b as c", ("a", "b"), 0),
    ("from {0} import *", ("*",), 0),
    ("x = importlib.import_module('{0}', package)", (), 0),
    ("f(lambda: [__import__('{0}')])", (), 0),
    ("x = importlib.import_module(package=p, name='{0}')", (), 0),
    ("x = pkgutil.resolve_name('{0}')", (), 0),
    ("x = pkgutil.resolve_name('{0}:some.object')(1)", (), 0),
    ("pytest.importorskip(modname='{0}', minversion='1')", (), OPTIONAL | PROBED),
    ("pytest.importorskip('{0}')", (), OPTIONAL | PROBED),
    ("return_ = find_spec('{0}') is None", (), OPTIONAL | PROBED),
)
FUNCTIONS = ("importlib", "__import__", "pkgutil", "pytest.", "find_spec")
names = st.from_regex(r"[a-z]{2,4}(\.[a-z]{2,4}){0,2}", fullmatch=True).filter(
    lambda name: not any(map(keyword.iskeyword, name.split(".")))
)


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(AROUND), max_size=4), st.sampled_from(FORMS), names), max_size=6
    )
)
def test_what_is_written_is_what_is_found(
    written: list[tuple[list[Around], tuple[str, tuple[str, ...], int], str]],
) -> None:
    lines = ["import_ = 'import os'  # import re", "'''", "import json", "'''"]
    expected = []
    for around, (form, imported, more), name in written:
        bits, pythons, indent = more, "", ""
        closing: list[str] = []
        for one in around:
            lines += [indent + line for line in one.before]
            closing[:0] = [indent + line for line in one.after]
            depth = len(one.before[-1]) - len(one.before[-1].lstrip())
            indent += " " * (depth + 4)
            bits |= one.bits
            pythons = one.pythons or pythons
        if "importorskip" in form:
            name = f"asked{len(lines)}.{name}"  # of its package, all that follows is optional
        lines.append(indent + form.format(name))
        column = len(indent) + max(0, *map(form.find, FUNCTIONS)) + 1
        expected.append(Imported(name, imported, len(lines), column, bits, pythons))
        lines += closing
    assert list(facts_of("\n".join(lines).encode(), 11).imports) == expected


def test_a_name_that_is_only_made_whole_is_no_import() -> None:
    source = (
        "import importlib.util\nx = importlib.util.resolve_name('a.b', 'c')\ny = util.resolve_name('d')\n"
    )
    assert [one.module for one in facts_of(source.encode(), 11).imports] == ["importlib.util"]


@given(st.lists(st.tuples(names, names), min_size=1, max_size=4))
def test_what_stands_in_for_others_knows_for_whom(pairs: list[tuple[str, str]]) -> None:
    lines, indent = [], ""
    for tried, _ in pairs:
        lines += [f"{indent}try:", f"{indent}    import {tried}", f"{indent}except ImportError:"]
        indent += "    "
    lines.append(f"{indent}import zz")
    *tries, last = facts_of("\n".join(lines).encode(), 11).imports
    assert last.instead_of == tuple(tried for tried, _ in pairs)
    assert not last.is_optional
    assert all(one.is_optional for one in tries)


GUARDS = (
    "try:\n    import aa\nexcept ImportError:\n    raise SystemExit('pip install aa') from None\n{0}\n",
    "try:\n    import aa\nexcept ImportError:\n    sys.exit(1)\nfor x in y:\n    {0}\n",
    "def f():\n    try:\n        from aa import b\n    except ImportError:\n        return\n    {0}\n",
    "try:\n    import aa\nexcept ImportError:\n    HAS = False\nelse:\n    HAS = True\nif HAS:\n    {0}\n",
    "try:\n    import aa\nexcept ImportError:\n    aa = None\nif aa is not None and x:\n    {0}\n",
    "try:\n    import aa\n    HAS = True\nexcept ImportError:\n    import bb\nif HAS:\n    {0}\n",
    "if 'aa.b' in sys.modules:\n    {0}\n",
    "if find_spec('aa.b'):\n    {0}\n",
    "if importlib.util.find_spec('aa') is None:\n    raise RuntimeError\n{0}\n",
    "HAS = find_spec('aa') is not None\ndef f():\n    if not HAS:\n        return\n    {0}\n",
)


@pytest.mark.parametrize("guard", GUARDS)
def test_what_comes_after_a_failed_import_has_ended_the_code_is_optional(guard: str) -> None:
    for line in ("import aa.cc", "from aa.cc import dd", "def g(): import aa"):
        assert facts_of(guard.format(line).encode(), 11).imports[-1].is_optional
    other = facts_of(guard.format("import bb").encode(), 11).imports[-1]
    assert other.module == "bb" and not other.is_optional
    after = facts_of((guard.format("pass") + "def h():\n    import bb.aa\n").encode(), 11).imports[-1]
    assert not after.is_optional


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import aa\nexcept ImportError:\n    pass\nimport aa\n",
        "try:\n    import aa\nexcept OSError:\n    raise\nimport aa\n",
        "def f():\n    try:\n        import aa\n    except ImportError:\n        return\nimport aa\n",
        "if find_spec('aa'):\n    pass\nimport aa\n",
        "def f():\n    pytest.importorskip('aa')\nimport aa\n",
    ],
)
def test_what_is_reached_without_it_is_not_optional(source: str) -> None:
    assert not facts_of(source.encode(), 11).imports[-1].is_optional


@pytest.mark.parametrize(
    ("before", "test", "pythons"),
    [
        ("PY_3_14_PLUS = sys.version_info[:2] >= (3, 14)", "PY_3_14_PLUS", ">=3.14"),
        ("NEW = sys.version_info >= (3, 12)", "not NEW", "<3.12"),
        ("PY312 = sys.version_info < (3, 12)", "PY312 and x", "<3.12"),
        ("from compat import PY314", "PY314", ">=3.14"),
        ("import compat", "compat.IS_PYTHON_3_9_OR_LATER", ">=3.9"),
        ("from six import PY3, PY32", "PY3 or PY32", ""),
        ("PY311 = x", "PY311_OK", ""),
    ],
)
def test_names_of_pythons(before: str, test: str, pythons: str) -> None:
    found = facts_of(f"{before}\nif {test}:\n    import a\n".encode(), 11).imports
    assert found[-1].pythons == pythons


def test_pytests_own_plugins_have_short_names() -> None:
    source = b"pytest_plugins = ['pytester', 'mine.capture', 'xdist']\n"
    assert [one.module for one in facts_of(source, 11).imports] == [
        "_pytest.pytester", "mine.capture", "xdist",
    ]  # fmt: skip


def test_after_importorskip_a_package_is_only_asked_for() -> None:
    source = b"aa = pytest.importorskip('aa.b')\nfrom aa import c\ndef f():\n    import aa.d\nimport bb\n"
    assert [one.is_probed for one in facts_of(source, 11).imports] == [True, True, True, False]


def test_rows_bring_back_what_they_were_made_of() -> None:
    source = b"from ..a import b\ntry:\n  import c\nexcept ImportError:\n  import d.e\n"
    for text in (source, b"def (", b"try:\n  pass\nexcept* OSError:\n  pass\n"):
        facts = facts_of(text, 8)
        assert SourceFacts.from_row(json.loads(json.dumps(facts.to_row()))) == facts
        assert SourceFacts.from_row(marshal.loads(marshal.dumps(facts.to_row()))) == facts


@pytest.mark.parametrize(
    ("source", "minor", "line"),
    [
        ("match x:\n    case 1: pass\n", 10, 1),
        ("if (y := 1): pass\n", 8, 1),
        ("x = 1\ndef f(a, /): pass\n", 8, 2),
        ("x = 1\ntry:\n    pass\nexcept* OSError:\n    pass\n", 11, 2),
    ],
)
def test_syntax_that_is_newer_than_the_oldest_python(source: str, minor: int, line: int) -> None:
    newer = facts_of(source.encode(), minor - 1).newer
    assert newer is not None
    assert newer.line == line
    assert f"3.{minor}" in newer.message
    assert facts_of(source.encode(), minor) == facts_of(source.encode(), sys.version_info[1])
    assert facts_of(source.encode(), minor).newer is None


@pytest.mark.parametrize("source", [b"def (", b"\x00", b"\xff\xfe", b"import a\n\tx = 1\n", b"(" * 5000])
def test_what_cannot_be_read_says_why(source: bytes) -> None:
    facts = facts_of(source, 11)
    assert facts.unread is not None
    assert facts.unread.message
    assert facts.imports == ()
    assert words_of(source) is None


def test_other_encodings_and_plugins_of_pytest() -> None:
    latin = "# coding: latin-1\nx = 'é'\nimport a\n".encode("latin-1")
    assert [one.module for one in facts_of(latin, 11).imports] == ["a"]
    plugins = facts_of(b"pytest_plugins = ['a.b', f(x)]\npytest_plugins: str = 'c'\n", 11)
    assert [(one.module, one.line) for one in plugins.imports] == [("a.b", 1), ("c", 2)]


def test_names_in_texts() -> None:
    source = b"APPS = ['one.apps', 'two:main', 'three']\nx = 'no name', '4', f'five{x}', 'six/seven'\n"
    assert words_of(source) == {"one", "two", "three", "five"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 does not read them at all")
@pytest.mark.parametrize(
    ("source", "line"),
    [
        ('x = f"{a["b"]}"', 1),
        ("x = (\n  rf'{a + 'b'}'\n)", 2),
        ('x = f"{a!r:>{f"{b}"}}"', 1),
        ("f'''{a}\n{b['''c''']}'''", 2),
        ("f'{\"\\n\".join(a)}'", 1),
        ("f'{\na}'", 1),
        ("f'''{\na  # why\n}'''", 2),
        ("f'{f\"\\n\"}'", 1),
        ("f'''{f\"'''\"}'''", 1),
    ],
)
def test_f_strings_that_only_new_pythons_read(source: str, line: int) -> None:
    newer = facts_of(source.encode(), 11).newer
    assert newer is not None
    assert newer.line == line
    assert facts_of(source.encode(), 12).newer is None


@pytest.mark.parametrize(
    "source",
    [
        "f\"{a['b']}\\n\" f'{a[\"b\"]}'",
        "f'''{a['b']} {\n  a[\"c\"]\n} # no comment'''",
        "f'{a!r:>10}' 'x' \"y\" # f'{'",
        "f'{{' 'a' '}}' '\\n'",
        "f'{a}' f'{b}'\nx = {'a': f'{b}'}",
    ],
)
def test_f_strings_that_all_pythons_read(source: str) -> None:
    assert facts_of(source.encode(), 8).newer is None
    assert facts_of(source.encode(), 8).unread is None


def test_functions_that_import_under_another_name() -> None:
    facts = facts_of(
        b"from importlib import import_module as load\n"
        b"from importlib.util import find_spec as there\n"
        b"a = load('acme.a')\n"
        b"def f(): return load(name='acme.b'), there('acme.c'), other('acme.d')\n",
        11,
    )
    found = [(one.module, one.circumstances) for one in facts.imports if one.module.startswith("acme")]
    assert found == [("acme.a", 0), ("acme.b", LATE), ("acme.c", LATE | OPTIONAL | PROBED)]
