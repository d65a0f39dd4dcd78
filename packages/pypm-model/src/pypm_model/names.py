"""Project, extra and group names in their normalised form (PEP 503, PEP 685, PEP 735)."""

from __future__ import annotations

import re
from typing import NewType

from pypm_model.patterns import pattern

NormalizedName = NewType("NormalizedName", str)
"""A name in which runs of ``-``, ``_`` and ``.`` are one ``-`` and letters are lower case."""

ROOT = NormalizedName("(root)")
"""Stands for a workspace root without a ``[project]``: it has groups but is no package.

No project can bear it: it is not a valid name (PEP 508)."""

_separators = pattern(r"[-_.]+")
_valid = pattern(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_known: dict[str, NormalizedName] = {}


def normalize(name: str) -> NormalizedName:
    """The normalised form of *name*; two spellings of one name give the same string object."""
    try:
        return _known[name]
    except KeyError:
        normal = NormalizedName(_separators.sub("-", name).lower())
        normal = _known.setdefault(normal, normal)
        _known[name] = normal
        return normal


def is_valid(name: str) -> bool:
    """Whether *name* is a name a project, extra or group may bear."""
    return _valid.fullmatch(name) is not None
