"""The file that says who uses what of the store, for `pypm_store.leases`."""

from __future__ import annotations

import os

from pypm_model.digests import sha256

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from collections.abc import Iterable

LEASES = "leases"
"""The folder of leases in the store."""
REMADE = "remade"
"""Its folder with a file for each tree that was damaged and made anew (`pypm_store.remade`)."""
NEEDS = "needs"
"""Stands among the digests of a lease that needs them."""


def lease_name(owner: str) -> str:
    """The name of the owner's lease."""
    return sha256(os.fsencode(owner)).hexdigest()[:32]


def lease_text(owner: str, digests: Iterable[str], *, needs: bool) -> bytes:
    """The lease of *owner* (a path), who uses *digests*."""
    text = "".join(f"{digest}\n" for digest in (*sorted(digests), *([NEEDS] if needs else [])))
    # An owner's path may hold anything but NUL, also line ends: it comes last.
    return text.encode() + b"\n" + os.fsencode(owner)
