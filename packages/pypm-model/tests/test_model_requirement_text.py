"""Requirement texts are read as ``packaging`` reads them and written one way."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement as OracleInvalid
from packaging.requirements import Requirement as Oracle
from packaging.utils import canonicalize_name

from pypm_model.names import normalize
from pypm_model.requirement_text import InvalidRequirement, parse, to_text
from pypm_model.requirements import Requirement

names = st.from_regex(r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,6}[A-Za-z0-9])?\Z")
blanks = st.sampled_from(["", " ", "\t ", "  "])
quotes = st.sampled_from(["'", '"'])


@st.composite
def specifier_texts(draw: st.DrawFn) -> str:
    clause = st.builds(
        "{}{}{}".format,
        st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~="]),
        blanks,
        st.sampled_from(["1.0", "2.0a1", "3.1.post2", "1!4.0", "0.0.dev5"]),
    )
    wild = st.builds("{}{}".format, st.sampled_from(["==", "!="]), st.sampled_from(["1.*", "2.0+cpu"]))
    separator = draw(blanks) + "," + draw(blanks)
    # Last, because packaging takes a comma right behind === for a part of its operand.
    identity = ["===1.0"] if draw(st.integers(0, 5)) == 0 else []
    return separator.join(draw(st.lists(st.one_of(clause, wild), min_size=1, max_size=3)) + identity)


@st.composite
def marker_texts(draw: st.DrawFn, depth: int = 2) -> str:
    if depth == 0 or draw(st.booleans()):
        quote = draw(quotes)
        variable = draw(
            st.sampled_from(["python_version", "os_name", "sys.platform", "extra", "platform_machine"])
        )
        value = quote + draw(st.sampled_from(["3.8", "win32", "Foo_Bar", "a b"])) + quote
        operator = draw(st.sampled_from(["==", "!=", "<", ">=", " in ", " not in ", "~="]))
        pair = (variable, value) if draw(st.booleans()) else (value, variable)
        text = draw(blanks).join((pair[0], operator, pair[1]))
    else:
        joint = draw(st.sampled_from([" and ", " or "]))
        parts = draw(st.lists(marker_texts(depth=depth - 1), min_size=2, max_size=3))
        text = joint.join(parts)
    return f"({text})" if draw(st.booleans()) else text


@st.composite
def requirement_texts(draw: st.DrawFn) -> str:
    text = draw(blanks) + draw(names) + draw(blanks)
    if draw(st.booleans()):
        comma = draw(blanks) + "," + draw(blanks)
        text += f"[{draw(blanks)}{comma.join(draw(st.lists(names, max_size=3)))}{draw(blanks)}]{draw(blanks)}"
    match draw(st.integers(0, 3)):
        case 0:
            text += f"@{draw(blanks)}https://example.test/{draw(names)}.whl#sha256=0;x "
        case 1:
            text += draw(specifier_texts()) + draw(blanks)
        case 2:
            text += f"({draw(blanks)}{draw(specifier_texts())}{draw(blanks)}){draw(blanks)}"
    if draw(st.booleans()):
        text += f";{draw(blanks)}{draw(marker_texts())}{draw(blanks)}"
    return text


comparison = re.compile(r"""('[^']*'|[a-z_]+) ([<>=!~]+|in|not in) ('[^']*'|[a-z_]+)""")


def meaning(marker: str) -> tuple[list[str], list[bool]]:
    """A normal marker's comparisons and its value for each choice of values for these (its truth table)."""
    if not marker:
        return [], [True]
    text = marker.replace('"', "'")
    atoms = sorted({m[0] for m in comparison.finditer(text)})
    code = comparison.sub(lambda m: f"t[{atoms.index(m[0])}]", text)
    if len(atoms) > 8:  # 2 ** 8 rows are enough to tell a lost parenthesis
        rows = [tuple(i == j for j in range(len(atoms))) for i in range(len(atoms))]
        rows += [tuple(not value for value in row) for row in rows]
    else:
        rows = list(itertools.product((False, True), repeat=len(atoms)))
    return atoms, [bool(eval(code, {"t": row})) for row in rows]


def same(ours: Requirement, oracle: Oracle) -> None:
    assert ours.name == canonicalize_name(oracle.name)
    assert list(ours.extras) == sorted({normalize(e) for e in oracle.extras})
    assert set(Oracle(f"x{ours.specifier}").specifier) == set(oracle.specifier)
    assert ours.url == (oracle.url or "")
    assert meaning(ours.marker) == meaning(str(oracle.marker or ""))


@given(requirement_texts())
def test_right_texts_mean_what_packaging_says(text: str) -> None:
    same(parse(text), Oracle(text))
    assert parse(text, lenient=True) == parse(text)


@given(requirement_texts())
def test_normal_text_reads_back(text: str) -> None:
    requirement = parse(text)
    normal = to_text(requirement)
    assert parse(normal) == requirement
    assert to_text(parse(normal)) == normal
    same(requirement, Oracle(normal))


@given(st.text(alphabet="ab1-_.[](),;@ <>=!~'\"\t\n#*", max_size=14))
def test_wrong_texts_are_refused(text: str) -> None:
    try:
        oracle = Oracle(text)
    except OracleInvalid:
        assume("===" not in text)
        with pytest.raises(InvalidRequirement) as caught:
            parse(text)
        assert 0 <= caught.value.position <= len(text)
    else:
        # PEP 508 wants a letter or digit at the end of a name; packaging lets an underscore pass. It
        # also takes a line break behind an operator.
        assume(not any(name.endswith("_") for name in (oracle.name, *oracle.extras)) and "\n" not in text)
        same(parse(text), oracle)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Foo_Bar.baz", "foo-bar-baz"),
        ("foo [B_c, a,a] >= 1.0 , <2", "foo[a,b-c]<2,>=1.0"),
        ("foo(>=1)", "foo>=1"),
        ("foo ()", "foo"),
        ("foo[]", "foo"),
        ("foo>=1.0,", "foo>=1.0"),
        ("foo===1.0,<2", "foo<2,===1.0"),
        ("foo@https://example.test/a;b", "foo @ https://example.test/a;b"),
        ("foo @ https://example.test/a ;os.name=='nt'", "foo @ https://example.test/a ; os_name == 'nt'"),
        ('foo;(python_version<"3.8")', "foo; python_version < '3.8'"),
        ('foo; extra == "Foo_Bar"', "foo; extra == 'foo-bar'"),
        ("foo; python_implementation == 'PyPy'", "foo; platform_python_implementation == 'PyPy'"),
        ('foo; os_name == "it\'s"', 'foo; os_name == "it\'s"'),
        (
            "foo; ((os_name=='a' or (os_name=='b')) and ('x' not  in sys_platform and (os_name!='c')))",
            "foo; (os_name == 'a' or os_name == 'b') and 'x' not in sys_platform and os_name != 'c'",
        ),
        ("foo; 'a[b]' in dependency_groups", "foo; 'a[b]' in dependency_groups"),
    ],
)
def test_normal_text(text: str, normal: str) -> None:
    assert to_text(parse(text)) == normal


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 0, "name of a package"),
        ("-foo", 0, "name of a package"),
        ("foo[a b]", 4, "'a b' is no name of an extra"),
        ("foo[a,]", 4, "expected the name of an extra"),
        ("foo bar", 4, "must begin with one of"),
        ("foo # comment", 4, "must begin with one of"),
        ("foo>=1,>=x", 7, "'>=x' is no version specifier"),
        ("foo>=1,,<2", 6, "expected a version before ','"),
        ("foo (>=1", 4, "expected ')'"),
        ("foo>=1)", 3, "expected versions"),
        ("foo @", 4, "expected an address"),
        ("foo @ https://example.test/x; os_name == 'nt'", 4, "then a blank and ';'"),
        ("foo;", 4, "expected a marker"),
        ("foo; os_name", 12, "expected a comparison"),
        ("foo; colour == 'red'", 5, "'colour' is no marker variable"),
        ("foo; os_name == 'a' sys_platform", 20, "expected 'and'"),
        ("foo; (os_name == 'a'", 20, "expected 'and', 'or' or ')'"),
        ("foo; os_name == 'a' and", 23, "expected a variable"),
        ("foo; os_name not == 'a'", 16, "expected 'in' after 'not'"),
        ("foo; os_name == 'a", 16, 'unexpected "\'"'),
    ],
)
def test_a_fault_says_where_and_what(text: str, position: int, reason: str) -> None:
    with pytest.raises(InvalidRequirement) as caught:
        parse(text)
    assert (caught.value.text, caught.value.position) == (text, position)
    assert reason in str(caught.value)
    assert f"column {position + 1}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("pytz (>dev)", "pytz>=0"),
        ("foo (>=2.0.*)", "foo>=2.0"),
        ("foo (>=2.0.*,<3) ; python_version < '3.8'", "foo<3,>=2.0; python_version < '3.8'"),
        ("foo>=1.0 <2", "foo<2,>=1.0"),
        ("foo (>=1.0", "foo>=1.0"),
        (" foo>=1.0\n", "foo>=1.0"),
        ("foo>=1 ;", "foo>=1"),
        ("foo[a] (>='1.0')", "foo[a]>=1.0"),
    ],
)
def test_faults_of_old_metadata_are_repaired_on_request(text: str, normal: str) -> None:
    assert to_text(parse(text, lenient=True)) == normal
    with pytest.raises(InvalidRequirement):
        parse(text)


@pytest.mark.parametrize(
    "text", ["foo (latest)", "foo; colour == 'red'", "foo @", "(foo)", "foo>=1; os_name =="]
)
def test_what_cannot_be_repaired_is_refused_as_given(text: str) -> None:
    with pytest.raises(InvalidRequirement) as caught:
        parse(text, lenient=True)
    assert caught.value.text == text


def test_deep_nesting_is_no_problem() -> None:
    text = f"foo; {'(' * 5000}os_name == 'nt'{')' * 5000}"
    assert to_text(parse(text)) == "foo; os_name == 'nt'"


@pytest.mark.parametrize("url", ["https://[x", "file://x]/y", "https://[1::g]/a", "https://a\u2100b/"])
def test_an_address_that_nobody_can_take_apart_is_none(url: str) -> None:
    """``packaging`` takes it; whoever asks for its parts then fails."""
    with pytest.raises(InvalidRequirement) as caught:
        parse(f"a @ {url} ; python_version > '3'")
    assert (caught.value.position, caught.value.reason) == (4, "that is no URL")
    assert parse("a @ https://[1::2]/a\u00fc").url == "https://[1::2]/a\u00fc"
