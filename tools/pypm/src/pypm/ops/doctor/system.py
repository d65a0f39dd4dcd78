"""The operating system: C library, temporary folder, limits, users, names of files, walls."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pypm.ops.doctor.commands import find
from pypm.ops.doctor.finding import Said, issue, note, ok, unknown
from pypm.ops.doctor.patient import Patient

_OLD_GLIBC, _ANCIENT_GLIBC = (2, 28), (2, 17)
"""Below these few, and next to none, of today's wheels for Linux fit."""
_manylinux = re.compile(r"-manylinux_(\d+)_(\d+)_")
_FEW_FILES, _TOO_FEW_FILES = 1024, 256
_LONG_ROOT = 160
"""Characters of a root below which wheels' paths may pass the 260 that Windows allows without being told."""


def libc(patient: Patient) -> Iterator[Said]:
    """The best wheels that fit the interpreter, and the C library they hang on."""
    tags = patient.interpreter().tags
    if not tags:
        yield unknown("the interpreter tells no wheel tags")
        return
    found = [(int(m[1]), int(m[2]), tag) for tag in tags if (m := _manylinux.search(tag))]
    if not found:
        yield ok(next((tag for tag in tags if "-linux_" not in tag), tags[0]))
        return
    version = max(found)[:2]
    best = next(tag for *numbers, tag in found if tuple(numbers) == version)
    if version < _ANCIENT_GLIBC:
        yield issue(
            f"glibc {version[0]}.{version[1]} is older than wheels of the last ten years need",
            "use a newer system",
        )
    elif version < _OLD_GLIBC:
        yield note(
            f"glibc {version[0]}.{version[1]}: newer wheels (manylinux_2_28) do not fit", "use a newer system"
        )
    else:
        yield ok(f"{best} (glibc {version[0]}.{version[1]})")


def temporary(patient: Patient) -> Iterator[Said]:
    """Whether temporary files can be made and run."""
    try:
        folder = tempfile.mkdtemp(prefix="pypm-doctor-")
    except OSError as error:
        told = (error.strerror or str(error)).lower()
        yield issue(f"no temporary file can be made: {told}", "export TMPDIR=~/tmp (a folder that is there)")
        return
    try:
        if os.name == "posix" and not _runs(Path(folder)):
            yield issue(
                f"programs in {os.path.dirname(folder)} cannot be run (mounted noexec): builds fail there",
                "export TMPDIR=~/tmp (a folder that is there)",
            )
        elif (named := patient.environ.get("TMPDIR", "")) and not os.path.isdir(named):
            yield note(
                f"TMPDIR names {named}, which is not there; {os.path.dirname(folder)} is used", "unset TMPDIR"
            )
        else:
            yield ok(os.path.dirname(folder))
    finally:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def _runs(folder: Path) -> bool:
    script = folder / "probe"
    script.write_text("#!/bin/sh\nexit 7\n", encoding="ascii")
    script.chmod(0o700)
    try:
        return subprocess.run([str(script)], timeout=10, check=False, capture_output=True).returncode == 7
    except PermissionError:
        return False


def open_files(patient: Patient) -> Iterator[Said]:
    """How many files one process may have open."""
    limit = _open_files()
    if limit is None:
        yield ok("this system has no such limit")
    elif limit < _TOO_FEW_FILES:
        yield issue(f"a process may have only {limit} files open", "ulimit -n 4096")
    elif limit < _FEW_FILES:
        yield note(f"a process may have only {limit} files open", "ulimit -n 4096")
    else:
        yield ok(f"{limit}")


def _open_files() -> int | None:
    if os.name != "posix":
        return None
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def watches(patient: Patient) -> Iterator[Said]:
    """How many folders `pypm watch` may look after (Linux)."""
    file = Path("/proc/sys/fs/inotify/max_user_watches")
    try:
        limit = int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        yield ok("this system has no such limit")
        return
    wanted = 4 * len(patient.workspace.members) if patient.workspace is not None else 1
    if limit < max(wanted, 1024):
        yield note(f"only {limit} folders can be watched", "sudo sysctl fs.inotify.max_user_watches=524288")
    else:
        yield ok(f"{limit} folders can be watched")


def user(patient: Patient) -> Iterator[Said]:
    """Who runs pypm, and whether the workspace is theirs."""
    if os.name != "posix":
        yield ok("this system has no root")
        return
    owner = os.stat(patient.root).st_uid
    if os.geteuid() == 0 and owner != 0:
        yield note(
            f"pypm runs as root, and {patient.root} belongs to another user, who will not own what it makes",
            f"run pypm as that user (uid {owner})",
        )
    elif os.geteuid() == 0:
        yield ok("root: builds and tests run as root, too")
    else:
        yield ok(f"uid {os.geteuid()}")


def writable(patient: Patient) -> Iterator[Said]:
    """Whether the workspace's folder can be written."""
    root = patient.root
    if not os.access(root, os.W_OK | os.X_OK):
        yield issue(f"{root} cannot be written: there can be no lock and no environment", f"ls -ld {root}")
        return
    for name in ("pypm.lock", ".venv", ".pypm"):
        place = root / name
        if place.exists() and not os.access(place, os.W_OK):
            yield issue(f"{place} cannot be written", f"ls -ld {shlex.quote(str(place))}")
            return
    yield ok(str(root))


def letter_case(patient: Patient) -> Iterator[Said]:
    """Whether upper and lower case make two names in the workspace's folder."""
    insensitive = _ignores_case(patient.root)
    if insensitive is None:
        yield unknown(f"nothing in {patient.root} has a name to try it with")
    elif not insensitive:
        yield ok("upper and lower case are told apart")
    else:
        paths: dict[str, str] = {}
        for member in patient.workspace.members if patient.workspace is not None else ():
            other = paths.setdefault(member.path.casefold(), member.path)
            if other != member.path:
                yield issue(
                    f"the members {other} and {member.path} are one folder here", f"rename {member.path}"
                )
        yield note(
            "upper and lower case are one name here: an import that is spelled wrongly fails on Linux only"
        )


def _ignores_case(folder: Path) -> bool | None:
    names = [folder / name for name in sorted(os.listdir(folder))]
    for path in (*names, *(each for each in (folder, *folder.parents) if each.name)):
        name = path.name
        swapped = name.swapcase()
        if swapped == name:
            continue
        try:
            return os.path.samestat(os.lstat(path), os.lstat(path.with_name(swapped)))
        except OSError:
            return False
    return None


def long_paths(patient: Patient) -> Iterator[Said]:
    """Whether paths may be as long as wheels make them."""
    length = len(str(patient.root))
    if os.name == "nt" and length > 60 and not _long_paths_enabled():
        yield note(
            "Windows limits paths to 260 characters, and the workspace's own takes " + str(length),
            "enable long paths: LongPathsEnabled in HKLM\\SYSTEM\\CurrentControlSet\\Control\\FileSystem",
        )
    elif length > _LONG_ROOT:
        yield note(
            f"the path of the workspace has {length} characters: sockets and some tools allow a hundred"
        )
    else:
        yield ok(f"the workspace's path has {length} characters")


def _long_paths_enabled() -> bool:
    if sys.platform != "win32":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False


def symbolic_links(patient: Patient) -> Iterator[Said]:
    """Whether this user may make symbolic links."""
    with tempfile.TemporaryDirectory(prefix="pypm-doctor-") as folder:
        try:
            os.symlink("nowhere", os.path.join(folder, "link"))
        except OSError:
            yield note(
                "symbolic links cannot be made", "turn on Windows' developer mode" if os.name == "nt" else ""
            )
            return
    yield ok("can be made")


def compression(patient: Patient) -> Iterator[Said]:
    """Archive formats that pypm reads and writes, and whether the quick library is there."""
    there = [name for name in ("zlib", "bz2", "lzma") if importlib.util.find_spec(name)]
    zstd = importlib.util.find_spec("zstandard") or (
        sys.version_info >= (3, 14) and importlib.util.find_spec("compression")
    )
    formats = "tar, " + ", ".join([*there, *(["zstd"] if zstd else [])])
    if "zlib" not in there:
        yield issue("pypm's Python has no zlib: no wheel can be read", "install pypm with another Python")
    elif importlib.util.find_spec("isal") is None:
        yield ok(f"{formats}; isal would unpack wheels faster")
    else:
        yield ok(f"{formats}; isal unpacks")


def walls(patient: Patient) -> Iterator[Said]:
    """What the system has to shut processes in with."""
    if sys.platform == "darwin":
        program = find("sandbox-exec", {"PATH": "/usr/bin"})
        yield ok("sandbox-exec" if program else "there is no sandbox-exec, and nothing here needs it")
        return
    if sys.platform != "linux":
        yield ok("this system has none that pypm uses")
        return
    found = []
    if _number("/proc/sys/user/max_user_namespaces") and _number(
        "/proc/sys/kernel/unprivileged_userns_clone", 1
    ):
        restricted = _number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 0)
        found.append("user namespaces" + (" (restricted by AppArmor)" if restricted else ""))
    try:
        if "landlock" in Path("/sys/kernel/security/lsm").read_text(encoding="ascii"):
            found.append("Landlock")
    except OSError:
        pass
    if (program := find("bwrap", patient.environ)) is not None:
        found.append(program)
    yield ok(", ".join(found) or "the system has no user namespaces: sandboxes have no walls here")


def _number(file: str, otherwise: int = 0) -> int:
    try:
        return int(Path(file).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return otherwise


def encoding(patient: Patient) -> Iterator[Said]:
    """Whether this terminal's encoding can say every name."""
    said = sys.getfilesystemencoding().lower().replace("_", "-")
    output = (getattr(sys.stdout, "encoding", "") or "").lower()
    if said != "utf-8":
        yield note(
            f"names of files are {said} here: others than ASCII may be refused", "export LC_ALL=C.UTF-8"
        )
    elif output and output.replace("-", "").replace("_", "") != "utf8":
        yield note(f"standard output is {output} here", "export PYTHONIOENCODING=utf-8")
    else:
        yield ok("UTF-8")
