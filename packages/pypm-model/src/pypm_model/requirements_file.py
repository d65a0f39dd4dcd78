"""A lock as a requirements file with hashes, for pip and everything that reads what pip reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pypm_model.lock_reach import covered, marker_texts, reach
from pypm_model.locks import Lock, LockedPackage, Root
from pypm_model.markers import FALSE, both
from pypm_model.names import ROOT, NormalizedName
from pypm_model.sources import GitSource, IndexSource, MemberSource, PathSource, UrlSource


def to_requirements(
    lock: Lock,
    roots: Sequence[Root],
    *,
    hashes: bool = True,
    editable: bool = True,
    members: bool = True,
    unbuilt: Collection[NormalizedName] = (),
) -> str:
    """The requirements file for *roots*: one package a line (its hashes below it), in the lock's order. They
    have to go together (`pypm_model.lock_apart`).

    Members are paths, relative to the workspace root: where it has any, pip must be run there and
    cannot check hashes of them, so hashes are left out altogether then, as pip would refuse the
    mixture. Without *members* what they need from elsewhere is there alone, and so it is of those that are
    *unbuilt*: they are no packages, and nobody can install them. What has a marker is not editable, since
    pip does not read the marker of an editable.
    """
    region = covered(lock)
    reached = {i: both(where, region) for i, where in reach(lock, roots).items()}
    texts = marker_texts(lock, {i: where for i, where in reached.items() if where != FALSE}, region)
    packages = [(lock.packages[i], marker) for i, marker in texts.items()]
    packages = [
        (p, m)
        for p, m in packages
        if p.name != ROOT and (p.manifest is None or (members and p.name not in unbuilt))
    ]
    with_hashes = hashes and all(isinstance(p.source, IndexSource | UrlSource) for p, _ in packages)
    lines = []
    for package, marker in packages:
        line = _requirement(package, editable and not marker) + (f" ; {marker}" if marker else "")
        if with_hashes:
            digests = sorted({a.sha256 for a in package.files} | _direct_digest(package))
            line += "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests)
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _requirement(package: LockedPackage, editable: bool) -> str:
    match package.source:
        case IndexSource():
            return f"{package.name}=={package.version}"
        case MemberSource(path):
            return f"{'-e ' if editable else ''}./{path}" if path != "." else ("-e ." if editable else ".")
        case PathSource(path, as_editable, _):
            return f"{'-e ' if as_editable and editable else ''}./{path}"
        case UrlSource(url, subdirectory, _):
            return f"{package.name} @ {url}" + (f"#subdirectory={subdirectory}" if subdirectory else "")
        case GitSource(url, _, commit, subdirectory):
            fragment = f"#subdirectory={subdirectory}" if subdirectory else ""
            return f"{package.name} @ git+{url}@{commit}{fragment}"


def _direct_digest(package: LockedPackage) -> set[str]:
    source = package.source
    return {source.sha256} if isinstance(source, UrlSource) and source.sha256 else set()
