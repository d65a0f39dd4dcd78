"""One vulnerability is one finding, whatever its names; and how bad it is."""

from __future__ import annotations

from typing import Any

import pytest

from pypm_audit.advisories import Advisory, read
from pypm_audit.matching import match
from pypm_audit.severity import Severity, rating_of, severity
from pypm_model.names import NormalizedName

ACME = NormalizedName("acme")
V3 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
HIGH: dict[str, Any] = {"severity": [{"score": V3}]}
V4 = "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N"


def advisory(
    identity: str, *, fixed: str = "", versions: tuple[str, ...] = ("1.0",), **more: Any
) -> Advisory:
    affected: dict[str, Any] = {
        "package": {"ecosystem": "PyPI", "name": "acme"},
        "versions": list(versions),
    }
    if fixed:
        affected["ranges"] = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]
    found = read({"id": identity, "affected": [affected], **more}, "x")
    assert isinstance(found, Advisory)
    return found


def test_aliases_are_merged_also_by_way_of_a_third() -> None:
    found = match(
        [(ACME, "1.0")],
        [
            advisory("PYSEC-1", aliases=["CVE-1"], fixed="1.5"),
            advisory("GHSA-9", summary="another"),
            advisory(
                "GHSA-1", aliases=["CVE-1", "CVE-2"], summary="bad", severity=[{"score": V3}], fixed="1.4"
            ),
            advisory("OTHER-1", aliases=["CVE-2"]),
        ],
    )
    first, second = found[ACME, "1.0"]
    assert (first.id, first.aliases) == ("GHSA-1", ("CVE-1", "CVE-2", "OTHER-1", "PYSEC-1"))
    assert (first.summary, first.fixed, str(first.severity)) == ("bad", ("1.4", "1.5"), "high 7.5")
    assert (second.id, second.aliases, str(second.severity)) == ("GHSA-9", (), "unknown")


def test_an_alias_that_does_not_affect_the_version_is_not_merged_in() -> None:
    found = match(
        [(ACME, "1.0")],
        [advisory("GHSA-1", aliases=["CVE-1"]), advisory("PYSEC-1", aliases=["CVE-1"], versions=("9",))],
    )
    assert [each.ids for each in found[ACME, "1.0"]] == [("GHSA-1", "CVE-1")]


def test_withdrawn_records_count_for_nothing() -> None:
    assert match([(ACME, "1.0")], [advisory("GHSA-1", withdrawn="2026-01-01T00:00:00Z")]) == {}


def test_malware_comes_first_then_the_worst() -> None:
    found = match(
        [(ACME, "1.0")],
        [
            advisory("A", severity=[{"score": V3}]),
            advisory("B", severity=[{"score": V4}]),
            advisory("C", database_specific={"severity": "CRITICAL"}),
            advisory("MAL-1"),
        ],
    )
    assert [each.id for each in found[ACME, "1.0"]] == ["MAL-1", "C", "B", "A"]
    assert found[ACME, "1.0"][0].is_malware


def test_packages_without_anything_are_left_out() -> None:
    assert match([(ACME, "2.0"), (NormalizedName("other"), "1.0")], [advisory("A")]) == {}


@pytest.mark.parametrize(
    ("vectors", "words", "expected"),
    [
        ([V3], [], Severity("high", 7.5, V3)),
        ([V3, V4], [], Severity("high", 8.7, V4)),
        (["AV:N/AC:L/Au:N/C:N/I:N/A:C"], [], Severity("high", 7.8, "AV:N/AC:L/Au:N/C:N/I:N/A:C")),
        (
            ["CVSS:3.1/AV:N", "CVSS:4.0/", "x/y", "CVSS:9.9/A:B"],
            ["moderate", "low"],
            Severity("medium"),
        ),
        ([], ["LOUD"], Severity()),
        ([], [], Severity()),
    ],
)
def test_severity(vectors: list[str], words: list[str], expected: Severity) -> None:
    assert severity(vectors, words) == expected


def test_words_for_scores() -> None:
    scores = (0, 0.1, 3.9, 4, 6.9, 7, 8.9, 9, 10)
    words = ["none", "low", "low", "medium", "medium", "high", "high", "critical", "critical"]
    assert [rating_of(score) for score in scores] == words
