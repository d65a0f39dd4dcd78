"""Which wheels fit a machine with an older C library."""

from __future__ import annotations

import pytest

from pypm.ops.bundle_target import for_glibc
from pypm_model.environments import Environment

TAGS = (
    "cp312-cp312-manylinux_2_34_x86_64",
    "cp312-cp312-manylinux_2_28_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp312-cp312-manylinux2014_x86_64",
    "cp312-cp312-manylinux1_x86_64",
    "cp312-cp312-linux_x86_64",
    "py3-none-any",
)


@pytest.mark.parametrize(
    ("glibc", "left"), [(None, 7), ((2, 34), 7), ((2, 28), 6), ((2, 17), 5), ((2, 12), 3), ((2, 1), 2)]
)
def test_tags_for_a_glibc(glibc: tuple[int, int] | None, left: int) -> None:
    found = for_glibc(Environment({}, TAGS), glibc)
    assert found.tags == TAGS[len(TAGS) - left :]
