"""What is only loaded when there is no solution: nobody whose lock succeeds pays for explaining."""

from __future__ import annotations

import importlib
from typing import Any


def explain() -> Any:
    """The module `pypm_resolver.explain`."""
    return importlib.import_module("pypm_resolver.explain")
