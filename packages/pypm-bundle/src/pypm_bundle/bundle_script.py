"""Inside every bundle, run by its interpreter, never imported: checks the bundle, or installs it elsewhere.

    bundle.py verify           compares every file with its digest, and whether it is executable; exit 1 names
                               those that differ
    bundle.py install DIR      verifies, copies the bundle to the new folder DIR, and compiles its modules

A bundle without an interpreter is run by one of the machine, of which it becomes a virtual environment.

Standard library only, and language of Python 3.8.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANIFEST = "pypm-bundle.json"


def main(arguments: "list[str]") -> int:
    if arguments[:1] == ["verify"] and len(arguments) == 1:
        return verify()
    if arguments[:1] == ["install"]:
        options = [word for word in arguments[1:] if word.startswith("-")]
        words = [word for word in arguments[1:] if not word.startswith("-")]
        if len(words) == 1 and set(options) <= {"--no-compile", "--no-verify"}:
            return install(words[0], "--no-compile" not in options, "--no-verify" not in options)
    sys.stderr.write("usage: install.sh [--no-compile] [--no-verify] DIR\n       verify.sh\n")
    return 2


def verify() -> int:
    faults = differences()
    for path, reason in faults:
        sys.stderr.write(f"error[bundle-damaged]: {path} {reason}\n")
    if not faults:
        sys.stderr.write("All files are what they were when the bundle was made\n")
    return 1 if faults else 0


def differences() -> "list[tuple[str, str]]":
    try:
        with open(os.path.join(ROOT, MANIFEST), encoding="utf-8") as file:
            data = json.load(file)
        files, links, executable = dict(data["files"]), dict(data["links"]), set(data["executable"])
    except (OSError, ValueError, KeyError, TypeError):
        return [(MANIFEST, "cannot be read")]
    # Where the manifest can be executed every file can: the file system knows no such thing.
    knows_modes = os.name == "posix" and not is_executable(os.path.join(ROOT, MANIFEST))
    faults = []
    for path, digest in sorted(files.items()):
        place = os.path.join(ROOT, path)
        if os.path.islink(place) or not os.path.isfile(place):
            faults.append((path, "is missing"))
        elif digest_of(place) != digest:
            faults.append((path, "has another content"))
        elif knows_modes and is_executable(place) != (path in executable):
            faults.append((path, "is not executable" if path in executable else "is executable"))
    for path, target in sorted(links.items()):
        place = os.path.join(ROOT, path)
        if not os.path.islink(place):
            faults.append((path, "is missing"))
        elif os.readlink(place) != target:
            faults.append((path, "leads elsewhere"))
    known = {*files, *links, MANIFEST}
    if data.get("kind") == "no-interpreter":
        known |= {"pyvenv.cfg", "bin/python", "bin/python3", data["python"]["executable"]}
    for path in present():
        if path not in known:
            faults.append((path, "does not belong to the bundle"))
    return faults


def is_executable(place: str) -> bool:
    return bool(os.stat(place).st_mode & 0o100)


def present() -> "list[str]":
    """All files but the bytecode that Python keeps beside modules."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        below = os.path.relpath(folder, ROOT)
        inside = "" if below == "." else below.replace(os.sep, "/") + "/"
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if name not in links]
        cache = os.path.basename(folder) == "__pycache__"
        found += [inside + name for name in names + links if not (cache and name.endswith(".pyc"))]
    return sorted(found)


def digest_of(place: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(place, "rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
    except OSError as error:
        return str(error)
    return digest.hexdigest()


def install(target: str, compiles: bool, verifies: bool) -> int:
    target = os.path.abspath(target)
    if os.path.lexists(target) and not (os.path.isdir(target) and not os.listdir(target)):
        sys.stderr.write(f"error[in-the-way]: {target} is there already\n")
        return 2
    if os.path.realpath(target).startswith(os.path.realpath(ROOT) + os.sep):
        sys.stderr.write(f"error[in-the-way]: {target} is inside the bundle\n")
        return 2
    if verifies:
        faults = differences()
        if faults:
            for path, reason in faults:
                sys.stderr.write(f"error[bundle-damaged]: {path} {reason}\n")
            return 1
    beside = f"{target}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            copy(beside)
            os.rename(beside, target)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
    except OSError as error:
        place = str(error.filename or target).replace(beside, target)
        reason = f"{error.strerror.lower()}: {place}" if error.strerror else str(error)
        sys.stderr.write(f"error[not-installed]: {reason}\n")
        return 1
    if compiles:
        compile_in(target)
    sys.stderr.write(f"Installed into {target}\n")
    return 0


def copy(target: str) -> None:
    """The bundle's files and nothing else, each open to all who may read it here."""
    with open(os.path.join(ROOT, MANIFEST), encoding="utf-8") as file:
        data = json.load(file)
    if data["kind"] == "no-interpreter":
        borrow(target, data["python"])
    executable = set(data["executable"])
    for path in sorted([*data["files"], MANIFEST]):
        place = os.path.join(target, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.copyfile(os.path.join(ROOT, path), place)
        os.chmod(place, 0o755 if path in executable else 0o644)
    for path, goal in sorted(data["links"].items()):
        place = os.path.join(target, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(goal, place)


def borrow(target: str, wanted: "dict[str, str]") -> None:
    """Makes *target* a virtual environment (PEP 405) of the interpreter that runs this."""
    here = ".".join(map(str, sys.version_info[:2]))
    if (here, sys.implementation.name) != (wanted["minor"], wanted["implementation"]):
        raise OSError(
            f"this is Python {here}, and the bundle is for {wanted['minor']}: PYTHON names another one"
        )
    base = getattr(sys, "_base_executable", None) or sys.executable
    os.makedirs(os.path.join(target, "bin"))
    version = ".".join(map(str, sys.version_info[:3]))
    with open(os.path.join(target, "pyvenv.cfg"), "w", encoding="utf-8") as file:
        file.write(
            f"home = {os.path.dirname(base)}\ninclude-system-site-packages = false\nversion = {version}\n"
        )
    name = os.path.basename(wanted["executable"])
    os.symlink(base, os.path.join(target, "bin", name))
    for other in ("python3", "python"):
        os.symlink(name, os.path.join(target, "bin", other))


def compile_in(target: str) -> None:
    """Bytecode for all modules, by the new place's interpreter; what cannot be compiled is left."""
    python = os.path.join(target, "bin", "python")
    jobs = "0" if os.path.isdir("/dev/shm") else "1"
    words = [python, "-m", "compileall", "-q", "-j", jobs, "--invalidation-mode", "unchecked-hash"]
    words.append(os.path.join(target, "lib"))
    subprocess.run(words, capture_output=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
