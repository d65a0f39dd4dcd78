"""`pypm.lock` as text: what is written, and reading it back.

One fact is one line: a dependency, a file, a requirement of a manifest. So a diff shows what changed,
and two people who change different packages merge cleanly. The order is fixed, whatever the order in
the records: packages by name, version and source, edges by name, version and marker, files by name.
There are no hosts, times of writing, tool versions or digests over everything.

::

    format = 1
    requires-python = ">=3.11"
    environments = [                                  # also required-environments, splits
        "sys_platform != 'win32'",
    ]

    [settings]                                        # those that are not their defaults
    strategy = "lowest"

    [[package]]
    name = "acme-api"
    version = "1.0"                                   # left out where it is dynamic
    source = { member = "packages/api" }              # index, member, path, url or git
    requires-python = ">=3.11"
    dependencies = [
        "httpx[http2]",                               # name and extras
        { name = "numpy", marker = "python_full_version < '3.12'", version = "1.26.4" },
    ]

    [package.extras]                                  # and [package.groups]: the same, by name
    fast = [
        "uvloop",
    ]

    [package.manifest]                                # what the member asked for, as freshness wants it
    requires-python = ">=3.11"
    dependencies = [
        "httpx[http2]>=0.28",
    ]

    [[package]]
    name = "httpx"
    version = "0.28.1"
    source = { index = "pypi" }
    publishers = [                                    # where its index has attestations
        { kind = "GitHub", repository = "encode/httpx", workflow = "publish.yml" },
    ]
    files = [
        { name = "httpx-0.28.1.tar.gz", sha256 = "...", uploaded = "...", path = "packages/.../", size = 1 },
    ]

A *path* that ends in ``/`` goes on with the file's name. Unknown keys and tables are ignored, so that a
format can grow; a reader refuses only a higher ``format``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from pypm_model import lock_toml
from pypm_model.artifacts import Artifact
from pypm_model.later import later
from pypm_model.lock_errors import LockConflicted, LockFault, LockTooNew, LockUnreadable
from pypm_model.lock_order import edge_order, package_order
from pypm_model.lock_toml import InvalidToml, key, quoted
from pypm_model.locks import FORMAT, Edge, Lock, LockedPackage, Manifest, Publisher
from pypm_model.names import NormalizedName
from pypm_model.patterns import pattern
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource

if TYPE_CHECKING:
    from pypm_model import lock_records, lock_sides
else:
    lock_records = later("pypm_model.lock_records")
    lock_sides = later("pypm_model.lock_sides")

FILE = "pypm.lock"
"""The lock's file name, at the root of the workspace."""


class Written:
    """The packages of the last lock that was written with this, and their lines: those that are the same in
    the next one need not be put into words again."""

    def __init__(self) -> None:
        self._lines: dict[tuple[object, ...], tuple[LockedPackage, str]] = {}

    def know(self, lock: Lock, text: str) -> None:
        """Takes *text* for what `write` made of *lock*, as it was read back from it."""
        _, *chunks = text.removesuffix("\n").split(f"\n{_package_header}")
        if len(chunks) == len(lock.packages):
            for package, chunk in zip(lock.packages, chunks, strict=True):
                key = package.name, package.version, package.source
                self._lines[key] = package, f"{_package_header}{chunk}"

    def lines(self, packages: Sequence[LockedPackage]) -> list[str]:
        """The text of each of *packages*."""
        known, self._lines = self._lines, {}
        found = []
        for package in packages:
            key = package.name, package.version, package.source
            entry = known.get(key)
            if entry is None or (entry[0] is not package and entry[0] != package):
                entry = package, "\n".join(_package(package))
            self._lines[key] = entry
            found.append(entry[1])
        return found


def write(lock: Lock, written: Written | None = None) -> str:
    """The text of *lock*; equal locks give equal texts.

    What an index says of a file for the moment (its own Requires-Python, yanked) is not written. *written*
    remembers this lock's packages for the next one.
    """
    lines = [f"format = {FORMAT}"]
    if lock.requires_python:
        lines.append(f"requires-python = {quoted(lock.requires_python)}")
    lines += _list("environments", map(quoted, lock.environments))
    lines += _list("required-environments", map(quoted, lock.required_environments))
    lines += _list("splits", map(quoted, lock.splits))
    if lock.settings.values:
        lines += ["", "[settings]"]
        for name, value in sorted(lock.settings.values):
            if isinstance(value, str):
                lines.append(f"{key(name)} = {quoted(value)}")
            else:
                lines += _list(key(name), map(quoted, value), always=True)
    packages = sorted(lock.packages, key=package_order)
    lines += (written if written is not None else Written()).lines(packages)
    lines.append("")
    return "\n".join(lines)


def _list(name: str, items: Iterable[str], *, always: bool = False) -> list[str]:
    rows = [f"    {item}," for item in items]
    if not rows:
        return [f"{name} = []"] if always else []
    return [f"{name} = [", *rows, "]"]


def _package(package: LockedPackage) -> Iterator[str]:
    yield ""
    yield "[[package]]"
    yield f"name = {quoted(package.name)}"
    if package.version:
        yield f"version = {quoted(package.version)}"
    yield f"source = {_source(package.source)}"
    if package.requires_python:
        yield f"requires-python = {quoted(package.requires_python)}"
    yield from _list("dependencies", _edges(package.dependencies))
    yield from _list("requires", map(quoted, sorted(package.requires)))
    yield from _list("publishers", map(_publisher, sorted(package.publishers)))
    yield from _list("files", map(_file, sorted(package.files, key=attrgetter("filename"))))
    yield from _edge_table("extras", package.extras)
    yield from _edge_table("groups", package.groups)
    if package.manifest is not None:
        yield from _manifest(package.manifest)


def _publisher(publisher: Publisher) -> str:
    return f"{{ {', '.join(f'{key(name)} = {quoted(value)}' for name, value in publisher)} }}"


def _edge_table(name: str, table: Sequence[tuple[NormalizedName, tuple[Edge, ...]]]) -> Iterator[str]:
    if table:
        yield ""
        yield f"[package.{name}]"
        for item, edges in sorted(table):
            yield from _list(key(item), _edges(edges), always=True)


def _manifest(manifest: Manifest) -> Iterator[str]:
    yield ""
    yield "[package.manifest]"
    if manifest.requires_python:
        yield f"requires-python = {quoted(manifest.requires_python)}"
    yield from _list("dependencies", map(quoted, sorted(manifest.dependencies)))
    for name, table in (("extras", manifest.extras), ("groups", manifest.groups)):
        if table:
            yield ""
            yield f"[package.manifest.{name}]"
            for item, texts in sorted(table):
                yield from _list(key(item), map(quoted, sorted(texts)), always=True)


def _edges(edges: Iterable[Edge]) -> list[str]:
    return [_edge(edge) for edge in sorted(edges, key=edge_order)]


def _edge(edge: Edge) -> str:
    if not (edge.marker or edge.version or edge.source):
        return quoted(f"{edge.name}[{','.join(edge.extras)}]" if edge.extras else edge.name)
    items = [f"name = {quoted(edge.name)}"]
    if edge.extras:
        items.append(f"extras = [{', '.join(map(quoted, edge.extras))}]")
    if edge.version:
        items.append(f"version = {quoted(edge.version)}")
    if edge.source is not None:
        items.append(f"source = {_source(edge.source)}")
    if edge.marker:
        items.append(f"marker = {quoted(edge.marker)}")
    return f"{{ {', '.join(items)} }}"


def _source(source: Source) -> str:
    match source:
        case IndexSource(index):
            items: list[tuple[str, str | bool]] = [("index", index)]
        case MemberSource(path):
            items = [("member", path)]
        case PathSource(path, editable, sha256):
            items = [("path", path), ("editable", editable), ("sha256", sha256)]
        case UrlSource(url, subdirectory, sha256):
            items = [("url", url), ("subdirectory", subdirectory), ("sha256", sha256)]
        case GitSource(url, ref, commit, subdirectory):
            items = [("git", url), ("ref", ref), ("commit", commit), ("subdirectory", subdirectory)]
    first, *others = items
    texts = [
        f"{k} = {'true' if v is True else quoted(str(v))}" for k, v in (first, *[o for o in others if o[1]])
    ]
    return f"{{ {', '.join(texts)} }}"


_NAME, _SHA256, _UPLOADED, _PATH, _SIZE, _END = (
    "{ name = ",
    ", sha256 = ",
    ", uploaded = ",
    ", path = ",
    ", size = ",
    " }",
)


def _file(file: Artifact) -> str:
    text = f"{_NAME}{quoted(file.filename)}{_SHA256}{quoted(file.sha256)}"
    if file.uploaded:
        text += f"{_UPLOADED}{quoted(file.uploaded)}"
    if file.path:
        folder = file.path.removesuffix(file.filename)
        text += f"{_PATH}{quoted(folder if folder.endswith('/') else file.path)}"
    return text + (_END if file.size is None else f"{_SIZE}{file.size}{_END}")


def read(text: str, file: str = FILE) -> Lock:
    """The lock that *text* holds, in canonical order; *file* is its name for messages.

    Raises `LockConflicted`, `LockTooNew`, or `LockUnreadable` with all faults.
    """
    text = text.replace("\r\n", "\n")
    conflicts = lock_sides.places(text)
    if conflicts:
        raise LockConflicted(file, conflicts)
    try:
        data = _tables(text)
    except InvalidToml as fault:
        raise LockUnreadable(file, (LockFault(fault.message, fault.line, fault.column),)) from None
    _check_format(data, file)
    lock, faults = lock_records.lock(data)
    if lock is None:
        lines = text.split("\n")
        headers = [n for n, line in enumerate(lines, 1) if line.strip() == "[[package]]"]
        raise LockUnreadable(file, tuple([_placed(fault, headers, lines) for fault in faults]))
    return lock


def _tables(text: str) -> dict[str, Any]:
    """The tables of *text*, file rows already as records where they are laid out as `write` does it.

    Raises `InvalidToml`.
    """
    reduced, rows = _take_files(text)
    if any(rows):
        try:
            data = lock_toml.loads(reduced)
        except InvalidToml:
            return lock_toml.loads(text)  # which knows the right line
        packages = data.get("package")
        # If the packages are not where the rows were taken from, it is TOML that somebody else wrote.
        if isinstance(packages, list) and len(packages) == len(rows):
            pairs = [(p, files) for p, files in zip(packages, rows, strict=True) if files]
            if all(isinstance(p, dict) and "files" not in p for p, _ in pairs):
                for package, files in pairs:
                    package["files"] = files
                return data
    return lock_toml.loads(text)


def _check_format(data: dict[str, Any], file: str) -> None:
    found = data.get("format")
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        reason = (
            "'format' is missing" if found is None else f"'format' must be a number from 1 on, not {found!r}"
        )
        raise LockUnreadable(file, (LockFault(reason, 1),))
    if found > FORMAT:
        raise LockTooNew(file, found)


def _placed(fault: lock_records.Fault, headers: list[int], lines: list[str]) -> LockFault:
    """*fault* in its line, or that of its package, which is the one that begins there (*headers*, from 1)."""
    package, message, told = fault
    if package is None or package >= len(headers):
        return LockFault(message)
    begin, end = headers[package], [*headers, len(lines) + 1][package + 1]
    inside = (n for n in range(begin, end) if told and quoted(told) in lines[n - 1])
    return LockFault(message, next(inside, begin))


_package_header = "\n[[package]]\n"
_file_rows = pattern(r"^files = \[\n((?:    \{ name = .*\n)+)\]\n", re.MULTILINE)


def _take_files(text: str) -> tuple[str, list[list[Artifact] | None]]:
    """*text* without the file rows that are laid out as `write` does it, and the rows, by package.

    Nine tenths of a lock are file rows. Taken apart here they cost 3 µs each; as inline tables
    of a general parser, 10.
    """
    head, *chunks = text.split(_package_header)
    rows: list[list[Artifact] | None] = []
    kept = [head]
    for chunk in chunks:
        kept.append(_package_header)
        match = _file_rows.search(chunk)
        files = None if match is None else _rows(match[1])
        rows.append(files)
        kept.append(
            chunk if match is None or files is None else chunk[: match.start()] + chunk[match.end() :]
        )
    return "".join(kept), rows


def _rows(text: str) -> list[Artifact] | None:
    """The files of some rows, or None unless every row is laid out as `write` does it and sound."""
    if "\\" in text:
        return None
    files, digests = [], []
    for line in text.splitlines():
        parts = line.split('"')
        count = len(parts)
        if count < 5 or not count % 2 or parts[0] != f"    {_NAME}" or parts[2] != _SHA256:
            return None
        name, sha256, uploaded, path, at = parts[1], parts[3], "", "", 4
        if parts[at] == _UPLOADED:
            uploaded, at = parts[at + 1], at + 2
        if parts[at] == _PATH:
            path, at = parts[at + 1], at + 2
        tail = parts[at]
        size = None
        if tail.startswith(_SIZE):
            number = tail[len(_SIZE) : -3]
            if not (number.isascii() and number.isdigit()):
                return None
            size, tail = int(number), tail[-3:]
        if at != count - 1 or tail != f"{_END},":
            return None
        digests.append(sha256)
        files.append(Artifact(name, sha256, size, uploaded, path + name if path.endswith("/") else path))
    return files if lock_records.are_digests(digests) else None
