"""The record pypm keeps in an environment: what it put there, as lines of text.

```
pypm-environment 1
folder      <absolute path>
interpreter <Interpreter.identity>
link-mode   auto
site        lib/python3.12/site-packages <mtime in ns>
dist        <name> <version> <tree> <flags> <info> <record time> <path line> <direct_url>
shared      <path relative to site> <name> <name>...
```
Fields are separated by tabs; in a field ``\\``, tab and line ends are escaped. Dists are sorted by name.
"""

from __future__ import annotations

from pypm_env.dists import InstalledDist, WantedDist
from pypm_model.names import NormalizedName
from pypm_model.records import record

_HEAD = "pypm-environment 1"
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_UNESCAPES = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


@record
class State:
    """The record's content."""

    folder: str
    """Where the environment stood when it was written: scripts name that place."""
    interpreter: str
    link_mode: str
    site: str
    """site-packages, relative to the folder, with ``/``."""
    site_time: int
    """Its modification time in nanoseconds when everything was done."""
    dists: tuple[InstalledDist, ...]
    shared: tuple[tuple[str, tuple[NormalizedName, ...]], ...] = ()
    """As in `Installed`."""


def write_state(state: State) -> str:
    """The record as text."""
    lines = [
        _HEAD,
        _line("folder", state.folder),
        _line("interpreter", state.interpreter),
        _line("link-mode", state.link_mode),
        _line("site", state.site, str(state.site_time)),
    ]
    for installed in sorted(state.dists, key=lambda one: one.name):
        dist = installed.dist
        flags = ("e" if dist.editable else "") + ("r" if dist.requested else "")
        names = (dist.name, dist.version, dist.tree, flags, installed.info, str(installed.record_time))
        lines.append(_line("dist", *names, installed.path_line, dist.direct_url))
    lines += [_line("shared", path, *names) for path, names in state.shared]
    return "\n".join(lines) + "\n"


def read_state(text: str) -> State | None:
    """What `write_state` wrote, or None: another format, cut off, or not a record at all."""
    lines = text.split("\n")
    if lines[0] != _HEAD or lines[-1] != "":
        return None
    heads: dict[str, list[str]] = {}
    dists: list[InstalledDist] = []
    shared: list[tuple[str, tuple[NormalizedName, ...]]] = []
    try:
        for line in lines[1:-1]:
            kind, *fields = line.split("\t")
            if "\\" in line:
                fields = [_unescaped(field) for field in fields]
            if kind == "shared":
                shared.append((fields[0], tuple(map(NormalizedName, fields[1:]))))
                continue
            if kind != "dist":
                heads[kind] = fields
                continue
            name, version, tree, flags, info, time, path_line, direct_url = fields
            dist = WantedDist(
                NormalizedName(name), version, tree, direct_url, editable="e" in flags, requested="r" in flags
            )
            dists.append(InstalledDist(dist, info, int(time), path_line))
        site, site_time = heads["site"]
        return State(
            folder=heads["folder"][0],
            interpreter=heads["interpreter"][0],
            link_mode=heads["link-mode"][0],
            site=site,
            site_time=int(site_time),
            dists=tuple(dists),
            shared=tuple(shared),
        )
    except (KeyError, ValueError, IndexError):
        return None


def _line(*fields: str) -> str:
    return "\t".join(_escaped(field) for field in fields)


def _escaped(field: str) -> str:
    if field.isalnum():
        return field
    for char, written in _ESCAPES.items():
        if char in field:
            field = field.replace(char, written)
    return field


def _unescaped(field: str) -> str:
    if "\\" not in field:
        return field
    pieces = iter(field)
    return "".join(_UNESCAPES[next(pieces)] if char == "\\" else char for char in pieces)
