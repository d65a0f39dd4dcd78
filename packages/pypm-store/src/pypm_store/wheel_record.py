"""RECORD: which files a wheel has, with their hashes (PEP 376, binary distribution format)."""

from __future__ import annotations

import csv
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_hex, b2a_base64

from pypm_model.records import NamedTuple
from pypm_store.archive_rules import UnsafeArchive

_LENGTHS = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Hashes that count: "sha256 or better"."""
_URL_SAFE = str.maketrans("+/", "-_", "=")


class Recorded(NamedTuple):
    """One row."""

    algorithm: str
    digest: bytes
    size: int | None
    text: str
    """Algorithm and digest as RECORD writes them."""


def read_record(file: str, own: str, text: str) -> dict[str, Recorded | None]:
    """RECORD's rows by path; None for a row without hash and size (only RECORD itself and its
    signatures may be so). *own* is RECORD's path, *file* the wheel's name for errors.

    Raises `UnsafeArchive` for rows that cannot be read, weak hashes, and two rows of one path.
    """
    rows: dict[str, Recorded | None] = {}
    for path, digest, size in _rows(file, own, text):
        if path in rows:
            raise UnsafeArchive(file, "record-twice", path, "RECORD lists it twice")
        if not digest:
            if path != own and path not in (f"{own}.jws", f"{own}.p7s") and not path.endswith("/"):
                raise UnsafeArchive(file, "record-no-hash", path, "RECORD has no hash for it")
            rows[path] = None
            continue
        algorithm, _, encoded = digest.partition("=")
        length = _LENGTHS.get(algorithm)
        if length is None:
            raise UnsafeArchive(
                file, "record-weak-hash", path, f"RECORD has a hash of kind {algorithm!r} for it"
            )
        if len(encoded) == 2 * length:
            # Written in hexadecimal, as sphinx-theme-builder did for years; base64 of it is shorter.
            digest = f"{algorithm}={_in_base64(encoded)}"
            encoded = digest.partition("=")[2]
        try:
            # What `base64.urlsafe_b64decode` does, for thousands of rows.
            plain = encoded.replace("-", "+").replace("_", "/")
            value = a2b_base64(f"{plain}{'=' * (-len(encoded) % 4)}")
            number = int(size) if size else None
        except (Base64Error, ValueError):
            value, number = b"", None
        if len(value) != length:
            raise UnsafeArchive(file, "record-unreadable", path, "its row in RECORD cannot be read")
        rows[path] = Recorded(algorithm, value, number, digest)
    return rows


def _in_base64(text: str) -> str:
    """Hexadecimal digits as RECORD has to have them; empty if they are none."""
    try:
        value = a2b_hex(text)
    except (Base64Error, ValueError):
        return ""
    return b2a_base64(value, newline=False).decode().translate(_URL_SAFE)


def _rows(file: str, own: str, text: str) -> list[tuple[str, str, str]]:
    if '"' not in text:
        # Without quotes CSV is splitting; nearly every RECORD is so, and has thousands of rows.
        rows = [line.split(",") for line in text.splitlines() if line]
    else:
        try:
            rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
        except csv.Error as error:
            raise UnsafeArchive(file, "record-unreadable", own, str(error)) from error
    for row in rows:
        if len(row) != 3:
            raise UnsafeArchive(file, "record-unreadable", own, f"a row has {len(row)} fields: {row[0]!r}")
    return [(row[0], row[1], row[2]) for row in rows]
