"""Are a backend's answers what PEP 517 says they must be? What is wrong comes back as one phrase."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pypm_model.records import record
from pypm_model.zip_damage import ZIP_DAMAGE


@record
class Metadata:
    """The text of a METADATA file."""

    text: str


def checked_wheel(folder: Path, answer: object, *, name: str = "", version: str = "") -> Path | str:
    """The wheel that a hook says it has made in *folder*; it must bear *name* and *version* if given."""
    if not _is_plain_name(answer):
        return f"it answered {answer!r}, which is no file name"
    path = folder / str(answer)
    if path.is_symlink() or not path.is_file():
        return f"it answered {answer!r}, and made no such file"
    try:
        own_name, own_version, _, _ = parse_wheel_filename(path.name)
    except (InvalidWheelFilename, InvalidVersion) as error:
        return f"it made a file whose name is no wheel's: {error}"
    if name and own_name != canonicalize_name(name):
        return f"it made a wheel of {own_name} instead of {name}"
    if version and not _is_version(own_version, version):
        return f"it made version {own_version} instead of {version}"
    if not zipfile.is_zipfile(path):
        return f"{path.name} is no zip file"
    return path


def metadata_in(folder: Path, answer: object) -> Metadata | str:
    """METADATA in the ``.dist-info`` folder that a hook says it has made in *folder*."""
    if not _is_plain_name(answer):
        return f"it answered {answer!r}, which is no folder name"
    try:
        return Metadata((folder / str(answer) / "METADATA").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return f"its METADATA cannot be read: {error}"


def metadata_of_wheel(wheel: Path) -> Metadata | str:
    """METADATA in a wheel."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (
                n for n in archive.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1
            )
            return Metadata(archive.read(name).decode("utf-8"))
    except ZIP_DAMAGE as error:
        return f"{wheel.name} has no metadata that can be read: {error}"


def checked_requirements(answer: object) -> tuple[str, ...] | str:
    """Requirement texts that a ``get_requires_*`` hook answered."""
    if not isinstance(answer, (list, tuple)) or not all(isinstance(item, str) for item in answer):
        return f"it answered {answer!r}, which is no list of requirements"
    for item in answer:
        try:
            Requirement(item)
        except InvalidRequirement as error:
            return f"it asked for {item!r}, which is no requirement: {str(error).splitlines()[0]}"
    return tuple(answer)


def _is_plain_name(answer: object) -> bool:
    return (
        isinstance(answer, str)
        and answer not in ("", ".", "..")
        and not {"/", os.sep, "\\", "\0"} & set(answer)
    )


def _is_version(own: Version, wanted: str) -> bool:
    """Whether they are one version (``1.0`` is ``1``); a local part that a build adds is its own."""
    try:
        version = Version(wanted)
    except InvalidVersion:
        return False
    return own == version or (version.local is None and Version(own.public) == version)
