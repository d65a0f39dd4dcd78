"""Ranges of ``[catalog]`` edited in place."""

from __future__ import annotations

from pypm_model import names
from pypm_workspace.edit import NotEditable, document_of, keeping_mark
from pypm_workspace.positions import KeyPath, Positions
from pypm_workspace.requirement_lists import quoted


def with_range(text: str, name: str, specifier: str, *, file: str = "pypm-workspace.toml") -> str:
    """The workspace file *text* with *specifier* as what the catalog says of *name*, which is in it.

    Everything else stays, the quotes too if they can. Raises `InvalidManifest`, `NotEditable`.
    """
    return keeping_mark(text, lambda body: _with(body, name, specifier, file))


def _with(text: str, name: str, specifier: str, file: str) -> str:
    catalog = document_of(text, file).get("catalog", {})
    wanted = names.normalize(name)
    key = next((key for key in catalog if names.normalize(key) == wanted), None)
    if key is None:
        raise NotEditable(file, f"`{name}`", "it is not in [catalog]")
    path: KeyPath = ("catalog", key) if isinstance(catalog[key], str) else ("catalog", key, "version")
    spot = Positions(text).spots[path]
    return text[: spot.start] + quoted(specifier, text[spot.start]) + text[spot.end :]
