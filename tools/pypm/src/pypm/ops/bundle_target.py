"""The machine that a bundle is for, where it is another than this one."""

from __future__ import annotations

import re

from pypm_model.environments import Environment

_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")
_OLD = {"manylinux1_": (2, 5), "manylinux2010_": (2, 12), "manylinux2014_": (2, 17)}


def for_glibc(environment: Environment, glibc: tuple[int, int] | None) -> Environment:
    """*environment* without the tags of wheels that need a newer *glibc*."""
    if glibc is None:
        return environment
    tags = tuple(tag for tag in environment.tags if _needs(tag.rpartition("-")[2]) <= glibc)
    return Environment(environment.markers, tags)


def _needs(platform: str) -> tuple[int, int]:
    match = _MANYLINUX.match(platform)
    if match:
        return int(match[1]), int(match[2])
    return next((version for start, version in _OLD.items() if platform.startswith(start)), (0, 0))
