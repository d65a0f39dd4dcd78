"""``pypm plugin``: native plugins added, looked at, brought up to date, taken away; pins of a workspace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from pypm import _plugin_commands, _plugin_search
from pypm.ops.world import World
from pypm_model.records import record, replace
from pypm_plugins import shelf
from pypm_plugins.adding import (
    Added,
    Origin,
    Staged,
    check_name,
    home_of,
    judge,
    names,
    put,
    put_pinned,
    recorded,
    remove,
    staged,
)
from pypm_plugins.errors import (
    NotAPlugin,
    PluginAbi,
    PluginNotFetched,
    PluginOverHttp,
    PluginUnloadable,
    UnknownPlugin,
    from_child,
    from_refusal,
)
from pypm_plugins.images.image import BadImage
from pypm_plugins.images.reading import read_image, this_machine
from pypm_plugins.shelf import Refusal
from pypm_store.atomic import write_atomically
from pypm_workspace.configuration import PluginPin

_CHUNK = 1 << 18
_LOADERS = 4
_DESCRIBE_SECONDS = 10
"""A plugin that is asked what it is and says nothing is left alone after this."""
OPTIONAL = ("pypm_plugin_abi", "pypm_plugin_describe", "pypm_plugin_init")


@record
class Listed:
    """Something that ``pypm NAME`` would run, in one line of ``plugin list``."""

    name: str
    kind: str
    """``pinned``, ``added``, ``entry-point`` or ``program``."""
    path: str
    """Of the library or program; of an entry point its environment's interpreter."""
    source: str = ""
    sha256: str = ""
    size: int = 0
    note: str = ""
    """What speaks against running it."""

    def to_json(self) -> dict[str, Any]:
        """The line as data."""
        return {
            "name": self.name,
            "kind": self.kind,
            "path": self.path,
            "source": self.source or None,
            "sha256": self.sha256 or None,
            "size": self.size or None,
            "note": self.note or None,
        }


@record
class Info:
    """All that is known of a plugin."""

    listed: Listed
    added: str
    symbols: tuple[str, ...]
    description: Mapping[str, Any]
    """What the plugin says of itself; empty if it says nothing."""

    def to_json(self) -> dict[str, Any]:
        """The plugin as data."""
        return {
            **self.listed.to_json(),
            "added": self.added or None,
            "symbols": list(self.symbols),
            "description": dict(self.description) or None,
        }


def add_plugin(world: World, name: str, source: str, *, sha256: str = "", allow_http: bool = False) -> Added:
    """Makes the library at *source*, a path or an address, the plugin *name*, in place of one that is there.

    Raises the errors of `pypm_plugins.errors`; then nothing was changed.
    """
    check_name(name)
    home = home_of(world.environ)
    wanted = sha256.removeprefix("sha256:").lower()
    origin = Origin(_absolute(source, world.cwd), bool(sha256), allow_http)
    return _take(world, home, name, origin, wanted)


def update_plugins(world: World, chosen: tuple[str, ...]) -> tuple[Added, ...]:
    """Takes the plugins *chosen* (all, if none is named) from their sources again; as they are now.

    One that was added with a digest keeps to it. Raises as `add_plugin`: those before it are updated.
    """
    home = home_of(world.environ)
    done = []
    for each in [_recorded(home, name) for name in chosen or names(home)]:
        wanted = each.sha256 if each.origin.asked_sha256 else ""
        done.append(_take(world, home, each.name, each.origin, wanted))
    return tuple(done)


def remove_plugins(world: World, chosen: tuple[str, ...]) -> None:
    """Takes plugins away: all of *chosen*, or, if one of them is not there, none."""
    home = home_of(world.environ)
    for name in chosen:
        check_name(name)
        if not shelf.exists(shelf.library_in(str(home), name)):
            _recorded(home, name)
    for name in dict.fromkeys(chosen):
        remove(home, name)


def list_plugins(world: World) -> tuple[Listed, ...]:
    """Everything that ``pypm NAME`` would run besides pypm's own commands, by name.

    Libraries that the user has added are loaded, each in a process of its own, to know if they can be; of all
    others nothing is run.
    """
    home = home_of(world.environ)
    root = _plugin_search.root_above()
    found: dict[str, Listed] = {}
    for pin in pins(world, root):
        path = shelf.pinned_in(str(home), pin.sha256)
        there = os.path.isfile(path)
        found[pin.name] = Listed(
            pin.name,
            "pinned",
            path,
            pin.url,
            pin.sha256,
            os.path.getsize(path) if there else 0,
            _unfit(pin.name, path) if there else "not fetched: pypm sync",
        )
    with ThreadPoolExecutor(_LOADERS, thread_name_prefix="plugin") as pool:
        added = [name for name in names(home) if name not in found]
        for listed in pool.map(lambda name: _listed(home, name), added):
            found[listed.name] = listed
    for python, _, sites in _plugin_commands.environments(root):
        for site in sites:
            for name, value in _plugin_commands.entry_points_in(site).items():
                found.setdefault(name, Listed(name, "entry-point", python, value))
    for name, path in _plugin_commands.programs().items():
        found.setdefault(name, Listed(name, "program", path))
    return tuple(found[name] for name in sorted(found))


def plugin_info(world: World, name: str) -> Info:
    """What is known of the plugin *name*, which is asked for its description in a process of its own.

    Raises `PypmError` if it is none that would be run.
    """
    check_name(name)
    home = home_of(world.environ)
    pinned = {pin.name: pin for pin in pins(world, _plugin_search.root_above())}
    native = _native(home, name, {each: pin.sha256 for each, pin in pinned.items()})
    if native is None:
        others = {each.name: each for each in list_plugins(world)}
        if name not in others:
            raise UnknownPlugin(name, tuple(others))
        return Info(others[name], "", (), {})
    os.close(native.handle)
    try:
        image = read_image(native.path, (shelf.MAIN, *OPTIONAL), this_machine().architecture)
        symbols = tuple(sorted(image.functions))
    except BadImage:
        symbols = ()
    described: dict[str, Any] = {}
    note = _unfit(name, native.path)
    if not note:
        note, described = _asked(name, describes="pypm_plugin_describe" in symbols)
    if name in pinned:
        pin = pinned[name]
        size = os.path.getsize(native.path)
        listed = Listed(name, "pinned", native.path, pin.url, pin.sha256, size, note)
        return Info(listed, "", symbols, described)
    each = _recorded(home, name)
    return Info(_as_listed(each, note), each.added, symbols, described)


# --- pins ----------------------------------------------------------------------------------------


def read_pins(root: str) -> dict[str, str] | None:
    """What the workspace at *root* pins, digest by name, remembered for the next start of a plugin; None if
    its file has no table of plugins. Raises `InvalidManifest`."""
    path = Path(root, _plugin_search.WORKSPACE)
    status = path.stat()
    found = _parsed(path)
    pins = None if found is None else {pin.name: pin.sha256 for pin in found}
    rows = [_plugin_search.NO_PINS] if pins is None else [f"{name} {sha256}" for name, sha256 in pins.items()]
    lines = [_plugin_search.pins_head(status), *rows, "end"]
    target = Path(root, _plugin_search.PINS)
    try:
        if not target.parent.is_dir():
            target.parent.mkdir()
            (target.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        write_atomically(target, "\n".join(lines))
    except OSError:
        pass  # a root that cannot be written costs the short cut, nothing else
    return pins


def pins(world: World, root: str) -> tuple[PluginPin, ...]:
    """The pins of the workspace at *root*."""
    path = Path(root, _plugin_search.WORKSPACE)
    return (_parsed(path) or ()) if root and path.is_file() else ()


def _parsed(path: Path) -> tuple[PluginPin, ...] | None:
    from pypm_workspace.faults import Complaints, Fault, InvalidManifest
    from pypm_workspace.settings import read_workspace_file
    from pypm_workspace.toml_reading import read_toml

    text, document = read_toml(path.read_bytes(), path.name)
    if isinstance(document, Fault):
        raise InvalidManifest((document,))
    if "plugins" not in document:
        return None
    complaints = Complaints(path.name, text)
    # The other tables are no affair of plugins: what is wrong with them `pypm lock` says.
    settings = read_workspace_file(
        {"plugins": document["plugins"]}, root=str(path.parent), complaints=complaints
    )
    if settings is None:
        raise InvalidManifest(complaints.faults())
    return settings.plugins


def fetch_pins(world: World, root: str, pinned: Iterable[PluginPin]) -> tuple[str, ...]:
    """Fetches the libraries that the workspace at *root* pins and that are not here yet; their names.

    Raises the errors of `pypm_plugins.errors`.
    """
    home = home_of(world.environ)
    fetched = []
    for pin in pinned:
        check_name(pin.name)
        if os.path.isfile(shelf.pinned_in(str(home), pin.sha256)):
            continue
        # With a digest it does not matter who else was on the way.
        origin = Origin(_absolute(pin.url, Path(root)), True, True)
        with _staged(world, pin.name, origin) as library:
            judge(pin.name, _shown(origin.source), library, pin.sha256)
            put_pinned(home, library)
        fetched.append(pin.name)
    return tuple(fetched)


# --- sources -------------------------------------------------------------------------------------


def _take(world: World, home: Path, name: str, origin: Origin, sha256: str) -> Added:
    with _staged(world, name, origin) as library:
        judge(name, _shown(origin.source), library, sha256)
        return put(home, name, library, replace(origin, source=_kept(origin.source)))


def _staged(world: World, name: str, origin: Origin) -> AbstractContextManager[Staged]:
    source = origin.source
    if not _is_address(source):
        return staged(name, source, lambda: _of_file(name, Path(source)))
    if source.lower().startswith("http:") and not origin.allow_http:
        raise PluginOverHttp(name, _shown(source))
    return staged(name, _shown(source), lambda: _of_address(world, name, source))


def _absolute(source: str, folder: Path) -> str:
    if _is_address(source):
        return source
    if source.lower().startswith("file:"):
        return str(Path(url2pathname(unquote(urlsplit(source).path))))
    return os.path.normpath(folder / Path(source).expanduser())


def _is_address(source: str) -> bool:
    scheme, found, _ = source.partition("://")
    return bool(found) and scheme.isalnum() and scheme.lower() != "file"


def _of_file(name: str, path: Path) -> Iterator[bytes]:
    if not path.is_file():
        why = "there is no such file" if not path.exists() else "it is no plain file"
        raise PluginNotFetched(name, str(path), why)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise PluginNotFetched(name, str(path), (error.strerror or str(error)).lower()) from error


def _of_address(world: World, name: str, url: str) -> Iterator[bytes]:
    from pypm.ops.opening import indexes_of
    from pypm_index.errors import IndexTrouble
    from pypm_index.transport import Transport

    shown = _shown(url)
    if url.partition("://")[0].lower() not in ("http", "https"):
        raise PluginNotFetched(name, shown, "only https: and file: addresses, and paths, can be had")
    if world.offline:
        raise PluginNotFetched(name, shown, "pypm is offline")
    transport = Transport(indexes_of(world, None), world.environ)
    try:
        with transport.open(url, subject=name) as stream:
            if stream.status != 200:
                raise PluginNotFetched(name, shown, f"the server answers with HTTP status {stream.status}")
            while chunk := stream.read(_CHUNK):
                yield chunk
    except IndexTrouble as error:
        raise PluginNotFetched(name, shown, _reason(error)) from error
    finally:
        transport.close()


def _reason(error: Any) -> str:
    status = getattr(error, "status", {"index-credentials": 401, "index-forbidden": 403}.get(error.code))
    if status is not None:
        return f"the server answers with HTTP status {status}"
    if error.code == "index-redirect":
        return f"the server redirects badly: {error.reason}"
    return str(getattr(error, "reason", error))


def _shown(source: str) -> str:
    from pypm_index.addresses import redacted

    return redacted(source) if _is_address(source) else source


def _kept(source: str) -> str:
    """Without user and password, which are for netrc."""
    from pypm_index.addresses import without_userinfo

    return without_userinfo(source) if _is_address(source) else source


# --- looking -------------------------------------------------------------------------------------


def _recorded(home: Path, name: str) -> Added:
    try:
        return recorded(home, name)
    except Refusal as refusal:
        raise from_refusal(refusal) from None


def refused(home: Path, name: str) -> Refusal | None:
    """Why the plugin *name* that was added is not run, as far as its record and its file tell; nothing of
    it is loaded."""
    try:
        native = _plugin_search.find_native(name, None, str(home))
    except Refusal as refusal:
        return refusal
    if native is not None:
        os.close(native.handle)
    return None


def _listed(home: Path, name: str) -> Listed:
    path = shelf.library_in(str(home), name)
    refusal = refused(home, name)
    try:
        found = _as_listed(recorded(home, name))
    except (Refusal, UnknownPlugin) as error:
        refusal = error if isinstance(error, Refusal) else refusal
        found = Listed(name, "added", path)
    if refusal is not None:
        return replace(found, note=why_refused(refusal))
    return replace(found, note=_unfit(name, path) or _asked(name, describes=False)[0])


def _as_listed(each: Added, note: str = "") -> Listed:
    return Listed(each.name, "added", each.path, _shown(each.origin.source), each.sha256, each.size, note)


def _unfit(name: str, path: str) -> str:
    """Why the library at *path* is no plugin for this machine, told without running anything of it."""
    try:
        judge(name, path, Staged(Path(path), "", 0))
    except NotAPlugin as error:
        return error.reason
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def why_refused(refusal: Refusal) -> str:
    """In a clause."""
    match refusal.code:
        case "changed":
            return "changed after it was added"
        case "missing":
            return "the library is gone"
        case "record":
            return "the record is damaged"
        case _:
            return refusal.detail


def _native(home: Path, name: str, pinned: Mapping[str, str]) -> _plugin_search.Native | None:
    try:
        return _plugin_search.find_native(name, dict(pinned), str(home))
    except Refusal as refusal:
        raise from_refusal(refusal) from None


def _asked(name: str, *, describes: bool) -> tuple[str, dict[str, Any]]:
    """What speaks against running the plugin, once it is loaded, and, if it *describes* itself, what it says.
    It is foreign code: it gets a process of its own, and little time."""
    script = (
        f"import sys; sys.path[:0] = {[each for each in sys.path if each]!r}\n"
        "from pypm._plugins import describe_main; describe_main()"
    )
    command = [sys.executable, "-I", "-S", "-c", script, name, *(["describe"] if describes else [])]
    trouble = ""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_DESCRIBE_SECONDS, check=False
        )
        output = done.stdout
        if done.returncode < 0:
            trouble = f"it was ended by signal {-done.returncode}"
    except subprocess.TimeoutExpired as error:
        output, trouble = error.stdout or b"", f"it said nothing for {_DESCRIBE_SECONDS} seconds"
    line, loaded, said = output.partition(b"\n")
    if not loaded:
        return f"when it was loaded {trouble}" if trouble else "it ended when it was loaded", {}
    code, _, detail = line.decode("utf-8", "replace").partition(" ")
    if code:
        why = from_child(name, code, detail)
        return why.clause if isinstance(why, PluginAbi | PluginUnloadable) else str(why), {}
    return "", _described(said, trouble) if describes else {}


def _described(said: bytes, trouble: str) -> dict[str, Any]:
    if trouble:
        return {"error": trouble}
    try:
        found = json.loads(said)
    except ValueError:
        return {"error": "it describes itself in something else than JSON"}
    return found if isinstance(found, dict) else {"error": "its description is no JSON object"}
