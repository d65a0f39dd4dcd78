"""OSV's service, spoken through a port: which advisories are about which versions, and what these say.

Versions are asked for in batches, which answer with ids; a record is fetched once for each of its states. The
caller gives the way to the network and keeps what was answered.

Source: https://google.github.io/osv.dev/post-v1-querybatch/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol
from urllib.parse import quote

from pypm_audit.advisories import Advisory, Malformed, read
from pypm_audit.matching import Subject
from pypm_model import versions
from pypm_model.errors import PypmError
from pypm_model.records import record
from pypm_model.versions import InvalidVersion

DEFAULT_ADDRESS = "https://api.osv.dev"
"""The public service; this is the only place where its address stands."""
BATCH = 1000
"""Versions in one question: the service takes no more."""
_MOST_PAGES = 100

Told = tuple[tuple[str, str], ...]
"""(id, state) of each advisory that is said to be about a version; the state is when it was modified."""


class Port(Protocol):
    """The way to the service. Both methods raise what keeps them from getting an answer."""

    @property
    def address(self) -> str:
        """For messages."""
        ...

    def post(self, path: str, body: bytes) -> bytes:
        """The answer to *body*, which is JSON."""
        ...

    def get(self, paths: Sequence[str]) -> list[bytes | None]:
        """The answers for *paths*, in their order; None where there is nothing."""
        ...


class ServiceStrange(PypmError):
    """The service answers something else than it promises."""

    code: ClassVar[str] = "advisories-strange"
    exit: ClassVar[int] = 2
    address: str
    reason: str

    def __str__(self) -> str:
        return f"{self.address} does not answer as OSV's service does: {self.reason}"

    @property
    def hint(self) -> str:
        return "look at the address, or audit with a snapshot: `pypm audit --db FILE`"


@record
class Fetched:
    """Records by id. What cannot be read stands there all the same, with what is wrong as its fault: that it
    is about a version was said before."""

    advisories: Mapping[str, Advisory]
    malformed: tuple[Malformed, ...] = ()


def ask(port: Port, subjects: Iterable[Subject]) -> dict[Subject, Told]:
    """What the service says of each subject. A local version is asked for as its public one.

    Raises `ServiceStrange`, and what *port* raises.
    """
    every = list(dict.fromkeys(subjects))
    found: dict[Subject, dict[str, str]] = {subject: {} for subject in every}
    for start in range(0, len(every), BATCH):
        waiting = [(subject, "") for subject in every[start : start + BATCH]]
        for _ in range(_MOST_PAGES):
            if not waiting:
                break
            waiting = _page(port, waiting, found)
        if waiting:
            raise ServiceStrange(port.address, f"there is no end of advisories about {waiting[0][0][0]}")
    return {subject: tuple(sorted(told.items())) for subject, told in found.items()}


def fetch(port: Port, ids: Iterable[str]) -> Fetched:
    """The records of *ids*. Raises what *port* raises."""
    wanted = sorted(set(ids))
    advisories: dict[str, Advisory] = {}
    malformed = []
    bodies = port.get([f"/v1/vulns/{quote(identity, safe='')}" for identity in wanted]) if wanted else []
    for identity, body in zip(wanted, bodies, strict=True):
        found = _read(body, identity)
        if isinstance(found, Malformed):
            malformed.append(found)
            found = Advisory(identity, faults=(f"its record cannot be read: {found.reason}",))
        advisories[identity] = found
    return Fetched(advisories, tuple(malformed))


def _read(body: bytes | None, identity: str) -> Advisory | Malformed:
    if body is None:
        return Malformed(identity, "the service does not have it")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        return Malformed(identity, f"it is no JSON ({error})")
    found = read(data, identity)
    if isinstance(found, Advisory) and found.id != identity:
        return Malformed(identity, f"the record is of {found.id}")
    return found


def _page(
    port: Port, waiting: Sequence[tuple[Subject, str]], found: dict[Subject, dict[str, str]]
) -> list[tuple[Subject, str]]:
    """Asks one question; who has more to be asked for, with the token to do it."""
    queries = [_query(subject, token) for subject, token in waiting]
    body = port.post("/v1/querybatch", json.dumps({"queries": queries}, separators=(",", ":")).encode())
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ServiceStrange(port.address, "the answer is no JSON") from None
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != len(waiting):
        raise ServiceStrange(port.address, f"there is no answer for each of {len(waiting)} versions")
    more = []
    for (subject, _), result in zip(waiting, results, strict=True):
        told = result.get("vulns", []) if isinstance(result, dict) else None if result is not None else []
        if not isinstance(told, list):
            raise ServiceStrange(port.address, f"the answer about {subject[0]} is no list of ids")
        for each in told:
            if not isinstance(each, dict) or not isinstance(each.get("id"), str) or not each["id"]:
                raise ServiceStrange(port.address, f"the answer about {subject[0]} names no id")
            modified = each.get("modified")
            found[subject][each["id"]] = modified if isinstance(modified, str) else ""
        token = result.get("next_page_token") if isinstance(result, dict) else None
        if isinstance(token, str) and token:
            more.append((subject, token))
    return more


def _query(subject: Subject, token: str) -> dict[str, Any]:
    name, version = subject
    query: dict[str, Any] = {"package": {"ecosystem": "PyPI", "name": name}, "version": _public(version)}
    return query | ({"page_token": token} if token else {})


def _public(version: str) -> str:
    try:
        return versions.public(version) if "+" in version else version
    except InvalidVersion:
        return version
