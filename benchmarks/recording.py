"""A tree of files that replays a package index: what is asked for once is brought from the live index.

    tree/simple/NAME/page.json (and .gz)     the project's page, PEP 691, its links made local
    tree/simple/NAME/absent                  the index has no such project
    tree/simple/NAME/sources.json            where files with an address of their own form come from
    tree/files/packages/xx/yy/<60 hex>/FILE  files, at the path the public index and its mirrors share
    tree/files/other/NAME/<16 hex>/FILE      files of any other address
    tree/bases/<16 hex>                      one text each: what stands before ``packages/`` at the source

The source may be any simple index: JSON or HTML, with or without flags for metadata files, sizes and
upload times. Every wheel of a recorded page is said to have a metadata file; where the source has none it
is read from the wheel's end by range requests, or else from the whole wheel. Files are written beside and
renamed, so any number of processes may record into one tree.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pypm_index import pip_config, simple_html, simple_json
from pypm_index.addresses import files_base, shared_path
from pypm_index.records import NO_METADATA, FileRecord, Page
from pypm_index.settings import Index, Indexes
from pypm_index.wheel_tail import TAIL, NotAWheel, read_metadata

ACCEPT = f"{simple_json.MEDIA_TYPE}, text/html;q=0.1"
FILE_PATH = re.compile(
    r"/files/(?:packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}|other/[a-z0-9-]+/[0-9a-f]{16})/[^/?#]+"
)
_PAGE_PATH = re.compile(r"/simple/([A-Za-z0-9._-]+)/?")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


class NotThere(Exception):
    """The source has no such thing (404, 410), or it cannot be one of its files."""


class SourceFailed(Exception):
    """The source gave no usable answer; nothing was recorded."""


@dataclass(frozen=True, slots=True)
class Source:
    """A live index, and how it is reached."""

    index: Index
    context: ssl.SSLContext | None = field(default=None, compare=False)
    timeout: float = 60.0
    """Seconds."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Source:
        """The default index of this machine, as pypm itself would find it."""
        indexes = Indexes.from_settings(environ=environ, pip_config=pip_config.reader(environ))
        context = None
        if indexes.all[-1].url.startswith("https:"):
            given = indexes.certificates
            context = ssl.create_default_context(
                cafile=given if given and os.path.isfile(given) else None,
                capath=given if given and os.path.isdir(given) else None,
            )
        return cls(indexes.all[-1], context)

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> tuple[str, Mapping[str, str], bytes]:
        """(address after redirects, headers, body). Raises `NotThere`, `SourceFailed`."""
        sent = {"User-Agent": "pypm-benchmarks", **(headers or {})}
        if self.index.credentials and urlsplit(url)[:2] == urlsplit(self.index.url)[:2]:
            pair = f"{self.index.credentials.user}:{self.index.credentials.password}"
            sent["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        request = urllib.request.Request(url, headers=sent)
        for attempt in (1, 2, 3):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout, context=self.context) as answer:
                    return answer.url, answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                if error.code in (404, 410):
                    raise NotThere(url) from None
                if error.code < 500 or attempt == 3:
                    raise SourceFailed(f"{error.code} {error.reason}: {url}") from None
            except (OSError, urllib.error.URLError) as error:
                if attempt == 3:
                    raise SourceFailed(f"{error}: {url}") from None
        raise AssertionError


@dataclass(frozen=True, slots=True)
class Recorder:
    """Gives the file of *tree* that answers a request, after bringing it from *source* if need be."""

    tree: Path
    source: Source | None
    """None: replay only what is there."""

    def file_for(self, path: str) -> Path:
        """The file with the answer to a GET of *path*. Blocks on the network the first time.

        Raises `NotThere`, `SourceFailed`.
        """
        if page := _PAGE_PATH.fullmatch(path):
            return self._page(re.sub(r"[-_.]+", "-", page.group(1)).lower())
        if FILE_PATH.fullmatch(path):
            return self._file(path)
        raise NotThere(path)

    def _page(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise NotThere(name)
        folder = self.tree / "simple" / name
        target = folder / "page.json"
        if target.exists():
            return target
        if self.source is None or (folder / "absent").exists():
            raise NotThere(name)
        try:
            url, headers, body = self.source.get(f"{self.source.index.url}{name}/", {"Accept": ACCEPT})
        except NotThere:
            _write(folder / "absent", b"")
            raise
        if "json" in headers.get("Content-Type", ""):
            page = simple_json.read(body, url)
        else:
            page = simple_html.read(body, url)
        facts = {} if all(file.size and file.uploaded for file in page.files) else self._facts(name)
        sources: dict[str, str] = {}
        text = json.dumps(self._local(name, page, facts, sources), separators=(",", ":")).encode()
        if sources:
            _write(folder / "sources.json", json.dumps(sources).encode())
        _write(folder / "page.json.gz", gzip.compress(text, 6, mtime=0))
        _write(target, text)
        return target

    def _local(
        self, name: str, page: Page, facts: Mapping[str, Mapping[str, Any]], sources: dict[str, str]
    ) -> dict[str, Any]:
        """*page* as PEP 691 data whose links are paths below this tree; fills *sources* for `_source_of`."""
        entries = []
        for file in page.files:
            entry = _entry(file, facts.get(file.filename, {}))
            if shared := shared_path(file.url):
                base = files_base(file.url)
                mark = self.tree / "bases" / hashlib.sha256(base.encode()).hexdigest()[:16]
                if not mark.exists():
                    _write(mark, base.encode())
                entry["url"] = f"/files/{shared}"
            else:
                key = hashlib.sha256(file.url.encode()).hexdigest()[:16]
                entry["url"] = f"/files/other/{name}/{key}/{quote(file.filename)}"
                sources[key] = file.url
            entries.append(entry)
        data: dict[str, Any] = {"meta": {"api-version": "1.1"}, "name": name, "files": entries}
        data["versions"] = sorted({v for file in page.files if (v := _version_of(file.filename))})
        if page.status:
            data["project-status"] = {"status": page.status, "reason": page.reason}
        return data

    def _facts(self, name: str) -> dict[str, dict[str, Any]]:
        """Sizes and upload times by file name, for sources whose pages lack them: from the project's JSON
        beside the index, which the public index and many of its mirrors have; else nothing."""
        assert self.source is not None
        parts = urlsplit(self.source.index.url)
        try:
            body = self.source.get(f"{parts.scheme}://{parts.netloc}/pypi/{name}/json")[2]
            releases = json.loads(body).get("releases", {})
            return {file["filename"]: file for files in releases.values() for file in files}
        except (NotThere, SourceFailed, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def _file(self, path: str) -> Path:
        target = self.tree / unquote(path).lstrip("/")
        if target.name in ("", ".", "..") or "/" in unquote(path.rpartition("/")[2]):
            raise NotThere(path)
        if target.exists():
            return target
        if self.source is None:
            raise NotThere(path)
        for url in self._sources_of(path):
            try:
                body = self._metadata(url) if path.endswith(".whl.metadata") else self.source.get(url)[2]
            except NotThere:
                continue
            _write(target, body)
            return target
        raise NotThere(path)

    def _sources_of(self, path: str) -> list[str]:
        """Addresses at which the file at *path* may be."""
        kind, _, rest = path.removeprefix("/files/").partition("/")
        if kind == "packages":
            return [
                mark.read_text() + f"packages/{rest}" for mark in sorted((self.tree / "bases").glob("?" * 16))
            ]
        name, key, filename = rest.split("/")
        try:
            known: dict[str, str] = json.loads((self.tree / "simple" / name / "sources.json").read_bytes())
        except FileNotFoundError:
            return []
        if key not in known:
            return []
        return [known[key] + (".metadata" if filename.endswith(".whl.metadata") else "")]

    def _metadata(self, url: str) -> bytes:
        """METADATA of the wheel at *url* less ``.metadata``."""
        assert self.source is not None
        try:
            return self.source.get(url)[2]
        except NotThere:
            pass
        wheel = url.removesuffix(".metadata")

        def part(start: int, stop: int) -> bytes:
            assert self.source is not None
            return self.source.get(wheel, {"Range": f"bytes={start}-{stop - 1}"})[2]

        _, headers, tail = self.source.get(wheel, {"Range": f"bytes=-{TAIL}"})
        size = int(headers.get("Content-Range", f"/{len(tail)}").rpartition("/")[2])
        try:
            return read_metadata(size, tail, part)
        except NotAWheel as error:
            raise NotThere(f"{wheel}: {error}") from None


def _entry(file: FileRecord, fact: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": file.filename,
        "hashes": {"sha256": file.sha256} if file.sha256 else {},
    }
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    if (size := file.size or fact.get("size")) is not None:
        entry["size"] = size
    if uploaded := file.uploaded or fact.get("upload_time_iso_8601"):
        entry["upload-time"] = uploaded
    if file.yanked is not None:
        entry["yanked"] = file.yanked or True
    if file.filename.endswith(".whl"):
        known = file.metadata not in (None, "", NO_METADATA)
        entry["core-metadata"] = {"sha256": file.metadata} if known else True
    return entry


def _version_of(filename: str) -> str:
    """The version in a wheel's or sdist's name, as written there."""
    if filename.endswith(".whl"):
        return filename.split("-")[1]
    return re.sub(r"\.(?:tar\.gz|zip)\Z", "", filename).rpartition("-")[2]


def _write(target: Path, body: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.parent / f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}"
    beside.write_bytes(body)
    os.replace(beside, target)
