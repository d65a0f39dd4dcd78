"""Which versions a record is about: examples, and laws against `packaging`'s order of versions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from pypm_audit.advisories import Advisory, read
from pypm_audit.affected import fixed_versions, is_affected
from pypm_model.names import NormalizedName

ACME = NormalizedName("acme")


def advisory(*ranges: list[dict[str, str]], versions: list[str] | None = None) -> Advisory:
    affected: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": "acme"}, "versions": versions or []}
    affected["ranges"] = [{"type": "ECOSYSTEM", "events": events} for events in ranges]
    found = read({"id": "A", "affected": [affected]}, "x")
    assert isinstance(found, Advisory)
    return found


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([{"introduced": "0"}], ["0", "0.dev0", "99"], []),
        ([{"introduced": "0"}, {"fixed": "2.0"}], ["1", "2.0rc1", "2.0.dev1"], ["2.0", "2.0.post1", "3"]),
        ([{"introduced": "1"}, {"last_affected": "2"}], ["1", "2", "2.0.0", "2+cpu"], ["0.9", "2.0.1"]),
        ([{"fixed": "2"}, {"introduced": "1"}], ["1", "1.5"], ["0.9", "2"]),
        (
            [{"introduced": "1"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "4"}],
            ["1.1", "3", "3.9"],
            ["2", "2.9", "4"],
        ),
        ([{"introduced": "1"}, {"fixed": "1.5"}, {"introduced": "1.5"}], ["1.5"], ["0"]),
        ([{"introduced": "1"}, {"limit": "2"}], ["1", "1.9"], ["2", "3"]),
        ([{"introduced": "1"}, {"limit": "*"}], ["1", "9"], ["0"]),
        ([{"introduced": "1", "fixed": "2"}], ["1.5"], ["2"]),
        ([{"introduced": "1!0"}], ["1!0"], ["99"]),
        ([{"introduced": "1"}, {"fixed": "2+patch.1"}], ["2", "2+patch.0"], ["2+patch.1", "2.1"]),
    ],
)
def test_ranges(events: list[dict[str, str]], inside: list[str], outside: list[str]) -> None:
    record = advisory(events)
    assert [version for version in inside if not is_affected(record, ACME, version)] == []
    assert [version for version in outside if is_affected(record, ACME, version)] == []


def test_versions_are_equal_by_pep_440_and_a_local_version_is_its_public_one() -> None:
    record = advisory(versions=["1.0", "2.0+local", "not-a-version"])
    affected = ["1", "1.0.0", "v1.0", "1.0+cpu", "2.0+local", "not-a-version"]
    assert [version for version in affected if not is_affected(record, ACME, version)] == []
    assert not any(is_affected(record, ACME, v) for v in ("1.0.post1", "2.0", "2.0+other", "other"))


def test_another_package_is_not_affected() -> None:
    assert not is_affected(advisory([{"introduced": "0"}]), NormalizedName("other"), "1")


def test_fixed_versions_are_above_the_locked_one_and_free_of_the_fault() -> None:
    record = advisory(
        [{"introduced": "0"}, {"fixed": "1.4"}, {"introduced": "2.0"}, {"fixed": "2.3"}],
        [{"introduced": "1.4"}, {"fixed": "1.4.1"}],
    )
    assert fixed_versions(record, ACME, "1.0") == ("1.4.1", "2.3")
    assert fixed_versions(record, ACME, "2.1") == ("2.3",)
    assert fixed_versions(advisory([{"introduced": "0"}]), ACME, "1.0") == ()
    assert fixed_versions(record, ACME, "junk") == ()


_versions = st.builds(
    lambda release, suffix: ".".join(map(str, release)) + suffix,
    st.lists(st.integers(0, 4), min_size=1, max_size=3),
    st.sampled_from(["", "", "", "a1", "rc2", ".post1", ".dev3"]),
)


_pairs = st.tuples(_versions, _versions).filter(lambda pair: Version(pair[0]) < Version(pair[1]))


@given(_versions, st.lists(_pairs, min_size=1, max_size=3), st.booleans())
def test_disjoint_intervals_are_as_packaging_orders_them(
    version: str, pairs: list[tuple[str, str]], closed: bool
) -> None:
    """Every interval in a range of its own: affected is who is in one of them."""
    word = "last_affected" if closed else "fixed"
    record = advisory(*([{"introduced": low}, {word: high}] for low, high in pairs))
    own = Version(version)

    def inside(low: str, high: str) -> bool:
        if low == "0":  # stands for the very first, which PEP 440 does not have
            return own <= Version(high) if closed else own < Version(high)
        return Version(low) <= own and (own <= Version(high) if closed else own < Version(high))

    assert is_affected(record, ACME, version) == any(inside(*pair) for pair in pairs)


@given(_versions, st.lists(_versions, min_size=2, max_size=6, unique_by=Version))
def test_one_range_with_many_events_is_the_intervals_between_them(version: str, bounds: list[str]) -> None:
    ordered = sorted(bounds, key=Version)
    words = ["introduced", "fixed"]
    events = [{words[n % 2]: bound} for n, bound in enumerate(ordered)]
    before = [bound for bound in ordered if Version(bound) <= Version(version) or bound == "0"]
    # "0" is below every version, also below 0.dev0.
    passed = max((n for n, bound in enumerate(ordered) if bound in before), default=-1)
    if "0" in ordered[1:]:
        return  # as a fix it is an ordinary version
    assert is_affected(advisory(list(reversed(events))), ACME, version) == (passed >= 0 and passed % 2 == 0)
