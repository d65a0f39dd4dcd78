"""The environment's record as text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pypm_env.dists import InstalledDist, WantedDist
from pypm_env.state_file import State, read_state, write_state
from pypm_model.names import NormalizedName

_text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
_installed = st.builds(
    InstalledDist,
    st.builds(
        WantedDist,
        _text.map(NormalizedName),
        _text,
        _text,
        _text,
        editable=st.booleans(),
        requested=st.booleans(),
    ),
    _text,
    st.integers(),
    _text,
)
_states = st.builds(
    State,
    _text,
    _text,
    _text,
    _text,
    st.integers(),
    st.lists(_installed, unique_by=lambda one: one.name).map(tuple),
)


@given(_states)
def test_what_is_written_is_read_back(state: State) -> None:
    found = read_state(write_state(state))
    assert found is not None
    assert sorted(found.dists, key=repr) == sorted(state.dists, key=repr)
    assert [one.name for one in found.dists] == sorted(one.name for one in state.dists)
    assert (found.folder, found.interpreter, found.link_mode) == (
        state.folder,
        state.interpreter,
        state.link_mode,
    )
    assert (found.site, found.site_time) == (state.site, state.site_time)


@given(_states, st.integers(0, 300))
def test_a_record_that_was_cut_off_is_none_or_the_whole(state: State, cut: int) -> None:
    text = write_state(state)
    part = text[: min(cut, len(text) - 1)]
    found = read_state(part)
    # Cut exactly between two lines it reads as a shorter record; it is written in one step, never so.
    assert found is None or part.endswith("\n")


@given(st.text())
def test_anything_else_is_no_record(text: str) -> None:
    assert read_state(text) is None
    assert read_state("pypm-environment 1\n" + text) is None or "site\t" in text
    assert read_state("pypm-environment 2\nfolder\tx\n") is None
