"""A bill of materials, whatever it is written as: what something is made of, and what of it needs what."""

from __future__ import annotations

from collections.abc import Iterator

from pypm_audit.licenses import License
from pypm_audit.purls import file_qualifiers
from pypm_model.artifacts import Artifact
from pypm_model.records import record


@record
class Component:
    """One thing that something is made of."""

    ref: str
    """Its name in this bill, unique in it."""
    name: str
    version: str = ""
    kind: str = "library"
    """A type of CycloneDX: ``application``, ``library``, ``operating-system``..."""
    purl: str = ""
    """Empty: nothing that others could find under this name."""
    cpe: str = ""
    summary: str = ""
    author: str = ""
    license: License = License()
    links: tuple[tuple[str, str], ...] = ()
    """(kind of address as CycloneDX calls it, address)."""
    hashes: tuple[tuple[str, str], ...] = ()
    """(algorithm as CycloneDX spells it, hexadecimal), of the one file that it is."""
    files: tuple[Artifact, ...] = ()
    """What it may be installed from, sorted by name."""
    address: str = ""
    """Where it is from, if that is no index: an address as SPDX writes it."""
    is_excluded: bool = False
    """It is no part of what runs: only dependency groups ask for it."""
    properties: tuple[tuple[str, str], ...] = ()
    """Sorted by name."""
    needs: tuple[str, ...] = ()
    """Refs, sorted."""
    parts: tuple[Component, ...] = ()
    """What is inside of it, sorted by ref: no other component has them as parts."""

    def file_purl(self, file: Artifact) -> str:
        """The package URL of one of `files`."""
        return f"{self.purl}{'&' if '?' in self.purl else '?'}{file_qualifiers(file)}"


@record
class Bill:
    """What *subject* is made of."""

    subject: Component
    components: tuple[Component, ...]
    """Sorted by ref; *subject* is none of them."""
    tool: str
    """Version of pypm."""
    moment: str = ""
    """When it is from, RFC 3339 in UTC; empty: not said."""
    is_complete: bool = True
    """What is inside of its components was looked at, and what they say of themselves."""

    def every(self) -> Iterator[Component]:
        """The subject, all components, and what is inside of them."""
        yield self.subject
        waiting = list(reversed(self.components))
        while waiting:
            one = waiting.pop()
            yield one
            waiting += reversed(one.parts)
