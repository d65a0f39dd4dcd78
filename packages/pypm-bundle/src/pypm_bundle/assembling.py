"""The parts of a bundle put together: one list of files in a fixed order, and the facts about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pypm_bundle.bundle_errors import BundleConflict
from pypm_bundle.contents import Entry, Item, Packed, Written, in_order
from pypm_bundle.distributions import Distribution
from pypm_env.launchers import FIND_ITSELF
from pypm_model.events import Listener, Warned

SCRIPT = "share/pypm/bundle.py"
_RUNS = """\
#!/bin/sh
# {about}
{find_itself}\
here=${{self%/*}}
{python}\
exec "$python" -I -B "$here/{script}" {verb} "$@"
"""
_INSIDE = """\
python=$here/bin/{python}
"""
_OF_THE_MACHINE = """\
python=${{PYTHON:-{python}}}
command -v "$python" > /dev/null || {{
  echo "error[no-python]: there is no $python on this machine: PYTHON names another one" >&2
  exit 2
}}
"""
_ABOUT = {
    "install": "Makes an environment of this bundle in the new folder DIR: ./install.sh DIR",
    "verify": "Compares every file of this bundle with its digest.",
}


def tools(python: str, *, inside: bool = True) -> list[Item]:
    """``install.sh``, ``verify.sh`` and the script they run with *python*: the bundle's own, or if it is not
    *inside* the machine's, which ``PYTHON`` may name."""
    runs = (_INSIDE if inside else _OF_THE_MACHINE).format(python=python)
    source = Path(__file__).with_name("bundle_script.py").read_bytes()
    items: list[Item] = [Entry(SCRIPT, Written(source.replace(b"\r\n", b"\n")))]
    for verb, about in _ABOUT.items():
        text = _RUNS.format(find_itself=FIND_ITSELF, about=about, python=runs, script=SCRIPT, verb=verb)
        items.append(Entry(f"{verb}.sh", Written(text.encode()), executable=True))
    return items


def assembled(own: Iterable[Item], distributions: Sequence[Distribution], listener: Listener) -> list[Item]:
    """All files of a bundle in order: its *own*, which no distribution may have, and those of
    *distributions*. Of two that have different files in one place the one whose name sorts last wins, as in
    an environment, with a warning. Raises `BundleConflict`."""
    found: dict[str, Item] = {}
    owners: dict[str, str] = {}
    for item in own:
        if item.path in found:
            raise BundleConflict(item.path, ("the bundle", "the bundle"))
        found[item.path], owners[item.path] = item, "the bundle"
    for one in sorted(distributions, key=lambda one: one.name.lower()):
        for item in one.items:
            before = owners.get(item.path)
            if before == "the bundle":
                raise BundleConflict(item.path, (one.name, before))
            if before is not None and not _same(found[item.path], item):
                listener(
                    Warned(
                        "file-conflict",
                        f"{before} and {one.name} both have {item.path}: the latter's is taken",
                    )
                )
            found[item.path], owners[item.path] = item, one.name
    for path in found:
        folder = path.rpartition("/")[0]
        while folder:
            if folder in found:
                raise BundleConflict(folder, (owners[folder], owners[path]))
            folder = folder.rpartition("/")[0]
    return in_order(list(found.values()))


def _same(one: Item, other: Item) -> bool:
    match one, other:
        case Entry(_, Packed() as first), Entry(_, Packed() as second):
            return (first.size, first.crc, first.digest) == (second.size, second.crc, second.digest)
        case _:
            return one == other


def facts(
    *,
    kind: str,
    name: str,
    members: Sequence[str],
    python: Mapping[str, object],
    platform: str,
    glibc: tuple[int, int],
    lock: str,
    sbom: str,
    distributions: Sequence[Distribution],
    pinned: frozenset[str],
    libraries: Sequence[str],
    left_out: Sequence[str],
    pypm: str,
) -> dict[str, object]:
    """What the manifest says besides its files. A wheel that was built has no digest there: its content is
    the same wherever it is built, its bytes need not be. *pinned* are the digests that the lock has."""
    wheels = []
    for one in sorted(distributions, key=lambda one: one.name.lower()):
        digest = {"sha256": one.sha256, "file": one.filename} if one.sha256 in pinned else {}
        wheels.append({"name": one.name, "version": one.version, **digest})
    return {
        "kind": kind,
        "name": name,
        "members": sorted(members),
        "python": dict(python),
        "platform": platform,
        "glibc": ".".join(map(str, glibc)) if glibc != (0, 0) else None,
        "lock": lock,
        "sbom": sbom,
        "wheels": wheels,
        "libraries": list(libraries),
        "left-out": list(left_out),
        "pypm": pypm,
    }
