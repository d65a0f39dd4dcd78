"""Lets git merge locks with pypm: an attribute for everybody, and a driver in this repository's config."""

from __future__ import annotations

from pypm.ops.git import Repository
from pypm.ops.world import LOCK
from pypm_store.atomic import write_atomically

ATTRIBUTES = ".gitattributes"
LINE = f"{LOCK} merge=pypm-lock linguist-generated"
CONFIG = (
    ("merge.pypm-lock.name", "pypm: entries of both sides, resolved"),
    ("merge.pypm-lock.driver", "pypm lock --merge-driver %O %A %B %P"),
)


def teach(repository: Repository) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Writes the attribute beside the lock and the driver to the configuration of this repository; the files
    and keys that were not so before."""
    file = repository.folder / ATTRIBUTES
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        text = ""
    files: tuple[str, ...] = ()
    if LINE not in (line.strip() for line in text.splitlines()):
        begin = text if not text or text.endswith("\n") else f"{text}\n"
        write_atomically(file, f"{begin}{LINE}\n".encode("utf-8", "surrogateescape"))
        files = (ATTRIBUTES,)
    return files, tuple(key for key, value in CONFIG if repository.configure(key, value))
