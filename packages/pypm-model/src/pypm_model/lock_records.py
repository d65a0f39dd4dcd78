"""The tables of a lock as records, with everything that is wrong with them found in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter, lt
from typing import TYPE_CHECKING, Any

from pypm_model.artifacts import Artifact
from pypm_model.later import later
from pypm_model.lock_order import edge_order, package_order
from pypm_model.locks import Edge, Lock, LockedPackage, LockSettings, Manifest, Publisher
from pypm_model.names import NormalizedName, normalize
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, Source, UrlSource

if TYPE_CHECKING:
    from pypm_model import publishers
else:
    publishers = later("pypm_model.publishers")

Fault = tuple[int | None, str, str]
"""(position of the package, None for the head of the lock; what is wrong; a text in the line that it is
wrong in, empty if that is not known)."""

_kinds = {str: "a text", list: "a list", dict: "a table", int: "a number", bool: "true or false"}


def lock(data: Mapping[str, Any]) -> tuple[Lock | None, tuple[Fault, ...]]:
    """The lock that *data* describes, or None with at least one fault.

    File rows may already be `Artifact` records. Parts are put in canonical order (`lock_order`).
    """
    reader = _Reader()
    packages: list[LockedPackage] = []
    identities: set[tuple[str, str, Source]] = set()
    for position, table in enumerate(reader.get(data, "package", list, [])):
        reader.package = position
        reader.owner = ""
        if not isinstance(table, dict):
            reader.fault("a package must be a table")
            continue
        package = _package(reader, table)
        if package is None:
            continue
        identity = (package.name, package.version, package.source)
        if identity in identities:
            reader.fault(f"version {package.version or '(none)'} is locked twice")
        identities.add(identity)
        packages.append(package)
    reader.package, reader.owner = None, ""
    head = Lock(
        requires_python=reader.get(data, "requires-python", str, ""),
        environments=reader.texts(data, "environments"),
        required_environments=reader.texts(data, "required-environments"),
        settings=_settings(reader, reader.get(data, "settings", dict, {})),
        splits=reader.texts(data, "splits"),
        packages=tuple(sorted(packages, key=package_order)),
    )
    return (None, tuple(reader.faults)) if reader.faults else (head, ())


def are_digests(texts: Sequence[str]) -> bool:
    """Whether each is a sha256: 64 lower-case hexadecimal digits. Costs 0.1 µs each."""
    together = "".join(texts)
    try:
        return bytes.fromhex(together).hex() == together and set(map(len, texts)) == {64}
    except ValueError:
        return False


class _Reader:
    """Takes values out of tables and notes those of the wrong type."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.package: int | None = None
        self.owner = ""
        """The package's name, for messages."""
        self.plain_edges: dict[str, Edge] = {}
        """Edges that are only a text: most are, and the same ones occur again and again."""

    def fault(self, message: str, line: str = "") -> None:
        self.faults.append((self.package, f"{self.owner}: {message}" if self.owner else message, line))

    def get(self, table: Mapping[str, Any], key: str, kind: type[Any], default: Any) -> Any:
        value = table.get(key, default)
        if value is default or (isinstance(value, kind) and (kind is not int or not isinstance(value, bool))):
            return value
        self.fault(f"{key!r} must be {_kinds[kind]}")
        return default

    def digest(self, table: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
        """``sha256`` of the file *name*, which is in its line; empty if *table* has none and none is
        *needed*."""
        digest = self.get(table, "sha256", str, "")
        if (digest or needed) and not are_digests([digest]):
            self.fault(f"{digest!r} of {name} is no sha256 (64 lower-case hexadecimal digits)", name)
        return str(digest)

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        values = self.get(table, key, list, [])
        if all(isinstance(value, str) for value in values):
            return tuple(values)
        self.fault(f"{key!r} must be a list of texts")
        return ()


def _settings(reader: _Reader, table: Mapping[str, Any]) -> LockSettings:
    values: list[tuple[str, str | tuple[str, ...]]] = []
    for key in sorted(table):
        value = table[key]
        if isinstance(value, str):
            values.append((key, value))
        else:
            values.append((key, reader.texts(table, key)))
    return LockSettings(tuple(values))


def _package(reader: _Reader, table: Mapping[str, Any]) -> LockedPackage | None:
    name = reader.get(table, "name", str, "")
    if not name:
        reader.fault("a package has no name")
        return None
    reader.owner = name
    source = _source(reader, table.get("source"))
    if source is None:
        return None
    manifest = reader.get(table, "manifest", dict, None)
    return LockedPackage(
        name=normalize(name),
        version=reader.get(table, "version", str, ""),
        source=source,
        requires_python=reader.get(table, "requires-python", str, ""),
        dependencies=_edges(reader, table, "dependencies"),
        extras=_edge_table(reader, table, "extras"),
        groups=_edge_table(reader, table, "groups"),
        manifest=None if manifest is None else _manifest(reader, manifest),
        files=_files(reader, table),
        requires=tuple(sorted(reader.texts(table, "requires"))),
        publishers=_publishers(reader, table),
    )


def _publishers(reader: _Reader, table: Mapping[str, Any]) -> tuple[Publisher, ...]:
    values = reader.get(table, "publishers", list, None)
    if not values:
        return ()
    found = [publishers.publisher_of(value) if isinstance(value, dict) else None for value in values]
    if None in found:
        reader.fault("'publishers' must be a list of tables with a kind")
    return tuple(sorted(each for each in found if each is not None))


def _manifest(reader: _Reader, table: Mapping[str, Any]) -> Manifest:
    return Manifest(
        reader.get(table, "requires-python", str, ""),
        tuple(sorted(reader.texts(table, "dependencies"))),
        _text_table(reader, table, "extras"),
        _text_table(reader, table, "groups"),
    )


def _text_table(
    reader: _Reader, table: Mapping[str, Any], key: str
) -> tuple[tuple[NormalizedName, tuple[str, ...]], ...]:
    inner = reader.get(table, key, dict, {})
    return tuple([(normalize(name), tuple(sorted(reader.texts(inner, name)))) for name in sorted(inner)])


def _edge_table(
    reader: _Reader, table: Mapping[str, Any], key: str
) -> tuple[tuple[NormalizedName, tuple[Edge, ...]], ...]:
    inner = reader.get(table, key, dict, None)
    if not inner:
        return ()
    return tuple([(normalize(name), _edges(reader, inner, name)) for name in sorted(inner)])


def _edges(reader: _Reader, table: Mapping[str, Any], key: str) -> tuple[Edge, ...]:
    values = reader.get(table, key, list, None)
    if not values:
        return ()
    edges = []
    for value in values:
        if isinstance(value, str):
            edge = reader.plain_edges.get(value)
            if edge is None:
                edge = reader.plain_edges[value] = _plain_edge(reader, value)
        elif isinstance(value, dict) and isinstance(value.get("name"), str):
            source = value.get("source")
            edge = Edge(
                normalize(value["name"]),
                tuple([normalize(extra) for extra in reader.texts(value, "extras")]),
                reader.get(value, "marker", str, ""),
                reader.get(value, "version", str, ""),
                None if source is None else _source(reader, source),
            )
        else:
            reader.fault(f"{key!r} must be a list of names and of tables with a name")
            continue
        edges.append(edge)
    names = [edge.name for edge in edges]
    if not all(map(lt, names, names[1:])):  # nearly always they are in order, by name alone
        edges.sort(key=edge_order)
    return tuple(edges)


def _plain_edge(reader: _Reader, text: str) -> Edge:
    """``name`` or ``name[extra,extra]``."""
    name, bracket, extras = text.partition("[")
    if not name or (bracket and not extras.endswith("]")):
        reader.fault(f"{text!r} is no dependency")
    names = extras.rstrip("]").split(",") if bracket else []
    return Edge(normalize(name), tuple([normalize(extra) for extra in names if extra]))


def _source(reader: _Reader, table: object) -> Source | None:
    if isinstance(table, dict):
        get = reader.get
        if "index" in table:
            return IndexSource(get(table, "index", str, ""))
        if "member" in table:
            return MemberSource(get(table, "member", str, ""))
        if "path" in table:
            path, editable = get(table, "path", str, ""), get(table, "editable", bool, False)
            return PathSource(path, editable, reader.digest(table, path, needed=False))
        subdirectory = get(table, "subdirectory", str, "")
        if "url" in table:
            url = get(table, "url", str, "")
            return UrlSource(url, subdirectory, reader.digest(table, url))
        if "git" in table:
            ref, commit = get(table, "ref", str, ""), get(table, "commit", str, "")
            return GitSource(get(table, "git", str, ""), ref, commit, subdirectory)
    reader.fault("'source' must be a table with one of index, member, path, url and git")
    return None


def _files(reader: _Reader, table: Mapping[str, Any]) -> tuple[Artifact, ...]:
    values = reader.get(table, "files", list, None)
    if not values:
        return ()
    files = []
    for value in values:
        if isinstance(value, Artifact):
            files.append(value)
        elif (
            isinstance(value, dict)
            and isinstance(value.get("name"), str)
            and isinstance(value.get("sha256"), str)
        ):
            name = value["name"]
            path = reader.get(value, "path", str, "")
            files.append(
                Artifact(
                    name,
                    reader.digest(value, name),
                    reader.get(value, "size", int, None),
                    reader.get(value, "uploaded", str, ""),
                    path + name if path.endswith("/") else path,
                )
            )
        else:
            reader.fault("'files' must be a list of tables with a name and a sha256")
    if len(files) > 1:
        files.sort(key=attrgetter("filename"))
    return tuple(files)
