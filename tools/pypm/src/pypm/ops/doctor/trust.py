"""What trust stands on: OpenSSL, certificates, where credentials come from, tools that verify signatures."""

from __future__ import annotations

import netrc
import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from pypm.ops.counting import count
from pypm.ops.doctor.commands import find
from pypm.ops.doctor.finding import Said, issue, missing, note, ok
from pypm.ops.doctor.patient import Patient
from pypm_index.addresses import origin
from pypm_index.settings import Index

_OLDEST_OPENSSL = (1, 1, 1)
_SUPPORTED_OPENSSL = (3, 0, 0)
_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "PIP_CERT")
"""In the order in which they count; see `pypm_index.settings`."""


def openssl(patient: Patient) -> Iterator[Said]:
    """The TLS library pypm speaks with."""
    version, shown = ssl.OPENSSL_VERSION_INFO[:3], ssl.OPENSSL_VERSION
    if "OpenSSL" in shown and version < _OLDEST_OPENSSL:
        yield issue(f"{shown} is too old for many servers", "use a Python with OpenSSL 3")
    elif not (ssl.HAS_TLSv1_2 or ssl.HAS_TLSv1_3):
        yield issue(f"{shown} speaks neither TLS 1.2 nor 1.3", "use a Python with OpenSSL 3")
    elif "OpenSSL" in shown and version < _SUPPORTED_OPENSSL:
        yield note(f"{shown} gets no security releases any more", "use a Python with OpenSSL 3")
    else:
        yield ok(f"{shown}{', TLS 1.3' if ssl.HAS_TLSv1_3 else ''}")


def certificates(patient: Patient) -> Iterator[Said]:
    """Which certificates indexes are checked with."""
    place = patient.indexes().certificates
    if place:
        source = next(
            (name for name in _VARIABLES if patient.environ.get(name) == place), "pip's configuration"
        )
        yield _chosen(place, source)
        return
    paths = ssl.get_default_verify_paths()
    if os.name == "nt" or not (paths.openssl_cafile or paths.openssl_capath):
        yield ok("the system's own store")
        return
    # truststore looks in a few more places than OpenSSL was built to.
    for file in (paths.cafile, paths.openssl_cafile, *_BUNDLES):
        if file and os.path.isfile(file) and (number := _count(file)):
            yield ok(f"the system's own store: {number} in {file}")
            return
    folder = paths.capath
    if folder and os.path.isdir(folder) and os.listdir(folder):
        yield ok(f"the system's own store: {folder}")
        return
    needed = any(index.url.startswith("https:") for index in patient.indexes().all)
    told = "the system has no certificates"
    yield missing("https cannot be used" if needed else "", told, "apt install ca-certificates")


_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


def _chosen(place: str, source: str) -> Said:
    if os.path.isdir(place):
        names = os.listdir(place)
        if not names:
            return issue(
                f"{source} names {place}, which is empty", f"unset {source}, or put certificates there"
            )
        return ok(f"{place} ({source}), in place of the system's")
    number = _count(place)
    if number:
        return ok(f"{number} in {place} ({source}), in place of the system's")
    reason = "holds no certificate" if os.path.exists(place) else "is not there"
    return issue(
        f"{source} names {place}, which {reason}: no https works", f"unset {source}, or name another file"
    )


def _count(file: str) -> int:
    """How many certificates OpenSSL reads from *file*; 0 if it cannot."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file)
    except (OSError, ssl.SSLError):
        return 0
    return context.cert_store_stats()["x509"]


def netrc_file(patient: Patient) -> Iterator[Said]:
    """Whether the netrc file can be read, by its owner alone."""
    named = patient.environ.get("NETRC", "")
    places = [Path(named)] if named else [patient.home / ".netrc", patient.home / "_netrc"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        if named:
            yield note(f"NETRC names {named}, which is not there", "unset NETRC")
        else:
            yield ok("there is none")
        return
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        hosts: int | None = len(netrc.netrc(str(file)).hosts)
    except netrc.NetrcParseError as error:
        # Its words may be a password: the line alone is told.
        told = f"{file}, line {error.lineno}: it is no netrc file, and none of its credentials count"
        yield issue(told, f"edit {file}")
        hosts = None
    except UnicodeDecodeError:
        yield issue(f"{file} is not UTF-8, and none of its credentials count", f"edit {file}")
        hosts = None
    except OSError as error:
        yield issue(f"{file} cannot be read: {(error.strerror or '').lower()}", f"chmod 600 {file}")
        return
    if os.name == "posix" and mode & 0o077:
        who = "everybody" if mode & 0o007 else "its group"
        yield issue(
            f"{who} may read the credentials in {file}", f"chmod 600 {file}", lambda: file.chmod(0o600)
        )
    elif hosts is not None:
        yield ok(f"{file}: {count(hosts, 'host')}")


def keyring(patient: Patient) -> Iterator[Said]:
    """The keyring command, for indexes whose password is said nowhere else."""
    command = find("keyring", patient.environ)
    if command is not None:
        yield ok(command)
        return
    wanting = [index for index in patient.indexes().all if _wants_password(index)]
    needed = "; ".join(f"index {index.name!r} has a user and no password" for index in wanting)
    fix = "pip install keyring"
    if wanting:
        fix = f"set {wanting[0].variable}_PASSWORD, or install keyring"
    yield missing(needed, "the keyring command is not installed", fix)


def _wants_password(index: Index) -> bool:
    return index.credentials is not None and not index.credentials.password


def signing(patient: Patient) -> Iterator[Said]:
    """Tools that make and verify signatures."""
    found = {name: find(name, patient.environ) for name in ("gpg", "sigstore", "cosign")}
    there = [path for path in found.values() if path]
    yield ok(", ".join(there) if there else "no gpg, sigstore or cosign, and nothing here needs one")


def index_hygiene(patient: Patient) -> Iterator[Said]:
    """Addresses of indexes: encrypted, without secrets in files, and who decides them."""
    quiet = True
    for index in patient.indexes().all:
        if index.url.startswith("http:") and not _is_local(index.url):
            quiet = False
            yield issue(
                f"index {index.name!r} is not encrypted ({index.url}): anybody on the way may read"
                " credentials, and change what is locked",
                "use its https address",
            )
    if patient.workspace is not None:
        for setting in patient.workspace.indexes:
            if "@" in setting.url.partition("://")[2].partition("/")[0]:
                quiet = False
                index_ = patient.indexes().named(setting.name)
                yield issue(
                    f"the address of index {setting.name!r} has credentials in it"
                    f" ({patient.workspace.place(setting.written)}): whoever reads the file has them",
                    f"take them out, and set {index_.variable}_USERNAME and {index_.variable}_PASSWORD",
                )
    for name in ("PYPM_INDEX_URL", "PIP_INDEX_URL"):
        if patient.environ.get(name):
            default = next((index for index in patient.indexes().all if index.default), None)
            if default is not None:
                quiet = False
                effect = f"the default index is {default.url}" if name == "PYPM_INDEX_URL" else "pip's index"
                yield ok(f"{name} is set: {effect}")
            break
    if quiet:
        yield ok(", ".join(f"{index.name} ({index.url})" for index in patient.indexes().all))


def _is_local(url: str) -> bool:
    host = origin(url)[1]
    return host in ("localhost", "::1") or host.startswith("127.")
