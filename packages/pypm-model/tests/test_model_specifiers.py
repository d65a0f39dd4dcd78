"""Specifiers allow what ``packaging`` allows, by interval and by bisection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier as OracleInvalid
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pypm_model import specifiers, versions

few = st.sampled_from(["0", "1", "2", "3", "10"])


@st.composite
def near(draw: st.DrawFn) -> str:
    """Versions that are likely to touch each other's boundaries."""
    text = draw(st.sampled_from(["", "", "", "1!"])) + ".".join(draw(st.lists(few, min_size=1, max_size=3)))
    text += draw(st.sampled_from(["", "", "a0", "a1", "b1", "rc1", "rc2"]))
    text += draw(st.sampled_from(["", "", ".post0", ".post1", "-1"]))
    text += draw(st.sampled_from(["", "", ".dev0", ".dev1"]))
    return text + draw(st.sampled_from(["", "", "", "+cpu", "+1", "+cpu.1"]))


@st.composite
def clauses(draw: st.DrawFn) -> str:
    operator = draw(st.sampled_from(["==", "!=", "<=", ">=", "<", ">", "~=", "==*", "!=*", "==="]))
    blank = draw(st.sampled_from(["", "", " "]))
    if operator.endswith("*"):
        return operator[:-1] + blank + ".".join(draw(st.lists(few, min_size=1, max_size=3))) + ".*"
    version = draw(near())
    if (
        operator == "~="
        and "." not in version.split("+")[0].split("!")[-1].split(".post")[0].split(".dev")[0]
    ):
        version = "1." + version.split("!")[-1]
    if operator not in ("==", "!=", "==="):
        version = version.split("+")[0]
    return operator + blank + version


specifier_texts = st.lists(clauses(), max_size=3).map(",".join)


def allowed(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


@given(specifier_texts, st.lists(near(), max_size=12))
def test_bits_and_contains_agree_with_packaging(specifier: str, texts: list[str]) -> None:
    pool = tuple(sorted(texts, key=versions.sort_key))
    keys = tuple(map(versions.sort_key, pool))
    expected = [allowed(specifier, v) for v in pool]
    mask = specifiers.bits(specifier, pool, keys)
    assert [bool(mask >> i & 1) for i in range(len(pool))] == expected
    assert mask >> len(pool) == 0
    assert [specifiers.contains(specifier, v) for v in pool] == expected


@given(clauses(), near())
def test_one_clause_agrees_with_packaging(clause: str, version: str) -> None:
    assert specifiers.contains(clause, version) == allowed(clause, version)


@pytest.mark.parametrize(
    ("specifier", "version", "expected"),
    [
        (">1.7", "1.7.post1", False),
        (">1.7", "1.7+local", False),
        (">1.7", "1.7.0.post1+local", False),
        (">1.7", "1.7.1", True),
        (">1.7.post1", "1.7.post2", True),
        (">1.7.post1", "1.7.post1+x", False),
        (">1.7a1", "1.7a1.post1", False),
        (">1.7a1", "1.7a2.dev0", True),
        (">1.7.dev1", "1.7.dev2", True),
        ("==1.2.3", "1.2.3+cpu", True),
        ("<=1.2.3", "1.2.3+cpu", True),
        ("!=1.2.3", "1.2.3+cpu", False),
        ("==1.2.3+cpu", "1.2.3", False),
        ("==1.2.3+cpu", "1.2.3+CPU", True),
        ("==1.2.3+cpu", "1.2.3+cpu.1", False),
        ("<2", "2.0a1", False),
        ("<2", "2.0.dev0", False),
        ("<2.0rc1", "2.0a1", True),
        ("<2.0.post1", "2.0.post1.dev0", False),
        ("<2.0.post1", "2.0", True),
        ("==1.*", "1.0rc1", True),
        ("==1.*", "1.dev0", True),
        ("==1.0.*", "1.1.dev0", False),
        ("~=2.2.0", "2.3", False),
        ("~=2.2", "2.3", True),
        ("~=2.2", "3.0.dev0", False),
        ("~=2.2rc1", "2.2rc2", True),
        ("==1!1.0", "1.0", False),
        (">=1!0", "2024.1", False),
        ("==1.0", "1.0.0", True),
        ("===1.0", "1.0.0", False),
        ("===1.0+UBUNTU", "1.0+ubuntu", True),
        ("<0.dev0", "0.dev0", False),
        ("", "1.0", True),
    ],
)
def test_edges_of_the_order(specifier: str, version: str, expected: bool) -> None:
    assert specifiers.contains(specifier, version) is expected
    assert allowed(specifier, version) is expected


def test_an_arbitrary_text_is_matched_by_identity_only() -> None:
    assert specifiers.contains("===2004d", "2004D")
    assert not specifiers.contains("===2004d,>=0", "2004d")
    assert not specifiers.contains(">=0", "2004d")


@given(specifier_texts)
def test_normal_text_means_the_same_and_is_stable(specifier: str) -> None:
    normal = specifiers.canonical(specifier)
    assert set(SpecifierSet(normal)) == set(SpecifierSet(specifier))
    assert specifiers.canonical(normal) == normal
    shuffled = ",".join(reversed(specifier.split(",")))
    assert specifiers.canonical(shuffled) == normal


@pytest.mark.parametrize(
    ("specifier", "normal"),
    [
        (">= 1.0.0 , <2", "<2,>=1.0.0"),
        (">=1,>=1", ">=1"),
        ("==V1.0ALPHA1", "==1.0a1"),
        (",>=1,,", ">=1"),
        ("==01.2.*", "==1.2.*"),
        ("=== Foo-1", "===Foo-1"),
        ("", ""),
    ],
)
def test_normal_text(specifier: str, normal: str) -> None:
    assert specifiers.canonical(specifier) == normal


@given(st.text(alphabet="<>=!~ 01.,*+adevpost-v;)", max_size=10))
def test_what_packaging_refuses_is_refused(text: str) -> None:
    try:
        expected = set(SpecifierSet(text))
    except OracleInvalid:
        with pytest.raises(specifiers.InvalidSpecifier):
            specifiers.canonical(text)
    else:
        assert set(SpecifierSet(specifiers.canonical(text))) == expected


@pytest.mark.parametrize(
    ("specifier", "clause", "reason"),
    [
        (">=1,>=2.*", ">=2.*", "'.*'"),
        ("==1.0a1.*", "==1.0a1.*", "release number"),
        (">=1.0+cpu", ">=1.0+cpu", "local version"),
        ("~=1", "~=1", "at least two numbers"),
        ("1.0", "1.0", "must begin with"),
        ("=>1.0", "=>1.0", "must begin with"),
        (">=dev", ">=dev", ""),
    ],
)
def test_a_fault_names_its_clause(specifier: str, clause: str, reason: str) -> None:
    with pytest.raises(specifiers.InvalidSpecifier) as caught:
        specifiers.canonical(specifier)
    assert caught.value.clause == clause
    assert reason in str(caught.value)
    for function in (specifiers.exact_pins, specifiers.names_prerelease, specifiers.compile):
        with pytest.raises(specifiers.InvalidSpecifier):
            function(specifier)


@given(specifier_texts, specifier_texts, near())
def test_merging_means_both(first: str, second: str, version: str) -> None:
    both = specifiers.merge(first, second)
    assert both == specifiers.merge(second, first) == specifiers.canonical(both)
    assert specifiers.contains(both, version) == (
        specifiers.contains(first, version) and specifiers.contains(second, version)
    )


@pytest.mark.parametrize(
    ("specifier", "pins"),
    [
        ("==1.0,!=1.1", ("1.0",)),
        ("==1.*", ()),
        ("===Weird", ("Weird",)),
        ("==1.0A1", ("1.0a1",)),
        (">=1", ()),
        ("==2,==1", ("1", "2")),
    ],
)
def test_exact_pins(specifier: str, pins: tuple[str, ...]) -> None:
    assert specifiers.exact_pins(specifier) == pins


@given(specifier_texts)
def test_naming_a_prerelease_is_what_packaging_says(specifier: str) -> None:
    assert specifiers.names_prerelease(specifier) == bool(SpecifierSet(specifier).prereleases)


@pytest.mark.parametrize(
    ("specifier", "normal"),
    [
        (">=2.0.*", ">=2.0"),
        ("<3.*,>=2.*", "<3,>=2"),
        (">dev", ">=0"),
        (">= 2.0,", ">=2.0"),
        (">=1.0<2.0", "<2.0,>=1.0"),
        (">=1.0 <2.0", "<2.0,>=1.0"),
        ("!=3.0*", "!=3.0.*"),
        ("==1.4.4*", "==1.4.4.*"),
        (">= '2.7', != '3.0.*'", "!=3.0.*,>=2.7"),
        ("!=~5.0", "!=5.0.*"),
        (">=9.0.0a1.0", ">=9.0.0a1"),
        ("~=2", ">=2"),
        ("=>1.0", ">=1.0"),
        ("=<1.0", "<=1.0"),
        ("=1.0", "==1.0"),
        (">=3.6.", ">=3.6"),
        (">=2.7, !=3.0*, !=3.1*, <4.*", "!=3.0.*,!=3.1.*,<4,>=2.7"),
    ],
)
def test_faults_of_old_metadata_are_repaired(specifier: str, normal: str) -> None:
    assert specifiers.lenient(specifier) == normal


@given(specifier_texts)
def test_right_text_is_not_repaired(specifier: str) -> None:
    assert specifiers.lenient(specifier) == specifiers.canonical(specifier)


@pytest.mark.parametrize("specifier", ["latest", ">=latest", "1.0", "==", "any version"])
def test_what_cannot_be_repaired_is_refused_as_given(specifier: str) -> None:
    with pytest.raises(specifiers.InvalidSpecifier) as caught:
        specifiers.lenient(specifier)
    assert caught.value.specifier == specifier


def test_a_version_is_between_the_boundaries_of_itself() -> None:
    assert Version("1.0") == Version("1.0.0")
    low, high, holes, literals = specifiers.compile("==1.0")
    assert (
        low
        == versions.sort_key("1.0.0")
        < versions.sort_key("1.0+zz.9")
        < high
        < versions.sort_key("1.0.post0.dev0")
    )
    assert (holes, literals) == ((), None)
