"""``pypm plugin``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pypm import _plugins
from pypm._plugin_search import PinsUnread
from pypm._verbs import ALIASES, VERBS
from pypm.cli.arguments import Group, UsageError, argument, option, verb
from pypm.cli.options import COMMON, Common, world
from pypm.cli.render.report import say
from pypm.ops.plugins import (
    add_plugin,
    list_plugins,
    plugin_info,
    read_pins,
    remove_plugins,
    update_plugins,
)
from pypm_plugins.adding import Added
from pypm_plugins.errors import PluginNotFound, from_refusal
from pypm_plugins.shelf import Refusal, is_sha256
from pypm_workspace.faults import nearest


@verb(
    option(
        "--sha256", metavar="HEX", default="", help="Refuse any other library than the one with this digest."
    ),
    option(
        "--allow-http", "--insecure", name="allow_http", help="Take it from an address without encryption."
    ),
    argument("name"),
    argument("source"),
    COMMON,
)
def add_command(common: Common, sha256: str, allow_http: bool, name: str, source: str) -> int:
    """Make the shared library at SOURCE, a path or an https address, the plugin NAME.

    It is looked at and not loaded: it must be for this system and architecture, and export
    `int pypm_plugin_main(int, char **)`. One that has the name is replaced in one step. Its digest is
    recorded, and checked before every run.
    """
    digest = sha256.removeprefix("sha256:").lower()
    if sha256 and not is_sha256(digest):
        raise UsageError(f"--sha256 takes 64 hexadecimal digits, not {sha256!r}")
    with world(common) as here:
        added = add_plugin(here, name, source, sha256=digest, allow_http=allow_http)
    if common.json:
        sys.stdout.write(json.dumps(_as_json(added)) + "\n")
    elif not common.quiet:
        verb = "Added" if not added.replaced else "Replaced" if added.replaced != added.sha256 else "Kept"
        say(f"{verb} plugin {name}: sha256 {added.sha256}, {added.size} bytes")
    if (name in VERBS or name in ALIASES) and not common.quiet:
        say(f"`pypm {name}` stays pypm's own command; `pypm plugin run {name}` runs the plugin")
    return 0


@verb(
    option("--frozen", help="Run nothing but what the workspace pins, where it pins plugins."),
    argument("name"),
    argument("arguments", required=False, rest=True),
    COMMON,
)
def run_command(common: Common, frozen: bool, name: str, arguments: tuple[str, ...]) -> int:
    """Run the plugin NAME with ARGUMENTS, in a process of its own; its exit code is pypm's.

    `pypm NAME` does the same, where pypm has no command of that name. 126: it is not run or cannot be loaded,
    127: there is none; 128 and more: a signal ended it. Options of pypm stand before NAME.
    """
    flags = [f for f, given in (("--frozen", frozen), ("-q", common.quiet), ("-v", common.verbose)) if given]
    try:
        try:
            return _plugins.launch(name, list(arguments), flags)
        except PinsUnread as unread:
            return _plugins.launch(name, list(arguments), flags, read_pins(str(unread)))
    except Refusal as refusal:
        error = from_refusal(refusal)
        if isinstance(error, PluginNotFound):
            error.near = nearest(name, [*VERBS, *_plugins.names()])
        raise error from None


@verb(COMMON)
def list_command(common: Common) -> int:
    """List everything that pypm would run as a plugin: pinned by the workspace, added, entry points of
    distributions, programs pypm-NAME on PATH."""
    with world(common) as here:
        found = list_plugins(here)
    if common.json:
        sys.stdout.write(json.dumps([each.to_json() for each in found]) + "\n")
        return 0
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        what = each.sha256[:12] or each.path
        note = f"  ({each.note})" if each.note else ""
        sys.stdout.write(
            f"{each.name:<{width}}  {each.kind:<11}  {what}  {each.source}".rstrip() + note + "\n"
        )
    return 0


@verb(argument("names", many=True), COMMON)
def remove_command(common: Common, names: tuple[str, ...]) -> int:
    """Remove plugins."""
    with world(common) as here:
        remove_plugins(here, names)
    if common.json:
        sys.stdout.write(json.dumps({"removed": list(names)}) + "\n")
    elif not common.quiet:
        say(f"Removed plugin {', '.join(names)}")
    return 0


@verb(argument("name"), COMMON)
def info_command(common: Common, name: str) -> int:
    """Tell what is known of the plugin NAME, and what it says of itself."""
    with world(common) as here:
        found = plugin_info(here, name).to_json()
    if common.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    description = found.pop("description") or {}
    found["symbols"] = ", ".join(found["symbols"])
    rows = {**found, **{f"says {key}": value for key, value in description.items()}}
    shown = {key: value for key, value in rows.items() if value not in (None, "")}
    width = max(map(len, shown))
    for key, value in shown.items():
        sys.stdout.write(f"{key:<{width}}  {value}\n")
    return 0


@verb(argument("names", required=False, many=True), COMMON)
def update_command(common: Common, names: tuple[str, ...]) -> int:
    """Take plugins (all, if none is named) from where they came from again.

    One that was added with --sha256 keeps to its digest: add it again for another.
    """
    with world(common) as here:
        done = update_plugins(here, names)
    if common.json:
        sys.stdout.write(json.dumps([_as_json(each) for each in done]) + "\n")
    elif not common.quiet:
        for each in done:
            if each.replaced == each.sha256:
                say(f"{each.name} is up to date")
            elif each.replaced:
                say(f"Updated {each.name}: {each.replaced[:12]} -> {each.sha256[:12]}")
            else:
                say(f"Put {each.name} back: {each.sha256[:12]}; what was there was not what was added")
    return 0


@verb(COMMON)
def include_command(common: Common) -> int:
    """Print the folder with pypm_plugin.h, for a compiler's -I."""
    import pypm_plugins

    folder = str(Path(pypm_plugins.__file__).resolve().parent / "include")
    sys.stdout.write((json.dumps({"include": folder}) if common.json else folder) + "\n")
    return 0


def _as_json(added: Added) -> dict[str, Any]:
    return {
        "name": added.name,
        "path": added.path,
        "sha256": added.sha256,
        "size": added.size,
        "source": added.origin.source,
        "added": added.added,
        "replaced": added.replaced or None,
    }


command = Group(
    "Plugins: commands that somebody else wrote. Native ones are shared libraries with one C function.",
    {
        "add": add_command,
        "run": run_command,
        "list": list_command,
        "info": info_command,
        "update": update_command,
        "remove": remove_command,
        "include": include_command,
    },
)
