"""Hints in the words of a workspace that has uv's tables and no file of ours."""

from __future__ import annotations

import re

_conflicts = re.compile(r"\[resolution\] conflicts = .*")
_tables = re.compile(r"under \[workspace\]|\[resolution\]")
_same = {
    "[resolution] overrides =": "[tool.uv] override-dependencies =",
    "[resolution] exclude-newer-package =": "[tool.uv] exclude-newer-package =",
}


def in_uvs_words(hint: str) -> str:
    """*hint* with the setting it names as uv's tables have it; what they have not is in our file.

    >>> in_uvs_words('an override gives a solution: [resolution] overrides = ["six"]')
    'an override gives a solution: [tool.uv] override-dependencies = ["six"]'
    """
    for ours, theirs in _same.items():
        hint = hint.replace(ours, theirs)
    hint = _conflicts.sub(_conflict, hint)
    return _tables.sub(lambda found: f"{found[0]} in pypm-workspace.toml", hint)


def _conflict(found: re.Match[str]) -> str:
    return found[0].replace("[resolution]", "[tool.uv]").replace("member =", "package =")
