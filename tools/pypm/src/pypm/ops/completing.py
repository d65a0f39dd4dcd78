"""A resolution made a lock: with files, manifests and what it is for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pypm.ops.tools import Tools
from pypm_model import markers
from pypm_model.artifacts import Artifact
from pypm_model.events import Warned
from pypm_model.freshness import manifest_of
from pypm_model.locks import Lock, LockedPackage, LockSettings
from pypm_model.markers.coverage import WheelsFor
from pypm_model.names import NormalizedName
from pypm_model.python_ranges import union
from pypm_model.records import replace
from pypm_model.requests import MemberRequest, Request
from pypm_model.resolutions import Resolution
from pypm_model.respelling import marker_texts
from pypm_model.sources import IndexSource, MemberSource


def complete(
    resolution: Resolution,
    request: Request,
    settings: LockSettings,
    tools: Tools,
    known: Mapping[str, Artifact],
) -> Lock:
    """*resolution* as a lock: with every file that a covered environment can use, and the manifests.
    *known* are files of old locks by digest. What has its files or its manifest already is as it was locked
    before, and stays so."""
    region = covered(request)
    usable = tools.retained.usable(region)
    wanted = [
        (package.name, package.version, package.source.index)
        for package in resolution.packages
        if isinstance(package.source, IndexSource) and not package.files
    ]
    files = tools.catalog.all_files(wanted)
    members = {member.name: member for member in request.members}
    packages = []
    for package in resolution.packages:
        if package.files or package.manifest is not None:
            packages.append(package)
            continue
        match package.source:
            case IndexSource(index):
                found = files[package.name, package.version, index]
                if not all(file.sha256 for file in found):
                    # The index gives no digests: the files themselves have to be looked at, once.
                    found = tools.catalog.settle(package.name, package.version, index)
                binaries = request.build.no_binary
                kept = tools.retained.kept(
                    (package.name, package.version, index),
                    found,
                    (region, binaries),
                    lambda: _kept(package.name, found, usable, binaries),  # noqa: B023 (called at once)
                )
                if not kept:
                    message = (
                        f"{package.name} {package.version} has no file that any covered environment can use"
                    )
                    tools.world.listener(Warned("no-usable-file", message))
                packages.append(replace(package, files=tuple(_merged(file, known) for file in kept)))
            case MemberSource():
                packages.append(_with_manifest(package, members[package.name]))
            case _:
                packages.append(package)
    return Lock(
        requires_python=union(member.requires_python for member in request.members),
        environments=marker_texts(request.environments),
        required_environments=marker_texts(request.required_environments),
        settings=settings,
        splits=resolution.splits,
        packages=tuple(packages),
    )


def covered(request: Request) -> markers.Diagram:
    """The environments a lock of *request* is for."""
    pythons = markers.any_of(markers.requires_python(member.requires_python) for member in request.members)
    if not request.environments:
        return pythons
    return markers.both(pythons, markers.any_of(map(markers.parse, request.environments)))


def _with_manifest(package: LockedPackage, member: MemberRequest) -> LockedPackage:
    return replace(package, version=member.version or "", manifest=manifest_of(member))


def _kept(
    name: NormalizedName, files: Sequence[Artifact], usable: WheelsFor, no_binary: Collection[str]
) -> tuple[Artifact, ...]:
    """Files of a release that some covered environment can use, sorted by name. A file without a sha256
    cannot be locked."""
    kept = []
    for file in files:
        if not file.sha256 or (file.yanked is not None and any(f.yanked is None for f in files)):
            continue
        if file.is_wheel and (name in no_binary or "*" in no_binary):
            continue
        if not (file.filename in usable if file.is_wheel else usable.is_built):
            continue
        kept.append(file.as_locked())
    return tuple(sorted(kept, key=lambda file: file.filename))


def _merged(file: Artifact, known: Mapping[str, Artifact]) -> Artifact:
    """*file* with the facts this index does not give and another did before: a mirror without sizes
    or upload times must not change the lock."""
    if file.size is not None and file.uploaded and file.path:
        return file
    before = known.get(file.sha256)
    if before is None:
        return file
    return replace(
        file,
        size=before.size if file.size is None else file.size,
        uploaded=file.uploaded or before.uploaded,
        path=file.path or before.path,
    )
