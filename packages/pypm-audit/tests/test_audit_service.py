"""Questions to the service: never more than it takes, and every page of the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_audit.service import BATCH, ServiceStrange, ask, fetch
from pypm_model.names import NormalizedName


class Fake:
    """A port whose service knows a number of advisories for each name, some on a page."""

    address = "http://osv.example.test"

    def __init__(self, told: dict[str, int], page: int = 1000) -> None:
        self.told = told
        self.page = page
        self.sizes: list[int] = []
        self.versions: set[str] = set()

    def post(self, path: str, body: bytes) -> bytes:
        queries = json.loads(body)["queries"]
        self.sizes.append(len(queries))
        self.versions |= {query["version"] for query in queries}
        return json.dumps({"results": [self._result(query) for query in queries]}).encode()

    def get(self, paths: Sequence[str]) -> list[bytes | None]:
        return [None for _ in paths]

    def _result(self, query: dict[str, Any]) -> dict[str, Any]:
        name, start = query["package"]["name"], int(query.get("page_token", "0"))
        numbers = range(self.told.get(name, 0))[start : start + self.page]
        more = start + self.page < self.told.get(name, 0)
        return {"vulns": [{"id": f"{name}-{n}", "modified": "x"} for n in numbers]} | (
            {"next_page_token": str(start + self.page)} if more else {}
        )


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 7), max_size=6), st.integers(1, 4))
def test_every_advisory_is_told_whatever_the_pages(told: dict[str, int], page: int) -> None:
    answers = ask(Fake(told, page), [(NormalizedName(name), "1") for name in told])
    assert {name: len(some) for (name, _), some in answers.items()} == told


def test_batches_are_no_larger_than_the_service_takes() -> None:
    port = Fake({})
    subjects = [(NormalizedName(f"p{n}"), "1") for n in range(BATCH * 2 + 1)]
    assert ask(port, subjects) == dict.fromkeys(subjects, ())
    assert port.sizes == [BATCH, BATCH, 1]


def test_local_versions_are_asked_for_as_their_public_ones() -> None:
    port = Fake({})
    ask(port, [(NormalizedName("a"), "1.0+cpu"), (NormalizedName("a"), "odd+thing!")])
    assert port.versions == {"1.0", "odd+thing!"}


def test_pages_without_an_end_are_not_read_for_ever() -> None:
    with pytest.raises(ServiceStrange, match="no end"):
        ask(Fake({"a": 10_000}, page=1), [(NormalizedName("a"), "1")])


def test_nothing_is_fetched_if_nothing_is_told() -> None:
    assert fetch(Fake({}), []).advisories == {}
    assert fetch(Fake({}), ["A/B"]).malformed[0].reason == "the service does not have it"
