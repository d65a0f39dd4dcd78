"""SPDX expressions mean what their truth table says."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from license_expression import get_spdx_licensing

from pypm_audit.license_expressions import (
    AllOf,
    AnyOf,
    Expression,
    InvalidLicense,
    Leaf,
    canonical,
    holds,
    leaves,
    parse,
    together,
)

_LEAVES = ("MIT", "ISC", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", "MPL-2.0+")
_oracle = get_spdx_licensing()


def written(tree: object) -> str:
    if isinstance(tree, str):
        return tree
    operator, parts = tree  # type: ignore[misc]
    return f" {operator} ".join(f"({written(part)})" for part in parts)


trees = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: st.tuples(st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=6,
)


def truth(tree: object, good: frozenset[str]) -> bool:
    if isinstance(tree, str):
        return tree in good
    operator, parts = tree  # type: ignore[misc]
    return (any if operator == "OR" else all)(truth(part, good) for part in parts)


def show(expression: Expression) -> str:
    match expression:
        case Leaf():
            return str(expression)
        case AnyOf(parts):
            return " OR ".join(f"({show(part)})" for part in parts)
        case AllOf(parts):
            return " AND ".join(f"({show(part)})" for part in parts)


@given(trees)
def test_an_expression_holds_where_its_truth_table_says(tree: object) -> None:
    expression = parse(written(tree))
    for row in product([True, False], repeat=len(_LEAVES)):
        good = frozenset(leaf for leaf, is_good in zip(_LEAVES, row, strict=True) if is_good)
        assert holds(expression, lambda leaf, good=good: str(leaf) in good) is truth(tree, good)


@given(trees)
def test_another_reader_takes_it_for_the_same(tree: object) -> None:
    text = written(tree)
    assert _oracle.is_equivalent(_oracle.parse(show(parse(text))), _oracle.parse(text))


@given(st.lists(st.sampled_from(["MIT", "ISC AND Zlib", "MIT OR GPL-3.0-only"]), min_size=1))
def test_what_holds_together_holds_alone(texts: list[str]) -> None:
    whole = parse(together(texts))
    for good in ({"MIT"}, {"MIT", "ISC", "Zlib"}, {"GPL-3.0-only"}, {"GPL-3.0-only", "MIT", "ISC", "Zlib"}):
        alone = [holds(parse(text), lambda leaf, good=good: leaf.id in good) for text in texts]
        assert holds(whole, lambda leaf, good=good: leaf.id in good) is all(alone)


def test_with_binds_closer_than_and_and_closer_than_or() -> None:
    found = parse("MIT OR ISC AND GPL-2.0-only WITH Classpath-exception-2.0")
    exempt = Leaf("GPL-2.0-only", exception="Classpath-exception-2.0")
    assert found == AnyOf((Leaf("MIT"), AllOf((Leaf("ISC"), exempt))))
    assert [str(leaf) for leaf in leaves(found)] == ["MIT", "ISC", str(exempt)]


@pytest.mark.parametrize("text", ["", "BSD", "MIT OR", "MIT License", "(MIT", "GPL-3.0-only WITH MIT", "()"])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(InvalidLicense):
        parse(text)


def test_spelling_is_made_spdx_s_own() -> None:
    assert canonical("mit or (apache-2.0 and isc)") == "MIT OR (Apache-2.0 AND ISC)"
