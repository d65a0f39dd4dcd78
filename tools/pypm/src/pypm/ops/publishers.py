"""Who published what is locked, by the attestations that indexes have (PEP 740)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pypm.ops.tools import Tools
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.locks import Lock, LockedPackage, Publisher
from pypm_model.records import record, replace
from pypm_model.sources import IndexSource, Source

Release = tuple[str, str, Source]
"""Name, version and source: one entry of a lock."""
_READERS = 8
"""Documents that are asked for at the same time."""


@record
class Documents:
    """Provenance objects by digest of the file they are about, and why others could not be read."""

    texts: Mapping[str, bytes]
    reasons: tuple[str, ...] = ()


def with_publishers(tools: Tools, lock: Lock, old: Iterable[Lock], kept: Lock | None = None) -> Lock:
    """*lock* with the publishers that an *old* lock has of the same release, or its index. What cannot be
    asked now is left out with a warning; that a package has another publisher than before is warned of.
    Of releases that are in *kept* nobody is asked."""
    before: dict[Release, tuple[Publisher, ...]] = {}
    by_name: dict[str, list[LockedPackage]] = {}
    for each in old:
        for package in each.packages:
            if package.publishers:
                before.setdefault((package.name, package.version, package.source), package.publishers)
                by_name.setdefault(package.name, []).append(package)
    settled = before.keys() | (set() if kept is None else set(map(_release, kept.packages)))
    unknown = [
        package
        for package in lock.packages
        if isinstance(package.source, IndexSource) and package.files and _release(package) not in settled
    ]
    asked = _asked(tools, unknown)
    known = {**before, **asked}
    if not known:
        return lock
    for package in unknown:
        # Where nobody's publisher could be told, nothing is known of this one's either.
        if asked and package.name in by_name:
            _warn(tools, package, asked.get(_release(package), ()), by_name[package.name])
    packages = tuple(
        replace(package, publishers=known[_release(package)]) if _release(package) in known else package
        for package in lock.packages
    )
    return replace(lock, packages=packages)


def _release(package: LockedPackage) -> Release:
    return package.name, package.version, package.source


def _asked(tools: Tools, packages: Sequence[LockedPackage]) -> dict[Release, tuple[Publisher, ...]]:
    """The publishers of *packages*: each is told by the first of its locked files that has attestations."""
    addresses = addresses_of(tools, packages)
    if tools.world.offline or not addresses:
        return {}
    from pypm_model.publishers import BadProvenance, publishers_in

    first: dict[str, LockedPackage] = {}
    wanted: dict[str, tuple[str, str, str]] = {}
    for package in packages:
        told = addresses.get(_release(package), {})
        for file in package.files:
            if file.sha256 in told and isinstance(package.source, IndexSource):
                first[file.sha256] = package
                wanted[file.sha256] = (told[file.sha256], package.source.index, file.filename)
                break
    documents = fetch(tools, wanted)
    for reason in documents.reasons:
        tools.world.listener(Warned("provenance-unread", reason))
    found = {}
    for digest, text in documents.texts.items():
        try:
            publishers = publishers_in(text)
        except BadProvenance as error:
            package = first[digest]
            message = f"the provenance of {package.name} {package.version} cannot be read: {error}"
            tools.world.listener(Warned("provenance-unread", message))
            continue
        if publishers:
            found[_release(first[digest])] = publishers
    return found


def _warn(
    tools: Tools, package: LockedPackage, now: tuple[Publisher, ...], before: Sequence[LockedPackage]
) -> None:
    if any(each.publishers == now for each in before):
        return
    from pypm_model.publishers import shown

    was = before[0]
    message = (
        f"{package.name} {package.version} was published by {shown(now)}, and {was.version}, which was "
        f"locked, by {shown(was.publishers)}"
    )
    tools.world.listener(Warned("publisher-changed", message))


def addresses_of(tools: Tools, packages: Iterable[LockedPackage]) -> dict[Release, Mapping[str, str]]:
    """Where the attestations of files are, by digest, of each release whose index has any, by the pages at
    hand."""
    asked = [(p.name, p.version, p.source.index) for p in packages if isinstance(p.source, IndexSource)]
    if not asked:
        return {}
    found = tools.catalog.provenance(asked)
    return {(name, version, IndexSource(index)): told for (name, version, index), told in found.items()}


def fetch(
    tools: Tools,
    wanted: Mapping[str, tuple[str, str, str]],
    done: Callable[[], None] = lambda: None,
) -> Documents:
    """The documents *wanted*: (address, name of the index, file) by digest."""
    from concurrent.futures import ThreadPoolExecutor

    connection = tools.catalog.connect() if wanted else None

    def ask(one: tuple[str, str, str]) -> bytes | str:
        address, index, filename = one
        assert connection is not None
        try:
            answer = connection.get(address, index=index, subject=f"{filename}'s provenance")
        except PypmError as error:
            return str(error)
        finally:
            done()
        return answer.body if answer.status == 200 else f"the provenance of {filename} is gone"

    texts: dict[str, bytes] = {}
    reasons: dict[str, None] = {}
    with ThreadPoolExecutor(_READERS, thread_name_prefix="provenance") as pool:
        for digest, answer in zip(wanted, pool.map(ask, wanted.values()), strict=True):
            if isinstance(answer, str):
                reasons[answer] = None
            else:
                texts[digest] = answer
    return Documents(texts, tuple(reasons))
