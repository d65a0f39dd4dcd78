"""A service of OSV's kind on loopback: records as its data, with its own idea of what they are about.

    with OsvServer([record]) as osv:
        run(["pypm", "audit", "--osv-url", osv.url])

It finds what is affected with `packaging` alone, so that it shares no mistake with pypm.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


class OsvServer:
    """Serves ``/v1/querybatch``, ``/v1/query`` and ``/v1/vulns/ID``; a context manager."""

    def __init__(self, records: Iterable[dict[str, Any]] = ()) -> None:
        self.records: dict[str, Any] = {record["id"]: record for record in records}
        """By id; what is a text is sent as it is, and said to affect everything."""
        self.asked: list[str] = []
        """``POST /v1/querybatch``, one for each request."""
        self.batches: list[int] = []
        """How many queries each batch had."""
        self.page = 1000
        """Ids of one answer; the rest is on further pages."""
        self.status = 0
        """Answer everything with this."""
        self.answer: bytes | None = None
        """Answer every batch with this."""
        self.gone: set[str] = set()
        """Ids that batches name and that are not there."""
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def about(self, name: str, version: str) -> list[str]:
        """The ids of what is about a version."""
        found = [
            i for i, each in self.records.items() if isinstance(each, str) or affects(each, name, version)
        ]
        return sorted([*found, *self.gone])

    def batch(self, queries: list[dict[str, Any]]) -> dict[str, Any]:
        self.batches.append(len(queries))
        results = []
        for query in queries:
            ids = self.about(query["package"]["name"], query["version"])
            start = int(query.get("page_token", 0))
            told = [{"id": i, "modified": self._modified(i)} for i in ids[start : start + self.page]]
            result: dict[str, Any] = {"vulns": told} if told else {}
            if start + self.page < len(ids):
                result["next_page_token"] = str(start + self.page)
            results.append(result)
        return {"results": results}

    def query(self, query: dict[str, Any]) -> dict[str, Any]:
        ids = self.about(query["package"]["name"], query["version"])
        return {"vulns": [self.records[i] for i in ids]} if ids else {}

    def _modified(self, identity: str) -> str:
        record = self.records.get(identity)
        return str(record.get("modified", "")) if isinstance(record, dict) else ""


def affects(record: dict[str, Any], name: str, version: str) -> bool:
    """Whether *record* is about *version* of *name*, by the algorithm of OSV's schema."""
    if record.get("withdrawn"):
        return False
    for each in record.get("affected", ()):
        if canonicalize_name(each["package"]["name"]) == canonicalize_name(name) and (
            version in each.get("versions", ()) or any(_inside(r, version) for r in each.get("ranges", ()))
        ):
            return True
    return False


def _inside(found: dict[str, Any], version: str) -> bool:
    try:
        own = Version(version)
    except InvalidVersion:
        return False
    inside = False
    events = [(kind, text) for event in found["events"] for kind, text in event.items()]
    for kind, text in sorted(events, key=lambda event: Version("0.dev0" if event[1] == "0" else event[1])):
        if kind == "introduced" and (text == "0" or own >= Version(text)):
            inside = True
        elif (kind == "fixed" and own >= Version(text)) or (kind == "last_affected" and own > Version(text)):
            inside = False
    return inside


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, osv: OsvServer) -> None:
        self.osv = osv
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Silence: the log is `OsvServer.asked`."""

    def do_GET(self) -> None:
        osv = self.server.osv
        osv.asked.append(f"GET {self.path}")
        record = osv.records.get(unquote(self.path.removeprefix("/v1/vulns/")))
        if record is None:
            self._send(404, b'{"code": 5, "message": "Bug not found."}')
        else:
            self._send(200, record.encode() if isinstance(record, str) else json.dumps(record).encode())

    def do_POST(self) -> None:
        osv = self.server.osv
        osv.asked.append(f"POST {self.path}")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/query":
            self._send(200, json.dumps(osv.query(body)).encode())
        elif self.path != "/v1/querybatch":
            self._send(404, b"{}")
        elif len(body["queries"]) > 1000:
            self._send(400, b'{"code": 3, "message": "Too many queries."}')
        else:
            answer = json.dumps(osv.batch(body["queries"])).encode()
            self._send(200, answer if osv.answer is None else osv.answer)

    def _send(self, status: int, body: bytes) -> None:
        osv = self.server.osv
        if osv.status:
            status, body = osv.status, b"{}"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
