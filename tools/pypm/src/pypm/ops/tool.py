"""What pypm itself stands on, for `tools/bootstrap.py`: fetched by the lock of its own repository.

Imported when nothing but the seed packages is there: this module and what it imports may use the
standard library, the members below ``tools`` and the seed, nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from pypm_env.finding import Places, choose
from pypm_index import pip_config
from pypm_index.catalog import Catalog
from pypm_index.fetch import fetch_each
from pypm_index.settings import Indexes
from pypm_model.artifacts import Artifact
from pypm_model.lock_select import select
from pypm_model.lock_text import read
from pypm_model.locks import Root
from pypm_model.names import NormalizedName
from pypm_model.sources import IndexSource
from pypm_store.store import Store

PYPM = NormalizedName("pypm")


def tool_paths(root: Path, environ: Mapping[str, str]) -> list[str]:
    """Folders for the module search path with everything pypm needs from indexes, in the store.

    *root* is pypm's own repository, whose members are used from their folders.
    """
    lock = read((root / "pypm.lock").read_text(encoding="utf-8"))
    interpreter = choose(sys.executable, places=Places(environ, root))
    pins = select(lock, interpreter.environment, [Root(PYPM)])
    wanted = [
        (p.package.name, p.package.source.index, p.file)
        for p in pins
        if isinstance(p.package.source, IndexSource) and p.file
    ]
    store = Store.open(environ=environ)
    with store.using():
        missing = [each for each in wanted if store.tree(each[2].sha256) is None]
        if missing:
            _fetch(store, missing, root, environ)
        return [str(store.tree_path(file.sha256) / "site") for _, _, file in wanted]


def _fetch(
    store: Store,
    missing: list[tuple[NormalizedName, str, Artifact]],
    root: Path,
    environ: Mapping[str, str],
) -> None:
    indexes = Indexes.from_settings(environ=environ, pip_config=pip_config.reader(environ), root=root)
    names = {file.sha256: file.filename for _, _, file in missing}
    with Catalog(store, indexes, environ=environ, root=root) as catalog:
        located = catalog.locate(missing)
        for digest, path in fetch_each(located, store, catalog.connect, relocate=catalog.relocate):
            store.unpack(path, digest, filename=names[digest])
