"""``pypm add --script`` and ``remove --script``: what a single file asks for itself (PEP 723)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pypm.ops.bounds import with_bound
from pypm.ops.edit import EditOptions, EditReport, Written
from pypm.ops.lone_lock import lone_pins
from pypm.ops.script_run import SCRIPT, NoScript, asked_by, workspace_around
from pypm.ops.toolbox import open_tools
from pypm.ops.tools import Tools
from pypm.ops.wanted import parsed
from pypm.ops.world import World
from pypm_model.lock_changes import LockDiff
from pypm_model.locks import Pin
from pypm_model.sources import IndexSource
from pypm_store.atomic import write_atomically
from pypm_workspace import edit
from pypm_workspace.script_block import edited_script, read_script
from pypm_workspace.workspace import Workspace


def add_to_script(world: World, file: str, options: EditOptions) -> EditReport:
    """Adds requirements to the block of the script *file*, which is made if there is none. Nothing is changed
    unless all of it can be resolved. Raises `NoScript`, `NotARequirement`, `InvalidManifest`,
    and what resolving raises."""
    text = _read(world, file)
    asked = [parsed(one) for one in options.requirements]
    workspace = workspace_around(world)
    with open_tools(world, workspace) as tools:
        texts = list(options.requirements)
        new = _edited(tools, text, file, lambda manifest: _with(manifest, texts, file))
        pins = {pin.package.name: pin for pin in _resolved(tools, workspace, new, file)}
        for number, one in enumerate(asked):
            open_ended = not (options.raw or options.bounds == "none" or one.specifier or one.url)
            pin = pins.get(one.name)
            if open_ended and pin is not None and isinstance(pin.package.source, IndexSource):
                exact = options.bounds == "exact"
                texts[number] = with_bound(texts[number], pin.package.version, exact=exact)
        new = _edited(tools, text, file, lambda manifest: _with(manifest, texts, file))
    return _finish(world, file, new, texts, options)


def remove_from_script(world: World, file: str, options: EditOptions) -> EditReport:
    """Removes requirements from the block of the script *file*. Raises `NoScript`, `NotAsked`,
    `InvalidManifest`."""
    text = _read(world, file)
    names = [parsed(one).name for one in options.requirements]

    def change(manifest: str) -> str:
        for name in names:
            manifest = edit.remove(manifest, name, options.target, file=file)
        return manifest

    if read_script(text.encode(), file) is None:
        raise edit.NotAsked(file, names[0], str(options.target))
    new = edited_script(text, change, "")
    return _finish(world, file, new, list(map(str, names)), options)


def _read(world: World, file: str) -> str:
    path = world.cwd / file
    if not path.is_file():
        raise NoScript(file)
    text = edit.read_manifest(path)
    read_script(text.encode(), file)
    return text


def _with(manifest: str, texts: Sequence[str], file: str) -> str:
    for text in texts:
        manifest = edit.add(manifest, text, file=file)
    return manifest


def _edited(tools: Tools, text: str, file: str, change: Callable[[str], str]) -> str:
    if read_script(text.encode(), file) is not None:
        return edited_script(text, change, "")
    major, minor = tools.interpreter(folder=(tools.world.cwd / file).resolve().parent).release
    return edited_script(text, change, f">={major}.{minor}")


def _resolved(tools: Tools, workspace: Workspace | None, text: str, file: str) -> list[Pin]:
    script = read_script(text.encode(), file)
    assert script is not None
    asked = asked_by(tools, workspace, script, file)
    return lone_pins(tools, asked.interpreter, SCRIPT, asked.asks, lambda origin: asked.places[origin.item])


def _finish(world: World, file: str, text: str, written: Sequence[str], options: EditOptions) -> EditReport:
    if not options.dry_run:
        path = world.cwd / file
        write_atomically(path.resolve(), text.encode(), mode=path.stat().st_mode & 0o7777)
    return EditReport(tuple(Written(file, one) for one in written), LockDiff(), None)
