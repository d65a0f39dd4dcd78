"""What locked packages say of themselves: METADATA, and bills of materials inside of wheels (PEP 770).

Looked for in the wheels of the store first. What is not there is fetched, METADATA alone where the index has
it beside the file, and remembered; offline it is missing, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pypm.ops.tools import Tools
from pypm_audit.bill_of_lock import Described
from pypm_audit.core_metadata import About, of_project, read
from pypm_audit.embedded import Embedded, UnreadableBill
from pypm_audit.embedded import read as read_bill
from pypm_index.addresses import filename_of
from pypm_index.direct import kept_text
from pypm_index.errors import IndexUnreachable
from pypm_index.fetch import fetch_one
from pypm_index.metadata_fetch import MetadataFetch
from pypm_index.sdist_metadata import NotAnSdist, text_of_sdist
from pypm_model.artifacts import Artifact, Located
from pypm_model.errors import PypmError
from pypm_model.facts import ListingKey
from pypm_model.lock_toml import InvalidToml, loads
from pypm_model.locks import Lock, LockedPackage
from pypm_model.records import record
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource
from pypm_store.archive import WheelArchive
from pypm_store.archive_rules import UnsafeArchive
from pypm_store.pages import FileRow
from pypm_store.tree import Tree

TEXT = "core-metadata"
"""Kind of a small fact: METADATA by the digest of its file."""
SBOMS = "sboms/"
_READERS = 8
"""Files that are asked for at the same time."""


@record
class Unreadable:
    """A bill inside of a wheel that cannot be read."""

    wheel: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} in {self.wheel}: {self.reason}"


@record
class Descriptions:
    """What is known, by the packages' positions in the lock."""

    found: Mapping[int, Described]
    missing: tuple[int, ...] = ()
    """Of these nothing is at hand."""
    unreadable: tuple[Unreadable, ...] = ()
    reasons: tuple[str, ...] = ()
    """Why something could not be fetched, each once."""


@record
class _Wheel:
    """What was found in one wheel."""

    metadata: bytes
    bills: tuple[tuple[str, bytes], ...]
    """(path below the .dist-info folder, content), sorted."""


def described(tools: Tools, lock: Lock, positions: Sequence[int], *, bills: bool = True) -> Descriptions:
    """What the packages of *lock* at *positions* say. Without *bills* those inside of wheels are not read.

    A network is asked unless the world is offline; what it does not give is missing, and never an error.
    """
    found: dict[int, Described] = {}
    unreadable: list[Unreadable] = []
    wanted: dict[int, LockedPackage] = {}
    for at in positions:
        package = lock.packages[at]
        about: About | None = None
        inside: list[Embedded] = []
        looked = 0
        for file, wheel in _at_hand(tools, package):
            about = about or read(wheel.metadata)
            if not bills:
                break
            looked += 1
            read_here, bad = read_bills(file, wheel.bills)
            inside += read_here
            unreadable += bad
        about = about or _elsewhere(tools, package)
        if about is not None:
            wheels = sum(1 for file in package.files if file.is_wheel)
            found[at] = Described(about, tuple(inside), is_whole=looked >= wheels)
        else:
            wanted[at] = package
    fetched, reasons = _fetched(tools, wanted)
    found |= {at: Described(about, is_whole=False) for at, about in fetched.items()}
    missing = tuple(at for at in wanted if at not in fetched)
    return Descriptions(found, missing, tuple(unreadable), reasons)


def read_bills(wheel: str, bills: Sequence[tuple[str, bytes]]) -> tuple[list[Embedded], list[Unreadable]]:
    """The *bills* (path, content) of the file *wheel*, and those of them that cannot be read."""
    found: list[Embedded] = []
    bad: list[Unreadable] = []
    for path, content in bills:
        try:
            found.append(read_bill(content))
        except UnreadableBill as error:
            bad.append(Unreadable(wheel, path, str(error)))
    return found, bad


# --- here ----------------------------------------------------------------------------------------


def _at_hand(tools: Tools, package: LockedPackage) -> Iterator[tuple[str, _Wheel]]:
    """The wheels of *package* in the store, by name."""
    match package.source:
        case IndexSource():
            files = [file for file in package.files if file.is_wheel]
        case UrlSource(url, _, sha256) if sha256 and filename_of(url).endswith(".whl"):
            files = [Artifact(filename_of(url), sha256)]
        case PathSource(path, _, sha256) if sha256 and path.endswith(".whl"):
            wheel = _try(tools.root / path, path.rpartition("/")[2])
            if wheel is not None:
                yield path, wheel
            return
        case _:
            return
    for file in files:
        tree = tools.store.tree(file.sha256, check=False)
        found = None if tree is None else _of_tree(tree)
        if found is None and (kept := tools.store.file(file.sha256)) is not None:
            found = _try(kept, file.filename)
        if found is not None:
            yield file.filename, found


def _of_tree(tree: Tree) -> _Wheel | None:
    start = f"{tree.info}/{SBOMS}"
    names = sorted(name for name in tree.files if name.startswith(start))
    try:
        metadata = (tree.site / tree.info / "METADATA").read_bytes()
        bills = [(name[len(tree.info) + 1 :], (tree.site / name).read_bytes()) for name in names]
    except OSError:
        return None
    return _Wheel(metadata, tuple(bills))


def _try(path: Path, filename: str) -> _Wheel | None:
    try:
        return _of_archive(path, filename)
    except (UnsafeArchive, OSError):
        return None


def _of_archive(path: Path, filename: str) -> _Wheel:
    with WheelArchive(path, filename=filename) as archive:
        start = f"{archive.info}/"
        inside = {one.entry.path: one for one in archive.placed if one.entry.path.startswith(start)}
        names = sorted(name for name in inside if name.startswith(f"{start}{SBOMS}"))
        bills = [(name[len(start) :], archive.read(inside[name])) for name in names]
        return _Wheel(archive.read(inside[f"{start}METADATA"]), tuple(bills))


def _elsewhere(tools: Tools, package: LockedPackage) -> About | None:
    """What is known of *package* without one of its wheels."""
    match package.source:
        case MemberSource(path) | PathSource(path, _, ""):
            return _of_folder(tools.root / path)
        case PathSource(path):
            return _of_sdist(tools.root / path)
        case UrlSource() | GitSource() as source:
            text = kept_text(source, tools.cache)
            # What was read from a manifest says nothing of licences: that is no answer.
            return read(text) if text is not None and b"\nLicense" in text else None
        case IndexSource():
            for file in package.files:
                kept = None if file.is_wheel else tools.store.file(file.sha256)
                if kept is not None and (about := _of_sdist(kept)) is not None:
                    return about
            facts = tools.cache.values(TEXT, [file.sha256 for file in package.files])
            known = (facts.get(file.sha256) for file in package.files)
            return next((read(text.encode()) for text in known if text), None)


def _of_folder(folder: Path) -> About | None:
    try:
        manifest = loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InvalidToml):
        return None
    project = manifest.get("project")
    return of_project(project) if isinstance(project, dict) else None


def _of_sdist(path: Path) -> About | None:
    try:
        text = text_of_sdist(path)
    except NotAnSdist:
        return None
    return read(text) if text else None


# --- elsewhere -----------------------------------------------------------------------------------


def _fetched(tools: Tools, wanted: Mapping[int, LockedPackage]) -> tuple[dict[int, About], tuple[str, ...]]:
    """What the indexes have of *wanted*, and why they have not more. It is remembered."""
    asked = {at: file for at, package in wanted.items() if (file := _cheapest(package)) is not None}
    if tools.world.offline or not asked:
        return {}, ()
    located: dict[int, Located] = {}
    reasons: dict[str, None] = {}
    lost = _pages(tools, [wanted[at] for at in asked], reasons)
    for at, file in asked.items():
        package = wanted[at]
        assert isinstance(package.source, IndexSource)
        if package.source.index in lost:
            continue
        try:
            (located[at],) = tools.catalog.locate([(package.name, package.source.index, file)])
        except PypmError as error:
            reasons[str(error)] = None
    connect, listener = tools.catalog.connect, tools.world.listener

    def obtain(row: FileRow, index: str) -> Path:
        return fetch_one(Located(row.artifact, row.url, index), tools.store, connect, listener=listener)

    reader = MetadataFetch(connect(), obtain)

    def text_of(at: int) -> bytes | str:
        one = located[at]
        try:
            return reader.text(FileRow(one.artifact, one.url), one.index)
        except (PypmError, ValueError, OSError) as error:
            return str(error)

    found: dict[int, About] = {}
    texts: dict[str, str] = {}
    with ThreadPoolExecutor(_READERS, thread_name_prefix="metadata") as pool:
        for at, text in zip(located, pool.map(text_of, located), strict=True):
            if isinstance(text, str):
                reasons[text] = None
            else:
                found[at] = read(text)
                texts[asked[at].sha256] = text.decode("utf-8", "replace")
    tools.cache.put_values(TEXT, texts)
    return found, tuple(reasons)


def _pages(tools: Tools, packages: Sequence[LockedPackage], reasons: dict[str, None]) -> frozenset[str]:
    """Has the pages that are not at hand fetched, all at once; names of the indexes that cannot be asked, why
    is added to *reasons*."""
    sources = [(package.name, package.source) for package in packages]
    keys = dict.fromkeys(ListingKey(n, s.index) for n, s in sources if isinstance(s, IndexSource))
    known = tools.catalog.known(keys)
    try:
        tools.catalog.request(key for key in keys if key not in known)
        tools.catalog.wait()
    except IndexUnreachable as error:
        reasons[str(error)] = None
        return frozenset({error.index})
    except PypmError as error:
        reasons[str(error)] = None
    return frozenset()


def _cheapest(package: LockedPackage) -> Artifact | None:
    """The file to ask for: a wheel, where there is one, since its METADATA can be had alone."""
    if not isinstance(package.source, IndexSource):
        return None
    return min(package.files, key=lambda file: (not file.is_wheel, file.size or 0), default=None)
