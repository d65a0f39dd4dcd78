"""Looks into locked wheels that nobody has unpacked here, as a sync would."""

from __future__ import annotations

from collections.abc import Iterable

from pypm.ops.fetching import Wheel, fetch_and_unpack
from pypm.ops.malware import refuse_malware
from pypm.ops.tools import Tools
from pypm_model.artifacts import Artifact
from pypm_model.errors import PypmError
from pypm_model.events import Warned
from pypm_model.locks import LockedPackage, Pin
from pypm_model.sources import IndexSource
from pypm_model.wheel_tags import InvalidWheelName, parse_wheel_filename


def look_into(tools: Tools, packages: Iterable[LockedPackage]) -> bool:
    """Fetches and unpacks a wheel of each of *packages* that an index has; False if that did not go well,
    which is told as a warning: it may be done in part."""
    order = {tag: number for number, tag in enumerate(_tags(tools))}
    wheels = []
    for package in packages:
        files = [file for file in package.files if file.is_wheel]
        if files and isinstance(package.source, IndexSource):
            best = min(files, key=lambda file: (_rank(file, order), file.size or 0, file.filename))
            wheels.append(Wheel(Pin(package, file=best), best))
    if not wheels:
        return True
    try:
        refuse_malware(tools, [wheel.pin for wheel in wheels])
        with tools.store.using():
            fetch_and_unpack(tools, wheels, (), {}, {})
    except PypmError as error:
        tools.world.listener(Warned("not-looked-into", f"could not look into what is locked: {error}"))
        return False
    return True


def _tags(tools: Tools) -> tuple[str, ...]:
    try:
        return tools.interpreter().tags
    except PypmError:
        return ()  # any wheel tells what is in it


def _rank(file: Artifact, order: dict[str, int]) -> int:
    """How well the wheel fits this machine, so that a sync can use it, too; 0 is best."""
    try:
        tags = parse_wheel_filename(file.filename).tags
    except InvalidWheelName:
        return len(order)
    return min((order[tag] for tag in tags if tag in order), default=len(order))
