"""What holds for all tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# No test measures time: a machine that is busy with something else fails nothing.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What needs the live index is run only by ``-m network``: what it answers changes from day to day."""
    if "network" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("network") is not None:
            item.add_marker(pytest.mark.skip(reason="needs the live index: -m network"))
