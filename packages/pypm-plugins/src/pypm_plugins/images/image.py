"""What is asked of an executable file, whatever its format."""

from __future__ import annotations

from pypm_model.records import record


@record
class Image:
    """A library, program or object file as its head and its table of symbols tell it."""

    format: str
    """``ELF``, ``Mach-O`` or ``PE``."""
    kind: str
    """``library``, ``program`` or ``other``."""
    machines: tuple[str, ...]
    """Architectures it is for, as Linux names them: ``x86_64``, ``aarch64``; several in a universal file."""
    functions: frozenset[str]
    """Those of the names that were asked for that it defines and exports as a function."""


class BadImage(ValueError):
    """The bytes are not what their beginning promises; says in which way, in one clause."""


def check_extent(end: int, size: int) -> None:
    """Raises `BadImage` if something ends at *end* in a file of *size* bytes."""
    if end > size:
        raise BadImage(f"it is cut short: {size} bytes, where {end} are spoken of")
