"""Whether a bundle is what was written: every file of an archive, or of a folder it was unpacked into.

An archive is read once, in pieces; what is damaged is named, and the rest is looked at all the same as far as
it can be found.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from pypm_bundle.archives import ZST_END, format_of
from pypm_bundle.bundle_errors import BundleDamaged, NotABundle
from pypm_bundle.gzip_members import Damaged, Members
from pypm_bundle.manifest import NAME, Manifest, read_manifest
from pypm_model.records import record
from pypm_model.zip_damage import ZIP_DAMAGE

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK = 512
_PIECE = 1 << 20
_EXECUTABLE = 0o100
"""The owner's bit: what all tools that unpack set where a file is executable."""
_LONGEST = 256 << 20
"""Bytes of a manifest that are believed."""
_ZIP_FILE, _ZIP_END, _ZIP_END_SIZE = b"PK\x03\x04", b"PK\x05\x06", 22
_DAMAGE = (tarfile.TarError, zstd.ZstdError, zlib.error, EOFError, ValueError)


@record
class Found:
    """One file or link of a bundle, as it is."""

    path: str
    digest: str = ""
    """sha256 of a file."""
    executable: bool | None = None
    """Whether a file is; None where that cannot be told."""
    target: str | None = None
    """Of a link."""
    problem: str = ""
    """Why it could not be read, as a clause; empty: it could."""
    content: bytes | None = None
    """Of the manifest."""


@record
class Verified:
    """A bundle that is as it was written."""

    file: str
    files: int
    manifest: Manifest


def verify(path: Path, shown: str = "") -> Verified:
    """Compares all of the bundle *path* (called *shown*), an archive or a folder, with its manifest. Raises
    `NotABundle` for what never was one, `BundleDamaged` with everything that differs, OSError."""
    shown = shown or str(path)
    if not path.exists():
        raise NotABundle(shown, "there is no such file")
    if path.is_dir():
        if path.joinpath(NAME).is_symlink() or not path.joinpath(NAME).is_file():
            raise NotABundle(shown, f"it has no {NAME}")
        found = list(_in_folder(path))
    else:
        form = format_of(path.name)
        if form is None:
            raise NotABundle(shown, "it is named neither *.tar.gz, *.tgz, *.tar.zst nor *.zip")
        if not path.stat().st_size:
            raise NotABundle(shown, "it is empty")
        readers = {"tar.gz": _in_tar_gz, "tar.zst": _in_tar_zst, "zip": _in_zip}
        found = list(readers[form](path))
    faults = [(one.path, one.problem) for one in found if one.problem]
    own = next((one for one in found if one.path == NAME and one.content is not None), None)
    if own is None or own.content is None:
        if not faults or not found or all(one.problem for one in found):
            raise NotABundle(shown, " ".join(faults[0]) if faults else f"it has no {NAME}")
        raise BundleDamaged(shown, (*faults, *(((NAME, "is missing"),) if NAME not in dict(faults) else ())))
    try:
        manifest = read_manifest(own.content)
    except ValueError as error:
        if faults or "newer" not in str(error):
            raise BundleDamaged(shown, (*faults, (NAME, "cannot be read"))) from None
        raise NotABundle(shown, str(error)) from None
    faults = list(_differences(found, manifest))
    if faults:
        raise BundleDamaged(shown, tuple(faults))
    return Verified(shown, len(manifest.files) + 1, manifest)


def _differences(found: Iterable[Found], manifest: Manifest) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    borrowed = manifest.borrowed
    for one in found:
        if one.path in seen and not one.problem:
            yield one.path, "is there twice"
        seen.add(one.path)
        if (one.path == NAME or one.path in borrowed) and not one.problem:
            continue
        digest, target = manifest.files.get(one.path), manifest.links.get(one.path)
        if one.problem:
            yield one.path, one.problem
        elif digest is None and target is None:
            yield one.path, "does not belong to the bundle"
        elif one.target is not None:
            if one.target != target:
                yield one.path, "leads elsewhere"
        elif one.digest != digest:
            yield one.path, "has another content"
        elif manifest.executable is not None and one.executable is not None:
            should_be = one.path in manifest.executable
            if one.executable != should_be:
                yield one.path, "is not executable" if should_be else "is executable"
    for path in sorted({*manifest.files, *manifest.links} - seen):
        yield path, "is missing"


# --- folders -------------------------------------------------------------------------------------


def _in_folder(root: Path) -> Iterator[Found]:
    """All files but the bytecode that Python keeps beside modules."""
    # Where the manifest can be executed every file can: the file system knows no such thing.
    knows_modes = os.name == "posix" and not (root / NAME).stat().st_mode & _EXECUTABLE
    for folder, folders, names in os.walk(root):
        below = os.path.relpath(folder, root).replace(os.sep, "/")
        inside = "" if below == "." else f"{below}/"
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(name for name in folders if name not in links)
        cache = os.path.basename(folder) == "__pycache__"
        for name in sorted(names + links):
            if cache and name.endswith(".pyc"):
                continue
            place = os.path.join(folder, name)
            if os.path.islink(place):
                yield Found(inside + name, target=os.readlink(place))
                continue
            try:
                with open(place, "rb") as file:
                    mode = os.fstat(file.fileno()).st_mode if knows_modes else None
                    yield _digested(inside + name, iter(lambda: file.read(_PIECE), b""), mode)
            except OSError as error:
                yield Found(inside + name, problem=f"cannot be read: {error.strerror}")


def _digested(path: str, pieces: Iterable[bytes], mode: int | None) -> Found:
    digest = hashlib.sha256()
    kept: list[bytes] | None = [] if path == NAME else None
    size = 0
    for piece in pieces:
        digest.update(piece)
        size += len(piece)
        if kept is not None and size <= _LONGEST:
            kept.append(piece)
    executable = None if mode is None else bool(mode & _EXECUTABLE)
    return Found(path, digest.hexdigest(), executable, content=b"".join(kept) if kept is not None else None)


# --- archives ------------------------------------------------------------------------------------


def _in_tar_zst(path: Path) -> Iterator[Found]:
    last = "the beginning"
    try:
        with open(path, "rb") as packed:
            file = _Unpacking(packed)
            with tarfile.open(fileobj=cast("Any", file), mode="r|", bufsize=_PIECE) as archive:
                for info in archive:
                    last = info.name
                    yield _of_tar(archive, info)
            last = "the archive's end"
            while file.read(_PIECE):
                pass  # to the checksum
            if packed.read(1):
                yield Found(last, problem="is followed by something")
    except _DAMAGE as error:
        yield Found(last, problem=f"or what follows it is damaged: {_clause(error)}")


class _Unpacking:
    """The content of one frame, in pieces so small that all files come before a wrong checksum is seen."""

    def __init__(self, packed: IO[bytes]) -> None:
        self._packed = packed
        self._stream = zstd.ZstdDecompressor()

    def read(self, size: int = -1) -> bytes:
        """A piece of the content, of any length; empty at the end. Raises ZstdError, EOFError."""
        while not self._stream.eof:
            data = self._packed.read(_PIECE) if self._stream.needs_input else b""
            if self._stream.needs_input and not data:
                raise EOFError("it is cut short")
            piece = self._stream.decompress(data, ZST_END // 2)
            if piece:
                return piece
        if self._stream.unused_data:
            raise EOFError("something follows it")
        return b""


def _of_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Found:
    if info.issym():
        return Found(info.name, target=info.linkname)
    file = archive.extractfile(info)
    if not info.isreg() or file is None:
        return Found(info.name, problem="is no regular file")
    return _digested(info.name, iter(lambda: file.read(_PIECE), b""), info.mode)


def _in_zip(path: Path) -> Iterator[Found]:
    try:
        archive = zipfile.ZipFile(path)
    except ZIP_DAMAGE as error:
        yield Found("the list of files", problem=f"cannot be read ({_clause(error)})")
        return
    with archive, open(path, "rb") as packed:
        if packed.read(4) not in (_ZIP_FILE, _ZIP_END):
            yield Found("the first file", problem="does not stand at the beginning")
        packed.seek(-_ZIP_END_SIZE, os.SEEK_END)
        if packed.read(4) != _ZIP_END:
            yield Found("the list of files", problem="is followed by something")
        for info in archive.infolist():
            try:
                with archive.open(info) as file:
                    if info.external_attr >> 28 == 0o12:
                        yield Found(info.filename, target=os.fsdecode(file.read(4096)))
                    else:
                        pieces = iter(lambda: file.read(_PIECE), b"")
                        yield _digested(info.filename, pieces, info.external_attr >> 16)
            except ZIP_DAMAGE as error:
                yield Found(info.filename, problem=f"cannot be unpacked ({_clause(error)})")


def _clause(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__


def _in_tar_gz(path: Path) -> Iterator[Found]:
    """Members with headers and members with one file's content take turns, see `archives.TarGzArchive`."""
    with open(path, "rb") as file:
        members = Members(file)
        headers = _Headers()
        while members.more():
            pending = headers.pending
            if pending is None:
                # Headers: a few hundred bytes for each file without content, and for the first with some.
                try:
                    headers.read(b"".join(members.pieces()))
                except (Damaged, tarfile.TarError, ValueError) as error:
                    yield Found(headers.last, problem=f"or what follows it is damaged: {_clause(error)}")
                    members.skip()
                    headers.lose()
                    # What comes now is the content of a file whose name is lost.
                    if members.more():
                        try:
                            for _ in members.pieces():
                                pass
                        except Damaged:
                            members.skip()
                    continue
                yield from headers.empty()
                continue
            try:
                found = _digested(pending.name, members.pieces(), pending.mode)
            except Damaged as error:
                found = Found(pending.name, problem=f"is damaged: {error}")
                members.skip()
            yield found
            headers.content_was_read()
        if headers.pending is not None:
            yield Found(headers.pending.name, problem="is cut off")
        elif not headers.ended:
            yield Found(headers.last, problem="is the last: the archive is cut off behind it")


class _Headers:
    """What tar's headers said so far."""

    def __init__(self) -> None:
        self.pending: tarfile.TarInfo | None = None
        """The file whose content is next."""
        self.last = "the beginning"
        """Name of the last file that was told."""
        self.ended = False
        self._empty: list[Found] = []
        self._fill = 0
        """Bytes of the last file's last block that are not its content."""
        self._lost = False

    def read(self, data: bytes) -> None:
        """Takes one member of headers. Raises `Damaged` and tarfile.TarError."""
        # What a lost header said of the last block can be told from the length: headers fill blocks.
        at = len(data) % _BLOCK if self._lost else self._fill
        self._fill, self._lost = 0, False
        if any(data[:at]) or (len(data) - at) % _BLOCK:
            raise Damaged("there is something between two files")
        more: dict[str, str] = {}
        while at < len(data):
            block = data[at : at + _BLOCK]
            at += _BLOCK
            if not any(block):
                if any(data[at:]):
                    raise Damaged("there is something behind the end")
                self.ended = True
                return
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if info.type == tarfile.XHDTYPE:
                more = _pax(data[at : at + info.size])
                at += -(-info.size // _BLOCK) * _BLOCK
                continue
            info.name, info.linkname = more.get("path", info.name), more.get("linkpath", info.linkname)
            info.size, more = int(more.get("size", info.size)), {}
            self.last = info.name
            if info.isreg() and info.size:
                if at != len(data):
                    raise Damaged("there is something between two files")
                self.pending = info
                return
            if not (info.isreg() or info.issym()):
                self._empty.append(Found(info.name, problem="is no regular file"))
            elif info.issym():
                self._empty.append(Found(info.name, target=info.linkname))
            else:
                self._empty.append(_digested(info.name, (), info.mode))

    def empty(self) -> Iterator[Found]:
        """The files without content, and links, that were told since."""
        yield from self._empty
        self._empty.clear()

    def content_was_read(self) -> None:
        assert self.pending is not None
        self._fill = -self.pending.size % _BLOCK
        self.pending = None

    def lose(self) -> None:
        """A member of headers could not be read: how much fills the last block is not known."""
        self._lost, self.pending = True, None
        self._empty.clear()


def _pax(data: bytes) -> dict[str, str]:
    """The records ``LENGTH KEY=VALUE`` of a pax header."""
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) + 1 < int(length) <= len(data):
            raise Damaged("a header cannot be read")
        key, _, value = (
            data[len(length) + 1 : int(length) - 1].decode("utf-8", "surrogateescape").partition("=")
        )
        found[key] = value
        data = data[int(length) :]
    return found
