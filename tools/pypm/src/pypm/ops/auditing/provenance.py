"""``pypm audit --provenance``: signatures of attestations (PEP 740), by the library `pypi_attestations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from pypm.ops.publishers import addresses_of, fetch
from pypm.ops.tools import Tools
from pypm_audit.findings import PROVENANCE_INVALID, Finding
from pypm_audit.severity import Severity
from pypm_model.errors import PypmError
from pypm_model.events import Advanced, Finished, Started
from pypm_model.facts import ListingKey
from pypm_model.locks import LockedPackage
from pypm_model.records import record
from pypm_model.sources import IndexSource

EXTRA = "pypm[provenance]"


class ProvenanceUnavailable(PypmError):
    """Signatures cannot be verified here."""

    code: ClassVar[str] = "provenance-unavailable"
    exit: ClassVar[int] = 2
    reason: str
    help: str = ""

    def __str__(self) -> str:
        return f"attestations cannot be verified: {self.reason}"

    @property
    def hint(self) -> str | None:
        return self.help or None


class InvalidAttestation(ValueError):
    """An attestation does not vouch for the file; says why in one clause."""


@record
class Verification:
    """What became of the attestations of some packages."""

    findings: tuple[Finding, ...]
    verified: int
    """Files with one attestation or more, that are all right."""
    unattested: int
    """Locked files of indexes that have none."""


Verify = Callable[[bytes, str, str], None]
"""(provenance object, file name, sha256): raises `InvalidAttestation` unless every publisher it names has an
attestation, there is one at least, and each is of that file and signed by that publisher."""


def verified(tools: Tools, packages: Sequence[LockedPackage], verify: Verify | None = None) -> Verification:
    """Verifies what indexes have for every locked file of *packages*. A file without attestations is no
    finding. Raises `ProvenanceUnavailable` without the library, offline, and where what signatures are
    verified with, or an attestation, cannot be had."""
    check = verify or library()
    if tools.world.offline:
        raise ProvenanceUnavailable("they have to be fetched, and no network may be used")
    sources = [(package.name, package.source) for package in packages]
    tools.catalog.request(ListingKey(n, s.index) for n, s in sources if isinstance(s, IndexSource))
    tools.catalog.wait()  # their pages say where attestations are
    addresses = addresses_of(tools, packages)
    owners: dict[str, tuple[LockedPackage, str]] = {}
    wanted: dict[str, tuple[str, str, str]] = {}
    unattested = 0
    for package in packages:
        if not isinstance(package.source, IndexSource):
            continue
        told = addresses.get((package.name, package.version, package.source), {})
        for file in package.files:
            if file.sha256 in told:
                owners[file.sha256] = package, file.filename
                wanted[file.sha256] = (told[file.sha256], package.source.index, file.filename)
            else:
                unattested += 1
    listener = tools.world.listener
    listener(Started("verify", total=len(wanted)))
    documents = fetch(tools, wanted, lambda: listener(Advanced("verify")))
    if documents.reasons:
        raise ProvenanceUnavailable(documents.reasons[0])
    bad: dict[tuple[str, str], list[str]] = {}
    good = 0
    for digest, text in documents.texts.items():
        package, filename = owners[digest]
        try:
            check(text, filename, digest)
            good += 1
        except InvalidAttestation as error:
            bad.setdefault((package.name, package.version), []).append(f"{filename}: {error}")
    listener(Finished("verify"))
    found = []
    for package in packages:
        if reasons := bad.pop((package.name, package.version), None):
            more = f" (and {len(reasons) - 1} more files)" if len(reasons) > 1 else ""
            summary = f"its attestation is not right: {reasons[0]}{more}"
            kind = PROVENANCE_INVALID
            found.append(
                Finding(kind, kind, package.name, package.version, summary, severity=Severity("critical"))
            )
    return Verification(tuple(found), good, unattested)


def library(offline: bool = False) -> Verify:
    """How signatures are verified; *offline* with the roots of trust that the library brings, not the newest.
    Raises `ProvenanceUnavailable` without the library."""
    try:
        import logging

        import pypi_attestations as found  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from pydantic import ValidationError
        from sigstore import errors  # type: ignore[import-not-found,import-untyped,unused-ignore]

        # It would say for each attestation that it does not bring its roots of trust up to date again.
        logging.getLogger("sigstore").setLevel(logging.ERROR)
    except ImportError:
        help = f"it is an extra: install `{EXTRA}`"
        raise ProvenanceUnavailable("the library pypi-attestations is not installed", help) from None
    unavailable = (errors.TUFError, errors.NetworkError, errors.MetadataError, errors.RootError, OSError)

    def verify(document: bytes, filename: str, sha256: str) -> None:
        nonlocal offline
        try:
            provenance: Any = found.Provenance.model_validate_json(document)
            distribution = found.Distribution(name=filename, digest=sha256)
        except ValidationError as error:
            raise InvalidAttestation(f"it is none: {_fault(error.errors()[0])}") from None
        if not provenance.attestation_bundles:
            raise InvalidAttestation("there is no attestation")
        for bundle in provenance.attestation_bundles:
            if not bundle.attestations:
                raise InvalidAttestation("a publisher is named, and there is no attestation")
            for attestation in bundle.attestations:
                try:
                    attestation.verify(bundle.publisher, distribution, offline=offline)
                except found.AttestationError as error:
                    raise InvalidAttestation(" ".join(str(error).split())) from None
                except unavailable as error:
                    raise ProvenanceUnavailable(" ".join(str(error).split())) from None
                except Exception as error:
                    # Roots of trust were had, so it is over the attestation that the library stumbled.
                    raise InvalidAttestation(f"it cannot be read: {' '.join(str(error).split())}") from None
                # What signatures are verified with was brought up to date by the first.
                offline = True

    return verify


def _fault(fault: Mapping[str, Any]) -> str:
    """What pydantic found, as a clause: ``attestation_bundles.0.publisher: field required``."""
    message = str(fault["msg"])
    return ": ".join(
        part for part in (".".join(map(str, fault["loc"])), message[:1].lower() + message[1:]) if part
    )
