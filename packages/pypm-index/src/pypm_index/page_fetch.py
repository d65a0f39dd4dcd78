"""One project page, from asking for it to its listing: the work of one thread for one name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from pypm_index import simple_json
from pypm_index.addresses import files_base, redacted
from pypm_index.errors import BadPage
from pypm_index.listings import Dated, likely, listing
from pypm_index.ports import Fetcher, Response
from pypm_index.raw_pages import RawPages, digest
from pypm_index.records import Page, UnreadablePage
from pypm_index.releases import Releases, address
from pypm_index.settings import Index
from pypm_model.facts import Listing, ListingKey
from pypm_model.later import later
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_store.pages import FileRow
from pypm_store.pages import Page as KeptPage

if TYPE_CHECKING:
    from pypm_index import simple_html
else:
    simple_html = later("pypm_index.simple_html")

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
DEFAULT_MAX_AGE = 600
"""Seconds that a page counts as fresh if the server does not say."""


class Rows(Protocol):
    """The files of a page by version."""

    @property
    def versions(self) -> tuple[str, ...]:
        """Ascending."""
        ...

    @property
    def made(self) -> Mapping[str, tuple[FileRow, ...]]:
        """The rows that are at hand, by version."""
        ...

    def rows(self, version: str) -> tuple[FileRow, ...]:
        """The files of *version*, sorted by name; empty if there is no such version."""
        ...


@record
class PageContent:
    """What a page says, read and sorted."""

    releases: Rows
    plain: Dated
    """The listing without a cut-off, with its newest upload."""
    dated: Dated
    """The listing under the cut-off that was asked for."""
    cutoff: str
    base: str
    """Where the index's files with a shared path are; empty if the page has none."""
    newer: str
    """The version of the API, if its minor number is newer than what is understood."""

    @property
    def listings(self) -> dict[str, Listing]:
        """By variant: the cut-off they were made for, empty for none."""
        variants = {"": self.plain.listing}
        if self.dated is not self.plain:
            variants[self.cutoff] = self.dated.listing
        return variants


@record
class PageAnswer:
    """How an index answered for one name."""

    kept: KeptPage
    """Status 200, 404 or 410."""
    content: PageContent | None = None
    """None: the page is the one that was known, or absent."""

    @property
    def is_absent(self) -> bool:
        """Whether the index does not have the name."""
        return self.kept.status != 200


def page_url(index: Index, name: NormalizedName) -> str:
    """Where the page of *name* is (PEP 503: with the slash)."""
    return f"{index.url}{name}/"


@record
class Unread:
    """A page that is new or has changed, as it came."""

    kept: KeptPage
    response: Response


def ask_for_page(
    fetcher: Fetcher,
    index: Index,
    name: NormalizedName,
    known: KeptPage | None,
    clock: Callable[[], float],
    *,
    as_sent: bool = False,
) -> PageAnswer | Unread:
    """Asks *index* for *name*; *known* is what is kept of an earlier answer, and is only confirmed if
    the page has not changed. *as_sent*: a page that comes compressed is left so. Raises the errors of
    `pypm_index.errors`.
    """
    headers = {"Accept": ACCEPT}
    if known is not None and known.status == 200:
        if known.etag:
            headers["If-None-Match"] = known.etag
        if known.last_modified:
            headers["If-Modified-Since"] = known.last_modified
    url = page_url(index, name)
    response = fetcher.get(url, index=index.name, subject=name, headers=headers, as_sent=as_sent)
    now = clock()
    max_age = max_age_of(response.headers)
    if response.status == 304 and known is not None:
        etag = response.headers.get("etag", known.etag)
        return PageAnswer(replace(known, fetched=now, max_age=max_age, etag=etag))
    if response.status in (404, 410):
        return PageAnswer(KeptPage(name, response.status, now, max_age))
    if response.status != 200:
        reason = f"HTTP status {response.status} is no answer to a plain question"
        raise BadPage(index.name, name, redacted(response.url), reason)
    kept = KeptPage(
        name,
        200,
        now,
        max_age,
        response.headers.get("etag", ""),
        response.headers.get("last-modified", ""),
        digest(response),
        response.url,
    )
    if known is not None and (known.status, known.digest, known.address) == (200, kept.digest, kept.address):
        return PageAnswer(kept)
    return Unread(kept, response)


def read_answer(index: Index, unread: Unread, cutoff: str, raw_pages: RawPages) -> PageAnswer:
    """What the page of *index* says. It is put into *raw_pages*. Raises `BadPage`."""
    kept, response = unread.kept, unread.response
    try:
        page = read_page(response)
    except UnreadablePage as error:
        raise BadPage(index.name, kept.name, redacted(response.url), str(error)) from None
    raw_pages.write(index.identity, kept, response)
    return PageAnswer(kept, content_of(index.name, kept.name, page, cutoff))


def content_of(index: str, name: NormalizedName, page: Page, cutoff: str) -> PageContent:
    """What *page*, of the index of that name, says of *name*. The files of the likeliest versions are made
    ready."""
    found = Releases(name, page)
    key = ListingKey(name, index)
    plain = listing(key, index, found)
    # Under a cut-off later than every upload the listing is the same.
    dated = plain if not cutoff or plain.newest < cutoff else listing(key, index, found, cutoff)
    base = ""
    for version in likely(dated.listing):
        for row in found.rows(version):
            base = base or files_base(address(row))
    return PageContent(found, plain, dated, cutoff, base, page.newer)


def read_releases(name: NormalizedName, response: Response) -> Releases:
    """What a page that has been read before says of *name*."""
    return Releases(name, read_page(response))


def read_page(response: Response) -> Page:
    """The page in *response*, by its media type. Raises `UnreadablePage`."""
    kind, charset = media_type(response.headers.get("content-type", ""))
    versioned = re.fullmatch(r"application/vnd\.pypi\.simple\.v(\d+|latest)\+(json|html)", kind)
    if versioned is not None:
        if versioned[1] not in ("1", "latest"):
            raise UnreadablePage(
                f"it speaks version {versioned[1]} of the simple API, and this pypm reads 1.x"
            )
        is_json = versioned[2] == "json"
    elif kind in ("text/html", "application/xhtml+xml"):
        is_json = False
    elif kind in ("application/json", "text/json"):
        is_json = True
    else:
        # Static file servers send what they like: the first character tells the two apart.
        start = response.body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if start not in (b"{", b"<"):
            raise UnreadablePage(f"it is {kind or 'of no stated type'}, neither JSON nor HTML")
        is_json = start == b"{"
    if is_json:
        return simple_json.read(response.body, response.url)
    return simple_html.read(response.body, response.url, charset or "utf-8")


def media_type(header: str) -> tuple[str, str]:
    """(type, charset) of a Content-Type header, in lower case."""
    kind, _, parameters = header.lower().partition(";")
    charset = re.search(r"\bcharset\s*=\s*\"?([^\s;\"]+)", parameters)
    return kind.strip(), charset[1] if charset else ""


def max_age_of(headers: Mapping[str, str]) -> int:
    """Seconds for which an answer need not be asked for again (RFC 9111, the part that pages use)."""
    control = headers.get("cache-control", "").lower()
    if re.search(r"\bno-(?:store|cache)\b", control):
        return 0
    found = re.search(r"\bmax-age\s*=\s*\"?(\d+)", control)
    if found is None:
        return DEFAULT_MAX_AGE
    age = headers.get("age", "")
    # A clock that runs wrong must not make a page fresh for ever.
    return max(0, min(int(found[1]) - (int(age) if age.isdigit() else 0), 365 * 86400))
