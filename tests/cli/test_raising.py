"""Requirements rewritten in their own style so that they allow a release."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypm.ops.raising import raised
from pypm_model.names import NormalizedName
from pypm_model.requirements import Requirement
from pypm_model.specifiers import canonical, contains


def asked(specifier: str) -> Requirement:
    return Requirement(NormalizedName("a"), (), canonical(specifier) if specifier else "", "", "")


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ("", "3.4", ""),
        (">=1.2", "3.4", ">=3.4"),
        (">1.2", "3.4", ">=3.4"),
        (">=1.2,<2", "3.4", ">=3.4,<4"),
        (">=1.2,<2.0", "3.4", ">=3.4,<4"),
        (">=1.2,<1.3", "3.4.1", ">=3.4.1,<3.5"),
        ("<2", "3.4", "<4"),
        ("<=2", "3", "<4"),
        ("==1.2", "3.4.1", "==3.4.1"),
        ("==1.*", "3.4.1", "==3.*"),
        ("==1.2.*", "3", "==3.0.*"),
        ("~=1.2", "3.4.1", "~=3.4"),
        ("~=1.2.0", "3.4", "~=3.4"),
        ("!=1.2", "1.2", ">=1.2"),
        ("===1.2", "3.4", "===3.4"),
    ],
)
def test_each_style_is_kept(before: str, version: str, after: str) -> None:
    assert raised(asked(before), version) == after


versions = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))
clauses = st.builds(
    lambda operator, version: f"{operator}{version}.0" if operator == "~=" else f"{operator}{version}",
    st.sampled_from(["==", "!=", ">=", "<=", "<", ">", "~="]),
    versions,
)


@given(st.lists(clauses, min_size=1, max_size=3).map(",".join), versions)
def test_what_was_rewritten_allows_the_release(specifier: str, version: str) -> None:
    assert contains(raised(asked(specifier), version), version)
