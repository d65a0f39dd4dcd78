"""What the tests of bundles share: small bundles without an interpreter, in every format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.wheels import make_wheel, sha256
from pypm_bundle.archives import EPOCH, LEVELS
from pypm_bundle.contents import Entry, Item, Link, OnDisk, Written, in_order
from pypm_bundle.distributions import Distribution, Place, WheelFile, read_distribution
from pypm_bundle.writing import Packing, Summary, write

FORMS = {"tar.gz": "b.tar.gz", "tar.zst": "b.tar.zst", "zip": "b.zip"}
PLACE = Place("python3.11", "lib/python3.11/site-packages", "include/site/python3.11")


@dataclass
class Bench:
    """A folder in which bundles are made."""

    folder: Path

    def distribution(self, name: str = "acme", version: str = "1.0", **more: Any) -> Distribution:
        """A wheel made by `make_wheel`, seen as what it becomes."""
        wheel = make_wheel(self.folder / "wheels", name, version, **more)
        return read_distribution(WheelFile(wheel, wheel.name, sha256(wheel), version), PLACE)

    def items(self) -> list[Item]:
        """A bit of everything: of a wheel, written, of the disk, empty, long names, links."""
        other = self.folder / "other"
        other.write_bytes(b"other " * 1000)
        long = "share/" + "/".join(["folder"] * 30) + "/" + "ü" * 60
        items: list[Item] = [
            *self.distribution(files={"acme/__init__.py": "x = 1\n" * 500, "acme/empty.py": ""}).items,
            Entry("bin/tool", Written(b"#!/bin/sh\n"), executable=True),
            Entry("share/empty", Written(b"")),
            Entry("share/other", OnDisk(other)),
            Entry(long, Written(b"long")),
            Entry("share/exact", Written(b"x" * 512)),
            Link("bin/alias", "tool"),
        ]
        return in_order(items)

    def write(self, form: str, *, name: str = "", items: list[Item] | None = None, **more: Any) -> Summary:
        """A bundle of *items* (default: of everything)."""
        target = self.folder / (name or FORMS[form])
        most = more.pop("most", None)
        packing = Packing(form, more.pop("level", LEVELS[form]), time=EPOCH, **more)
        return write(target, self.items() if items is None else items, {"name": "b"}, packing, most=most)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
