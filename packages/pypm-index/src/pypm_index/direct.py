"""What is at a direct source: a folder or file on this machine, a file at an address, a commit.

Naming a source tree asks for its build: unless its name is under ``no-build``, what is not static is
built (`BuildPolicy.allow` is about sdists that an index offers).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from pypm_index import filenames, metadata_text
from pypm_index.addresses import filename_of, redacted, without_userinfo
from pypm_index.errors import BadSource, GitFailed, OfflineMissing
from pypm_index.fetch import fetch_one
from pypm_index.find_links import measure
from pypm_index.git import Git
from pypm_index.metadata_fetch import of_wheel_file
from pypm_index.metadata_text import Headers
from pypm_index.ports import BuildNeed, Fetcher
from pypm_index.sdist_metadata import NotAnSdist, of_folder, of_sdist, of_unpacked
from pypm_index.wheel_tail import NotAWheel
from pypm_model.artifacts import Artifact, Located
from pypm_model.errors import PypmError
from pypm_model.events import Listener, ignore
from pypm_model.facts import Direct, DirectKey
from pypm_model.markers.coverage import atoms
from pypm_model.names import NormalizedName, normalize
from pypm_model.records import as_dict, record, replace
from pypm_model.requirements import Requirement
from pypm_model.sources import DirectSource, GitSource, PathSource, UrlSource
from pypm_model.versions import is_valid, sort_key
from pypm_store.metadata_cache import MetadataCache
from pypm_store.sdist_archive import unpack_sdist
from pypm_store.store import Store

KIND = "direct-metadata"
"""Kind of a small fact: METADATA by pinned source."""
SEEN = "direct-seen"
"""Kind of a small fact: what an address or ref was, and when: (sha256 or commit, seconds)."""
_MAX_AGE = 600
"""Seconds in which a branch, or a file at an address, need not be asked for again."""


Sourced = Callable[[Path, DirectSource, tuple[str, ...]], tuple[str, ...]]
"""Requirements of the project in a tree, which comes from that source, with what the project itself says of
where they come from: those become direct references."""


def as_written(tree: Path, source: DirectSource, requires: tuple[str, ...]) -> tuple[str, ...]:
    """`Sourced` for one who takes metadata as it is."""
    return requires


@record
class Workplace:
    """What looking at direct sources needs."""

    store: Store
    cache: MetadataCache
    connect: Callable[[], Fetcher]
    """Called when something must be fetched."""
    root: Path
    """What relative paths are relative to."""
    environ: Mapping[str, str]
    listener: Listener = ignore
    offline: bool = False
    refresh: bool = False
    clock: Callable[[], float] = time.time
    commits: Mapping[NormalizedName, tuple[GitSource, ...]] = {}
    """Where branches and tags are taken to be, as a lock has it."""
    anew: Collection[NormalizedName] = ()
    """Whose branches are asked for again, however lately that was done."""
    sourced: Sourced = as_written

    @property
    def git(self) -> Git:
        return Git(self.store.folder("git"), self.environ)


@record
class DirectNeedsBuild:
    """Only a build would tell; the tree is ready. Call `finished` with the METADATA text, and
    `discard` in any case."""

    key: DirectKey
    source: DirectSource
    """Pinned."""
    need: BuildNeed
    scratch: Path | None = None
    """A folder to be removed afterwards."""
    sourced: Sourced = as_written

    def finished(self, metadata: bytes, cache: MetadataCache) -> Direct:
        """The fact, from what the build said; remembered where the source is pinned by digest."""
        headers = metadata_text.read(metadata)
        sourced = _sourced(headers, self.key, self.need.folder, self.source, self.sourced)
        if sourced is not headers:
            headers, metadata = sourced, metadata_text.with_requirements(metadata, sourced.requires_dist)
        _keep(cache, self.source, metadata)
        return _direct(self.key, self.source, headers)

    def discard(self) -> None:
        """Removes what was made for the build."""
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def look_here(key: DirectKey, place: Workplace) -> Direct | DirectNeedsBuild | None:
    """What is at the source, if this machine knows it; None if somebody must be asked.

    Raises `BadSource`, and `OfflineMissing` where None would be the answer and the run is offline.
    """
    match key.source:
        case PathSource():
            return _at_path(key, key.source, place)
        case UrlSource() | GitSource():
            pinned = _pinned(key, key.source, place)
            found = None if pinned is None else _kept(key, pinned, place)
            if found is None and place.offline:
                if isinstance(pinned, UrlSource) and place.store.has_file(pinned.sha256):
                    return None
                raise OfflineMissing(f"{key.name} from {_shown(key.source)}")
            return found


def look(key: DirectKey, place: Workplace) -> Direct | DirectNeedsBuild:
    """What is at the source, fetched if need be. Raises the errors of `pypm_index.errors`."""
    found = look_here(key, place)
    if found is not None:
        return found
    match key.source:
        case UrlSource():
            return _at_url(key, key.source, place)
        case GitSource():
            return _at_commit(key, key.source, place)
        case PathSource():
            raise AssertionError("a path is always here")


def from_root(fact: Direct, root: Path) -> Direct:
    """*fact*; where it is of a folder or file of the user's, the absolute paths that its metadata names
    (poetry-core writes those of path dependencies so) are relative to *root*, as the manifests' own are:
    one place is one source, and a lock is the same on another machine."""
    if not isinstance(fact.source, PathSource):
        return fact
    return replace(fact, requires=tuple(relative(each, root) for each in fact.requires))


def relative(requirement: Requirement, root: Path) -> Requirement:
    """*requirement*, with the absolute path it may have relative to *root*."""
    parts = urlsplit(requirement.url)
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/"):
        return requirement
    if re.match(r"/[A-Za-z]:/", path):
        path = path[1:]
    try:
        below = Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # on another drive
        return requirement
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return requirement._replace(url=f"file:{quote(below)}{fragment}")


def obtain(source: DirectSource, folder: Path, place: Workplace) -> Path:
    """The thing itself, for building or installing: a wheel's or sdist's path, or a source tree's.

    What must be made is made in *folder* (empty or missing): a checkout. A source in a lock is pinned,
    and what comes is checked against it. Raises the errors of `pypm_index.errors`.
    """
    match source:
        case PathSource():
            path = place.root / source.path
            if not path.exists():
                raise BadSource(PurePosixPath(source.path).name, source.path, "there is nothing")
            return path
        case UrlSource():
            return _file(source, place)
        case GitSource():
            commit = source.commit or place.git.commit_of(source.url, source.ref)
            place.git.check_out(source.url, commit, folder)
            return subfolder(folder, source.subdirectory, source.url)


def _at_path(key: DirectKey, source: PathSource, place: Workplace) -> Direct | DirectNeedsBuild:
    path = place.root / source.path
    if path.is_dir():
        headers = of_folder(path)
        if headers is not None:
            return _direct(key, source, _sourced(headers, key, path, source, place.sourced))
        if not (path / "pyproject.toml").is_file() and not (path / "setup.py").is_file():
            raise BadSource(key.name, source.path, "the folder has neither pyproject.toml nor setup.py")
        return DirectNeedsBuild(
            key, source, BuildNeed(key.name, "", path, source.path), sourced=place.sourced
        )
    if not path.is_file():
        raise BadSource(key.name, source.path, "there is no such file or folder")
    _, digest = measure(path, place.cache)
    if source.sha256 and source.sha256 != digest:
        raise BadSource(key.name, source.path, f"its sha256 is {digest}, not {source.sha256}")
    return _of_file(key, replace(source, sha256=digest), path, path.name, "", place)


def _at_url(key: DirectKey, source: UrlSource, place: Workplace) -> Direct | DirectNeedsBuild:
    path = _file(source, place)
    digest = source.sha256 or measure(path, place.cache)[1]
    place.cache.put_values(SEEN, {_seen_key(source): [digest, place.clock()]})
    pinned = replace(source, sha256=digest)
    known = _kept(key, pinned, place)
    if known is not None:
        return known
    return _of_file(key, pinned, path, filename_of(source.url), source.subdirectory, place)


def _at_commit(key: DirectKey, source: GitSource, place: Workplace) -> Direct | DirectNeedsBuild:
    locked = source.commit or _locked(key, source, place)
    if locked:
        try:
            return _of_commit(key, replace(source, commit=locked), place)
        except GitFailed:
            if source.commit:
                raise  # of a lock's the branch may have let go
    commit = place.git.commit_of(source.url, source.ref)
    place.cache.put_values(SEEN, {_seen_key(source): [commit, place.clock()]})
    return _of_commit(key, replace(source, commit=commit), place)


def _locked(key: DirectKey, source: GitSource, place: Workplace) -> str:
    """The commit that a lock has for *source*; empty if none does."""
    for each in place.commits.get(key.name, ()):
        if replace(each, commit="") == replace(source, url=without_userinfo(source.url)):
            return each.commit
    return ""


def _of_commit(key: DirectKey, pinned: GitSource, place: Workplace) -> Direct | DirectNeedsBuild:
    known = _kept(key, pinned, place)
    if known is not None:
        return known
    scratch = Path(tempfile.mkdtemp(prefix="pypm-git-"))
    try:
        place.git.check_out(pinned.url, pinned.commit, scratch / "tree")
        tree = subfolder(scratch / "tree", pinned.subdirectory, pinned.url)
        headers = of_folder(tree)
        if headers is None:
            shown = f"{redacted(pinned.url)}@{pinned.commit[:12]}"
            need = BuildNeed(key.name, "", tree, shown, pinned.commit, pinned.subdirectory)
            return DirectNeedsBuild(key, pinned, need, scratch, place.sourced)
        headers = _sourced(headers, key, tree, pinned, place.sourced)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)
    _keep(place.cache, pinned, _as_text(headers))
    return _direct(key, pinned, headers)


def _of_file(
    key: DirectKey,
    pinned: PathSource | UrlSource,
    path: Path,
    filename: str,
    subdirectory: str,
    place: Workplace,
) -> Direct | DirectNeedsBuild:
    if filename.endswith(".whl"):
        try:
            text = of_wheel_file(path)
        except NotAWheel as error:
            raise BadSource(key.name, filename, str(error)) from error
        check_wheel_name(filename, key.name)
        _keep(place.cache, pinned, text)
        return _direct(key, pinned, metadata_text.read(text))
    try:
        headers = None if subdirectory else of_sdist(path)
    except NotAnSdist as error:
        raise BadSource(key.name, filename, str(error)) from error
    if headers is not None:
        _keep(place.cache, pinned, _as_text(headers))
        return _direct(key, pinned, headers)
    scratch = Path(tempfile.mkdtemp(prefix="pypm-sdist-"))
    try:
        tree = subfolder(unpack_sdist(path, scratch / "tree", filename=filename), subdirectory, filename)
        headers = of_unpacked(tree)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    if headers is not None:
        shutil.rmtree(scratch, ignore_errors=True)
        _keep(place.cache, pinned, _as_text(headers))
        return _direct(key, pinned, headers)
    need = BuildNeed(key.name, "", tree, filename, pinned.sha256, subdirectory)
    return DirectNeedsBuild(key, pinned, need, scratch)


def check_wheel_name(filename: str, name: NormalizedName, version: str = "") -> None:
    """Raises `BadSource` unless *filename* is one of a wheel of *name*, and of *version* if it is given."""
    parsed = filenames.parse(filename, name)
    if parsed is None or parsed.tags is None:
        raise BadSource(name, filename, f"that is no file name of a wheel of {name}")
    if version and sort_key(parsed.version) != sort_key(version):
        raise BadSource(name, filename, f"that is a wheel of version {parsed.version}, not {version}")


def _sourced(headers: Headers, key: DirectKey, tree: Path, source: DirectSource, sourced: Sourced) -> Headers:
    try:
        requires = sourced(tree, source, headers.requires_dist)
    except PypmError as error:
        raise BadSource(key.name, _shown(source), str(error)) from error
    return headers if requires == headers.requires_dist else replace(headers, requires_dist=requires)


def _direct(key: DirectKey, source: DirectSource, headers: Headers) -> Direct:
    if normalize(headers.name) != key.name:
        raise BadSource(key.name, _shown(source), f"that is the project {headers.name!r}")
    if not is_valid(headers.version):
        raise BadSource(key.name, _shown(source), f"its version {headers.version!r} is none")
    filename = _filename(source)
    parsed = filenames.parse(filename, key.name) if filename.endswith(".whl") else None
    if parsed is not None and sort_key(parsed.version) != sort_key(headers.version):
        raise BadSource(key.name, _shown(source), f"the metadata in it is of version {headers.version}")
    requires, _ = metadata_text.requirements(headers.requires_dist)
    tags = atoms(filenames.expand(parsed.tags)) if parsed is not None and parsed.tags else ()
    return Direct(
        key,
        source,
        headers.version,
        requires,
        metadata_text.extras(headers),
        metadata_text.requires_python(headers),
        parsed is not None,
        tuple(tags),
    )


def _file(source: UrlSource, place: Workplace) -> Path:
    artifact = Artifact(filename_of(source.url), source.sha256)
    located = Located(artifact, source.url)
    return fetch_one(located, place.store, place.connect, listener=place.listener)


def _pinned(key: DirectKey, source: UrlSource | GitSource, place: Workplace) -> UrlSource | GitSource | None:
    """*source* with the digest or commit that it names, that the lock has for it, or that it had when it
    was last looked at."""
    if isinstance(source, UrlSource) and source.sha256:
        return source
    if isinstance(source, GitSource):
        if source.commit:
            return source
        locked = _locked(key, source, place)
        if locked:
            return replace(source, commit=locked)
    seen = place.cache.value(SEEN, _seen_key(source))
    if seen is None:
        return None
    digest, when = seen
    again = place.refresh or key.name in place.anew
    fresh = not again and 0 <= place.clock() - when < _MAX_AGE
    if not fresh and not place.offline:
        return None
    if isinstance(source, UrlSource):
        return replace(source, sha256=digest)
    return replace(source, commit=digest)


def _seen_key(source: UrlSource | GitSource) -> str:
    ref = source.ref if isinstance(source, GitSource) else ""
    return f"{without_userinfo(source.url)} {ref}"


def _kept(key: DirectKey, pinned: UrlSource | GitSource, place: Workplace) -> Direct | None:
    text = place.cache.value(KIND, _pin_key(pinned))
    return None if text is None else _direct(key, pinned, metadata_text.read(text.encode()))


def kept_text(source: UrlSource | GitSource, cache: MetadataCache) -> bytes | None:
    """METADATA of what is at *source*, pinned down, if it was looked at before. What was not built has only
    the fields that a resolution needs."""
    text = cache.value(KIND, _pin_key(source))
    return None if text is None else str(text).encode()


def _keep(cache: MetadataCache, source: DirectSource, metadata: bytes) -> None:
    if isinstance(source, (UrlSource, GitSource)):
        cache.put_values(KIND, {_pin_key(source): metadata.decode("utf-8", "replace")})


def _pin_key(source: UrlSource | GitSource) -> str:
    fields = as_dict(source)
    fields["url"] = without_userinfo(source.url)
    fields.pop("ref", None)
    return json.dumps(fields, sort_keys=True)


def _as_text(headers: Headers) -> bytes:
    """Metadata that came from elsewhere, in the form in which it is remembered."""
    lines = [
        "Metadata-Version: 2.2",
        f"Name: {headers.name}",
        f"Version: {headers.version}",
        *([f"Requires-Python: {headers.requires_python}"] if headers.requires_python else []),
        *(f"Requires-Dist: {line}" for line in headers.requires_dist),
        *(f"Provides-Extra: {extra}" for extra in headers.provides_extra),
    ]
    return "\n".join(line.replace("\n", " ") for line in lines).encode() + b"\n"


def subfolder(tree: Path, subdirectory: str, source: str) -> Path:
    """The folder *subdirectory* of *tree*, which is what *source* holds; raises `BadSource` if it is none, or
    not inside."""
    if not subdirectory:
        return tree
    folder = (tree / subdirectory).resolve()
    if not folder.is_relative_to(tree.resolve()) or not folder.is_dir():
        raise BadSource(subdirectory, redacted(source), "there is no such folder in it")
    return folder


def _filename(source: DirectSource) -> str:
    match source:
        case PathSource():
            return PurePosixPath(source.path).name
        case UrlSource():
            return filename_of(source.url)
        case GitSource():
            return ""


def _shown(source: DirectSource) -> str:
    return source.path if isinstance(source, PathSource) else redacted(source.url)
