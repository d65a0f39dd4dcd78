"""What can go wrong between pypm and an index: records, each naming the index and what was asked for.

Every address in them has been redacted.
"""

from __future__ import annotations

from typing import ClassVar

from pypm_model.errors import PypmError


class IndexTrouble(PypmError):
    """The base of what an index did; *index* is its name, empty for a direct address, *subject* the
    package or file that was asked for."""

    index: str
    subject: str
    url: str

    code: ClassVar[str] = "index"

    def _asked(self) -> str:
        where = f"index {self.index!r}" if self.index else self.url.partition("?")[0]
        return f"{where}, asked for {self.subject}," if self.subject else where


class IndexUnreachable(IndexTrouble):
    """No answer: the name does not resolve, nobody listens, the line breaks, time runs out."""

    reason: str
    attempts: int = 1

    code: ClassVar[str] = "index-unreachable"

    def __str__(self) -> str:
        tries = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        return f"{self._asked()} cannot be reached: {self.reason}{tries}"

    @property
    def hint(self) -> str | None:
        return "check the network and the address, or use --offline to work from the cache"


class IndexFailed(IndexTrouble):
    """The server says that it failed (5xx, 429), or answers what no index should."""

    status: int
    attempts: int = 1

    code: ClassVar[str] = "index-failed"

    def __str__(self) -> str:
        tries = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        return f"{self._asked()} answers with HTTP status {self.status}{tries}"

    @property
    def hint(self) -> str | None:
        return "that is the server's fault: try again later, or use --offline to work from the cache"


class CredentialsNeeded(IndexTrouble):
    """401: no credentials were sent, or wrong ones."""

    sent: bool
    variable: str
    netrc: str = ""
    """Why the netrc file could not be looked into, if it could not: one clause."""

    code: ClassVar[str] = "index-credentials"

    def __str__(self) -> str:
        what = "does not accept the credentials it was given" if self.sent else "asks for credentials"
        return f"{self._asked()} {what} (HTTP status 401)"

    @property
    def hint(self) -> str | None:
        if not self.variable:
            return f"{self._mend}put the credentials for this host into your netrc file"
        return (
            f"{self._mend}set {self.variable}_USERNAME and {self.variable}_PASSWORD, or use netrc or keyring"
        )

    @property
    def _mend(self) -> str:
        return f"{self.netrc}: mend it; or " if self.netrc else ""


class AccessForbidden(IndexTrouble):
    """403: the server knows who asks, and does not allow it; not the same as an unknown name."""

    code: ClassVar[str] = "index-forbidden"

    def __str__(self) -> str:
        return f"{self._asked()} does not allow access (HTTP status 403)"

    @property
    def hint(self) -> str | None:
        return (
            "this is not taken for an unknown name; if the index answers so for names that it"
            " does not have, make it explicit"
        )


class FileGone(IndexTrouble):
    """404 or 410 for a file that a page or a lock names."""

    status: int

    code: ClassVar[str] = "file-gone"

    def __str__(self) -> str:
        return f"{self.subject} is no longer at {self.url} (HTTP status {self.status})"

    @property
    def hint(self) -> str | None:
        return "ask the index again with --refresh; if the file is gone there, lock another version"


class BadPage(IndexTrouble):
    """The page is no page of the simple API, or of a version that this pypm does not read."""

    reason: str

    code: ClassVar[str] = "index-page-unreadable"

    def __str__(self) -> str:
        return f"the page of index {self.index!r} for {self.subject} cannot be read: {self.reason}"

    @property
    def hint(self) -> str | None:
        return f"is {self.url} the address of a package index?"


class BadRedirect(IndexTrouble):
    """Sent in circles, or from an encrypted connection to an open one."""

    reason: str

    code: ClassVar[str] = "index-redirect"

    def __str__(self) -> str:
        return f"{self._asked()} redirects badly: {self.reason}"


class WrongHash(IndexTrouble):
    """The bytes are not the ones that were promised; they have not been kept."""

    expected: str
    got: str

    code: ClassVar[str] = "wrong-hash"

    def __str__(self) -> str:
        return (
            f"{self.subject} from {self.url} has the wrong sha256: expected {self.expected}, got {self.got}"
        )

    @property
    def hint(self) -> str | None:
        return (
            "the file was changed on the way or on the index: it was not kept; find out why before going on"
        )


class WrongSize(IndexTrouble):
    """More or fewer bytes than were promised; they have not been kept."""

    expected: int
    got: int

    code: ClassVar[str] = "wrong-size"

    def __str__(self) -> str:
        return (
            f"{self.subject} from {self.url} has the wrong size:"
            f" expected {self.expected} bytes, got {self.got}"
        )


class OfflineMissing(PypmError):
    """--offline, and the cache does not have what is needed."""

    subject: str
    index: str = ""

    code: ClassVar[str] = "offline-missing"

    def __str__(self) -> str:
        where = f" of index {self.index!r}" if self.index else ""
        return f"{self.subject}{where} is not in the cache, and pypm is offline"

    @property
    def hint(self) -> str | None:
        return "run once without --offline"


class UnknownIndex(PypmError):
    """A source or a key names an index that is not configured."""

    index: str
    known: tuple[str, ...]

    code: ClassVar[str] = "unknown-index"
    exit: ClassVar[int] = 2

    def __str__(self) -> str:
        return f"no index is named {self.index!r} (known: {', '.join(self.known) or 'none'})"


class BadIndex(PypmError):
    """An index is configured wrongly."""

    index: str
    reason: str

    code: ClassVar[str] = "index-setting"
    exit: ClassVar[int] = 2

    def __str__(self) -> str:
        return f"index {self.index!r}: {self.reason}"


class BadTimeout(PypmError):
    """`PYPM_HTTP_TIMEOUT` is no number of seconds."""

    value: str

    code: ClassVar[str] = "bad-timeout"
    exit: ClassVar[int] = 2

    def __str__(self) -> str:
        return f"PYPM_HTTP_TIMEOUT is {self.value!r}, which is no number of seconds above 0"


class BadSource(PypmError):
    """A direct source cannot be used: nothing there, not an archive, another project."""

    name: str
    source: str
    reason: str

    code: ClassVar[str] = "bad-source"

    def __str__(self) -> str:
        return f"{self.name} from {self.source}: {self.reason}"


class GitFailed(PypmError):
    """The git command failed."""

    url: str
    doing: str
    reason: str

    code: ClassVar[str] = "git-failed"

    def __str__(self) -> str:
        return f"git cannot {self.doing} from {self.url}: {self.reason}"
