"""Environments of tools and scripts: in the store, made once for equal content, read-only.

What was asked for is remembered with the environment that answers it, in ``tools/`` of the store: asked again
it costs two small reads. The environment is named by what is in it, so that a changed one is noticed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pypm._verbs import VERSION
from pypm.ops.installing import link_mode_for
from pypm.ops.lone_question import rules_of
from pypm.ops.tools import Tools
from pypm.ops.venvs import start_compiling
from pypm_env.dists import Installed, LinkMode, Wanted, WantedDist
from pypm_env.interpreters import Interpreter
from pypm_env.stale import look
from pypm_model.digests import sha256
from pypm_model.errors import Place
from pypm_model.locks import Pin
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_model.requests import Ask, Origin
from pypm_model.requirement_text import parse, to_text
from pypm_model.sources import PathSource
from pypm_store.atomic import write_atomically
from pypm_store.locks import holding
from pypm_workspace.direct_reference import direct_reference


@record
class Lone:
    """An environment of the store that is ready."""

    digest: str
    """Its name there."""
    venv: Path
    commands: Mapping[str, tuple[str, ...]]
    """Commands that each distribution that was asked for installs, by its name."""
    versions: Mapping[str, str]
    """Of those distributions."""


def answer_in(memory: Path) -> str:
    """The environment that the remembered question in the file *memory* is answered by, or empty."""
    try:
        return str(json.loads(memory.read_text(encoding="utf-8"))["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def ask(tools: Tools, text: str, name: NormalizedName, file: str, item: int, base: str = ".") -> Ask:
    """One requirement of *name*, which stands for a tool or script. A member of the workspace is that
    member; *base* is what a relative path is relative to, itself relative to the root. Raises
    `InvalidRequirement`, ValueError for an address that is none."""
    requirement = parse(text)
    origin = Origin(name, file, "dependencies", item)
    folder = tools.member_paths.get(requirement.name)
    if folder is not None:
        return Ask(requirement._replace(url=""), origin, PathSource(folder))
    if requirement.url:
        source = direct_reference(requirement.url, base=base, root=str(tools.root).replace("\\", "/"))
        return Ask(requirement._replace(url=""), origin, source)
    return Ask(requirement, origin)


def lone_environment(
    tools: Tools,
    interpreter: Interpreter,
    asks: Sequence[Ask],
    places: Mapping[int, Place],
    *,
    owner: Path | None = None,
) -> Lone:
    """The environment that holds what answers *asks*, remembered or made. *places* says where each ask (by
    its item) is written. It stays as long as *owner* is there (without one: as long as it is remembered),
    and as long as this process runs. Raises what resolving, fetching and applying raise."""
    name = asks[0].origin.member if asks else NormalizedName("(nothing)")
    mode = link_mode_for(tools, "", tools.store.folder("envs") / "new", of_member=True)
    memory = tools.store.folder("tools") / _question(tools, interpreter, asks, mode)
    # A folder's content may change without any of this changing.
    sources = [*(one.source for one in asks), *(one.source for one in tools.provisions)]
    floating = any(isinstance(source, PathSource) for source in sources)
    if not (tools.world.refresh or floating):
        with tools.store.using():
            known = _remembered(tools, memory, mode)
            if known is not None:
                tools.store.use_until_exit(known.digest)
                tools.store.refer(owner or memory, known.digest)
                return known
    from pypm.ops.lone_lock import lone_pins

    pins: list[Pin] = []
    if asks:
        pins = lone_pins(tools, interpreter, name, asks, lambda origin: places[origin.item])
    with tools.store.using():
        return _made(tools, interpreter, pins, asks, mode, memory, owner)


def _question(tools: Tools, interpreter: Interpreter, asks: Sequence[Ask], mode: LinkMode) -> str:
    """Everything that decides what answers *asks*."""
    settings = tools.settings
    facts: dict[str, Any] = {
        "asks": sorted(f"{to_text(one.requirement)} {one.source or ''}" for one in asks),
        "python": [interpreter.identity, interpreter.version],
        "rules": rules_of(tools),
        "versions": [settings.strategy, settings.prereleases, settings.prerelease_names],
        "root": str(tools.root) if any(isinstance(one.source, PathSource) for one in asks) else "",
        "mode": mode,
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _remembered(tools: Tools, memory: Path, mode: LinkMode) -> Lone | None:
    """What was made for this before, if it is still what it was."""
    try:
        data = json.loads(memory.read_text(encoding="utf-8"))
        digest = str(data["environment"])
        commands = {str(name): tuple(map(str, found)) for name, found in data["commands"].items()}
        versions = {str(name): str(version) for name, version in data["versions"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    venv = tools.store.environment_path(digest)
    installed = look(venv, tools.store)
    if not _is_whole(tools, installed, digest, mode):
        return None
    with suppress(OSError):
        os.utime(memory)  # when it was last used
    return Lone(digest, venv, commands, versions)


def _is_whole(tools: Tools, installed: Installed, digest: str, mode: LinkMode) -> bool:
    if installed.kind != "ours" or installed.problem or installed.unfinished or installed.stale:
        return False
    dists = tuple(one.dist for one in installed.dists)
    if not all(dist.tree for dist in dists) or _digest(installed.interpreter, mode, dists) != digest:
        return False
    return mode != "farm" or all(tools.store.manifest_size(dist.tree) for dist in dists)


def _digest(interpreter: str, mode: LinkMode, dists: Sequence[WantedDist]) -> str:
    rows = [(d.name, d.version, d.tree, d.direct_url) for d in sorted(dists, key=lambda dist: dist.name)]
    text = json.dumps([interpreter, mode, rows])
    return sha256(text.encode()).hexdigest()[:32]


def _made(
    tools: Tools,
    interpreter: Interpreter,
    pins: Sequence[Pin],
    asks: Sequence[Ask],
    mode: LinkMode,
    memory: Path,
    owner: Path | None,
) -> Lone:
    prompt = str(asks[0].requirement.name) if asks else "script"
    stored = stored_environment(tools, interpreter, pins, mode, prompt=prompt, editable=False)
    digest, venv, dists = stored.digest, stored.venv, stored.dists
    asked = {one.requirement.name for one in asks}
    commands: dict[str, tuple[str, ...]] = {}
    for dist in dists:
        if dist.name in asked and (tree := tools.store.tree(dist.tree, check=False)) is not None:
            points = [point.name for point in tree.entry_points if point.group.endswith("_scripts")]
            commands[dist.name] = tuple(sorted({*points, *tree.scripts}))
    versions = {str(dist.name): dist.version for dist in dists if dist.name in asked}
    data = {"environment": digest, "commands": commands, "versions": versions}
    write_atomically(memory, json.dumps(data))
    tools.store.refer(owner or memory, digest)
    return Lone(digest, venv, commands, versions)


@record
class Stored:
    """An environment of the store, by what is in it."""

    digest: str
    venv: Path
    dists: tuple[WantedDist, ...]


def stored_environment(
    tools: Tools,
    interpreter: Interpreter,
    pins: Sequence[Pin],
    mode: LinkMode,
    *,
    prompt: str,
    editable: bool,
) -> Stored:
    """The environment that holds *pins*, made unless it is there, and kept until this process has ended. To
    be called inside ``store.using()``. Raises what fetching, building and applying raise."""
    from pypm.ops.provisioning import provide, renewed
    from pypm_env.apply import apply
    from pypm_env.plan import plan

    provided = provide(tools, pins, interpreter, editable=editable)
    dists = provided.dists
    digest = _digest(interpreter.identity, mode, dists)
    venv = tools.store.environment_path(digest)
    tools.store.use_until_exit(digest)
    uncompiled: tuple[str, ...] = ()
    # One makes it, the others take it: it must not be exchanged under somebody who runs in it.
    with holding(tools.store.folder("locks") / f"stored-{digest}"):
        installed = look(venv, tools.store)
        if not _is_whole(tools, installed, digest, mode):
            _set_writable(venv, interpreter, True)
            changes = apply(
                plan(Wanted(interpreter, dists, mode), installed, reinstall=True, adopt=True),
                tools.store,
                pypm_version=VERSION,
                trees=provided.trees,
                renew=lambda digests: renewed(tools, pins, interpreter, digests),
                listener=tools.world.listener,
                prompt=prompt,
            )
            uncompiled = changes.uncompiled
            _set_writable(venv, interpreter, False)
    start_compiling(tools.world, tools.store, uncompiled, interpreter)
    return Stored(digest, venv, dists)


def _set_writable(venv: Path, interpreter: Interpreter, writable: bool) -> None:
    """Whether names may be added to the environment's folders; bytecode of top-level modules always may."""
    if os.name == "nt":
        return  # modes of folders mean nothing there
    layout = interpreter.layout
    for folder in (venv, venv / layout.scripts, venv / layout.site_packages):
        with suppress(FileNotFoundError):
            os.chmod(folder, 0o755 if writable else 0o555)
