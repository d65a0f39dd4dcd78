"""What OSV's service knows, asked over the network; what it said is kept for a while in the store."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import ClassVar
from urllib.parse import urlsplit

from pypm.ops.auditing.known import Known, open_database
from pypm.ops.tools import Tools
from pypm_audit.advisories import Advisory, Malformed
from pypm_audit.errors import NoAdvisories
from pypm_audit.matching import Subject, match
from pypm_audit.service import DEFAULT_ADDRESS, Told, ask, fetch
from pypm_index.addresses import redacted
from pypm_index.errors import IndexFailed
from pypm_index.ports import Response
from pypm_index.transport import Transport
from pypm_model.errors import PypmError

ADDRESS = "PYPM_OSV_URL"
FRESH = 600.0
"""Seconds for which an answer is taken to be still right."""
_ASKERS = 8
"""Records that are fetched at the same time."""


class BadServiceAddress(PypmError):
    """What is to be asked for advisories has no address of the web."""

    code: ClassVar[str] = "advisories-address"
    exit: ClassVar[int] = 2
    address: str

    def __str__(self) -> str:
        return f"{self.address!r} is no address of a service (https://...)"


def address_of(tools: Tools, asked: str) -> str:
    """The service to ask: of the command line, the environment, the workspace, or the public one.
    Raises `BadServiceAddress`."""
    chosen = asked or tools.world.environ.get(ADDRESS, "") or tools.settings.audit.osv_url or DEFAULT_ADDRESS
    address = chosen.rstrip("/").removesuffix("/v1")
    try:
        parts = urlsplit(address)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment:
        raise BadServiceAddress(redacted(chosen))
    return address


class _Port:
    """The service at one address."""

    def __init__(self, tools: Tools, address: str) -> None:
        self._transport = Transport(tools.indexes, tools.world.environ)
        self._base = address
        self.address = redacted(address)

    def post(self, path: str, body: bytes) -> bytes:
        return self._checked(self._transport.post(self._base + path, body), path)

    def get(self, paths: Sequence[str]) -> list[bytes | None]:
        with ThreadPoolExecutor(_ASKERS, thread_name_prefix="osv") as pool:
            return list(pool.map(self._get, paths))

    def _get(self, path: str) -> bytes | None:
        answer = self._transport.get(self._base + path)
        return None if answer.status in (404, 410) else self._checked(answer, path)

    def _checked(self, answer: Response, path: str) -> bytes:
        if answer.status != 200:
            raise IndexFailed("", "", self.address + path, answer.status)
        return answer.body

    def close(self) -> None:
        self._transport.close()


def from_service(tools: Tools, subjects: Sequence[Subject], address: str) -> Known:
    """What the service at *address* knows. Answers that are younger than `FRESH` are not asked for again,
    unless everything is to be. Raises `ServiceStrange` and the errors of `pypm_index.errors`."""
    started = time.time()
    with open_database(tools) as database:
        since = started if tools.world.refresh else started - FRESH
        told = database.answers(subjects, since)
        missing = [subject for subject in subjects if subject not in told]
        with closing(_Port(tools, address)) as port:
            fresh = ask(port, missing)
            told |= fresh
            wanted = {each for some in told.values() for each in some}
            here = database.known(wanted)
            fetched = fetch(port, [identity for identity, _ in wanted if identity not in here])
        if fresh or fetched.advisories:
            states = dict(wanted)
            database.keep(fresh, {i: (states[i], each) for i, each in fetched.advisories.items()}, started)
        return _matched(told, {**here, **fetched.advisories}, port.address, fetched.malformed)


def from_answers(tools: Tools, subjects: Sequence[Subject]) -> Known:
    """What the service said once, however long ago. Raises `NoAdvisories` if it was not asked about all of
    *subjects*."""
    with open_database(tools) as database:
        told = database.answers(subjects, 0)
        if len(told) < len(set(subjects)):
            raise NoAdvisories()
        wanted = {each for some in told.values() for each in some}
        here = database.known(wanted)
        # One that could not be read when it was fetched is not kept.
        lost = [
            Malformed(identity, "it could not be read when it was fetched")
            for identity, _ in sorted(wanted)
            if identity not in here
        ]
        stubs = {bad.source: Advisory(bad.source, faults=(bad.reason,)) for bad in lost}
        return _matched(told, {**here, **stubs}, "answers from before", tuple(lost))


def _matched(
    told: Mapping[Subject, Told],
    advisories: Mapping[str, Advisory],
    source: str,
    malformed: tuple[Malformed, ...],
) -> Known:
    ids = {subject: [identity for identity, _ in some] for subject, some in told.items()}
    every = tuple(advisories.values())
    return Known(match(told, every, ids), every, source, malformed)
