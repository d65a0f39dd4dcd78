"""The folder of native plugins: whoever may write it chooses what pypm runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from pypm.ops.doctor.finding import Said, issue, note, ok
from pypm.ops.doctor.patient import Patient
from pypm.ops.plugins import refused, why_refused
from pypm_plugins.adding import home_of, names
from pypm_plugins.errors import NoHome


def plugins(patient: Patient) -> Iterator[Said]:
    """The folder of plugins, native code that pypm runs: who may write it, and whether it was changed."""
    try:
        home = home_of(patient.environ)
    except NoHome as error:
        yield ok(str(error))
        return
    if not home.is_dir():
        yield ok(f"there is no {home}")
        return
    if os.name != "posix":
        yield ok(str(home))
        return
    quiet = True
    folders = [folder for folder in (home / "plugins", home / "pinned") if folder.is_dir()]
    for place in (home, *folders, *(path for folder in folders for path in sorted(folder.iterdir()))):
        if place.is_symlink() or not place.exists():
            continue
        status = place.stat()
        if status.st_mode & stat.S_IWOTH:
            quiet = False
            yield issue(
                f"everybody may write {place}: they choose what pypm runs", f"chmod o-w {place}", _shut(place)
            )
        elif status.st_uid not in (os.geteuid(), 0):
            quiet = False
            yield issue(
                f"{place} belongs to another user (uid {status.st_uid})", f"sudo chown $(id -un) {place}"
            )
        elif status.st_mode & stat.S_IWGRP:
            quiet = False
            yield note(f"a group may write {place}", f"chmod g-w {place}", _shut(place))
    for name in names(home):
        refusal = refused(home, name)
        if refusal is not None and refusal.code != "open":  # which is said of each file and folder
            quiet = False
            yield issue(
                f"plugin {name} is not run: {why_refused(refusal)} ({refusal.path})",
                f"find out why; `pypm plugin update {name}` takes it from where it came from",
            )
    if quiet:
        yield ok(f"{home}, writable by its owner alone; plugins are what was added")


def _shut(place: Path) -> Callable[[], None]:
    """What takes the right to write from all but the owner."""

    def shut() -> None:
        place.chmod(stat.S_IMODE(place.stat().st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH))

    return shut
