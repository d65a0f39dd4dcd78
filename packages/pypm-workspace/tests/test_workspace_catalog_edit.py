"""Ranges of the catalog, rewritten where they stand."""

from __future__ import annotations

import pytest

from pypm_workspace.catalog_edit import with_range
from pypm_workspace.edit import NotEditable
from pypm_workspace.faults import InvalidManifest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[catalog]\na = ">=1" # why\nb = "2"\n', '[catalog]\na = ">=2,<3" # why\nb = "2"\n'),
        ("[catalog]\nA_ = '>=1'\n\"a\" = '>=1'\n", "[catalog]\nA_ = '>=1'\n\"a\" = '>=2,<3'\n"),
        ("catalog.a = '>=1'\r\n", "catalog.a = '>=2,<3'\r\n"),
        ("catalog = { z = '1', a = \"1\" }\n", "catalog = { z = '1', a = \">=2,<3\" }\n"),
        ("[catalog]\na = { version = '1' } # x\n", "[catalog]\na = { version = '>=2,<3' } # x\n"),
        ('[catalog.a]\n# x\nversion = "1"\n', '[catalog.a]\n# x\nversion = ">=2,<3"\n'),
        ('\ufeff[catalog]\na = "1"', '\ufeff[catalog]\na = ">=2,<3"'),
        ('[catalog]\na = """>=1"""\n', '[catalog]\na = ">=2,<3"\n'),
    ],
)
def test_only_the_range_changes(before: str, after: str) -> None:
    assert with_range(before, "a", ">=2,<3") == after


def test_what_is_not_there_is_not_made() -> None:
    with pytest.raises(NotEditable):
        with_range('[catalog]\nb = "1"\n', "a", ">=2")
    with pytest.raises(InvalidManifest):
        with_range("[catalog\n", "a", ">=2")
