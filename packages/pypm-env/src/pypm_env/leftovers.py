"""What a killed run leaves beside the things it was making. Called with the environment's lock held: what
lies there belongs to nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from pypm_env.dists import MEMBERS_PTH
from pypm_env.own_files import JOURNAL, STATE
from pypm_store.atomic import remove_tree
from pypm_store.linking import PROBE

# The names `pypm_store.atomic.beside_name` gives.
_BESIDE = r"\.(?:{})\.\d+\.[0-9a-f]{{8}}\.new"


def remove_unfinished(folder: Path) -> None:
    """Remove environments that were being made to become *folder*."""
    for path in _matching(folder.parent, re.compile(_BESIDE.format(re.escape(folder.name)))):
        remove_tree(path)


def remove_unwritten(folder: Path, site: Path) -> None:
    """Remove files that were being written to be renamed, or tried with, in the environment *folder* and its
    *site*."""
    written = re.compile(_BESIDE.format("|".join(map(re.escape, (STATE, JOURNAL, MEMBERS_PTH, PROBE)))))
    for place in (folder, site):
        for path in _matching(place, written):
            path.unlink(missing_ok=True)


def _matching(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if pattern.fullmatch(entry.name)]
    yield from map(Path, found)
