"""A package index in this process: real wheels and sdists from a folder, over real HTTP.

    with IndexServer(folder) as server:
        ... server.url ...            # http://127.0.0.1:PORT/simple/
        assert server.count("/simple/") == 0

It speaks the simple API as JSON (PEP 691, 700, 714, 792) or as plain HTML (PEP 503, 592), with or
without the flags that say a metadata file exists, with or without range requests, with ETag and
Cache-Control, and does on request what bad servers do: fail, hang, lie, cut short, send elsewhere.
Every request is written down, so that a test can say how many there were.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import threading
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    status: int
    connection: int
    """Number of the connection it came over: keep-alive gives one number to many requests."""


@dataclass(slots=True)
class Fault:
    """What goes wrong for a path. *times* counts down; -1 means always.

    kind: ``status`` (answer *status*), ``hang`` (say nothing for *seconds*), ``drop`` (close without
    an answer), ``truncated`` (whole Content-Length, half the body), ``wrong-bytes`` (right length,
    other bytes), ``redirect`` (to *location*; ``{path}`` in it stands for the path asked for).
    """

    pattern: str
    kind: str
    times: int = -1
    status: int = 500
    seconds: float = 30.0
    location: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the index says of one file besides its bytes."""

    uploaded: str = "2024-01-01T00:00:00.000000Z"
    requires_python: str | None = None
    """None: as the wheel's own METADATA says."""
    yanked: str | bool = False
    sha256: str | None = None
    """None: the true digest; a test may lie; empty: none is given."""
    provenance: str = ""
    """Address of its attestations, absolute or from the origin."""


def normalized(name: str) -> str:
    """The name as the index's folder has it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class IndexServer:
    """A simple index over the wheels and sdists in *folder* (looked at anew for each page).

    All settings are attributes and may be changed while it runs:

    - ``format``: ``json`` (what a client asks for, JSON by preference) or ``html`` (HTML always);
    - ``metadata_flags``: pages say which files have a metadata file; ``metadata_files``: they are
      served. Both off, and ``format="html"``, is a plain mirror;
    - ``ranges``: range requests are honoured;
    - ``hashes``, ``upload_times``, ``sizes``: whether pages give them;
    - ``api_version``; ``max_age`` (seconds; None sends no Cache-Control); ``etags``;
    - ``auth``: (user, password) asked for by basic authentication on every path;
    - ``latency``: seconds before each answer;
    - ``files``: `FileFacts` by file name; ``status``: PEP 792 status by project;
    - ``files_url``: origin the pages give for files when they live elsewhere; ``hashed_paths``: files
      at ``packages/xx/yy/<60 hex>/NAME`` as the public index has them, else at ``files/NAME``.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        format: str = "json",
        metadata_flags: bool = True,
        metadata_files: bool = True,
        ranges: bool = True,
        hashes: bool = True,
        upload_times: bool = True,
        sizes: bool = True,
        etags: bool = True,
        max_age: int | None = 600,
        api_version: str = "1.1",
        auth: tuple[str, str] | None = None,
        latency: float = 0.0,
        files: Mapping[str, FileFacts] | None = None,
        status: Mapping[str, str] | None = None,
        files_url: str = "",
        hashed_paths: bool = True,
        pages: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> None:
        self.folder = folder
        self.format = format
        self.metadata_flags = metadata_flags
        self.metadata_files = metadata_files
        self.ranges = ranges
        self.hashes = hashes
        self.upload_times = upload_times
        self.sizes = sizes
        self.etags = etags
        self.max_age = max_age
        self.api_version = api_version
        self.auth = auth
        self.latency = latency
        self.files: dict[str, FileFacts] = dict(files or {})
        self.status: dict[str, str] = dict(status or {})
        self.files_url = files_url
        self.hashed_paths = hashed_paths
        self.pages: dict[str, tuple[str, bytes]] = dict(pages or {})
        """Path to (content type, body): answered as given, before anything else."""
        self.told: dict[str, bytes] = {}
        """By a wheel's file name: what is told of it instead of the METADATA that is in it."""
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._digests: dict[tuple[str, int, int], str] = {}
        self._metadata: dict[tuple[str, int, int], bytes | None] = {}
        self._stopping = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._connections = 0

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self) -> IndexServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The address a client is configured with."""
        return f"{self.origin}/simple/"

    # -- what a test says and asks -------------------------------------------------------------

    def fail(
        self,
        pattern: str,
        kind: str = "status",
        *,
        times: int = -1,
        status: int = 500,
        seconds: float = 30.0,
        location: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Fault:
        """Let requests whose path matches *pattern* (a regular expression, searched) go wrong."""
        fault = Fault(pattern, kind, times, status, seconds, location, dict(headers or {}))
        with self._lock:
            self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """No more faults."""
        with self._lock:
            self.faults.clear()

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.requests.clear()

    def seen(self, pattern: str = "") -> list[Seen]:
        """The requests whose path matches *pattern* (a regular expression, searched), in order."""
        with self._lock:
            return [seen for seen in self.requests if re.search(pattern, seen.path)]

    def count(self, pattern: str = "") -> int:
        """How many requests had a path that matches *pattern*."""
        return len(self.seen(pattern))

    def path_of(self, filename: str) -> str:
        """The path below the origin at which a file of the folder is served."""
        if not self.hashed_paths:
            return f"/files/{quote(filename)}"
        digest = hashlib.blake2b(filename.encode(), digest_size=32).hexdigest()
        return f"/files/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{quote(filename)}"

    def url_of(self, filename: str) -> str:
        """The whole address of a file of the folder."""
        return (self.files_url or self.origin) + self.path_of(filename)

    def publish(
        self,
        filename: str,
        publisher: Mapping[str, Any] | None,
        attestation: Mapping[str, Any] | None = None,
    ) -> None:
        """From now on the index has an attestation by *publisher* of the file (*attestation*, or one that no
        signature is right of); None: none any more."""
        before = self.files.get(filename, FileFacts())
        path = f"/integrity/{quote(filename)}/provenance" if publisher is not None else ""
        self.files[filename] = replace(before, provenance=path)
        if publisher is not None:
            envelope = {"statement": "e30=", "signature": "AA=="}
            material = {"certificate": "AA==", "transparency_entries": [{}]}
            wrong = {"version": 1, "envelope": envelope, "verification_material": material}
            bundle = {"publisher": dict(publisher), "attestations": [attestation or wrong]}
            body = json.dumps({"version": 1, "attestation_bundles": [bundle]}).encode()
            self.pages[path] = ("application/vnd.pypi.integrity.v1+json", body)

    def names(self) -> list[str]:
        """Projects with a file in the folder."""
        return sorted({_project(path.name) for path in self._paths()})

    # -- answers -------------------------------------------------------------------------------

    def _paths(self) -> Iterable[Path]:
        if self.folder is None or not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def _digest(self, path: Path) -> str:
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        if key not in self._digests:
            self._digests[key] = hashlib.sha256(path.read_bytes()).hexdigest()
        return self._digests[key]

    def _metadata_of(self, path: Path) -> bytes | None:
        if path.suffix != ".whl":
            return None
        if path.name in self.told:
            return self.told[path.name]
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        if key not in self._metadata:
            found: bytes | None = None
            try:
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        if re.fullmatch(r"[^/]+\.dist-info/METADATA", name):
                            found = archive.read(name)
            except zipfile.BadZipFile:
                found = None
            self._metadata[key] = found
        return self._metadata[key]

    def _entries(self, project: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        for path in self._paths():
            if _project(path.name) != project:
                continue
            facts = self.files.get(path.name, FileFacts())
            metadata = self._metadata_of(path)
            requires_python = facts.requires_python
            if requires_python is None and metadata is not None:
                found = re.search(rb"^Requires-Python:[ \t]*(.*?)\r?$", metadata, re.MULTILINE)
                requires_python = found.group(1).decode() if found else None
            sha256 = self._digest(path) if facts.sha256 is None else facts.sha256
            entry: dict[str, Any] = {
                "filename": path.name,
                "url": self.files_url + self.path_of(path.name),
                "hashes": {"sha256": sha256} if self.hashes and sha256 else {},
            }
            if requires_python:
                entry["requires-python"] = requires_python
            if facts.yanked is not False:
                entry["yanked"] = facts.yanked
            if facts.provenance:
                entry["provenance"] = facts.provenance
            if self.sizes:
                entry["size"] = path.stat().st_size
            if self.upload_times and facts.uploaded:
                entry["upload-time"] = facts.uploaded
            if self.metadata_flags and metadata is not None:
                digest = {"sha256": hashlib.sha256(metadata).hexdigest()}
                entry["core-metadata"] = digest
                entry["data-dist-info-metadata"] = digest
            entries.append(entry)
        return entries

    def _page(self, project: str, accept: str) -> tuple[str, bytes] | None:
        entries = self._entries(project)
        if not entries:
            return None
        if self.format == "html" or (JSON not in accept and "json" not in accept):
            return "text/html; charset=utf-8", self._as_html(project, entries)
        meta: dict[str, Any] = {"api-version": self.api_version}
        body: dict[str, Any] = {"meta": meta, "name": project, "files": entries, "versions": []}
        if project in self.status:
            body["project-status"] = {"status": self.status[project]}
        return JSON, json.dumps(body).encode()

    def _as_html(self, project: str, entries: list[dict[str, Any]]) -> bytes:
        lines = [
            "<!DOCTYPE html>",
            "<html><head>",
            f'<meta name="pypi:repository-version" content="{self.api_version}">',
            f"<title>Links for {project}</title></head><body><h1>Links for {project}</h1>",
        ]
        if project in self.status:
            lines.insert(3, f'<meta name="pypi:project-status" content="{self.status[project]}">')
        for entry in entries:
            fragment = f"#sha256={entry['hashes']['sha256']}" if entry["hashes"] else ""
            attributes = ""
            if "requires-python" in entry:
                attributes += f' data-requires-python="{html.escape(entry["requires-python"])}"'
            if entry.get("yanked", False) is not False:
                reason = entry["yanked"] if isinstance(entry["yanked"], str) else ""
                attributes += f' data-yanked="{html.escape(reason)}"'
            if "provenance" in entry:
                attributes += f' data-provenance="{html.escape(entry["provenance"])}"'
            if "core-metadata" in entry:
                attributes += f' data-core-metadata="sha256={entry["core-metadata"]["sha256"]}"'
            lines.append(
                f'<a href="{html.escape(entry["url"] + fragment)}"{attributes}>{entry["filename"]}</a><br />'
            )
        lines.append("</body></html>")
        return "\n".join(lines).encode()

    def _file(self, path: str) -> bytes | None:
        name = unquote(path.rsplit("/", 1)[-1])
        if self.folder is None or "/" in name or name in ("", ".", ".."):
            return None
        if name.endswith(".metadata"):
            source = self.folder / name.removesuffix(".metadata")
            if not self.metadata_files or not source.is_file():
                return None
            return self._metadata_of(source)
        source = self.folder / name
        return source.read_bytes() if source.is_file() else None

    def answer(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """(status, headers, body) for a GET that no fault touches."""
        path = urlsplit(path).path
        if self.auth is not None:
            wanted = base64.b64encode(":".join(self.auth).encode()).decode()
            if headers.get("authorization") != f"Basic {wanted}":
                return 401, {"WWW-Authenticate": 'Basic realm="index"'}, b"who are you?"
        caching: dict[str, str] = {}
        if self.max_age is not None:
            caching["Cache-Control"] = f"max-age={self.max_age}, public"
        if path in self.pages:
            kind, body = self.pages[path]
        elif path.startswith("/simple/") and path.count("/") == 2:
            return 301, {"Location": path + "/"}, b""
        elif path.startswith("/simple/"):
            page = self._page(unquote(path.split("/")[2]), headers.get("accept", ""))
            if page is None:
                return 404, {}, b"no such project"
            kind, body = page
        else:
            content = self._file(path)
            if content is None:
                return 404, {}, b"no such file"
            kind, body = "application/octet-stream", content
        answer = {"Content-Type": kind, **caching}
        if self.etags:
            answer["ETag"] = '"' + hashlib.sha256(body).hexdigest()[:20] + '"'
            if headers.get("if-none-match") == answer["ETag"]:
                return 304, answer, b""
        if kind == "application/octet-stream" and self.ranges:
            answer["Accept-Ranges"] = "bytes"
            if "if-range" in headers and headers["if-range"] != answer.get("ETag"):
                return 200, answer, body
            span = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
            if span:
                return _ranged(span.group(1), span.group(2), answer, body)
        return 200, answer, body

    def _fault_for(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.times != 0 and re.search(fault.pattern, path):
                    if fault.times > 0:
                        fault.times -= 1
                    return fault
        return None

    def _note(self, seen: Seen) -> None:
        with self._lock:
            self.requests.append(seen)

    def _next_connection(self) -> int:
        with self._lock:
            self._connections += 1
            return self._connections


def _ranged(first: str, last: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    size = len(body)
    if first:
        start, end = int(first), min(int(last) if last else size - 1, size - 1)
    else:
        start, end = max(0, size - int(last or 0)), size - 1
    if start >= size or start > end:
        return 416, {**headers, "Content-Range": f"bytes */{size}"}, b""
    return 206, {**headers, "Content-Range": f"bytes {start}-{end}/{size}"}, body[start : end + 1]


def _project(filename: str) -> str:
    if filename.endswith(".whl"):
        return normalized(filename.split("-", 1)[0])
    stem = re.sub(r"\.(tar\.gz|tgz|tar\.bz2|tar\.xz|zip|egg|exe)$", "", filename)
    found = re.match(r"(.+?)-(?=\d|v\d)", stem)
    return normalized(found.group(1) if found else stem)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, index: IndexServer) -> None:
        self.index = index
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else delayed acknowledgements cost 40 ms a request
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.number = self.server.index._next_connection()

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the log is `IndexServer.requests`."""

    def do_HEAD(self) -> None:
        self._serve(with_body=False)

    def do_GET(self) -> None:
        self._serve(with_body=True)

    def _serve(self, with_body: bool) -> None:
        index = self.server.index
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = index._fault_for(self.path)
        if index.latency:
            time.sleep(index.latency)
        if fault is not None and fault.kind in ("hang", "drop"):
            index._note(Seen(self.command, self.path, headers, 0, self.number))
            if fault.kind == "hang":
                index._stopping.wait(fault.seconds)
            self.close_connection = True
            return
        status, answer, body = index.answer(self.path, headers)
        keep = len(body)
        if fault is not None:
            match fault.kind:
                case "status":
                    status, answer, body = fault.status, {}, b"fault"
                    keep = len(body)
                case "redirect":
                    status, body, keep = 302, b"", 0
                    answer = {"Location": fault.location.replace("{path}", self.path)}
                case "truncated":
                    keep = len(body) // 2
                case "wrong-bytes":
                    body = bytes(byte ^ 0x55 for byte in body)
                case _:
                    raise ValueError(f"no such fault: {fault.kind}")
            answer.update(fault.headers)
        index._note(Seen(self.command, self.path, headers, status, self.number))
        self.send_response(status)
        for name, value in answer.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body and status != 304:
            self.wfile.write(body[:keep])
        if keep != len(body):
            self.close_connection = True


def copy_all(files: Iterable[Path], folder: Path) -> Path:
    """*folder* with copies of *files* in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy2(file, folder / file.name)
    return folder
