"""The bill of materials inside of a bundle: of just the wheels that are in it, and of its interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pypm._verbs import VERSION
from pypm.ops.epoch import epoch_of, moment_of
from pypm.ops.provisioning import File
from pypm.ops.tools import Tools
from pypm_bundle.distributions import Distribution
from pypm_model.events import Warned
from pypm_model.locks import Lock, Root
from pypm_model.records import record
from pypm_workspace.workspace import Workspace

if TYPE_CHECKING:
    from pypm_audit.bill import Component

SBOM = "sbom.cdx.json"
"""The file's name in a bundle."""


@record
class Runtime:
    """The interpreter that a bundle brings along."""

    version: str
    libraries: tuple[str, ...]
    """File names of the shared libraries that come with it."""


def bundle_bill(
    tools: Tools,
    workspace: Workspace,
    lock: Lock,
    roots: Sequence[Root],
    wheels: Sequence[tuple[File, Distribution]],
    runtime: Runtime | None,
) -> str:
    """The text of `SBOM`: the same for the same lock, wheels and interpreter. What is built here is told
    without a digest, as in the manifest: its files are the same everywhere, its bytes need not be."""
    from pypm.ops.describing import read_bills
    from pypm_audit import cyclonedx
    from pypm_audit.bill_of_lock import Described, Subject, bill_of_lock, newest_upload
    from pypm_audit.core_metadata import read

    position = {id(package): at for at, package in enumerate(lock.packages)}
    described = {}
    for file, one in wheels:
        inside, bad = read_bills(file.filename, one.bills)
        for each in bad:
            tools.world.listener(Warned("sbom-unreadable", str(each)))
        at = position[id(file.pin.package)]
        described[at] = Described(read(one.metadata), tuple(inside), file.pin.file)
    moment = moment_of(epoch_of(tools.world)) or newest_upload(lock, described)
    subject = Subject(workspace.title, VERSION, moment)
    extra = () if runtime is None else (_interpreter(runtime),)
    return cyclonedx.write(bill_of_lock(lock, roots, described, subject, only=described, extra=extra))


def _interpreter(runtime: Runtime) -> Component:
    from pypm_audit.bill import Component
    from pypm_audit.licenses import License

    ref = f"pkg:generic/python@{runtime.version}"
    parts = tuple(
        Component(f"{ref}#{name}", name, "", "file", needs=()) for name in sorted(runtime.libraries)
    )
    return Component(
        ref,
        "cpython",
        runtime.version,
        "platform",
        ref,
        f"cpe:2.3:a:python:python:{runtime.version}:*:*:*:*:*:*:*",
        "The interpreter",
        license=License("PSF-2.0", "pypm"),
        needs=tuple(part.ref for part in parts),
        parts=parts,
    )
