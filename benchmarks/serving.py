"""The recorded tree over HTTP: small and quick, so that clients are measured and not the server.

Keep-alive, HEAD, one byte range, ETag, Cache-Control, gzip that was made when the page was recorded; small
answers from memory in one write, large ones by sendfile. Several processes share the listening sockets.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import re
import socket
import sys
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.recording import NotThere, Recorder, SourceFailed

SMALL = 256 * 1024
"""Bytes up to which an answer is kept in memory."""
MAX_HEAD = 64 * 1024
_PAGE = (
    b"Content-Type: application/vnd.pypi.simple.v1+json\r\n"
    b"Cache-Control: max-age=600, public\r\n"
    b"Vary: Accept-Encoding\r\n"
)
_FILE = b"Content-Type: application/octet-stream\r\nCache-Control: max-age=31536000, immutable, public\r\n"
_RANGE = re.compile(rb"bytes=(\d*)-(\d*)")
_REASONS = {200: "OK", 206: "Partial Content", 304: "Not Modified", 400: "Bad Request", 404: "Not Found",
            405: "Method Not Allowed", 416: "Range Not Satisfiable", 502: "Bad Gateway"}  # fmt: skip


class Request(NamedTuple):
    """What of a request matters here."""

    method: bytes
    path: str
    headers: dict[bytes, bytes]
    """Names in lower case."""


class Content(NamedTuple):
    """A file of the tree, ready to be sent."""

    path: Path
    size: int
    etag: bytes
    headers: bytes
    body: bytes | None
    """None: too large to be kept."""


COUNT = "/-/requests"
"""Answers with how many requests there were, but for those to it."""


class Counter:
    """Requests that came in, told by any of the processes that serve. Made before they fork."""

    def __init__(self, processes: int) -> None:
        self._slots = memoryview(mmap.mmap(-1, 8 * processes)).cast("Q")
        self.slot = 0
        """This process's."""

    def add(self) -> None:
        """One more."""
        self._slots[self.slot] += 1

    def total(self) -> int:
        """Of all processes."""
        return sum(self._slots)


class Shelf:
    """The contents that were asked for so far, by path. What is recorded never changes."""

    def __init__(self, recorder: Recorder, counter: Counter) -> None:
        self.recorder = recorder
        self.counter = counter
        self.contents: dict[tuple[str, bool], Content] = {}
        self._brought: dict[str, asyncio.Future[Path]] = {}
        self._crew = ThreadPoolExecutor(16)

    def known(self, path: str, gzipped: bool) -> Content | None:
        """What is in memory for *path*; pages exist gzipped too."""
        return self.contents.get((path, gzipped and path.startswith("/simple/")))

    async def find(self, path: str, gzipped: bool) -> Content:
        """The same, recorded first if it has to be. Raises `NotThere`, `SourceFailed`."""
        if path not in self._brought:
            loop = asyncio.get_running_loop()
            self._brought[path] = loop.run_in_executor(self._crew, self.recorder.file_for, path)
        try:
            file = await self._brought[path]
        finally:
            self._brought.pop(path, None)
        page = path.startswith("/simple/")
        if page and gzipped:
            file = file.with_name(file.name + ".gz")
        content = _content(file, page, page and gzipped)
        self.contents[path, page and gzipped] = content
        return content


def _content(file: Path, page: bool, gzipped: bool) -> Content:
    status = file.stat()
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}{"-gz" if gzipped else ""}"'.encode()
    headers = (_PAGE if page else _FILE) + b"Accept-Ranges: bytes\r\nETag: " + etag + b"\r\n"
    if gzipped:
        headers += b"Content-Encoding: gzip\r\n"
    return Content(
        file, status.st_size, etag, headers, file.read_bytes() if status.st_size <= SMALL else None
    )


class Connection(asyncio.Protocol):
    """One client's connection: its requests are answered in order, each *latency* seconds after it came."""

    def __init__(self, shelf: Shelf, latency: float) -> None:
        self.shelf = shelf
        self.latency = latency
        self.buffer = b""
        self.waiting: deque[Request] = deque()
        self.busy = False
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head, self.buffer = self.buffer[:end], self.buffer[end + 4 :]
            request = parse(head)
            if request is None or request.headers.get(b"content-length", b"0") != b"0":
                self._say(400, close=True)
                return
            self.waiting.append(request)
        if len(self.buffer) > MAX_HEAD:
            self._say(400, close=True)
            return
        self._next()

    def _next(self) -> None:
        if self.busy or not self.waiting or self.transport.is_closing():
            return
        self.busy = True
        request = self.waiting.popleft()
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: Request) -> None:
        if self.transport.is_closing():
            return
        if request.path == COUNT:
            told = str(self.shelf.counter.total()).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
            self._done(request)
            return
        self.shelf.counter.add()
        if request.method not in (b"GET", b"HEAD"):
            self._say(405)
            self._done(request)
            return
        gzipped = b"gzip" in request.headers.get(b"accept-encoding", b"") and b"range" not in request.headers
        content = self.shelf.known(request.path, gzipped)
        if content is not None and content.body is not None:
            self.transport.write(b"".join(self._parts(request, content)))
            self._done(request)
        else:
            self.task = asyncio.ensure_future(self._answer_slowly(request, gzipped))

    async def _answer_slowly(self, request: Request, gzipped: bool) -> None:
        """For what has to be recorded or is sent from its file."""
        try:
            content = self.shelf.known(request.path, gzipped) or await self.shelf.find(request.path, gzipped)
        except NotThere:
            self._say(404)
        except SourceFailed as error:
            sys.stderr.write(f"index: {error}\n")
            self._say(502)
        except Exception as error:
            # Whatever a strange page did to the reader: the client is told, the server goes on.
            sys.stderr.write(f"index: {request.path}: {error!r}\n")
            self._say(502)
        else:
            status, start, stop = chosen(request, content)
            self.transport.write(head_of(status, content, start, stop))
            if request.method == b"GET" and status in (200, 206):
                if content.body is not None:
                    self.transport.write(content.body[start:stop])
                else:
                    with open(content.path, "rb") as file:
                        await asyncio.get_running_loop().sendfile(self.transport, file, start, stop - start)
        self._done(request)

    def _parts(self, request: Request, content: Content) -> Sequence[bytes]:
        assert content.body is not None
        status, start, stop = chosen(request, content)
        body = content.body[start:stop] if request.method == b"GET" and status in (200, 206) else b""
        return head_of(status, content, start, stop), body

    def _say(self, status: int, close: bool = False) -> None:
        text = _REASONS[status]
        self.transport.write(f"HTTP/1.1 {status} {text}\r\nContent-Length: 0\r\n\r\n".encode())
        if close:
            self.transport.close()

    def _done(self, request: Request) -> None:
        self.busy = False
        if request.headers.get(b"connection", b"").lower() == b"close":
            self.transport.close()
        else:
            self._next()


def parse(head: bytes) -> Request | None:
    """The request in *head* (without the empty line); None if it is none."""
    first, *lines = head.split(b"\r\n")
    words = first.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return None
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    if words[2] == b"HTTP/1.0":
        headers.setdefault(b"connection", b"close")
    return Request(words[0], words[1].partition(b"?")[0].decode("latin-1"), headers)


def chosen(request: Request, content: Content) -> tuple[int, int, int]:
    """(status, first byte, byte after the last) of what of *content* answers *request*."""
    wanted = request.headers.get(b"if-none-match", b"")
    if wanted and (
        wanted == b"*" or content.etag in [tag.strip().removeprefix(b"W/") for tag in wanted.split(b",")]
    ):
        return 304, 0, 0
    found = _RANGE.fullmatch(request.headers.get(b"range", b""))
    if found is None or found.group(1) == found.group(2) == b"":
        return 200, 0, content.size
    if request.headers.get(b"if-range", content.etag) != content.etag:
        return 200, 0, content.size
    if found.group(1) == b"":
        return 206, max(0, content.size - int(found.group(2))), content.size
    start = int(found.group(1))
    stop = min(content.size, int(found.group(2)) + 1) if found.group(2) else content.size
    return (206, start, stop) if start < stop else (416, 0, 0)


def head_of(status: int, content: Content, start: int, stop: int) -> bytes:
    """Status line and headers of such an answer."""
    extra = b""
    if status == 206:
        extra = f"Content-Range: bytes {start}-{stop - 1}/{content.size}\r\n".encode()
    elif status == 416:
        extra = f"Content-Range: bytes */{content.size}\r\n".encode()
    if status != 304:
        extra += f"Content-Length: {stop - start}\r\n".encode()
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\n".encode() + content.headers + extra + b"\r\n"


async def serve(
    recorder: Recorder, counter: Counter, listening: Sequence[tuple[socket.socket, float]]
) -> None:
    """Answers on the given sockets, each with its latency in seconds, until standard input ends."""
    loop = asyncio.get_running_loop()
    shelf = Shelf(recorder, counter)
    for sock, latency in listening:
        await loop.create_server(lambda latency=latency: Connection(shelf, latency), sock=sock, backlog=1024)  # type: ignore[misc]
    await loop.run_in_executor(None, os.read, 0, 1)
    os._exit(0)
