"""Which files of a version count: not too new, not yanked."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_store.pages import FileRow


def is_older(uploaded: str, cutoff: str) -> bool:
    """Whether a file counts under *cutoff*: it was uploaded in an earlier second. One of unknown age
    counts only without a cut-off: that nothing too new gets in is what a cut-off is asked for."""
    return not cutoff or ("" < uploaded < cutoff)


def usable(rows: Iterable[FileRow], cutoff: str) -> tuple[FileRow, ...]:
    """Files that count under *cutoff*: as in a listing, those that are too new are left out (unless
    all are), and those that are yanked (unless all are)."""
    every = tuple(rows)
    old = tuple([row for row in every if is_older(row.artifact.uploaded, cutoff)]) if cutoff else every
    old = old or every
    return tuple([row for row in old if row.artifact.yanked is None]) or old
