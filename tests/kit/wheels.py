"""Real wheels and sdists for tests, made in milliseconds and equal byte for byte on every run.

>>> wheel = make_wheel(tmp_path, "acme", "1.0", requires=["httpx>=0.28"], files={"acme/__init__.py": ""})
>>> sdist = make_sdist(tmp_path, "acme", "1.0", backend="in-tree")     # builds without a network

Nothing here uses pypm: these archives are what pypm is tested with.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Content = str | bytes
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SDIST_TIME = 315_532_800

BACKEND_REQUIRES: Mapping[str, tuple[str, ...]] = {
    "flit_core.buildapi": ("flit_core>=3.11",),
    "hatchling.build": ("hatchling",),
    "setuptools.build_meta": ("setuptools>=64",),
    "in-tree": (),
}
"""Backends `make_sdist` and `make_project` know, and what their ``[build-system]`` requires."""


def sha256(path: Path) -> str:
    """The file's sha256, lower-case hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wheel_name(name: str) -> str:
    """*name* as it stands in file names of wheels and sdists (``Foo.Bar-x`` -> ``foo_bar_x``)."""
    return re.sub(r"[-_.]+", "_", name).lower()


def core_metadata(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
    metadata_version: str = "2.1",
    dynamic: Iterable[str] = (),
    lines: Iterable[str] = (),
    description: str = "",
) -> str:
    """METADATA (or PKG-INFO) text. *extras* maps an extra to its requirements; the ``extra == `` marker
    is added. *lines* are further header lines as they should stand."""
    out = [f"Metadata-Version: {metadata_version}", f"Name: {name}", f"Version: {version}"]
    if requires_python is not None:
        out.append(f"Requires-Python: {requires_python}")
    out += [f"Dynamic: {field}" for field in dynamic]
    out += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, wanted in (extras or {}).items():
        out.append(f"Provides-Extra: {extra}")
        for requirement in wanted:
            text, _, marker = requirement.partition(";")
            condition = f'extra == "{extra}"'
            if marker.strip():
                condition = f"({marker.strip()}) and {condition}"
            out.append(f"Requires-Dist: {text.strip()}; {condition}")
    out += lines
    return "\n".join(out) + "\n" + (f"\n{description}" if description else "")


def wheel_members(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
    files: Mapping[str, Content] | None = None,
    entry_points: Mapping[str, Mapping[str, str]] | None = None,
    tag: str = "py3-none-any",
    scripts: Mapping[str, Content] | None = None,
    data: Mapping[str, Content] | None = None,
    headers: Mapping[str, Content] | None = None,
    metadata_version: str = "2.1",
    metadata_lines: Iterable[str] = (),
    root_is_purelib: bool = True,
    dist_info_files: Mapping[str, Content] | None = None,
) -> dict[str, bytes]:
    """The entries of a wheel in order, RECORD last, for tests that break one before zipping.

    See `make_wheel` for the arguments; *dist_info_files* are further files of the .dist-info folder.
    """
    stem = f"{wheel_name(name)}-{version}"
    info, extra_data = f"{stem}.dist-info", f"{stem}.data"
    members: dict[str, bytes] = {}
    if files is None:
        files = {f"{wheel_name(name)}/__init__.py": f'"""{name}."""\n__version__ = "{version}"\n'}
    for path, content in files.items():
        members[path] = _bytes(content)
    for kind, group in (("scripts", scripts), ("data", data), ("headers", headers)):
        for path, content in (group or {}).items():
            members[f"{extra_data}/{kind}/{path}"] = _bytes(content)
    tags = _expand(tag)
    wheel = [
        "Wheel-Version: 1.0",
        "Generator: pypm-test-kit",
        f"Root-Is-Purelib: {str(root_is_purelib).lower()}",
        *(f"Tag: {one}" for one in tags),
    ]
    metadata = core_metadata(
        name,
        version,
        requires=requires,
        extras=extras,
        requires_python=requires_python,
        metadata_version=metadata_version,
        lines=metadata_lines,
    )
    members[f"{info}/METADATA"] = metadata.encode()
    members[f"{info}/WHEEL"] = ("\n".join(wheel) + "\n").encode()
    if entry_points:
        sections = [
            f"[{group}]\n" + "".join(f"{key} = {target}\n" for key, target in points.items())
            for group, points in entry_points.items()
        ]
        members[f"{info}/entry_points.txt"] = "\n".join(sections).encode()
    for path, content in (dist_info_files or {}).items():
        members[f"{info}/{path}"] = _bytes(content)
    members[f"{info}/RECORD"] = record(members, f"{info}/RECORD")
    return members


def record(members: Mapping[str, bytes], own: str) -> bytes:
    """The RECORD of *members*; *own* is RECORD's path (an entry without hash and size)."""
    rows = []
    for path, content in members.items():
        if path == own:
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append(f"{_csv(path)},sha256={digest},{len(content)}\n")
    return ("".join(rows) + f"{_csv(own)},,\n").encode()


def write_zip(
    path: Path,
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]],
    *,
    executable: Iterable[str] = (),
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """*members* as a zip file with fixed times; those in *executable* get mode 0755, others 0644."""
    pairs = members.items() if isinstance(members, Mapping) else members
    runnable = set(executable)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pairs:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3
            entry.compress_type = compression
            entry.external_attr = (0o100755 if name in runnable else 0o100644) << 16
            archive.writestr(entry, content)
    return path


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
    files: Mapping[str, Content] | None = None,
    entry_points: Mapping[str, Mapping[str, str]] | None = None,
    tag: str = "py3-none-any",
    scripts: Mapping[str, Content] | None = None,
    data: Mapping[str, Content] | None = None,
    headers: Mapping[str, Content] | None = None,
    metadata_version: str = "2.1",
    metadata_lines: Iterable[str] = (),
    build: str | None = None,
    root_is_purelib: bool = True,
    dist_info_files: Mapping[str, Content] | None = None,
    executable: Iterable[str] = (),
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """A correct wheel in *folder* (made if missing), with RECORD; the path of the file.

    *files* are paths below site-packages (default: a package of that name with ``__version__``);
    *scripts*, *data*, *headers* go to the ``.data`` folder; *entry_points* are ``{group: {name:
    target}}``; *tag* may be compressed (``py2.py3-none-any``); *build* is the build tag (``1``);
    paths in *executable* get the executable bit. Scripts always have it.
    """
    members = wheel_members(
        name,
        version,
        requires=requires,
        extras=extras,
        requires_python=requires_python,
        files=files,
        entry_points=entry_points,
        tag=tag,
        scripts=scripts,
        data=data,
        headers=headers,
        metadata_version=metadata_version,
        metadata_lines=metadata_lines,
        root_is_purelib=root_is_purelib,
        dist_info_files=dist_info_files,
    )
    parts = [wheel_name(name), version, *([build] if build else []), tag]
    runnable = {*executable, *(path for path in members if ".data/scripts/" in path)}
    target = Path(folder) / ("-".join(parts) + ".whl")
    return write_zip(target, members, executable=runnable, compression=compression)


def project_members(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
    backend: str = "flit_core.buildapi",
    build_requires: Iterable[str] | None = None,
    dynamic: Iterable[str] = (),
    files: Mapping[str, Content] | None = None,
    scripts: Mapping[str, str] | None = None,
    pyproject_extra: str = "",
) -> dict[str, bytes]:
    """The source files of a buildable project in the src layout.

    *backend* is one of `BACKEND_REQUIRES`; ``in-tree`` is a complete PEP 517 and PEP 660 backend
    that lies in the project itself (``backend-path``) and needs nothing installed. *dynamic* may
    name ``version`` (then ``__version__`` in the package says it) and, for setuptools and the in-tree
    backend, ``dependencies`` (then ``requirements.txt`` does).
    *scripts* is ``[project.scripts]``; *pyproject_extra* is appended to pyproject.toml as it is.
    """
    if backend not in BACKEND_REQUIRES:
        raise ValueError(f"unknown backend {backend!r}")
    package, absent = wheel_name(name), set(dynamic)
    if "dependencies" in absent and backend not in ("setuptools.build_meta", "in-tree"):
        raise ValueError(f"{backend} cannot find dependencies by itself")
    requires = list(requires)
    wanted = BACKEND_REQUIRES[backend] if build_requires is None else tuple(build_requires)
    lines = ["[build-system]", f"requires = {_toml(wanted)}"]
    lines.append(f'build-backend = "{"intree_backend" if backend == "in-tree" else backend}"')
    if backend == "in-tree":
        lines.append('backend-path = ["backend"]')
    lines += ["", "[project]", f'name = "{name}"']
    if "version" not in absent:
        lines.append(f'version = "{version}"')
    lines.append(f'description = "{name} for tests"')
    if requires_python is not None:
        lines.append(f"requires-python = {_quote(requires_python)}")
    if "dependencies" not in absent:
        lines.append(f"dependencies = {_toml(requires)}")
    if absent:
        lines.append(f"dynamic = {_toml(sorted(absent))}")
    if extras:
        lines += ["", "[project.optional-dependencies]"]
        lines += [f"{_quote(extra)} = {_toml(wanted_by)}" for extra, wanted_by in extras.items()]
    if scripts:
        lines += ["", "[project.scripts]", *(f"{_quote(k)} = {_quote(v)}" for k, v in scripts.items())]
    if backend == "hatchling.build":
        lines += ["", "[tool.hatch.build.targets.wheel]", f'packages = ["src/{package}"]']
        if "version" in absent:
            lines += ["", "[tool.hatch.version]", f'path = "src/{package}/__init__.py"']
    if backend == "flit_core.buildapi":
        lines += ["", "[tool.flit.module]", f'name = "{package}"']
    if backend == "setuptools.build_meta" and absent:
        lines += ["", "[tool.setuptools.dynamic]"]
        if "version" in absent:
            lines.append(f'version = {{ attr = "{package}.__version__" }}')
        if "dependencies" in absent:
            lines.append('dependencies = { file = ["requirements.txt"] }')
    if pyproject_extra:
        lines += ["", pyproject_extra]
    members = {"pyproject.toml": ("\n".join(lines) + "\n").encode()}
    if "dependencies" in absent:
        members["requirements.txt"] = "".join(f"{one}\n" for one in requires).encode()
    if backend == "in-tree":
        members["backend/intree_backend.py"] = IN_TREE_BACKEND.encode()
    if files is None:
        files = {f"src/{package}/__init__.py": f'"""{name}."""\n__version__ = "{version}"\n'}
    for path, content in files.items():
        members[path] = _bytes(content)
    return members


def make_project(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
    backend: str = "flit_core.buildapi",
    build_requires: Iterable[str] | None = None,
    dynamic: Iterable[str] = (),
    files: Mapping[str, Content] | None = None,
    scripts: Mapping[str, str] | None = None,
    pyproject_extra: str = "",
) -> Path:
    """A buildable project (see `project_members`) written into *folder* itself; the folder."""
    members = project_members(
        name,
        version,
        requires=requires,
        extras=extras,
        requires_python=requires_python,
        backend=backend,
        build_requires=build_requires,
        dynamic=dynamic,
        files=files,
        scripts=scripts,
        pyproject_extra=pyproject_extra,
    )
    for path, content in members.items():
        target = Path(folder) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return Path(folder)


def make_sdist(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Mapping[str, Iterable[str]] | None = None,
    requires_python: str | None = None,
    backend: str = "flit_core.buildapi",
    build_requires: Iterable[str] | None = None,
    dynamic: Iterable[str] = (),
    pkg_info_static: bool = True,
    files: Mapping[str, Content] | None = None,
    scripts: Mapping[str, str] | None = None,
    pyproject_extra: str = "",
    form: str = ".tar.gz",
) -> Path:
    """A real, buildable sdist in *folder*; the path of the file. See `project_members`.

    With *pkg_info_static* its PKG-INFO has metadata 2.2 and names as Dynamic only what *dynamic*
    has, so that the rest may be trusted; without, it is metadata 2.1, which promises nothing.
    *form* is ``.tar.gz``, ``.tar.bz2``, ``.tar.xz`` or ``.zip``.
    """
    absent = set(dynamic)
    members = project_members(
        name,
        version,
        requires=requires,
        extras=extras,
        requires_python=requires_python,
        backend=backend,
        build_requires=build_requires,
        dynamic=dynamic,
        files=files,
        scripts=scripts,
        pyproject_extra=pyproject_extra,
    )
    hidden = "dependencies" in absent
    fields = {"dependencies": "Requires-Dist", "optional-dependencies": "Provides-Extra"}
    members["PKG-INFO"] = core_metadata(
        name,
        version,
        requires=() if hidden else requires,
        extras=extras,
        requires_python=requires_python,
        metadata_version="2.2" if pkg_info_static else "2.1",
        dynamic=[fields[one] for one in sorted(absent) if one in fields] if pkg_info_static else (),
    ).encode()
    stem = f"{wheel_name(name)}-{version}"
    target = Path(folder) / f"{stem}{form}"
    rooted = {f"{stem}/{path}": content for path, content in members.items()}
    if form == ".zip":
        return write_zip(target, rooted)
    return write_tar(target, rooted)


def write_tar(
    path: Path,
    members: Mapping[str, bytes] | Iterable[tuple[str, bytes]],
    *,
    executable: Iterable[str] = (),
    special: Iterable[tarfile.TarInfo] = (),
) -> Path:
    """*members* as a tar file with fixed times, compressed as the name ends; *special* entries
    (links, devices) come last, for tests of what must be refused."""
    pairs = members.items() if isinstance(members, Mapping) else members
    runnable = set(executable)
    plain = io.BytesIO()
    mode = {".bz2": "w:bz2", ".xz": "w:xz"}.get(path.suffix, "w")
    with tarfile.open(fileobj=plain, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in pairs:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), _SDIST_TIME
            entry.mode = 0o755 if name in runnable else 0o644
            archive.addfile(entry, io.BytesIO(content))
        for entry in special:
            archive.addfile(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".gz", ".tgz"):
        # tarfile's own gzip layer writes the time and the file name; ours must not.
        path.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    else:
        path.write_bytes(plain.getvalue())
    return path


def _bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _csv(path: str) -> str:
    return '"' + path.replace('"', '""') + '"' if any(c in path for c in ',"\n') else path


def _expand(tag: str) -> list[str]:
    pythons, abis, platforms = (part.split(".") for part in tag.split("-"))
    return [f"{p}-{a}-{m}" for p in pythons for a in abis for m in platforms]


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _toml(texts: Iterable[str]) -> str:
    return "[" + ", ".join(_quote(text) for text in texts) + "]"


IN_TREE_BACKEND = '''\
"""A whole PEP 517 and PEP 660 backend in one file: packages in src/, metadata from pyproject.toml."""

import base64
import hashlib
import os
import re
import tarfile
import tomllib
import zipfile


def _project():
    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    package = re.sub(r"[-_.]+", "_", project["name"]).lower()
    dynamic = project.get("dynamic", [])
    if "version" in dynamic:
        with open(f"src/{package}/__init__.py", encoding="utf-8") as file:
            project["version"] = re.search(r'__version__ = "([^"]+)"', file.read())[1]
    if "dependencies" in dynamic:
        with open("requirements.txt", encoding="utf-8") as file:
            project["dependencies"] = file.read().split("\\n")[:-1]
    return package, project


def _info(package, project):
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    if "requires-python" in project:
        lines.append(f"Requires-Python: {project['requires-python']}")
    lines += [f"Requires-Dist: {one}" for one in project.get("dependencies", [])]
    for extra, wanted in project.get("optional-dependencies", {}).items():
        lines.append(f"Provides-Extra: {extra}")
        for one in wanted:
            text, _, marker = one.partition(";")
            condition = f"extra == '{extra}'"
            if marker.strip():
                condition = f"({marker.strip()}) and {condition}"
            lines.append(f"Requires-Dist: {text.strip()}; {condition}")
    files = {
        "METADATA": "\\n".join(lines) + "\\n",
        "WHEEL": "Wheel-Version: 1.0\\nGenerator: intree\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    if project.get("scripts"):
        points = "".join(f"{name} = {target}\\n" for name, target in project["scripts"].items())
        files["entry_points.txt"] = "[console_scripts]\\n" + points
    return f"{package}-{project['version']}.dist-info", files


def _write(folder, name, members, info):
    rows = []
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append(f"{path},sha256={digest},{len(content)}\\n")
        own = f"{info}/RECORD"
        archive.writestr(zipfile.ZipInfo(own, (1980, 1, 1, 0, 0, 0)), "".join(rows) + f"{own},,\\n")
    return name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    package, project = _project()
    members = {}
    for folder, folders, names in os.walk("src"):
        folders[:] = sorted(one for one in folders if one != "__pycache__")
        for name in sorted(names):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                members[os.path.relpath(path, "src").replace(os.sep, "/")] = file.read()
    info, files = _info(package, project)
    members.update((f"{info}/{name}", text.encode()) for name, text in files.items())
    return _write(wheel_directory, f"{package}-{project['version']}-py3-none-any.whl", members, info)


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    package, project = _project()
    members = {f"_{package}.pth": (os.path.abspath("src") + "\\n").encode()}
    info, files = _info(package, project)
    members.update((f"{info}/{name}", text.encode()) for name, text in files.items())
    return _write(wheel_directory, f"{package}-{project['version']}-py3-none-any.whl", members, info)


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    info, files = _info(*_project())
    os.makedirs(os.path.join(metadata_directory, info))
    for name, text in files.items():
        with open(os.path.join(metadata_directory, info, name), "w", encoding="utf-8", newline="") as file:
            file.write(text)
    return info


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_sdist(sdist_directory, config_settings=None):
    package, project = _project()
    stem = f"{package}-{project['version']}"
    with tarfile.open(os.path.join(sdist_directory, f"{stem}.tar.gz"), "w:gz") as archive:
        for path in ("pyproject.toml", "requirements.txt", "backend", "src"):
            if os.path.exists(path):
                archive.add(path, f"{stem}/{path}")
    return f"{stem}.tar.gz"
'''
