"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# No test measures time: a machine that is busy with something else fails nothing.
whole = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("whole", whole)
# Two thirds of the examples, so that all tests take less than ten minutes on two cores, and the same ones in
# each run: what CI says of a commit stays said. `--hypothesis-profile=whole` looks for new ones.
settings.register_profile("house", whole, max_examples=50, derandomize=True)
# A tenth of the examples: `--hypothesis-profile=quick` (see `kit.laws`).
settings.register_profile("quick", settings.get_profile("house"), max_examples=10)
settings.load_profile("house")

# The tests themselves, and pypm in hundreds of processes, are compiled once: where the machine keeps no
# bytecode that is half of a run.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors: tests wait for their processes and indexes now and then."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end: no garbage is looked for meanwhile, nor in it later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


SELDOM = {
    "network": "needs the live index, whose answers change from day to day",
    "soak": "takes many minutes",
}
"""Marks of what is run only when it is asked for by name, ``-m network``."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is run seldom."""
    for mark, why in SELDOM.items():
        if mark in config.getoption("markexpr"):
            continue
        for item in items:
            if item.get_closest_marker(mark) is not None:
                item.add_marker(pytest.mark.skip(reason=f"{why}: -m {mark}"))


# What a shell starts in the background is born deaf to Ctrl-C, and so would be all that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
