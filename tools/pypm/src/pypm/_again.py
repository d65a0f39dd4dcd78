"""A sync that makes an environment once more that was made before on this machine, out of the same inputs.

`.venv` was removed, or this is another clone: beside the recipe (`pypm.ops.recipes`) there is a blueprint,
and all there is to do is to link. Whatever is unusual means the longer way, which is always right; nothing
was changed then. On a terminal that way is taken too, for its progress line.

Only what links may be imported here: modules are most of what such a run costs besides (a test pins them).
"""

from __future__ import annotations

import gc
import marshal
import os
import sys

from pypm import _recipe, _stamp
from pypm._stamp import LOCK, VENV
from pypm._stamp_rows import Rows
from pypm._verbs import VERSION
from pypm.cli.render.style import SHOWN, style
from pypm_audit.places import FOLDER as ADVISORIES
from pypm_audit.places import MARK
from pypm_env.from_blueprint import CannotFollow, make
from pypm_env.own_files import JOURNAL, PIN_FILE, STATE
from pypm_env.probe_key import probe_key
from pypm_store.lease_file import REMADE
from pypm_store.locations import default_folder, layout_name

TYPE_CHECKING = False  # as in `typing`, which is not loaded
if TYPE_CHECKING:
    from typing import TypeAlias

    from pypm_env.from_blueprint import Blueprint

    Pairs: TypeAlias = tuple[tuple[str, str], ...]
    Again: TypeAlias = tuple[
        str, Pairs, Pairs, tuple[str, ...], tuple[str, str, str], str, str, str, Pairs, Blueprint
    ]
    """`HEAD`; the recipe's files, folders and other files that count; the interpreter's path, real path and
    what is remembered of it hangs on; its version; the folder's name, if it must be that one; what the next
    sync says; (name, version) of what is installed; and how."""

FOLDER = "blueprints"
"""In the store, by the names of the recipes."""
HEAD = f"pypm-again 1 {VERSION} {sys.version}"
"""`marshal` is what this interpreter reads and writes."""


def again(arguments: list[str]) -> bool:
    """Whether the sync that was asked for is done, and told."""
    quiet = "-q" in arguments or "--quiet" in arguments
    if sys.platform != "linux" or not (quiet or not sys.stderr.isatty()):
        return False
    if os.path.lexists(VENV) or any(word.startswith("--cache-dir") for word in arguments):
        return False
    key = _stamp.key_of(arguments)
    try:
        root = os.getcwd()
        lock = None if key is None else _recipe.content_of(LOCK)
        if key is None or lock is None or not _recipe.is_place(root, os.environ):
            return False
        store = f"{default_folder(os.environ)}/{layout_name()}"
        known = _read(f"{store}/{FOLDER}/{_recipe.name_of(os.environ, key, lock)}")
        return known is not None and _make(root, store, key, lock, known, quiet)
    except OSError:
        return False


def _read(path: str) -> Again | None:
    content = _recipe.own_content(path)
    if content is None:
        return None
    try:
        known: Again = marshal.loads(content)
        return known if known[0] == HEAD else None
    except (ValueError, EOFError, TypeError, IndexError):
        return None


def _make(root: str, store: str, key: str, lock: bytes, known: Again, quiet: bool) -> bool:
    _, files, folders, also, (python, real_python, python_key), version, named_by, say, dists, how = known
    if named_by not in ("", os.path.basename(root)):
        return False
    rows = Rows(root)
    # As they are before they are read: a change meanwhile is noticed the next time.
    rows.look([LOCK])
    for path, digest in files:
        rows.file(path, *_recipe.seen(root, path))
        if digest != _recipe.contents(f"{root}/{path}"):
            return False
    for path, digest in folders:
        rows.folder(path, _recipe.seen(root, path)[0])
        if digest != _recipe.names(f"{root}/{path}"):
            return False
    rows.look_above()
    malware = f"{store}/{ADVISORIES}/{MARK}"
    rows.look(path for path in (*also, PIN_FILE, real_python, malware) if path not in rows.files)
    if malware in rows.files or lock != _recipe.content_of(LOCK):
        return False  # what is known to be malicious is another's to say
    if probe_key(python) != python_key:
        return False
    remade = _recipe.seen(store, REMADE)
    gc.disable()
    try:
        make(how, store, f"{root}/{VENV}")
    except (CannotFollow, ValueError, TypeError, IndexError):
        return False  # the last three: it is no blueprint after all
    _leave_stamp(rows, key, say, how, store, remade)
    if not quiet:
        _tell(root, version, dists)
    return True


def _leave_stamp(
    rows: Rows, key: str, say: str, how: Blueprint, store: str, remade: tuple[int, int, int]
) -> None:
    site = f"{VENV}/{how[1]}"
    try:
        rows.look([f"{VENV}/pyvenv.cfg", f"{VENV}/{STATE}"])
        if _recipe.seen(store, REMADE) != remade:
            return  # a tree was made anew meanwhile: the next sync looks whether it is one of these
        rows.folder(site, os.stat(f"{rows.root}/{site}").st_mtime_ns)
        rows.missing[f"{VENV}/{JOURNAL}"] = None
        folders, missing = list(rows.folders.items()), list(rows.missing)
        _stamp.write(rows.root, key, say, rows.of_files(), folders, missing, environments=[VENV])
    except OSError:
        return  # it costs the short cut, nothing else


def _tell(root: str, version: str, dists: Pairs) -> None:
    plus = style("+", "green")
    lines = [f"Synced {root}/{VENV} (Python {version}): {len(dists)} installed"]
    lines += [f"  {plus} {name} {of}" for name, of in dists[:SHOWN]]
    if len(dists) > SHOWN:
        lines.append(f"  ... and {len(dists) - SHOWN} more")
    sys.stderr.write("".join(f"{line}\n" for line in lines))
