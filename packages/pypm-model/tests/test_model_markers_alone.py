"""One owner's flags at a time: as if those of all others had been put in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.laws import examples
from pypm_model.markers import TRUE, Diagram, alone, any_of, assume, both, extra, flag, minus, negate, parse

OWNERS = {name: name[0] for name in ("a", "a:dev", "a[x]", "b", "b[x]", "c", "c:dev", "d")}
ATOMS = [
    *map(flag, (*OWNERS, "b-open")),
    extra("e"),
    *map(parse, ("python_version < '3.12'", "sys_platform == 'linux'", "sys_platform == 'win32'")),
]


def diagrams() -> st.SearchStrategy[Diagram]:
    return st.recursive(
        st.sampled_from(ATOMS),
        lambda inner: st.one_of(
            st.builds(both, inner, inner),
            st.builds(lambda x, y: any_of((x, y)), inner, inner),
            st.builds(negate, inner),
        ),
        max_leaves=25,
    )


@given(diagrams(), st.sets(st.sampled_from(sorted(OWNERS)), min_size=1))
@settings(max_examples=examples(300))
def test_as_if_all_others_were_put_in(d: Diagram, names: set[str]) -> None:
    owners = {name: OWNERS[name] for name in names}
    nobody, found = alone(d, owners)
    assert nobody == assume(d, dict.fromkeys(owners, False))
    for owner in sorted(set(owners.values())):
        others = {name: False for name, its in owners.items() if its != owner}
        assert found.get(owner, nobody) == assume(d, others)


def test_of_a_thousand_each_has_its_own() -> None:
    names = [f"m{i:04}" for i in range(1000)]
    every = any_of(map(flag, names))
    d = minus(every, flag("m0500"))
    nobody, found = alone(d, {name: name for name in names})
    assert len(found) == 999 and "m0500" not in found
    assert found["m0007"] == flag("m0007")
    assert nobody != TRUE
