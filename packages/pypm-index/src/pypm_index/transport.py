"""HTTP to indexes: `Transport`, the `Fetcher` that ships.

It stands on `http.client` rather than on httpx. A resolution makes hundreds of small GETs to one or
two hosts, and that is all there is to do: 300 of them cost a quarter of the CPU this way, and httpx
takes 180 ms to import. Kept alive, through proxies (``http://``, and ``https://`` for plain requests;
SOCKS is refused by name), TLS with the system's certificates, HTTP/1.1.

Only this module and `connections` load `http.client` and `ssl`: a run that finds everything in its
cache imports neither.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from pypm_index.addresses import origin, redacted, userinfo, without_userinfo
from pypm_index.connections import Origin, Pool
from pypm_index.credentials import RunKeyring, Wallet
from pypm_index.errors import (
    AccessForbidden,
    BadRedirect,
    BadTimeout,
    CredentialsNeeded,
    IndexFailed,
    IndexUnreachable,
)
from pypm_index.ports import Response
from pypm_index.settings import Credentials, Indexes
from pypm_model.later import later
from pypm_store.inflate import unpacked

if TYPE_CHECKING:
    import random
    from email import utils as email_utils
else:
    email_utils = later("email.utils")
    random = later("random")

_T = TypeVar("_T")

USER_AGENT = "pypm"
_ANSWERS = frozenset((200, 206, 304, 404, 410, 416))
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_WORTH_ANOTHER_TRY = frozenset((408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524))
_MAX_REDIRECTS = 10
_MAX_BODY = 512 << 20
"""Bytes: no page, metadata file or range is larger than this; a server that sends more is cut off."""
_LONGEST_TIMEOUT = 86_400.0
"""Seconds that `PYPM_HTTP_TIMEOUT` may be: more than anybody waits, less than sockets refuse."""
_LONGEST_WAIT = 30.0
"""Seconds that a Retry-After header may ask for."""


class _TryAgain(Exception):
    """This attempt failed in a way that another may not; *weight* of them are counted."""

    def __init__(self, error: IndexUnreachable | IndexFailed, after: float | None = None, weight: int = 1):
        self.error = error
        self.after = after
        self.weight = weight


class Transport:
    """A `Fetcher` over HTTP. One for a run; may be used from any thread."""

    def __init__(
        self,
        indexes: Indexes,
        environ: Mapping[str, str],
        *,
        timeout: float | None = None,
        attempts: int = 4,
        pause: float = 0.2,
        keyring: RunKeyring | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """*timeout*: seconds for a connection and for each wait for bytes (default: the variable
        ``PYPM_HTTP_TIMEOUT``, else 20; `BadTimeout` if it is no number); one that runs out counts for
        two of the *attempts*. *pause*: seconds before the second attempt, three times as long before
        each further one.
        """
        if timeout is None:
            timeout = _seconds(environ.get("PYPM_HTTP_TIMEOUT", ""), 20.0)
        self._pool = Pool(indexes.certificates, environ, timeout)
        self._wallet = Wallet(indexes, environ, keyring)
        self._attempts = attempts
        self._pause = pause
        self._sleep = sleep

    def get(
        self,
        url: str,
        *,
        index: str = "",
        subject: str = "",
        headers: Mapping[str, str] | None = None,
        as_sent: bool = False,
    ) -> Response:
        """See `pypm_index.ports.Fetcher`."""

        def attempt() -> Response:
            wanted = {"Accept-Encoding": "gzip", **(headers or {})}
            if "Range" in wanted:
                # A range of the compressed form of a file is of no use.
                wanted["Accept-Encoding"] = "identity"
            with self._answer(url, index, subject, wanted) as stream:
                try:
                    body = stream.everything(as_sent=as_sent)
                except IndexUnreachable as error:
                    raise _TryAgain(error) from error
                return Response(stream.status, stream.headers, stream.url, body, stream.packed)

        return self._persistently(attempt)

    def post(self, url: str, body: bytes, *, subject: str = "") -> Response:
        """The whole answer to *body*, which is JSON: a question that is too long for an address. It is sent
        again as a GET would be, and only to where a redirect keeps it (307, 308)."""
        wanted = {"Accept-Encoding": "gzip", "Content-Type": "application/json"}

        def attempt() -> Response:
            with self._answer(url, "", subject, wanted, body) as stream:
                try:
                    answer = stream.everything()
                except IndexUnreachable as error:
                    raise _TryAgain(error) from error
                return Response(stream.status, stream.headers, stream.url, answer, stream.packed)

        return self._persistently(attempt)

    def open(
        self, url: str, *, index: str = "", subject: str = "", headers: Mapping[str, str] | None = None
    ) -> HttpStream:
        """See `pypm_index.ports.Fetcher`."""
        wanted = {"Accept-Encoding": "identity", **(headers or {})}
        return self._persistently(lambda: self._answer(url, index, subject, wanted))

    def close(self) -> None:
        """See `pypm_index.ports.Fetcher`."""
        self._pool.close()

    def _persistently(self, attempt: Callable[[], _T]) -> _T:
        """The result of the first attempt that has one; the error of the last otherwise."""
        weight = count = 0
        pause = self._pause
        while True:
            count += 1
            try:
                return attempt()
            except _TryAgain as failed:
                weight += failed.weight
                if weight >= self._attempts:
                    failed.error.attempts = count
                    raise failed.error from failed.__cause__
                # Many threads that failed together must not come back together.
                wait = failed.after if failed.after is not None else pause * random.uniform(0.75, 1.25)
            self._sleep(wait)
            pause *= 3

    def _answer(
        self, url: str, index: str, subject: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> HttpStream:
        """One attempt: asks, follows redirects, shows credentials when asked for them."""
        asked_keyring = False
        current = url
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                credentials = self._wallet.of(current, index)
                where = origin(current)
            except ValueError as error:
                raise self._unreachable(url, index, subject, f"not an address: {error}") from None
            if asked_keyring:
                credentials = self._wallet.ask(current, index) or credentials
            stream = self._exchange(where, current, index, subject, headers, credentials, body)
            status = stream.status
            if status in _ANSWERS:
                return stream
            with stream:
                if status in _REDIRECTS and (body is None or status in (307, 308)):
                    current = self._redirected(stream, current, url, index, subject)
                    continue
                stream.drain()
                shown = redacted(current)
                if status == 401 and not asked_keyring and self._wallet.ask(current, index) is not None:
                    asked_keyring = True
                    continue
                if status == 401:
                    variable = self._wallet.variable(current, index)
                    netrc = self._wallet.netrc_trouble
                    sent = credentials is not None
                    raise CredentialsNeeded(index, subject, shown, sent, variable, netrc)
                if status == 403:
                    raise AccessForbidden(index, subject, shown)
                failed = IndexFailed(index, subject, shown, status)
                if status in _WORTH_ANOTHER_TRY:
                    raise _TryAgain(failed, _retry_after(stream.headers))
                raise failed
        raise BadRedirect(index, subject, redacted(url), f"more than {_MAX_REDIRECTS} redirects")

    def _redirected(self, stream: HttpStream, current: str, first: str, index: str, subject: str) -> str:
        stream.drain()
        location = stream.headers.get("location", "")
        if not location:
            raise BadRedirect(index, subject, redacted(first), "a redirect without a destination")
        # What a server writes into an address is no credential of ours.
        target = without_userinfo(urljoin(current, location)).partition("#")[0]
        scheme = target.partition(":")[0].lower()
        if scheme not in ("http", "https"):
            raise BadRedirect(index, subject, redacted(first), f"to a {scheme}: address")
        if scheme == "http" and current.lower().startswith("https:"):
            raise BadRedirect(index, subject, redacted(first), f"from https to {redacted(target)}")
        if target == without_userinfo(current):
            raise BadRedirect(index, subject, redacted(first), "to itself")
        if userinfo(current) is None:
            return target
        # The same server keeps what the caller's own address said about who asks.
        return _with_userinfo(target, current) if origin(target) == origin(current) else target

    def _exchange(
        self,
        where: Origin,
        url: str,
        index: str,
        subject: str,
        headers: Mapping[str, str],
        credentials: Credentials | None,
        body: bytes | None,
    ) -> HttpStream:
        plain = without_userinfo(url)
        parts = urlsplit(plain)
        target = quote(parts.path or "/", safe=_SAFE) + (
            f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
        )
        sent = {"User-Agent": USER_AGENT, **headers}
        if credentials is not None:
            pair = f"{credentials.user}:{credentials.password}".encode()
            sent["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        fresh = False
        while True:
            connection: http.client.HTTPConnection | None = None
            reused = False
            try:
                connection, reused = self._pool.take(where, fresh=fresh)
                if self._pool.is_proxied_in_the_open(where):
                    target = f"{parts.scheme}://{parts.netloc}{target}" if target.startswith("/") else target
                    sent.update(self._pool.proxy_headers(where))
                connection.request("GET" if body is None else "POST", target, body, sent)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                if connection is not None:
                    connection.close()
                if reused and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                    # The server ended an idle connection just now: nobody's failure.
                    fresh = True
                    continue
                failure = self._unreachable(url, index, subject, reason_of(error))
                if isinstance(error, (ssl.SSLCertVerificationError, FileNotFoundError, PermissionError)):
                    raise failure from error
                raise _TryAgain(failure, weight=2 if isinstance(error, TimeoutError) else 1) from error
            return HttpStream(self._pool, where, connection, answer, plain, index, subject)

    def _unreachable(self, url: str, index: str, subject: str, reason: str) -> IndexUnreachable:
        return IndexUnreachable(index, subject, redacted(url), reason)


class HttpStream:
    """A `Stream` over HTTP. Gives its connection back when it has been read to the end, and closes
    it otherwise."""

    def __init__(
        self,
        pool: Pool,
        where: Origin,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
        url: str,
        index: str,
        subject: str,
    ) -> None:
        self._pool = pool
        self._where = where
        self._connection = connection
        self._answer = answer
        self._index = index
        self._subject = subject
        self._expected = answer.length
        self._received = 0
        self.status = answer.status
        self.headers: dict[str, str] = {name.lower(): value for name, value in answer.getheaders()}
        self.url = url
        self.packed = b""
        """What `everything` read, if it was compressed with gzip."""

    def read(self, size: int) -> bytes:
        """See `pypm_index.ports.Stream`."""
        try:
            data = self._answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(reason_of(error)) from error
        self._received += len(data)
        if not data and self._expected is not None and self._received < self._expected:
            raise self._broken(f"the answer ends after {self._received} of {self._expected} bytes")
        return data

    def everything(self, *, as_sent: bool = False) -> bytes:
        """The whole body, decompressed; if it is wanted *as_sent* and came as gzip, nothing, and `packed`
        has it. Raises `IndexUnreachable`."""
        chunks: list[bytes] = []
        while data := self.read(1 << 20):
            chunks.append(data)
            if self._received > _MAX_BODY:
                raise self._broken(f"the answer is larger than {_MAX_BODY} bytes")
        body = b"".join(chunks)
        encoding = self.headers.get("content-encoding", "").strip().lower()
        if encoding in ("gzip", "x-gzip", "deflate") and body:
            packed = body
            if as_sent and encoding != "deflate":
                self.packed = packed
                return b""
            try:
                body = unpacked(packed, _MAX_BODY)
            except ValueError as error:
                raise self._broken(f"the answer's compressed form {error}") from error
            self.packed = packed if encoding != "deflate" else b""
        return body

    def drain(self) -> None:
        """Reads the rest if it is short, so that the connection can be used again."""
        try:
            while self._received < 65536 and self.read(16384):
                pass
        except IndexUnreachable:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._answer.isclosed() and not self._answer.will_close and kind is None:
            self._pool.give(self._where, self._connection)
        else:
            self._answer.close()
            self._connection.close()

    def _broken(self, reason: str) -> IndexUnreachable:
        return IndexUnreachable(self._index, self._subject, redacted(self.url), reason)


_SAFE = "%/:=&?~+!$,;'@()*[]-._"


def reason_of(error: BaseException) -> str:
    """What happened, in a few words."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return f"the encrypted connection failed ({error.reason or error})"
        case socket.gaierror():
            return "its name is not known (DNS)"
        case TimeoutError():
            return "it does not answer in time"
        case ConnectionRefusedError():
            return "it refuses the connection"
        case http.client.RemoteDisconnected() | ConnectionResetError() | BrokenPipeError():
            return "it ended the connection"
        case http.client.IncompleteRead():
            return "the answer was cut short"
        case http.client.HTTPException():
            return f"it does not speak HTTP ({type(error).__name__})"
        case OSError():
            return error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, at most `_LONGEST_WAIT`; None if it does not say."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isdigit():
        return min(float(text), _LONGEST_WAIT)
    try:
        wait = email_utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT)


def _seconds(text: str, otherwise: float) -> float:
    if not text.strip():
        return otherwise
    try:
        value = float(text)
    except ValueError:
        raise BadTimeout(text) from None
    if not 0 < value < _LONGEST_TIMEOUT:
        raise BadTimeout(text)
    return value


def _with_userinfo(target: str, source: str) -> str:
    authority = urlsplit(source).netloc.rpartition("@")[0]
    scheme, _, rest = target.partition("://")
    return f"{scheme}://{authority}@{rest}"
