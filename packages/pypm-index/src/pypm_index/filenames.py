"""Version and tags in the names of wheels and sdists (PEP 427, PEP 625 and what came before).

Called for every file of every page that changed, so the common forms are cut by hand; in the tests
``packaging.utils`` is the judge. What is no wheel and no sdist (eggs, Windows installers, RPMs,
signatures) and what cannot be told apart is None, never an error.
"""

from __future__ import annotations

from functools import lru_cache

from pypm_model.names import NormalizedName, normalize
from pypm_model.patterns import pattern
from pypm_model.records import NamedTuple
from pypm_model.versions import is_valid


class FileName(NamedTuple):
    """What a file name says."""

    version: str
    """As written, and valid."""
    tags: str | None
    """``py3-none-any``, ``cp39.cp310-abi3-manylinux1_x86_64.manylinux2014_x86_64``; None for an sdist."""
    build: str = ""
    """A wheel's build number, as written."""


_plain = pattern(r"[0-9]+(?:\.[0-9]+)*")

SDISTS = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")


def parse(filename: str, name: str) -> FileName | None:
    """What *filename* says as a file of the project with the normalised *name*; None if it is no
    wheel or sdist of that project with a valid version."""
    if filename.endswith(".whl"):
        return _wheel(filename, name)
    return _sdist(filename, name)


def project_names(filename: str) -> tuple[NormalizedName, ...]:
    """The normalised names of projects that *filename* may belong to, in the order to try them: for
    a folder of files, where nothing else says it. Old sdists leave the place of the cut open."""
    if filename.endswith(".whl"):
        return (normalize(filename.split("-", 1)[0]),)
    stem = _stem(filename)
    if not stem:
        return ()
    cuts = [at for at, letter in enumerate(stem) if letter == "-" and at]
    return tuple(normalize(stem[:at]) for at in cuts if is_valid(stem[at + 1 :]))


def _wheel(filename: str, name: str) -> FileName | None:
    parts = filename[:-4].split("-")
    count = len(parts)
    if count == 5:
        build = ""
    elif count == 6 and parts[2][:1].isdigit():
        build = parts[2]
    else:
        # Six parts without a build number: a variant label or whatever comes next. Not for us.
        return None
    if normalize(parts[0]) != name:
        return None
    version = parts[1]
    if not _is_version(version):
        # Versions from before PEP 625 had their dashes escaped: 1.0_1 was 1.0-1, 1.0_dev was 1.0-dev.
        version = version.replace("_", "-")
        if not _is_version(version):
            return None
    return FileName(version, "-".join(parts[-3:]), build)


def _stem(filename: str) -> str:
    for suffix in SDISTS:
        if filename.endswith(suffix):
            return filename[: -len(suffix)]
    return ""


def _sdist(filename: str, name: str) -> FileName | None:
    stem = _stem(filename)
    if not stem:
        return None
    # The name is usually as long as its normal form; runs of separators make it longer.
    at = len(name)
    if stem[at : at + 1] == "-" and normalize(stem[:at]) == name and _is_version(stem[at + 1 :]):
        return FileName(stem[at + 1 :], None)
    for at, letter in enumerate(stem):
        if letter == "-" and normalize(stem[:at]) == name and _is_version(stem[at + 1 :]):
            return FileName(stem[at + 1 :], None)
    return None


@lru_cache(maxsize=16384)
def _is_version(text: str) -> bool:
    return is_plain(text) or is_valid(text)


def is_plain(text: str) -> bool:
    """Whether *text* is numbers and dots: a valid version, as most are. A quarter of the time of
    looking closely."""
    return _plain.fullmatch(text) is not None and len(text) < 100


@lru_cache(maxsize=16384)
def expand(tags: str) -> tuple[str, ...]:
    """Every tag of a compressed tag set (PEP 425), sorted: ``py2.py3-none-any`` gives two."""
    pythons, abis, platforms = tags.split("-")
    return tuple(
        sorted(
            f"{python}-{abi}-{platform}"
            for python in pythons.split(".")
            for abi in abis.split(".")
            for platform in platforms.split(".")
        )
    )
