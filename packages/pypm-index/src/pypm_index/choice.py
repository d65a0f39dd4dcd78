"""Which file of a version is read for the version's dependencies: always the same one.

Wheels of one version may differ in what they ask for; which one counts must not hang on the machine
or on the order of a page. The best is the one that most environments could use.
"""

from __future__ import annotations

from collections.abc import Sequence

from pypm_index import filenames
from pypm_model.names import NormalizedName
from pypm_model.requests import BuildPolicy
from pypm_store.pages import FileRow

_systems = ("any", "manylinux", "linux", "macosx", "win", "musllinux")
_machines = ("any", "x86_64", "universal2", "amd64", "aarch64", "arm64")


def best(rows: Sequence[FileRow], name: NormalizedName, policy: BuildPolicy) -> FileRow | None:
    """The file to read: the best wheel, else the best sdist; None if there is nothing to read.

    Order of wheels: for any platform before one, manylinux before others, x86-64 before others; then
    Python 3 in general, the stable ABI, the newest CPython; last by name. Names for which wheels are
    never used (``no-binary``) have their sdist read.
    """
    wheels = [row for row in rows if row.artifact.is_wheel] if policy.takes_wheels(name) else []
    candidates = wheels or [row for row in rows if not row.artifact.is_wheel]
    return min(candidates, key=lambda row: _rank(row, name), default=None)


def _rank(row: FileRow, name: NormalizedName) -> tuple[int, int, int, int, int, str]:
    filename = row.artifact.filename
    parsed = filenames.parse(filename, name)
    if parsed is None or parsed.tags is None:
        # Of sdists the form that everybody makes today.
        return 0, 0, 0, 0, 0 if filename.endswith(".tar.gz") else 1, filename
    python, abi, platform = parsed.tags.split("-")
    system = _position(_systems, platform)
    machine = _position(_machines, platform, at_end=True)
    if "py3" in python.split("."):
        language = 0
    elif abi == "abi3":
        language = 1
    else:
        language = 2 if python.startswith("cp3") and not abi.endswith("t") else 3
    newest = max(
        (int(tag[3:]) for tag in python.split(".") if tag[:3] == "cp3" and tag[3:].isdigit()), default=0
    )
    return system, machine, language, -newest, len(platform), filename


def _position(words: Sequence[str], text: str, *, at_end: bool = False) -> int:
    for position, word in enumerate(words):
        if text.endswith(word) if at_end else text.startswith(word):
            return position
    return len(words)
