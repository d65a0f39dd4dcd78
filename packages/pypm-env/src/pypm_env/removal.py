"""Takes one distribution's files out of an environment: what its RECORD lists, and what Python made of it.

Never outside the environment, and never without a list: a RECORD, or the tree in the store a distribution
came from. RECORD goes last, so that a removal that is killed can be done again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pypm_env.record_file import read_rows
from pypm_model.errors import PypmError
from pypm_model.later import later

if TYPE_CHECKING:
    import shutil
else:
    shutil = later("shutil")


class CannotRemove(PypmError):
    """A distribution has no list of its files."""

    distribution: str
    folder: str

    code: ClassVar[str] = "cannot-remove"

    def __str__(self) -> str:
        return f"{self.distribution} has no RECORD in {self.folder}: what it installed is not known"

    @property
    def hint(self) -> str | None:
        return "remove the environment's folder and sync again"


class Remover:
    """Removes from the environment at *root*; remembers which folders are safe to touch."""

    def __init__(self, root: Path, site: Path) -> None:
        self.root = root
        self.site = site
        """Its site-packages."""
        self.refused: list[str] = []
        """Paths a RECORD named outside the environment: left alone."""
        self._real_root = os.path.realpath(root)
        self._inside: dict[str, bool] = {}
        kept = [site, site / "__pycache__", *site.parents]
        kept += [root / name for name in ("bin", "Scripts", "include", "Include", "lib64")]
        self._protected = frozenset(map(str, kept))

    def remove(self, info: str, otherwise: Callable[[], Iterable[str] | None] = lambda: None) -> None:
        """Remove the distribution of the folder *info*, if it is there.

        *otherwise* is asked for its paths (as in RECORD) should it have none. Raises `CannotRemove`, OSError.
        """
        folder = self.site / info
        try:
            text = (folder / "RECORD").read_text("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            paths = otherwise()
            if paths is None and (folder / "METADATA").exists():
                raise CannotRemove(info.partition("-")[0], str(folder)) from None
            # Neither RECORD nor METADATA: what is left of a removal that was killed at its last step.
            paths = paths or ()
        else:
            paths = (row.path for row in read_rows(text))
        self.unlink(path for path in paths if not path.startswith(info + "/"))
        if not folder.is_dir() or folder.is_symlink():
            if info.endswith(".dist-info"):
                folder.unlink(missing_ok=True)
            elif os.path.lexists(folder):
                raise CannotRemove(info.partition("-")[0], str(folder))
            return
        # RECORD last: until it is gone, the removal can be done again.
        for name in os.listdir(folder):
            if name != "RECORD":
                _delete(folder / name)
        shutil.rmtree(folder)

    def unlink(self, paths: Iterable[str]) -> None:
        """Unlink files (paths relative to site-packages), their bytecode, and folders left empty."""
        site = str(self.site)
        folders: dict[str, set[str]] = {}
        for path in paths:
            full = os.path.normpath(os.path.join(site, path))
            folder = os.path.dirname(full)
            if not self._is_inside(folder):
                self.refused.append(path)
                continue
            stems = folders.setdefault(folder, set())
            name = os.path.basename(full)
            if name.endswith(".py"):
                stems.add(name[:-3])
            try:
                os.unlink(full)
            except FileNotFoundError:
                continue
            except (IsADirectoryError, PermissionError):
                # A folder by that name is not what was installed; read-only files (Windows) are.
                if os.path.islink(full):
                    raise  # never through it: a farm's lead into the store
                if os.path.isdir(full):
                    continue
                os.chmod(full, 0o600)
                os.unlink(full)
        for folder, stems in folders.items():
            if stems:
                remove_bytecode(folder, stems)
        self._remove_empty(folders)

    def _is_inside(self, folder: str) -> bool:
        known = self._inside.get(folder)
        if known is None:
            real = os.path.realpath(folder)
            known = real == self._real_root or real.startswith(self._real_root + os.sep)
            self._inside[folder] = known
        return known

    def _remove_empty(self, folders: Iterable[str]) -> None:
        for folder in sorted(folders, key=len, reverse=True):
            while folder not in self._protected and folder.startswith(str(self.root) + os.sep):
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.join(folder, "__pycache__"))
                try:
                    os.rmdir(folder)
                except FileNotFoundError:
                    pass
                except OSError:
                    break
                folder = os.path.dirname(folder)


def remove_bytecode(folder: str, stems: set[str]) -> None:
    """Remove what Python compiled from the modules *stems* (file names without ``.py``) of *folder*."""
    cache = os.path.join(folder, "__pycache__")
    try:
        names = os.listdir(cache)
    except OSError:
        return
    for name in names:
        if name.endswith(".pyc") and _stem(name) in stems:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(cache, name))


def _stem(name: str) -> str:
    """``module.cpython-312.opt-1.pyc`` -> ``module`` (PEP 3147, 488)."""
    pieces = name.split(".")[:-1]
    if len(pieces) > 2 and pieces[-1].startswith("opt-"):
        pieces.pop()
    return ".".join(pieces[:-1])


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
