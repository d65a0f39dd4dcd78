"""Compressed answers: whole, or a reason."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm_store.inflate import unpacked


@given(st.binary(max_size=2000), st.sampled_from([gzip.compress, zlib.compress]))
def test_gzip_and_zlib_give_what_was_packed(content: bytes, pack: type[object]) -> None:
    assert unpacked(pack(content), 2001) == content  # type: ignore[call-arg,arg-type]


@pytest.mark.parametrize(
    ("packed", "limit", "why"),
    [
        (gzip.compress(b"x" * 100)[:-9], 1000, "cut short"),
        (gzip.compress(b"x" * 1000), 100, "too large"),
        (b"no such thing", 100, "broken"),
        (b"", 100, "cut short"),
    ],
    ids=["cut", "large", "plain", "empty"],
)
def test_what_is_not_whole_is_refused(packed: bytes, limit: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpacked(packed, limit)
