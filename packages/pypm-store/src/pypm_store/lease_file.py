"""The file that says who uses what of the store, for `pypm_store.leases`.

An environment may be moved, and what names it by its path would take it to be gone. So a lease has a witness
where the file system can link: a file in the store that is also in the environment. As long as it has two
names the environment is somewhere.
"""

from __future__ import annotations

import os

from pypm_model.digests import sha256
from pypm_store.atomic import write_atomically, write_new

TYPE_CHECKING = False  # as in `typing`, which a sync that only links does not load
if TYPE_CHECKING:
    from collections.abc import Iterable

LEASES = "leases"
"""The folder of leases in the store."""
REMADE = "remade"
"""Its folder with a file for each tree that was damaged and made anew (`pypm_store.remade`)."""
NEEDS = "needs"
"""Stands among the digests of a lease that needs them."""
WITNESS = "pypm-lease"
"""In an environment: the other name of its lease's witness."""
_SAYS = b"Tells pypm's store, which has this file too, that the environment is there, wherever it is moved.\n"
_NAMED = "witness-"
"""So does the lease name its witness, among the digests."""


def lease_name(owner: str) -> str:
    """The name of the owner's lease."""
    return sha256(os.fsencode(owner)).hexdigest()[:32]


def put_lease(
    folder: str, owner: str, digests: Iterable[str], *, needs: bool, made_in: str | None = None
) -> None:
    """Writes the lease of *owner* (a path), who uses *digests*; *made_in* is where it still is. The lease of
    another environment that was moved away from there is kept under another name. Raises OSError."""
    path, place = f"{folder}/{lease_name(owner)}", made_in or owner
    name = _name_in(path)
    if name and not is_witness_of(witness_path(folder, name), place):
        if is_witnessed(witness_path(folder, name)):
            os.rename(path, f"{path}-{name}")
        else:
            _unlink(witness_path(folder, name))
        name = ""
    write_atomically(path, _text(owner, digests, needs, name or _new_witness(folder, place)))


def parse_lease(content: bytes) -> tuple[str, frozenset[str], bool, str]:
    """(owner, digests, whether it needs them, name of the witness) of a lease."""
    lines, _, owner = (b"\n" + content).partition(b"\n\n")
    words = frozenset(lines.decode().split())
    named = [word for word in words if word.startswith(_NAMED)]
    name = named[0].removeprefix(_NAMED) if named else ""
    return os.fsdecode(owner), words - {NEEDS, *named}, NEEDS in words, name


def witness_path(folder: str, name: str) -> str:
    """Where a witness is in the folder of leases."""
    return f"{folder}/.{_NAMED}{name}"


def is_witnessed(witness: str) -> bool:
    """Whether the witness is in an environment, too."""
    try:
        return os.stat(witness).st_nlink > 1
    except OSError:
        return False


def is_witness_of(witness: str, place: str) -> bool:
    """Whether the witness is the one in the environment at *place*."""
    try:
        return os.path.samefile(witness, f"{place}/{WITNESS}")
    except OSError:
        return False


def _text(owner: str, digests: Iterable[str], needs: bool, witness: str) -> bytes:
    more = [NEEDS] if needs else []
    more += [_NAMED + witness] if witness else []
    text = "".join(f"{digest}\n" for digest in (*sorted(digests), *more))
    # An owner's path may hold anything but NUL, also line ends: it comes last.
    return text.encode() + b"\n" + os.fsencode(owner)


def _name_in(path: str) -> str:
    """The name of the witness of the lease at *path*; empty if it has none."""
    try:
        with open(path, "rb", 0) as file:
            return parse_lease(file.read())[3]
    except OSError:
        return ""


def _new_witness(folder: str, place: str) -> str:
    """The name of a new witness, which the environment at *place* has; empty where that cannot be."""
    name = os.urandom(8).hex()
    path, other = witness_path(folder, name), f"{place}/{WITNESS}"
    try:
        os.stat(f"{place}/pyvenv.cfg")  # else it is no environment, and nothing is put there
        write_new(path, _SAYS)
        try:
            os.link(path, other)
        except FileExistsError:  # a copy's, or that of a lease that is no more
            os.unlink(other)
            os.link(path, other)
        if is_witnessed(path):  # not every file system counts names
            return name
        _unlink(other)
    except OSError:
        pass  # another device, no environment at all: then the path alone tells
    _unlink(path)
    return ""


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
