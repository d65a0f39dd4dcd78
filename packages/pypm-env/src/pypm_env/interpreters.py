"""What pypm knows about one Python interpreter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pypm_model.environments import Environment
from pypm_model.records import as_dict, record

OLDEST = (3, 8)
"""The oldest Python pypm makes environments for."""


@record
class Layout:
    """Where things lie inside an environment of the interpreter: paths relative to it, with ``/``.

    purelib and platlib are one folder: where a platform has two (``lib64``), one is a link to the other.
    """

    scripts: str
    """``bin`` or ``Scripts``."""
    site_packages: str
    """``lib/python3.12/site-packages`` or ``Lib/site-packages``."""
    include: str
    """Headers go into a folder per distribution below it: ``include/site/python3.12``."""


@record
class Interpreter:
    """One interpreter that was found and answered."""

    path: str
    """Absolute, as it was found (links not followed): what an environment's ``home`` names. Never a
    shim and never inside another environment."""
    real_path: str
    """*path* with all links followed."""
    version: str
    """``python_full_version``: ``3.13.0``, ``3.14.0rc1``."""
    implementation: str
    """``sys.implementation.name``: ``cpython``, ``pypy``."""
    markers: Mapping[str, str]
    """PEP 508 variables but ``extra``."""
    tags: tuple[str, ...]
    """Wheel tags, best first."""
    prefix: str
    base_prefix: str
    is_free_threaded: bool
    cache_tag: str
    """``cpython-312``: names its bytecode; empty if it keeps none."""
    layout: Layout
    """Of an environment of this interpreter."""
    paths: Mapping[str, str]
    """Where the interpreter itself installs: ``purelib``, ``platlib``, ``scripts``, ``data``,
    ``include``, ``stdlib``; absolute."""

    @property
    def environment(self) -> Environment:
        """What to install for."""
        return Environment(self.markers, self.tags)

    @property
    def release(self) -> tuple[int, int]:
        """``(3, 12)``."""
        major, minor = self.markers["python_version"].split(".")[:2]
        return int(major), int(minor)

    @property
    def is_virtual(self) -> bool:
        """Whether *prefix* is a virtual environment's."""
        return self.prefix != self.base_prefix

    @property
    def is_windows(self) -> bool:
        return self.markers["os_name"] == "nt"

    @property
    def identity(self) -> str:
        """Equal texts: an environment made with one works with the other.

        The patch release is left out: an upgrade in place keeps environments working.
        """
        threads = "t" if self.is_free_threaded else ""
        return f"{self.implementation}-{self.release[0]}.{self.release[1]}{threads} {self.real_path}"

    def to_text(self) -> str:
        """The record as one line of JSON, for a cache."""
        data = as_dict(self)
        data["markers"] = dict(self.markers)
        data["paths"] = dict(self.paths)
        return json.dumps(data, separators=(",", ":"))


def interpreter_from_text(text: str) -> Interpreter:
    """What `Interpreter.to_text` wrote. ValueError, KeyError or TypeError for anything else."""
    data: dict[str, Any] = json.loads(text)
    data["tags"] = tuple(data["tags"])
    data["layout"] = Layout(**data["layout"])
    return Interpreter(**data)
