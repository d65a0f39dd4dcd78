"""A sync that was done before, done again without finding out how.

What ``pypm sync`` puts into the shared environment follows from the contents of a few files: the lock, the
manifests, the pins of Python versions. When a sync has gone through, what it put in is kept in the store,
under a digest of the lock and of how the sync was asked for, together with the digests of everything else
it depended on. Where all of that is as it was (``.venv`` was removed, a branch is taken up again, another
clone of the same project), the environment is made at once: no manifest is parsed and nothing is selected.
A build tool would call it an action cache.

Whatever differs, is missing or unusual means the long way, which is always right. Environments with
projects built from folders take it too: what they are made of is more than can be compared in passing. An
environment made anew gets the interpreter it had, as one that is there keeps its own.
"""

from __future__ import annotations

import json
import marshal
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypm import _again, _recipe, _stamp
from pypm._verbs import VERSION
from pypm.ops.counting import count
from pypm.ops.malware import known_malware, mark_seen, with_known
from pypm.ops.stamping import Stamped, leave_stamp, pins_above
from pypm.ops.synced import SyncReport
from pypm.ops.venvs import check_place, environment_in, needed_outside, start_compiling
from pypm.ops.world import LOCK, VENV, World
from pypm_env.apply import apply
from pypm_env.dists import LinkMode, Wanted, WantedDist
from pypm_env.interpreters import Interpreter
from pypm_env.plan import Plan, plan
from pypm_env.probe import folder_cache, probe
from pypm_env.probe_key import probe_key
from pypm_env.putting import MissingTree
from pypm_env.stale import look, torn
from pypm_model.later import later
from pypm_model.lock_changes import LockDiff
from pypm_model.names import NormalizedName
from pypm_model.records import as_dict, record
from pypm_store.atomic import make_room, write_atomically
from pypm_store.store import Store
from pypm_workspace.inputs import FileSeen, FolderSeen, Inputs

if TYPE_CHECKING:
    from pypm_env import blueprint as blueprints
    from pypm_env.compiling import Then
else:
    blueprints = later("pypm_env.blueprint")

_MOST = 256
"""Recipes that are kept on a machine."""


@record
class Recipe:
    """What a sync put in, and what that followed from. Paths are relative to the root."""

    files: tuple[tuple[str, str], ...]
    """(path, digest of the content; empty: there was none)."""
    folders: tuple[tuple[str, str], ...]
    """(path, digest of the names in it; empty: there was none)."""
    also: tuple[str, ...]
    python: str
    """The interpreter's path."""
    identity: str
    """`Interpreter.identity`."""
    mode: LinkMode
    inexact: bool
    prompt: str
    named_by: str
    """The folder's name, if the prompt may be that; else empty."""
    members: int
    dists: tuple[WantedDist, ...]


def keep(
    world: World,
    store: Store,
    key: str,
    root: str,
    inputs: Inputs,
    lock: str,
    also: Sequence[str],
    members: int,
    done: Plan,
    prompt: str,
) -> Then | None:
    """Keeps what a sync that was asked for in the way *key* (`pypm._stamp.key_of`) has done, if it may be
    done again without looking closer. *lock* is the lock's text. It saves time; nothing hangs on it. What is
    given back is worth doing when nobody waits."""
    if str(world.cwd) != root or not _recipe.is_place(root, world.environ):
        return None
    if any(dist.editable or _is_local(dist) for dist in done.wanted.dists):
        return None
    found = _digests(root, inputs, also)
    if found is None:
        return None
    files, folders = found
    wanted, interpreter = done.wanted, done.wanted.interpreter
    recipe = Recipe(
        files,
        folders,
        tuple(also),
        interpreter.path,
        interpreter.identity,
        wanted.link_mode,
        done.options.inexact,
        prompt,
        prompt if prompt == os.path.basename(root) else "",
        members,
        wanted.dists,
    )
    name = _recipe.name_of(world.environ, key, lock.encode("utf-8", "surrogateescape"))
    _put(store.path / _recipe.FOLDER / name, json.dumps(as_dict(recipe), separators=(",", ":")).encode())
    return _drawing(store, name) if done.recreate else None


def _put(place: Path, content: bytes) -> None:
    with suppress(OSError):
        place.parent.mkdir(exist_ok=True)
        make_room(place.parent, _MOST)
        write_atomically(place, content, mode=0o600)


def _drawing(store: Store, name: str) -> Then:
    return (__name__, draw.__name__, (str(store.root), name))


def draw(store_root: str, name: str) -> None:
    """Keeps beside the recipe *name* how its environment is made anew without thinking (`pypm._again`), if
    links and files are all it takes. Takes 0.1 s for a hundred distributions."""
    store = Store(Path(store_root))
    recipe = _read(store.path / _recipe.FOLDER / name)
    found = None if recipe is None else probe(recipe.python, folder_cache(store.path / "interpreters"))
    if recipe is None or not isinstance(found, Interpreter) or found.identity != recipe.identity:
        return
    wanted = Wanted(found, recipe.dists, recipe.mode)
    try:
        with store.using():
            how = blueprints.blueprint(wanted, store, pypm_version=VERSION, prompt=recipe.prompt)
    except OSError:
        return  # a tree that goes meanwhile; it saves time, nothing hangs on it
    if how is None:
        return
    follows = (recipe.files, recipe.folders, recipe.also)
    python = (found.path, found.real_path, probe_key(found.path))
    say = _nothing_to_do(recipe.members, len(recipe.dists))
    dists = tuple(sorted([(str(dist.name), dist.version) for dist in recipe.dists]))
    known = (_again.HEAD, *follows, python, found.version, recipe.named_by, say, dists, how)
    _put(store.path / _again.FOLDER / name, marshal.dumps(known))


def follow(world: World, key: str) -> SyncReport | None:
    """Does again what a sync of the project in the current folder did that was asked for in the way *key*;
    None if there was none, or if anything it depended on has changed: then nothing was touched.

    Raises what `pypm_env.apply.apply` raises.
    """
    root = str(world.cwd)
    lock = _recipe.content_of(f"{root}/{LOCK}")
    if lock is None or not _recipe.is_place(root, world.environ):
        return None
    store = Store.open(environ=world.environ)
    name = _recipe.name_of(world.environ, key, lock)
    recipe = _read(store.path / _recipe.FOLDER / name)
    if recipe is None or recipe.named_by not in ("", os.path.basename(root)):
        return None
    inputs = _same_inputs(root, recipe)
    interpreter = None if inputs is None else probe(recipe.python, folder_cache(store.path / "interpreters"))
    if inputs is None or not isinstance(interpreter, Interpreter) or interpreter.identity != recipe.identity:
        return None
    mark = mark_seen(store)
    if mark.mtime_ns >= 0 and known_malware(store, ((dist.name, dist.version) for dist in recipe.dists)):
        return None  # the long way knows what is passed over
    venv = environment_in(root)
    check_place(venv)
    wanted = Wanted(interpreter, recipe.dists, recipe.mode)
    with store.using():
        installed = look(venv, store)
        has_another = installed.kind == "ours" and installed.interpreter != recipe.identity
        if installed.kind not in ("absent", "ours") or has_another:
            return None
        if torn(installed, store, interpreter.layout.site_packages):
            return None
        todo = plan(wanted, installed, inexact=recipe.inexact)
        if not todo.is_empty:
            _stamp.remove(root)
        try:
            changes = apply(todo, store, pypm_version=VERSION, listener=world.listener, prompt=recipe.prompt)
        except MissingTree:
            return None
    report = SyncReport(
        str(venv), interpreter.version, changes.plan, False, LockDiff(), recipe.members, len(recipe.dists)
    )
    needs = needed_outside(store, venv, recipe.mode)
    say = nothing_to_do(report)
    stamped = Stamped(".", interpreter, needs)
    seen = with_known(inputs, [mark])
    leave_stamp(store, root, seen, recipe.also, key, say, [stamped], of_members=False)
    is_known = not changes.plan.recreate or os.path.exists(store.path / _again.FOLDER / name)
    drawing = None if is_known else _drawing(store, name)
    is_at_work = start_compiling(world, store, changes.uncompiled, interpreter, drawing)
    if drawing is not None and not (is_at_work or changes.uncompiled):
        draw(*drawing[2])
    return report


def nothing_to_do(report: SyncReport) -> str:
    """What the next sync says if nothing changes until then."""
    return _nothing_to_do(report.members, report.packages)


def _nothing_to_do(members: int, packages: int) -> str:
    return f"Nothing to do: {count(members, 'member')}, {count(packages, 'package')} in {VENV}"


def _is_local(dist: WantedDist) -> bool:
    return '"file:' in dist.direct_url


# --- what it follows from ------------------------------------------------------------------------


def _digests(
    root: str, inputs: Inputs, also: Iterable[str]
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] | None:
    """The digests of files and of folders' names; None if one has changed since it was read, or lies
    outside the root, where another clone has something else."""
    paths = dict.fromkeys([*(seen.path for seen in inputs.files), *also, *pins_above(".")])
    rooms = [listed.path for listed in inputs.folders]
    if any(map(_is_outside, (*paths, *rooms))):
        return None
    files = tuple((path, _recipe.contents(f"{root}/{path}")) for path in paths)
    folders = tuple((path, _recipe.names(f"{root}/{path}")) for path in rooms)
    # Looked at once more after they were read.
    same = all(_seen(root, seen.path) == seen for seen in inputs.files)
    same = same and all(_listed(root, listed.path) == listed for listed in inputs.folders)
    return (files, folders) if same else None


def _same_inputs(root: str, recipe: Recipe) -> Inputs | None:
    """What there is, as it was before it was read, if its contents are those of the recipe."""
    files, folders = [], []
    for path, digest in recipe.files:
        files.append(_seen(root, path))
        if digest != _recipe.contents(f"{root}/{path}"):
            return None
    for path, digest in recipe.folders:
        folders.append(_listed(root, path))
        if digest != _recipe.names(f"{root}/{path}"):
            return None
    return Inputs(tuple(files), tuple(folders))


def _seen(root: str, path: str) -> FileSeen:
    return FileSeen(path, *_recipe.seen(root, path))


def _listed(root: str, path: str) -> FolderSeen:
    return FolderSeen(path, _recipe.seen(root, path)[0])


def _is_outside(path: str) -> bool:
    return os.path.isabs(path) or path == ".." or path.startswith(("../", "..\\"))


def _read(place: Path) -> Recipe | None:
    """The recipe kept at *place*; None if there is none that this user wrote and this pypm can read."""
    content = _recipe.own_content(place)
    if content is None:
        return None
    try:
        data: Mapping[str, Any] = json.loads(content)
        names = ("files", "folders")
        pairs = {name: tuple((path, digest) for path, digest in data[name]) for name in names}
        dists = tuple(WantedDist(**one | {"name": NormalizedName(one["name"])}) for one in data["dists"])
        return Recipe(**{**data, **pairs, "also": tuple(data["also"]), "dists": dists})
    except (ValueError, KeyError, TypeError):
        return None
