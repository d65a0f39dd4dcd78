"""What of an environment holds files that the store has thrown away.

A file that is changed in place through one environment is changed in all that have it by hard link. The store
finds that when the tree is to be linked next, and makes the tree anew; those who hold the old files are found
by the times of both.
"""

from __future__ import annotations

import os
from pathlib import Path

from pypm_env.dists import Installed, InstalledDist
from pypm_env.installed import inspect
from pypm_model.names import NormalizedName
from pypm_model.records import replace
from pypm_store.store import Store


def look(folder: Path, store: Store) -> Installed:
    """As `inspect`, with what is stale. Costs one look into *store* where no tree was ever damaged."""
    installed = inspect(folder)
    times = store.remade() if installed.kind == "ours" else {}
    # RECORD is written before anything is linked.
    stale = frozenset(
        one.info
        for one in installed.dists
        if one.record_time <= times.get(one.dist.tree, -1) and _holds_files(one, installed.link_mode, store)
    )
    return replace(installed, stale=stale) if stale else installed


def torn(installed: Installed, store: Store, site_packages: str) -> list[NormalizedName]:
    """What of a farm has links that lead to no tree in *store*: it has gone, or another store was in use.
    *site_packages* is where they are, relative to the environment."""
    if installed.link_mode != "farm":
        return []
    site = installed.folder / site_packages
    return [one.name for one in installed.dists if one.is_ours and not _leads_to_tree(one, site, store)]


def _leads_to_tree(one: InstalledDist, site: Path, store: Store) -> bool:
    inside = f"{one.info}/METADATA"  # every wheel has it, and it is always a link of its own
    tree = store.tree_path(one.dist.tree)
    try:
        return os.readlink(site / inside) == f"{tree}{os.sep}site{os.sep}{inside}" and bool(
            store.manifest_size(one.dist.tree)
        )
    except OSError:
        return False


def _holds_files(one: InstalledDist, link_mode: str, store: Store) -> bool:
    """Whether any of its files may be the store's: in a farm, those outside of site-packages."""
    if link_mode == "farm":
        tree = store.tree(one.dist.tree, check=False)
        return tree is None or bool(tree.data or tree.headers)
    return link_mode in ("auto", "hardlink")
