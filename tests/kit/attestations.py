"""Attestations (PEP 740) whose signatures are right, by a Sigstore that is made here: an authority,
a log of certificates and a log of signatures, each with a key of its own. Needs the extra's libraries."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pypi_attestations import AttestationType

SIGNED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
_AT_ONCE = timedelta()
_FOR_EVER = timedelta(days=36500)
_CLAIMS = "1.3.6.1.4.1.57264.1."
_CERTIFICATE_LOGGED = "1.3.6.1.4.1.11129.2.4.2"
_PAYLOAD = "application/vnd.in-toto+json"


def statement(filename: str, sha256: str, **more: object) -> dict[str, Any]:
    """What an index's publisher signs of a file."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
        "predicateType": AttestationType.PYPI_PUBLISH_V1.value,
        "predicate": None,
        **more,
    }


class Sigstore:
    """Issues certificates to workflows of GitHub and logs what they sign."""

    def __init__(self) -> None:
        self._authority, self._certificates, self._signatures = (_key() for _ in range(3))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority.example.test")])
        self._root = (
            x509.CertificateBuilder(name, name, self._authority.public_key(), 1)
            .not_valid_before(SIGNED_AT - timedelta(days=1))
            .not_valid_after(SIGNED_AT + _FOR_EVER)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._authority.public_key()), critical=False
            )
            .sign(self._authority, hashes.SHA256())
        )

    def trusted_root(self) -> dict[str, Any]:
        """The document that verifiers are given (``trusted_root.json``)."""
        since = {"start": "2025-01-01T00:00:00Z"}

        def log(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
            return {
                "baseUrl": "https://log.example.test",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": _base64(_public(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": since,
                },
                "logId": {"keyId": _base64(_key_id(key))},
            }

        chain = {"certificates": [{"rawBytes": _base64(self._root.public_bytes(Encoding.DER))}]}
        authority = {
            "subject": {"organization": "example.test", "commonName": "authority.example.test"},
            "uri": "https://authority.example.test",
            "certChain": chain,
            "validFor": since,
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(self._signatures)],
            "certificateAuthorities": [authority],
            "ctlogs": [log(self._certificates)],
            "timestampAuthorities": [],
        }

    def attest(
        self,
        said: Mapping[str, Any],
        repository: str,
        workflow: str,
        *,
        logged_after: timedelta = timedelta(),
    ) -> dict[str, Any]:
        """An attestation of *said* by a workflow of *repository*, logged so long after it was signed; the
        certificate is good for ten minutes."""
        key = _key()
        certificate = self._issue(key, repository, workflow)
        text = json.dumps(said).encode()
        signature = key.sign(
            b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(text), text), _ecdsa()
        )
        pem = certificate.public_bytes(Encoding.PEM)
        body = {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
                "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(text).hexdigest()},
                "signatures": [{"signature": _base64(signature), "verifier": _base64(pem)}],
            },
        }
        return {
            "version": 1,
            "envelope": {"statement": _base64(text), "signature": _base64(signature)},
            "verification_material": {
                "certificate": _base64(certificate.public_bytes(Encoding.DER)),
                "transparency_entries": [self._log(_canonical(body), SIGNED_AT + logged_after)],
            },
        }

    def _issue(self, key: ec.EllipticCurvePrivateKey, repository: str, workflow: str) -> x509.Certificate:
        place = f"https://github.com/{repository}"
        claims = {
            8: "https://token.actions.githubusercontent.com",
            12: place,
            14: "refs/tags/v1",
            18: f"{place}/.github/workflows/{workflow}@refs/tags/v1",
        }
        builder = (
            x509.CertificateBuilder(self._root.subject, x509.Name([]), key.public_key(), 2)
            .not_valid_before(SIGNED_AT)
            .not_valid_after(SIGNED_AT + timedelta(minutes=10))
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(claims[18])]), critical=True
            )
        )
        for number, value in claims.items():
            builder = builder.add_extension(_extension(f"{_CLAIMS}{number}", b"\x0c", value.encode()), False)
        before = builder.sign(self._authority, hashes.SHA256()).tbs_certificate_bytes
        entry = hashlib.sha256(_public(self._authority)).digest() + len(before).to_bytes(3, "big") + before
        millis = int(SIGNED_AT.timestamp() * 1000)
        signature = self._certificates.sign(struct.pack("!BBQH", 0, 0, millis, 1) + entry + b"\0\0", _ecdsa())
        stamp = struct.pack("!B32sQHBBH", 0, _key_id(self._certificates), millis, 0, 4, 3, len(signature))
        stamps = _sized(_sized(stamp + signature))
        builder = builder.add_extension(_extension(_CERTIFICATE_LOGGED, b"\x04", stamps), False)
        return builder.sign(self._authority, hashes.SHA256())

    def _log(self, body: bytes, at: datetime) -> dict[str, Any]:
        """The one entry of a log."""
        key, root = _key_id(self._signatures), hashlib.sha256(b"\0" + body).digest()
        note = f"log.example.test\n1\n{_base64(root)}\n"
        signed = key[:4] + self._signatures.sign(note.encode(), _ecdsa())
        when = int(at.timestamp())
        promised = {"body": _base64(body), "integratedTime": when, "logID": key.hex(), "logIndex": 0}
        return {
            "logIndex": "0",
            "logId": {"keyId": _base64(key)},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(when),
            "inclusionPromise": {
                "signedEntryTimestamp": _base64(self._signatures.sign(_canonical(promised), _ecdsa()))
            },
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": _base64(root),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": {"envelope": f"{note}\n\u2014 log.example.test {_base64(signed)}\n"},
            },
            "canonicalizedBody": _base64(body),
        }


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _ecdsa() -> ec.ECDSA:
    return ec.ECDSA(hashes.SHA256())


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_public(key)).digest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sized(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _extension(oid: str, tag: bytes, value: bytes) -> x509.UnrecognizedExtension:
    """*value*, of less than 256 bytes, as one DER value of *tag*."""
    size = len(value)
    length = (
        bytes([size])
        if size < 128
        else bytes([0x81, size])
        if size < 256
        else b"\x82" + struct.pack("!H", size)
    )
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), tag + length + value)


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
