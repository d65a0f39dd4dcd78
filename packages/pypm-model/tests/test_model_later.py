"""A module that is loaded later: nothing before, the module itself after."""

from __future__ import annotations

import sys

import pytest

from pypm_model.later import later


def test_nothing_is_loaded_until_something_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "graphlib", raising=False)
    graphlib = later("graphlib")
    assert "graphlib" not in sys.modules
    assert graphlib.CycleError is sys.modules["graphlib"].CycleError


def test_what_is_replaced_in_the_module_is_replaced_here(monkeypatch: pytest.MonkeyPatch) -> None:
    import colorsys

    stand_in = later("colorsys")
    monkeypatch.setattr(colorsys, "rgb_to_yiq", 7)
    assert stand_in.rgb_to_yiq == 7


def test_what_is_not_there_is_told_as_for_any_module() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        later("graphlib").nothing  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        later("no_such_module_at_all").anything  # noqa: B018
