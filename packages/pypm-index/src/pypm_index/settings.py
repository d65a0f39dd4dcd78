"""Which indexes are asked, in which order, and as whom.

Strength, strongest first, for the address of the default index: the flag, ``PYPM_INDEX_URL``, an
``[[index]]`` of the workspace with ``default = true``, ``PIP_INDEX_URL``, pip's configuration file,
`DEFAULT_INDEX_URL`. What replaces only the address keeps the default index's name, so that a lock
reads the same behind a mirror.

Of pip's settings only the address of the one index, and the certificates, are taken. Its
``extra-index-url`` and ``find-links`` are not: pip mixes the files of all of them, so whoever can
publish a name on one of them can replace a package of another (dependency confusion). Here the
first index that has a name is the only one that is asked for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pypm_index.addresses import origin, userinfo, without_userinfo
from pypm_index.errors import BadIndex, UnknownIndex
from pypm_model.digests import sha256
from pypm_model.later import later
from pypm_model.records import field, record, replace

if TYPE_CHECKING:
    from urllib import parse
else:
    parse = later("urllib.parse")

DEFAULT_INDEX_URL = "https://pypi.org/simple/"
"""The public index; this is the only place where its address stands."""

DEFAULT_INDEX_NAME = "pypi"
FIND_LINKS_NAME = "find-links"


@record
class Credentials:
    """User and password for one origin. Never shown: the record prints without them."""

    user: str = field(repr=False)
    password: str = field(repr=False)


@record
class Index:
    """One index. Equal indexes are the same index under the same name."""

    name: str
    url: str
    """Without credentials. Of the web: ends with ``/``; else a ``file://`` address of a folder."""
    explicit: bool = False
    """Asked only for names that a source pins to it."""
    default: bool = False
    """Stands in the place of the public index, last in order."""
    credentials: Credentials | None = field(default=None, compare=False)

    @property
    def folder(self) -> Path | None:
        """The folder of a local index; None for one on the web."""
        if not self.url.startswith("file://"):
            return None
        parts = parse.urlsplit(self.url)
        path = parse.unquote(parts.path)
        if re.match(r"/[A-Za-z]:", path):
            # file:///C:/wheels; `Path.from_uri` is of Python 3.13, and `url2pathname` loads ssl.
            path = path[1:]
        elif parts.netloc and parts.netloc != "localhost":
            path = f"//{parts.netloc}{path}"
        return Path(path)

    @property
    def identity(self) -> str:
        """What the cache knows this index by: of the address, never of the name or of credentials."""
        return sha256(self.url.encode()).hexdigest()[:24]

    @property
    def variable(self) -> str:
        """The beginning of the names of the variables with its credentials: ``PYPM_INDEX_ACME``."""
        return "PYPM_INDEX_" + re.sub(r"[^A-Z0-9]", "_", self.name.upper())


@record
class PipConfig:
    """What pip's own variables and files say (see `pypm_index.pip_config`)."""

    index_url: str = ""
    cert: str = ""
    """A file with certificates."""


@record
class Indexes:
    """All indexes, and how they are to be reached."""

    all: tuple[Index, ...]
    """In order of priority; the default one last."""
    stated_certificates: str = ""
    """What variables say of `certificates`."""
    pip: Callable[[], PipConfig] = PipConfig
    """Reads what pip has been told. Looked at only where it counts: most runs connect to nothing."""

    @classmethod
    def from_settings(
        cls,
        indexes: Sequence[Index] = (),
        find_links: Sequence[str] = (),
        environ: Mapping[str, str] = os.environ,
        pip_config: Callable[[], PipConfig] = PipConfig,
        *,
        index_url: str = "",
        no_index: bool = False,
        root: Path | None = None,
    ) -> Indexes:
        """The indexes of a run.

        *indexes* are the workspace's, in its order; *find_links* folders that are asked before all of
        them; *index_url* is the flag; *no_index* leaves only *find_links*. Relative folders are
        relative to *root* (default: the current folder). Raises `BadIndex`.
        """
        base = root if root is not None else Path.cwd()
        links = [
            _checked(Index(FIND_LINKS_NAME if not at else f"{FIND_LINKS_NAME}-{at + 1}", link), base, environ)
            for at, link in enumerate(find_links)
        ]
        for link in links:
            if link.folder is None:
                raise BadIndex(link.name, f"{link.url} is no folder: give an index on the web as [[index]]")
        certificates = (
            environ.get("SSL_CERT_FILE")
            or environ.get("REQUESTS_CA_BUNDLE")
            or environ.get("SSL_CERT_DIR")
            or environ.get("PIP_CERT")
            or ""
        )
        if no_index:
            return cls(tuple(links), certificates, pip_config)
        checked = [_checked(index, base, environ) for index in indexes]
        defaults = [index for index in checked if index.default]
        if len(defaults) > 1:
            raise BadIndex(defaults[1].name, f"{defaults[0].name!r} is the default index already")
        if defaults and defaults[0].explicit:
            raise BadIndex(defaults[0].name, "an index cannot be both explicit and the default")
        default = defaults[0] if defaults else Index(DEFAULT_INDEX_NAME, DEFAULT_INDEX_URL, default=True)
        address = index_url or environ.get("PYPM_INDEX_URL", "")
        if not address and not defaults:
            address = environ.get("PIP_INDEX_URL", "") or pip_config().index_url
        if address:
            default = replace(default, url=address, credentials=None)
        default = _checked(default, base, environ)
        ordered = (*links, *(index for index in checked if not index.default), default)
        seen: dict[str, Index] = {}
        for index in ordered:
            if index.name in seen:
                raise BadIndex(index.name, "the name is used twice")
            seen[index.name] = index
        return cls(ordered, certificates, pip_config)

    @property
    def certificates(self) -> str:
        """A file or folder with certificates to trust in place of the system's; empty: the system's."""
        return self.stated_certificates or self.pip().cert

    @property
    def implicit(self) -> tuple[Index, ...]:
        """Those that are asked for a name nobody pinned, in order."""
        return tuple([index for index in self.all if not index.explicit])

    def named(self, name: str) -> Index:
        """The index of that name. Raises `UnknownIndex`."""
        for index in self.all:
            if index.name == name:
                return index
        raise UnknownIndex(name, tuple(index.name for index in self.all))


def _checked(index: Index, base: Path, environ: Mapping[str, str]) -> Index:
    """*index* with a normal address and its credentials, from the variables or else the address."""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", index.name):
        raise BadIndex(index.name, "a name is letters, digits, and . _ - between them")
    url = index.url.strip()
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", url):
        if not url:
            raise BadIndex(index.name, "it has no address")
        path = base / Path(url).expanduser()
        return replace(index, url=Path(os.path.abspath(path)).as_uri() + "/")
    scheme = url.partition("://")[0].lower()
    try:
        host = origin(url)[1]
        inside = userinfo(url)
    except ValueError as error:
        raise BadIndex(index.name, f"its address is none: {error}") from None
    plain = without_userinfo(url).partition("#")[0].partition("?")[0].rstrip("/") + "/"
    if scheme == "file":
        return replace(index, url=plain)
    if scheme not in ("http", "https"):
        raise BadIndex(index.name, f"{scheme}:// is not supported (http, https, file or a folder)")
    if not host:
        raise BadIndex(index.name, "its address has no host")
    user = environ.get(f"{index.variable}_USERNAME", "")
    password = environ.get(f"{index.variable}_PASSWORD", "")
    credentials = index.credentials
    if user or password:
        # A token alone is a password; the user name that token registries ignore or expect.
        credentials = Credentials(user or "__token__", password)
    elif inside is not None:
        credentials = Credentials(*inside)
    return replace(index, url=plain, credentials=credentials)
