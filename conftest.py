"""What holds for all tests."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# No test measures time: a machine that is busy with something else fails nothing.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# A tenth of the examples: `--hypothesis-profile=quick` (see `kit.laws`).
settings.register_profile("quick", settings.get_profile("house"), max_examples=10)
settings.load_profile("house")

# The tests themselves, and pypm in hundreds of processes, are compiled once: where the machine keeps no
# bytecode that is half of a run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What needs the live index is run only by ``-m network``: what it answers changes from day to day."""
    if "network" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("network") is not None:
            item.add_marker(pytest.mark.skip(reason="needs the live index: -m network"))


# What a shell starts in the background is born deaf to Ctrl-C, and so would be all that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
