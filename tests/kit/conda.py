"""A conda channel in a folder: small packages, and the repodata.json that lists them."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PYTHON = "{}.{}".format(*sys.version_info[:2])


class CondaChannel:
    """Packages that are added, in *folder*."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, dict[str, dict[str, Any]]] = {"noarch": {}}
        self._write("noarch")

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def add(
        self,
        name: str,
        version: str,
        *,
        depends: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        python: bool = False,
        entry_points: Sequence[str] = (),
        form: str = ".conda",
        executable: Sequence[str] = (),
        prefixed: Sequence[str] = (),
        subdir: str = "noarch",
    ) -> str:
        """A package, *python* or generic, in *subdir*; its file's name. *prefixed* files have the folder it
        was built for, ``/built/for``, in them."""
        files = dict(files or {})
        if python and not files:
            files = {f"site-packages/{name}/__init__.py": f"version = {version!r}\n"}
        if python:
            info = f"site-packages/{name}-{version}.dist-info"
            files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            files[f"{info}/INSTALLER"] = "conda"
            files[f"{info}/RECORD"] = ""
        build = "py_0" if python else "0"
        index: dict[str, Any] = {
            "name": name, "version": version, "build": build, "build_number": 0, "subdir": subdir,
            "depends": [*depends, *(["python"] if python else [])], "arch": None, "platform": None,
        }  # fmt: skip
        if subdir == "noarch":
            index["noarch"] = "python" if python else "generic"
        paths = [
            {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(text.encode()).hexdigest()}
            | {"size_in_bytes": len(text.encode())}
            | ({"prefix_placeholder": "/built/for", "file_mode": "text"} if path in prefixed else {})
            for path, text in sorted(files.items())
        ]
        about: dict[str, str] = {
            "info/index.json": json.dumps(index),
            "info/paths.json": json.dumps({"paths_version": 1, "paths": paths}),
            "info/files": "".join(f"{path}\n" for path in sorted(files)),
        }
        if python:
            noarch = {"type": "python", "entry_points": list(entry_points)}
            about["info/link.json"] = json.dumps({"noarch": noarch, "package_metadata_version": 1})
        filename = f"{name}-{version}-{build}{form}"
        target = self.folder / subdir / filename
        target.parent.mkdir(exist_ok=True)
        if form == ".conda":
            stem = filename.removesuffix(form)
            with zipfile.ZipFile(target, "w") as archive:
                archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
                for part, content in (("pkg", files), ("info", about)):
                    archive.writestr(f"{part}-{stem}.tar.zst", zstd.compress(_tar(content, executable)))
        else:
            with tarfile.open(target, "w:bz2") as tar:
                _fill(tar, files | about, executable)
        data = target.read_bytes()
        self._known.setdefault(subdir, {})[filename] = {
            **index, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
            "md5": hashlib.md5(data).hexdigest(),
        }  # fmt: skip
        self._write(subdir)
        return filename

    def _write(self, subdir: str) -> None:
        (self.folder / subdir).mkdir(parents=True, exist_ok=True)
        known = self._known[subdir]
        repodata = {
            "info": {"subdir": subdir},
            "packages": {name: one for name, one in known.items() if name.endswith(".bz2")},
            "packages.conda": {name: one for name, one in known.items() if name.endswith(".conda")},
            "repodata_version": 1,
        }
        (self.folder / subdir / "repodata.json").write_text(json.dumps(repodata))


def _tar(files: Mapping[str, str], executable: Sequence[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _fill(tar, files, executable)
    return out.getvalue()


def _fill(tar: tarfile.TarFile, files: Mapping[str, str], executable: Sequence[str]) -> None:
    for path, text in sorted(files.items()):
        info = tarfile.TarInfo(path)
        info.size = len(text.encode())
        info.mode = 0o755 if path in executable else 0o644
        tar.addfile(info, io.BytesIO(text.encode()))
