"""What the name of a wheel says (PEP 427, PEP 425), read without ``packaging``: about 3 µs a name."""

from __future__ import annotations

import re
from functools import lru_cache

from pypm_model import versions
from pypm_model.names import NormalizedName, normalize
from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple
from pypm_model.versions import InvalidVersion


class InvalidWheelName(ValueError):
    """The file name is no wheel's, or has a part that this pypm does not know."""

    def __init__(self, filename: str, reason: str) -> None:
        self.filename = filename
        self.reason = reason
        super().__init__(f"invalid wheel name {filename!r}: {reason}")


class WheelName(NamedTuple):
    """The parts of a wheel's file name."""

    name: NormalizedName
    version: str
    """As spelled in the file name."""
    build: tuple[()] | tuple[int, str]
    """The build number and what follows it; empty if there is none, which is lower than any."""
    tags: tuple[str, ...]
    """Every ``python-abi-platform`` that the compressed tags stand for, lower case, as written."""


_project = pattern(r"[\w.]+")
_build = pattern(r"([0-9]+)(.*)", re.DOTALL)


def parse_wheel_filename(filename: str) -> WheelName:
    """The parts of *filename*. Raises `InvalidWheelName`.

    Six parts are five and a build number, which begins with a digit; any other sixth part (as the drafts
    on wheel variants have it) makes the file one for installers that know more.
    """
    if not filename.endswith(".whl"):
        raise InvalidWheelName(filename, "it does not end in .whl")
    parts = filename[:-4].split("-")
    if len(parts) not in (5, 6):
        raise InvalidWheelName(filename, f"it has {len(parts)} parts, not 5 or 6")
    name, version = parts[:2]
    if "__" in name or _project.fullmatch(name) is None:
        raise InvalidWheelName(filename, f"{name!r} is no name of a project")
    try:
        versions.parse(version)
    except InvalidVersion:
        raise InvalidWheelName(filename, f"{version!r} is no version") from None
    build: tuple[()] | tuple[int, str] = ()
    if len(parts) == 6:
        match = _build.fullmatch(parts[2])
        if match is None:
            raise InvalidWheelName(filename, f"{parts[2]!r} is no build number")
        build = int(match[1]), match[2]
    tags = expand(*parts[-3:])
    if not tags:
        raise InvalidWheelName(filename, "its tags are not complete")
    return WheelName(normalize(name), version, build, tags)


@lru_cache(maxsize=4096)
def expand(python: str, abi: str, platform: str) -> tuple[str, ...]:
    """Every tag that a compressed tag set (``py2.py3``, ``none``, ``any``) stands for; none if a part is
    empty or no interpreter can be called so."""
    sets = [part.lower().split(".") for part in (python, abi, platform)]
    if not all(all(part) for part in sets) or not all(p.isidentifier() for p in sets[0]):
        return ()
    return tuple([f"{p}-{a}-{o}" for p in sets[0] for a in sets[1] for o in sets[2]])
