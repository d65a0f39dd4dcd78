"""Modules that are only loaded when something must be fetched: the one place that loads on demand.

A run that finds everything in its cache pays for none of these: the network side brings in `ssl`,
`http.client` and the readers of pages.
"""

from __future__ import annotations

import importlib
from typing import Any


def network() -> Any:
    """The module `pypm_index.network`."""
    return importlib.import_module("pypm_index.network")


def page_fetch() -> Any:
    """The module `pypm_index.page_fetch`."""
    return importlib.import_module("pypm_index.page_fetch")


def find_links() -> Any:
    """The module `pypm_index.find_links`."""
    return importlib.import_module("pypm_index.find_links")


def builds() -> Any:
    """The module `pypm_index.builds`."""
    return importlib.import_module("pypm_index.builds")


def direct() -> Any:
    """The module `pypm_index.direct`."""
    return importlib.import_module("pypm_index.direct")
