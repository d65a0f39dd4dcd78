"""Laws of marker sets: they mean what `packaging` says, they are an algebra, and their texts come back."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume as given_that
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nab_markersets.markersets import MarkerSet
from packaging.markers import Marker, UndefinedComparison

from kit.laws import examples
from pypm_model import markers
from pypm_model.markers import (
    FALSE,
    NEVER,
    TRUE,
    all_of,
    any_of,
    both,
    disjoint,
    either,
    evaluate,
    implies,
    minus,
    negate,
    parse,
    simplify,
    text,
    witness,
)

PYTHONS = ["2.7.18", "3.8.0", "3.10.13", "3.11.0", "3.11.2rc1", "3.11.3", "3.12.0a7", "3.13.0b2"]
PYTHONS += ["3.14.0rc1", "3.14.0", "3.15.0a1"]
PLATFORMS = [
    ("linux", "posix", "Linux", "x86_64", "cpython", "CPython", "", "5.15.0-76-generic", "#83-Ubuntu SMP"),
    ("linux", "posix", "Linux", "aarch64", "graalpy", "GraalVM", "24.0.1", "6.1", ""),
    ("darwin", "posix", "Darwin", "arm64", "cpython", "CPython", "", "23.1.0", "Darwin Kernel 23.1.0"),
    ("win32", "nt", "Windows", "AMD64", "cpython", "CPython", "", "10", "10.0.19045"),
    ("win32", "nt", "Windows", "ARM64", "pypy", "PyPy", "7.3.13", "11", "10.0.22631"),
    ("emscripten", "posix", "Emscripten", "wasm32", "cpython", "CPython", "", "3.1.58", "#1"),
    ("freebsd14", "posix", "FreeBSD", "amd64", "cpython", "CPython", "", "14.0-RELEASE", "FreeBSD 14"),
]


def environment(python: str, platform: tuple[str, ...]) -> dict[str, str]:
    system, os, name, machine, implementation, title, version, release, text = platform
    return {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": system,
        "os_name": os,
        "platform_system": name,
        "platform_machine": machine,
        "implementation_name": implementation,
        "platform_python_implementation": title,
        "implementation_version": version or python,
        "platform_release": release,
        "platform_version": text,
    }


ENVIRONMENTS = [environment(python, platform) for python, platform in product(PYTHONS, PLATFORMS)]
FEW = ENVIRONMENTS[::3]

VERSIONS = [
    *("2.7", "3", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "4", "v3.9", "3.9-1", "1!3.8"),
    *("3.11.0", "3.11.2", "3.11.3", "3.14.0", "3.11.2.0", "3.11.2.1", "3.11.post1", "3.11.0.post1.dev2"),
    *("3.11.2rc1", "3.14.0rc1", "3.14rc1", "3.14.0rc1.post2", "3.14.0rc1.dev3", "3.13.0b2", "3.12.0a7"),
    *("3.14.dev0", "3.11.3.dev0", "3.15a1", "3.13.0+local", "foo", "3.8,<4"),
]
TEXTS = {
    "sys_platform": ["linux", "win32", "darwin", "emscripten", "freebsd14", "cygwin", "foo"],
    "os_name": ["posix", "nt", "java"],
    "platform_system": ["Linux", "Windows", "Darwin", "FreeBSD", "Emscripten"],
    "platform_machine": ["x86_64", "AMD64", "arm64", "aarch64", "ARM64", "wasm32", "amd64"],
    "implementation_name": ["cpython", "pypy", "graalpy"],
    "platform_python_implementation": ["CPython", "PyPy", "GraalVM"],
}
LOOSE = ["10", "23.0", "5.15", "7.3.13", "3.11.*", "#83", "foo", "24.0", "14.0-RELEASE", "11,<12"]
ORDERED = ["<", "<=", ">", ">="]


def quoted(value: str) -> str:
    return f"'{value}'"


@st.composite
def python_atoms(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(["python_version", "python_full_version"]))
    operator = draw(st.sampled_from([*ORDERED, "==", "!=", "~=", "===", "==*", "!=*", "in", "not in"]))
    if "in" in operator:
        versions = draw(st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=3))
        return f"{field} {operator} '{draw(st.sampled_from([' ', ', ', '|'])).join(versions)}'"
    version = draw(st.sampled_from(VERSIONS))
    if operator.endswith("*"):
        operator, version = operator[:-1], f"{version}.*"
    if draw(st.integers(0, 3)) == 0:
        return f"'{version}' {operator} {field}"
    return f"{field} {operator} '{version}'"


@st.composite
def text_atoms(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(sorted(TEXTS)))
    operator = draw(st.sampled_from(["==", "!=", "==", "!=", *ORDERED, "in", "not in"]))
    value = draw(st.sampled_from(TEXTS[field]))
    if "in" in operator:
        if draw(st.booleans()):
            return f"'{draw(st.sampled_from([value, value[:3], value[-2:]]))}' {operator} {field}"
        values = draw(st.lists(st.sampled_from(TEXTS[field]), min_size=1, max_size=3))
        return f"{field} {operator} '{draw(st.sampled_from([' ', ', '])).join(values)}'"
    return f"'{value}' {operator} {field}" if draw(st.booleans()) else f"{field} {operator} '{value}'"


@st.composite
def loose_atoms(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(["platform_release", "implementation_version", "platform_version"]))
    operator = draw(st.sampled_from(["==", "!=", *ORDERED, "in", "not in", "~="]))
    value = draw(st.sampled_from(LOOSE))
    if operator != "~=" and draw(st.booleans()):
        return f"'{value}' {operator} {field}"
    return f"{field} {operator} '{value}'"


EXTRAS = st.sampled_from(["extra == 'a'", "extra != 'a'", "extra == 'B_b'", "'a' == extra", "extra == 'c'"])
FLAGS = st.sampled_from(
    ["'acme' in dependency_groups", "'acme[x]' not in dependency_groups", "'z' in extras"]
)


def expressions(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        pair = st.tuples(parts, st.sampled_from(["and", "or"]), parts, st.booleans())
        return pair.map(lambda p: f"({p[0]} {p[1]} {p[2]})" if p[3] else f"{p[0]} {p[1]} {p[2]}")

    return st.recursive(atoms, joined, max_leaves=6)


closed = expressions(python_atoms() | text_atoms())
"""Markers whose complements can all be written."""
anything = expressions(python_atoms() | text_atoms() | loose_atoms())
with_extras = expressions(python_atoms() | text_atoms() | EXTRAS | FLAGS)


def read(marker: str) -> markers.Diagram:
    """The diagram of a generated marker; one that `packaging` refuses must be refused."""
    try:
        return parse(marker)
    except markers.InvalidMarker:
        with pytest.raises(UndefinedComparison):
            for each in ENVIRONMENTS:
                Marker(marker).evaluate({"extra": "", **each}, context="lock_file")
        given_that(False)
        raise


@settings(deadline=None, max_examples=examples(120))
@given(anything)
@example("python_full_version >= '3.14' or python_full_version < '3.14'")
@example("'3.14' > python_full_version")
@example("'3.14.0rc1' < python_full_version")
@example("platform_release != '5.4'")
@example("implementation_version <= '3.11.*'")
@example("(os_name == 'posix' or sys_platform == 'foo') and 'win' not in sys_platform")
def test_a_marker_means_what_packaging_says(marker: str) -> None:
    d = read(marker)
    reference = Marker(marker)
    for each in ENVIRONMENTS:
        assert evaluate(d, each) == reference.evaluate(each), each


@settings(deadline=None, max_examples=examples(80))
@given(closed)
def test_packaging_reads_our_texts_as_we_do(marker: str) -> None:
    d = read(marker)
    for each_set in (d, negate(d)):
        written = text(each_set)
        assert parse(written) == each_set
        for each in FEW:
            assert (Marker(written).evaluate(each) if written else True) == evaluate(each_set, each)


@settings(deadline=None, max_examples=examples(80))
@given(with_extras, with_extras, with_extras)
def test_it_is_a_boolean_algebra(first: str, second: str, third: str) -> None:
    a, b, c = read(first), read(second), read(third)
    assert negate(negate(a)) == a
    assert both(a, negate(a)) == FALSE
    assert either(a, negate(a)) == TRUE
    assert negate(both(a, b)) == either(negate(a), negate(b))
    assert both(a, either(a, b)) == a == either(a, both(a, b))
    assert both(a, either(b, c)) == either(both(a, b), both(a, c))
    assert either(either(a, b), c) == either(a, either(b, c)) == any_of([c, b, a])
    assert both(both(a, b), c) == both(a, both(b, c)) == all_of([c, b, a])
    assert minus(a, b) == both(a, negate(b))
    assert any_of([both(a, b), minus(a, b), minus(b, a), negate(either(a, b))]) == TRUE
    assert implies(both(a, b), a) and implies(a, either(a, c))
    assert disjoint(minus(a, b), b)
    assert parse(f"({first}) and ({second}) or ({third})") == either(both(a, b), c)


@settings(deadline=None, max_examples=examples(80))
@given(with_extras, with_extras)
@example(
    "os_name == 'posix' or platform_machine == 'x86_64'", "sys_platform == 'linux' or os_name != 'posix'"
)
@example("'win' in sys_platform", "sys_platform in 'win32 linux'")
def test_text_and_simplified_set_agree_where_it_matters(marker: str, region: str) -> None:
    d, given_ = read(marker), read(region)
    written = text(d, given_)
    assert both(parse(written), given_) == both(d, given_)
    assert both(simplify(d, given_), given_) == both(d, given_)
    assert len(written) <= max(len(text(d)), len(NEVER))
    if implies(given_, d):
        assert written == "" and simplify(d, given_) == TRUE
    if disjoint(given_, d) and given_ != FALSE:
        assert written == NEVER and simplify(d, given_) == FALSE


@settings(deadline=None, max_examples=examples(80))
@given(with_extras)
def test_a_witness_is_in_the_set(marker: str) -> None:
    d = read(marker)
    found = witness(d)
    assert (found is None) == (d == FALSE)
    if found is not None:
        assert evaluate(d, found.environment, found.flags, found.extras)
        assert sorted(found.environment) == sorted(ENVIRONMENTS[0])


@settings(deadline=None, max_examples=examples(60))
@given(closed, closed)
def test_nab_proves_nothing_that_we_do_not_know(first: str, second: str) -> None:
    """nab knows of no implications between fields, and of more versions than interpreters have: what is
    empty, disjoint or equal for it must be so for us."""
    # It refuses what is rare of Python versions, and takes "in" for what it would mean of any text.
    given_that(not any(each in first + second for each in (" in ", "===", "' ~= python", "+local")))
    a, b = read(first), read(second)
    x, y = MarkerSet.from_marker(first), MarkerSet.from_marker(second)
    assert not x.is_empty() or a == FALSE
    assert not x.is_full() or a == TRUE
    assert not x.is_disjoint(y) or disjoint(a, b)
    assert not x.is_subset(y) or implies(a, b)
    assert not x.equivalent(y) or a == b


simple = expressions(
    st.sampled_from(
        [
            *(f"python_version {o} '3.{n}'" for o in ("<", ">=", "==", "!=") for n in (8, 11, 12)),
            *(f"sys_platform {o} '{v}'" for o in ("==", "!=") for v in ("linux", "win32", "foo")),
            *(f"platform_machine {o} '{v}'" for o in ("==", "!=") for v in ("x86_64", "arm64")),
        ]
    )
)


@settings(deadline=None, max_examples=examples(120))
@given(simple, simple)
def test_nab_and_we_agree_on_simple_markers(first: str, second: str) -> None:
    a, b = read(first), read(second)
    x, y = MarkerSet.from_marker(first), MarkerSet.from_marker(second)
    assert (a == b) == x.equivalent(y)
    assert implies(a, b) == x.is_subset(y)
    assert disjoint(a, b) == x.is_disjoint(y)
    assert (a == TRUE) == x.is_full()


@settings(deadline=None, max_examples=examples(100))
@given(with_extras, st.sets(st.sampled_from(["a", "b-b", "c"])), st.booleans(), st.booleans())
def test_booleans_put_in_or_left_open(marker: str, extras: set[str], member: bool, group: bool) -> None:
    d = read(marker)
    flags = {"acme": member, "acme[x]": group}
    active = {name for name, is_active in flags.items() if is_active}
    rest = markers.without_extras(markers.assume(d, flags), frozenset(extras))
    assert not markers.variables(rest) & {"extra", "extras", "dependency_groups"}
    open_ = markers.exists(d, flags)
    assert "dependency_groups" not in markers.variables(open_)
    assert implies(d, open_)
    assert open_ == any_of(
        [markers.assume(d, {"acme": a, "acme[x]": b}) for a in (True, False) for b in (True, False)]
    )
    for each in FEW[::4]:
        assert evaluate(rest, each) == evaluate(d, each, active, extras)
