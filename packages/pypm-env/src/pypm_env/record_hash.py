"""Digests as RECORD has them (PEP 376, 427)."""

from __future__ import annotations

from binascii import b2a_base64

from pypm_model.digests import sha256

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def record_hash(content: bytes) -> str:
    """``sha256=`` and the digest of *content*, base64 for URLs without padding."""
    encoded = b2a_base64(sha256(content).digest(), newline=False).rstrip(b"=").translate(_URL_SAFE)
    return f"sha256={encoded.decode()}"
