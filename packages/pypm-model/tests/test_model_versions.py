"""Versions and their sort keys agree with ``packaging``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion as OracleInvalid
from packaging.version import Version as Oracle

from pypm_model import versions

numbers = st.one_of(st.integers(0, 12), st.integers(0, 10**30)).map(str)
spelled_numbers = st.builds(lambda zeros, n: "0" * zeros + n, st.integers(0, 2), numbers)
separators = st.sampled_from(["", ".", "-", "_"])


@st.composite
def spellings(draw: st.DrawFn, *, small: bool = False) -> str:
    """Any version, in any spelling that PEP 440 accepts; *small* ones are often close to each other."""
    number = st.sampled_from(["0", "1", "2", "10"]) if small else spelled_numbers
    text = draw(st.sampled_from(["", "", "v", " "])) if not small else ""
    if draw(st.integers(0, 5)) == 0:
        text += draw(number) + "!"
    text += ".".join(draw(st.lists(number, min_size=1, max_size=3 if small else 5)))
    if draw(st.booleans()):
        letter = draw(
            st.sampled_from(["a", "b", "c", "rc", "alpha", "beta", "pre", "preview", "RC", "Alpha"])
        )
        text += (
            draw(separators)
            + letter
            + draw(st.sampled_from(["", "-", "."]))
            + draw(st.one_of(st.just(""), number))
        )
    if draw(st.booleans()):
        if draw(st.booleans()):
            text += "-" + draw(number)
        else:
            text += draw(separators) + draw(st.sampled_from(["post", "rev", "r", "POST"])) + draw(number)
    if draw(st.booleans()):
        text += (
            draw(separators) + draw(st.sampled_from(["dev", "DEV"])) + draw(st.one_of(st.just(""), number))
        )
    if draw(st.integers(0, 2)) == 0:
        segment = st.one_of(number, st.sampled_from(["a", "abc", "abc1", "1a", "Ubuntu", "z", "0x"]))
        parts = draw(st.lists(segment, min_size=1, max_size=3))
        text += "+" + draw(st.sampled_from([".", "-", "_"])).join(parts)
    return text


def valid(text: str) -> bool:
    try:
        Oracle(text)
    except OracleInvalid:
        return False
    return True


@given(spellings())
def test_pieces_agree_with_packaging(text: str) -> None:
    oracle = Oracle(text)
    assert versions.canonical(text) == str(oracle)
    assert versions.is_prerelease(text) == oracle.is_prerelease
    assert versions.public(text) == oracle.public
    assert versions.base(text) == oracle.base_version
    assert versions.local(text) == (oracle.local or "")
    assert versions.release(text) == oracle.release
    assert versions.canonical(versions.canonical(text)) == versions.canonical(text)


@given(st.one_of(spellings(), spellings(small=True)), st.one_of(spellings(), spellings(small=True)))
def test_keys_compare_as_versions_do(first: str, second: str) -> None:
    a, b = Oracle(first), Oracle(second)
    key_a, key_b = versions.sort_key(first), versions.sort_key(second)
    assert (key_a < key_b, key_a == key_b) == (a < b, a == b)


@given(spellings(small=True), spellings(small=True))
def test_local_versions_and_nothing_else_lie_behind_their_public_version(first: str, second: str) -> None:
    key, low = versions.sort_key(second), versions.sort_key(versions.public(first))
    within = low <= key <= low + "+~"
    assert within == (Oracle(Oracle(second).public) == Oracle(Oracle(first).public))


@given(st.lists(spellings(small=True), max_size=20))
def test_sorting_by_key_sorts_versions(texts: list[str]) -> None:
    assert sorted(texts, key=versions.sort_key) == sorted(texts, key=Oracle)


@given(st.text(alphabet="v01.!+-_abcdeoprstuv ٣ſK\n*", max_size=12))
def test_what_packaging_refuses_is_refused(text: str) -> None:
    assert versions.is_valid(text) == valid(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1.0-1", "1.0.post1"),
        ("v1.0", "1.0"),
        ("1.0ALPHA1", "1.0a1"),
        ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
        ("0!01.02", "1.2"),
        ("1!2.0.0", "1!2.0.0"),
        ("1.0.c-04.rev_5.Dev", "1.0rc4.post5.dev0"),
        (" 1.0 ", "1.0"),
    ],
)
def test_odd_spellings(text: str, normal: str) -> None:
    assert versions.canonical(text) == normal


@pytest.mark.parametrize(
    "text", ["", "1.", "1..0", "1.0+", "1.0.*", "latest", "1.0 beta", "2004d", "1.0+a..b", "٣.1"]
)
def test_invalid(text: str) -> None:
    for function in (versions.parse, versions.sort_key, versions.canonical, versions.is_prerelease):
        with pytest.raises(versions.InvalidVersion) as caught:
            function(text)
        assert repr(text) in str(caught.value)
    assert not versions.is_valid(text)


def test_numbers_of_any_length_are_ordered_and_absurd_ones_refused() -> None:
    texts = ["9" * n for n in (1, 2, 24, 25, 26, 27, 100, 3999)]
    keys = [versions.sort_key(f"1.{text}") for text in texts]
    assert keys == sorted(keys)
    with pytest.raises(versions.InvalidVersion):
        versions.sort_key("1." + "9" * 5000)
