"""Records are read one by one: what is wrong in one is told, and hides nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_audit.advisories import Advisory, Affected, Event, Malformed, read, records_in
from pypm_audit.codec import decode, encode


def record(**more: Any) -> dict[str, Any]:
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Acme.Web"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        "versions": ["1.0", "1.1"],
    }
    return {"id": "GHSA-1", "affected": [affected], **more}


def good(data: object) -> Advisory:
    found = read(data, "here.json")
    assert isinstance(found, Advisory)
    return found


def test_a_whole_record() -> None:
    found = good(
        record(
            aliases=["CVE-1", "CVE-1"],
            summary=" Bad things ",
            modified="2026-01-02T00:00:00Z",
            severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}],
            database_specific={"severity": "HIGH"},
            references=[
                {"type": "WEB", "url": "https://example.test/web"},
                {"type": "ADVISORY", "url": "https://example.test/advisory"},
            ],
        )
    )
    assert found == Advisory(
        "GHSA-1",
        ("CVE-1",),
        "Bad things",
        "2026-01-02T00:00:00Z",
        "",
        ("CVSS:3.1/AV:N",),
        "high",
        "https://example.test/advisory",
        (
            Affected(
                found.names[0], ((Event("introduced", "0"), Event("fixed", "2.0")),), versions=("1.0", "1.1")
            ),
        ),
    )
    assert found.names == ("acme-web",)
    assert not found.is_malware


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "a record is an object, not nothing"),
        ([], "a record is an object, not a list"),
        ({}, "a record needs an `id`"),
        ({"id": 7}, "a record needs an `id`"),
        ({"id": "  "}, "a record needs an `id`"),
        ({"id": "X-1", "schema_version": "2.0"}, "X-1: schema version '2.0' is not known"),
    ],
)
def test_what_is_no_record(data: object, reason: str) -> None:
    assert read(data, "here.json") == Malformed("here.json", reason)
    assert str(read(data, "here.json")) == f"here.json: {reason}"


def test_a_part_that_cannot_be_read_is_told_and_the_rest_counts() -> None:
    found = good(
        record(
            aliases="CVE-1",
            severity=[7, {"score": "CVSS:4.0/AV:N"}],
            affected=[
                "nonsense",
                {"package": 3},
                {"package": {"ecosystem": "PyPI", "name": "no name!"}},
                {"package": {"ecosystem": "npm", "name": "acme"}, "versions": [1]},
                {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]},
                {
                    "package": {"ecosystem": "PyPI", "name": "acme"},
                    "ranges": [
                        {"type": "ECOSYSTEM", "events": [{"introduced": "one"}, {"fixed": "two"}, None]},
                        {"type": "ECOSYSTEM", "events": [{"fixed": "3"}]},
                        "range",
                    ],
                    "versions": ["1.0", None],
                },
            ],
        )
    )
    (affected,) = found.affected
    assert affected.ranges == (
        (Event("introduced", "0"),),
        (Event("introduced", "0"), Event("fixed", "3")),
    )
    assert affected.versions == ("1.0",)
    assert found.vectors == ("CVSS:4.0/AV:N",)
    assert found.faults == (
        "`affected` holds a text",
        "`package` is a number",
        "'no name!' is no name of a package",
        "'introduced' of acme is 'one', which is no version",
        "'fixed' of acme is 'two', which is no version",
        "`events` of acme holds nothing",
        "a range of acme does not say where it begins",
        "`ranges` of acme holds a text",
        "`versions` holds nothing",
        "`aliases` is a text, not a list",
        "`severity` holds something without a score",
    )


def test_the_ecosystem_may_have_a_suffix_and_the_name_may_be_in_the_purl() -> None:
    affected = [
        {"package": {"ecosystem": "PyPI:https://example.test/simple", "name": "one"}},
        {"package": {"purl": "pkg:pypi/two@1.0?x=y"}},
        {"package": {"purl": "pkg:npm/three"}},
    ]
    assert good({"id": "A", "affected": affected}).names == ("one", "two")


def test_malware_is_known_by_its_id_or_an_alias() -> None:
    assert good({"id": "MAL-2026-1"}).is_malware
    assert good({"id": "GHSA-1", "aliases": ["MAL-2026-1"]}).is_malware


def test_the_summary_is_the_first_line_of_the_details_if_there_is_none() -> None:
    assert good({"id": "A", "details": "\n# Impact\nmore"}).summary == "Impact"
    assert len(good({"id": "A", "summary": "x" * 500}).summary) == 200


def test_nothing_of_a_record_moves_a_terminal() -> None:
    bad = "\x1b[31mx\x07\n\u202e::error::y\x9b"
    found = good(
        record(
            id=f"GHSA{bad}",
            aliases=[bad, "\x1b"],
            summary=bad,
            database_specific={"severity": bad},
            references=[{"url": f"https://example.test/{bad}"}],
            severity=[{"score": f"CVSS:3.1/{bad}"}],
            modified=bad,
            withdrawn=bad,
            versions=[bad],
        )
    )
    texts = (found.id, *found.aliases, found.summary, found.rating, found.url, *found.vectors)
    for text in (*texts, found.modified, found.withdrawn, *found.faults):
        assert text.isprintable(), text
    assert len(found.aliases) == 1
    wrong = read(record(id=f"GHSA{bad}", schema_version="9"), bad)
    assert isinstance(wrong, Malformed) and str(wrong).isprintable()


def test_a_document_may_hold_several_records() -> None:
    assert records_in({"id": "A"}) == [{"id": "A"}]
    assert records_in([{"id": "A"}, 7]) == [{"id": "A"}, 7]
    assert records_in({"vulns": [{"id": "A"}]}) == [{"id": "A"}]
    assert records_in({"id": "A", "vulns": []}) == [{"id": "A", "vulns": []}]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "id",
                        "aliases",
                        "affected",
                        "package",
                        "ecosystem",
                        "name",
                        "ranges",
                        "type",
                        "events",
                    ),
                    *("introduced", "fixed", "limit", "versions", "severity", "score", "references", "url"),
                    *("withdrawn", "database_specific", "details", "schema_version"),
                ]
            ),
            inner | st.sampled_from(["PyPI", "ECOSYSTEM", "1.0", "acme"]),
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(_json)
def test_nothing_that_is_json_is_more_than_malformed_and_what_is_read_can_be_kept(data: object) -> None:
    for document in (data, {"id": "A", "affected": data}, {"id": "A", "affected": [data]}):
        found = read(document, "x")
        if isinstance(found, Advisory):
            assert decode(encode(found)) == found
