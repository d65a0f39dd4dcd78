"""Indexes over the network: reachable, quick, who they take us for, and what time they have."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

from pypm.ops.doctor.finding import Said, issue, note, ok, unknown
from pypm.ops.doctor.patient import Once, Patient
from pypm_index.addresses import origin, redacted
from pypm_index.connections import Pool
from pypm_index.errors import BadPage
from pypm_index.page_fetch import ACCEPT, page_url, read_page
from pypm_index.records import UnreadablePage
from pypm_index.settings import Index
from pypm_index.transport import Transport
from pypm_model.errors import PypmError
from pypm_model.names import NormalizedName
from pypm_model.records import record, replace
from pypm_model.sources import IndexSource

SECONDS = 8.0
_SLOW = 1.0
"""Seconds for one page from which an index is called slow."""
_ASKED = NormalizedName("pip")
"""The page to ask for where nothing is locked: every index that mirrors the public one has it, and one that
has not says so quickly."""
_SKEW_NOTE, _SKEW_ISSUE = 60.0, 300.0
"""Seconds: many kinds of tokens and signatures allow five minutes."""


@record
class Answer:
    """How one index answered."""

    index: Index
    asked: NormalizedName
    is_locked: bool
    """What was asked for is locked from this index: it must be there."""
    seconds: float = 0.0
    status: int = 0
    skew: float | None = None
    """Seconds this machine's clock is ahead of the server's."""
    error: PypmError | None = None


def answers_of(patient: Patient) -> Once[tuple[Answer, ...]]:
    """The answers of all indexes on the web: each is asked once, for all checks."""
    found: Once[tuple[Answer, ...]] = patient.shared.setdefault("answers", Once(lambda: _ask_all(patient)))
    return found


def indexes(patient: Patient) -> Iterator[Said]:
    """Whether each index answers, and how quickly."""
    for index in patient.indexes().all:
        folder = index.folder
        if folder is None:
            continue
        if folder.is_dir():
            yield ok(f"{index.name}: the folder {folder}")
        else:
            yield issue(f"index {index.name!r} is the folder {folder}, which is not there", f"mkdir {folder}")
    web = [index for index in patient.indexes().all if index.folder is None]
    if patient.world.offline:
        for index in web:
            yield unknown(f"{index.name} ({index.url}) was not asked: pypm is offline")
        return
    for answer in answers_of(patient)():
        yield _judged(answer)


def _judged(answer: Answer) -> Said:
    name, url = answer.index.name, answer.index.url
    if answer.error is not None:
        return issue(str(answer.error), answer.error.hint or f"look whether {url} is the right address")
    if answer.status in (404, 410) and answer.is_locked:
        return issue(
            f"index {name!r} has no {answer.asked}, which is locked from it ({url})",
            "look whether the address is right, and who you are to it",
        )
    told = f"{name} answers in {answer.seconds * 1000:.0f} ms ({url})"
    if answer.seconds > _SLOW:
        return note(f"{told}: that is slow", "use a mirror nearby: PYPM_INDEX_URL")
    return ok(told)


def clock(patient: Patient) -> Iterator[Said]:
    """This machine's clock, by those of the indexes."""
    if patient.world.offline:
        yield unknown("pypm is offline: there is no clock to compare with")
        return
    skews = [answer.skew for answer in answers_of(patient)() if answer.skew is not None]
    if not skews:
        yield unknown("no index said what time it is")
        return
    skew = min(skews, key=abs)
    told = f"this machine's clock is {abs(skew):.0f} seconds {'ahead' if skew > 0 else 'behind'}"
    fix = "timedatectl set-ntp true"
    if abs(skew) > _SKEW_ISSUE:
        yield issue(f"{told}: certificates, tokens and cooldowns are judged by it", fix)
    elif abs(skew) > _SKEW_NOTE:
        yield note(told, fix)
    else:
        yield ok("right to within a minute")


def proxy(patient: Patient) -> Iterator[Said]:
    """Which proxy is used for which index."""
    pool = Pool("", patient.environ, SECONDS)
    direct = []
    for index in patient.indexes().all:
        if index.folder is not None:
            continue
        where = origin(index.url)
        address = pool.proxy(where)
        if not address:
            direct.append(index.name)
            continue
        scheme = address.partition("://")[0].lower()
        if scheme != "http" and not (scheme == "https" and where[0] == "http"):
            yield issue(
                f"index {index.name!r} is to be asked through {redacted(address)}: proxies of the kind {scheme}://"
                " are not supported",
                "name an http:// proxy in HTTPS_PROXY, or the host in NO_PROXY",
            )
        else:
            yield ok(f"{index.name} through {redacted(address)}")
    if direct:
        yield ok(f"{', '.join(direct)} without a proxy")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        upper, lower = patient.environ.get(name), patient.environ.get(name.lower())
        if upper and lower and upper != lower:
            yield note(f"{name} and {name.lower()} differ; the lower case one counts", f"unset {name}")


def _ask_all(patient: Patient) -> tuple[Answer, ...]:
    """Asks one page of each index, with one attempt. Raises what reading the settings raises."""
    found = patient.indexes()
    web = [index for index in found.all if index.folder is None]
    locked = _locked_names(patient)
    transport = Transport(found, patient.environ, timeout=SECONDS, attempts=1)
    try:
        with ThreadPoolExecutor(max_workers=max(1, min(len(web), 8))) as workers:
            return tuple(workers.map(lambda index: _ask(transport, index, locked.get(index.name)), web))
    finally:
        transport.close()


def _ask(transport: Transport, index: Index, locked: NormalizedName | None) -> Answer:
    asked = locked or _ASKED
    answer = Answer(index, asked, locked is not None)
    began = time.perf_counter()
    try:
        got = transport.get(
            page_url(index, asked), index=index.name, subject=asked, headers={"Accept": ACCEPT}
        )
    except PypmError as error:
        return replace(answer, error=error)
    seconds = time.perf_counter() - began
    skew = skew_of(got.headers, time.time())
    if got.status == 200:
        try:
            read_page(got)
        except UnreadablePage as error:
            unreadable = BadPage(index.name, asked, redacted(got.url), str(error))
            return replace(answer, seconds=seconds, status=200, skew=skew, error=unreadable)
    return replace(answer, seconds=seconds, status=got.status, skew=skew)


def skew_of(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that *now* is ahead of what a server's headers say; None if they say nothing."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    age = headers.get("age", "")
    # A cache sends the time at which the answer was made, and how old it is.
    return now - theirs - (int(age) if age.isdigit() else 0)


def _locked_names(patient: Patient) -> dict[str, NormalizedName]:
    """For each index a name that is locked from it."""
    if not patient.lock_is_there:
        return {}
    try:
        packages = patient.lock().packages
    except PypmError:
        return {}
    found: dict[str, NormalizedName] = {}
    for package in packages:
        if isinstance(package.source, IndexSource):
            found.setdefault(package.source.index, package.name)
    return found
