"""The environment's record as text, and the stamp."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import pypm_env
from pypm_env.dists import InstalledDist, WantedDist
from pypm_env.stamp import environment_fingerprint
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


def test_the_stamp_changes_with_everything_that_matters(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("site/__pycache__", "bin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("pyvenv.cfg", "pypm-state", "bin/python"):
        (tmp_path / name).write_text("1")
    seen = {environment_fingerprint(str(tmp_path), "site")}
    assert environment_fingerprint(str(tmp_path), str(site)) in seen

    def is_new() -> bool:
        seen.add(environment_fingerprint(str(tmp_path), "site"))
        fresh = len(seen)
        seen.add(environment_fingerprint(str(tmp_path), "site"))
        return fresh == len(seen)

    count = len(seen)
    os.utime(site, ns=(1, 1))
    assert is_new()
    (tmp_path / "pypm-state").write_text("22")
    assert is_new()
    (tmp_path / "pypm-journal").write_text("")
    assert is_new()
    (tmp_path / "bin" / "python").unlink()
    assert is_new()
    (tmp_path / "pyvenv.cfg").unlink()
    assert is_new()
    assert len(seen) == count + 5


def test_bytecode_of_a_package_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "site" / "__pycache__").mkdir(parents=True)
    before = environment_fingerprint(str(tmp_path), "site")
    (tmp_path / "site" / "__pycache__" / "six.cpython-312.pyc").write_text("")
    assert environment_fingerprint(str(tmp_path), "site") == before


def test_the_stamp_imports_nothing() -> None:

    code = "import sys; before = set(sys.modules); import pypm_env.stamp; print(*set(sys.modules) - before)"
    environ = {**os.environ, "PYTHONPATH": str(Path(pypm_env.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import os; " + code],
        capture_output=True,
        text=True,
        env=environ,
        check=True,
    )
    assert set(done.stdout.split()) - {"__future__"} == {"pypm_env", "pypm_env.stamp"}
