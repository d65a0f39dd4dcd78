"""Tar files unpacked as they are, by every Python."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

_AS_IT_IS: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
"""Python 3.11.4 and later want to be told (PEP 706)."""


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """All that is in *archive*, put into *folder*."""
    archive.extractall(folder, **_AS_IT_IS)
