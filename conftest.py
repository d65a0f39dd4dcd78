"""What holds for all tests."""

from __future__ import annotations

import os
import sys

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
