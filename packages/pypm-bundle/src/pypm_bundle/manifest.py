"""`pypm-bundle.json`, the last file of a bundle: what it is, and of every other file in it the sha256, and
whether it is executable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pypm_model.records import record

NAME = "pypm-bundle.json"
FORMAT = 1
"""Written into the file; a reader refuses a newer one."""


@record
class Manifest:
    """What a bundle should be."""

    facts: Mapping[str, Any]
    """Everything but the files: JSON."""
    files: Mapping[str, str]
    """Path → sha256."""
    links: Mapping[str, str]
    """Path → target."""
    executable: frozenset[str] | None = None
    """Paths of the files that are; None: the manifest is an older one, which does not say."""

    @property
    def borrowed(self) -> frozenset[str]:
        """Paths of the machine's interpreter, which a bundle that brought none has where it is installed."""
        if self.facts.get("kind") != "no-interpreter":
            return frozenset()
        return frozenset({"pyvenv.cfg", "bin/python", "bin/python3", str(self.facts["python"]["executable"])})

    def to_text(self) -> str:
        """The file; one line for each file of the bundle, sorted."""
        data = {"format": FORMAT, **self.facts, "files": dict(self.files), "links": dict(self.links)}
        if self.executable is not None:
            data["executable"] = sorted(self.executable)
        return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def read_manifest(text: bytes) -> Manifest:
    """What `Manifest.to_text` wrote. ValueError, saying why in a clause, for anything else."""
    try:
        data = json.loads(text)
        number = data.pop("format")
        files, links = data.pop("files"), data.pop("links")
        executable = data.pop("executable", None)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"{NAME} cannot be read") from error
    if not isinstance(number, int) or number > FORMAT:
        raise ValueError(f"it has format {number}, which is newer than this pypm knows ({FORMAT})")
    for table in (files, links):
        if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
            raise ValueError(f"{NAME} cannot be read")
    if executable is None:
        return Manifest(data, files, links)
    if not isinstance(executable, list) or not all(isinstance(path, str) for path in executable):
        raise ValueError(f"{NAME} cannot be read")
    return Manifest(data, files, links, frozenset(executable))
