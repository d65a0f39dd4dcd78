"""An interpreter of this machine as files of a bundle: movable, deaf to the machine, with its libraries.

Its executable, modules and libraries are put where they were relative to its prefix. Programs and libraries
are changed (`elf_image`, `isolation`) in copies in a scratch folder, where the result is started once, with
every variable against it, before it is believed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pypm_bundle import isolation
from pypm_bundle.bundle_errors import InterpreterNotMovable
from pypm_bundle.contents import Content, Entry, Item, Link, OnDisk, Written
from pypm_bundle.elf_image import ElfImage, NotElf, relocated
from pypm_bundle.libraries import RUNTIMES, Closure, Library, closure, glibc_of, image_of
from pypm_env.interpreters import Interpreter
from pypm_model.records import record, replace

LIBRARIES = "lib"
FALLBACK = "lib/fallback"
"""For libraries that are used only where the machine has none of the name."""
_LEFT_OUT = frozenset(
    {"__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test", "turtledemo"}
)
_NOT_TAKEN = frozenset({"EXTERNALLY-MANAGED", "sitecustomize.py", "usercustomize.py"})
"""What a distributor or an administrator says to all programs of a machine."""
_SYSTEM = ("/lib64", "/usr/lib64", "/lib/{m}-linux-gnu", "/usr/lib/{m}-linux-gnu", "/lib", "/usr/lib")
_TERMINALS = (
    "ansi",
    "dumb",
    "linux",
    "screen",
    "screen-256color",
    "tmux-256color",
    "vt100",
    "xterm",
    "xterm-256color",
)
_TCL = re.compile(r"(tcl|tk|itcl|thread)\d[\d.]*")
_TERMINFO = ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo")
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_PROBE = """
import json, os, site, sys
try:
    import ssl
    paths = ssl.get_default_verify_paths()
    files = [paths.cafile or "", paths.openssl_cafile, paths.openssl_capath]
except ImportError:
    files = ["", "", ""]
print(json.dumps({
    "prefix": sys.prefix, "path": sys.path, "user": bool(site.ENABLE_USER_SITE),
    "sites": site.getsitepackages(), "certificates": files,
}))
"""


@record
class Basis:
    """What an interpreter is and needs by itself."""

    interpreter: Interpreter
    python: str
    """The executable's name in ``bin``."""
    site_packages: str
    """Relative to the bundle's root."""
    stdlib: str
    """The same of the standard library."""
    scratch: Path
    asking: tuple[tuple[str, ElfImage], ...]
    """(file of this machine, what it says) of the program and the modules that are libraries."""
    gone: frozenset[str]
    """Those of them that cannot come along."""
    folders: tuple[str, ...] | None
    """Where libraries are looked for; None: where this machine's loader looks."""
    certificates: tuple[str, str, str]
    """The file of certificates in use, and the file and folder where its OpenSSL looks; or empty."""


@record
class Runtime:
    """The interpreter's part of a bundle."""

    items: tuple[Item, ...]
    libraries: tuple[str, ...]
    """Names of the shared libraries that come along, sorted."""
    glibc: tuple[tuple[str, tuple[int, int]], ...]
    """(path in the bundle, the oldest glibc that will do for it)."""
    left_out: tuple[str, ...]
    """Modules of the standard library that could not come along, sorted."""
    has_certificates: bool
    missing: tuple[tuple[str, str], ...]
    """(what of a wheel needs it, name) of libraries that this machine has not."""
    drivers: tuple[tuple[str, str], ...]
    """The same of those that come with a driver."""


def basis(interpreter: Interpreter, scratch: Path, *, foreign: bool = False) -> Basis:
    """What there is of *interpreter*, and what a copy of it, made and started in the empty folder *scratch*,
    says of itself. The folder must stay until a bundle is written.

    A *foreign* one is for another machine: nothing of it is started, and no library is taken but from its own
    folder. Raises `InterpreterNotMovable`.
    """
    if interpreter.implementation != "cpython" or interpreter.markers["sys_platform"] != "linux":
        raise InterpreterNotMovable(interpreter.path, "only CPython on Linux can be moved by pypm")
    stdlib = Path(interpreter.paths["stdlib"])
    try:
        below = stdlib.relative_to(interpreter.base_prefix).as_posix()
    except ValueError:
        raise InterpreterNotMovable(interpreter.path, f"its modules are in {stdlib}, elsewhere") from None
    threads = "t" if interpreter.is_free_threaded else ""
    python = f"python{interpreter.release[0]}.{interpreter.release[1]}{threads}"
    program = image_of(interpreter.real_path)
    asking = [] if program is None else [(interpreter.real_path, program)]
    asking += [(path, image) for _, path in _modules(stdlib) if (image := image_of(path)) is not None]
    folders = (f"{interpreter.base_prefix}/lib",) if foreign else None
    own = closure(asking, folders)
    gone = {path for path, _ in (*own.missing, *own.drivers)} | _tk(own, asking, _prefix(interpreter))
    if interpreter.real_path in gone:
        raise InterpreterNotMovable(interpreter.path, f"{own.missing[0][1]} is not there")
    asking = [(path, image) for path, image in asking if path not in gone]
    found = Basis(
        interpreter,
        python,
        interpreter.layout.site_packages,
        below,
        scratch,
        tuple(asking),
        frozenset(gone),
        folders,
        ("", "", ""),
    )
    if foreign:
        return found
    tried = scratch / "tried"
    items = _copies(found, closure(asking).libraries, ())
    _lay_out(tried, items, below, stdlib)
    facts = _ask(interpreter, tried, python)
    sites = [os.path.relpath(path, tried) for path in facts["sites"]]
    layout = interpreter.layout.site_packages
    site_packages = layout if layout in sites else sites[-1]
    first, second, third = facts["certificates"]
    return replace(found, site_packages=site_packages, certificates=(first, second, third))


def complete(base: Basis, wheels: Sequence[tuple[str, ElfImage]], inside: frozenset[str]) -> Runtime:
    """The files that make the interpreter run anywhere, with the libraries of this machine that those of
    *wheels* (path in the bundle, what it says) need beside what is *inside* the wheels, by name. Raises
    `InterpreterNotMovable`."""
    needs = closure([*base.asking, *_unwinder(base), *_without(wheels, inside)], base.folders)
    interpreter = base.interpreter
    stdlib = Path(interpreter.paths["stdlib"])
    glibc = [(f"bin/{base.python}", image) for path, image in base.asking if path == interpreter.real_path]
    glibc += [
        (f"{base.stdlib}/{os.path.relpath(path, stdlib)}", image)
        for path, image in base.asking
        if path != interpreter.real_path
    ]
    glibc += [(_place(one, _prefix(interpreter)), one.image) for one in needs.libraries]
    left_out = sorted({Path(path).name.partition(".")[0].removeprefix("_") for path in base.gone})
    items = _copies(base, needs.libraries, _preloads(wheels, needs.libraries))
    items += [Link("bin/python3", base.python), Link("bin/python", base.python)]
    items += _sources(stdlib, base.stdlib, interpreter.base_prefix, frozenset(left_out))
    items += _tcl(Path(interpreter.base_prefix))
    items.append(Entry(isolation.CONFIG, Written(isolation.CONFIG_TEXT.encode())))
    up = "/".join([".."] * (base.site_packages.count("/") + 1))
    in_use, cafile, capath = base.certificates
    hook, line = isolation.hook(cafile, capath, up), f"import {isolation.HOOK}\n"
    items.append(Entry(f"{base.site_packages}/{isolation.HOOK}.py", Written(hook.encode())))
    items.append(Entry(f"{base.site_packages}/{isolation.HOOK}.pth", Written(line.encode())))
    known = next((path for path in (in_use, *_CERTIFICATES) if os.path.isfile(path)), None)
    if known is not None:
        items.append(Entry(isolation.CERTIFICATES, OnDisk(Path(known).resolve())))
    items += _terminals()
    by_wheels = {path for path, _ in wheels}
    return Runtime(
        tuple(items),
        tuple(library.name for library in needs.libraries),
        tuple((path, glibc_of(image)) for path, image in glibc),
        tuple(left_out),
        known is not None,
        tuple(one for one in needs.missing if one[0] in by_wheels),
        tuple(one for one in needs.drivers if one[0] in by_wheels),
    )


def _copies(base: Basis, libraries: Sequence[Library], preload: Sequence[str]) -> list[Item]:
    """The program, its modules that are libraries, and *libraries*, so that they find each other."""
    interpreter = base.interpreter
    prefix, machine = _prefix(interpreter), interpreter.markers["platform_machine"]
    stdlib = Path(interpreter.paths["stdlib"])
    changed = base.scratch / "changed"
    images = dict(base.asking)
    program = images.get(interpreter.real_path)
    folders = [f"$ORIGIN/../{LIBRARIES}", *(f.format(m=machine) for f in _SYSTEM), f"$ORIGIN/../{FALLBACK}"]
    items: list[Item] = []
    try:
        place = f"bin/{base.python}"
        content = _changed(interpreter.real_path, changed / place, folders if program else None, preload)
        items.append(Entry(place, content, executable=True))
        for library in libraries:
            place = _place(library, prefix)
            local = library.image.search or _needs_any(library.image, libraries)
            content = _changed(library.path, changed / place, ["$ORIGIN"] if local else None)
            items.append(Entry(place, content))
        for name, path in _modules(stdlib):
            image = images.get(path)
            if path not in base.gone:
                place = f"{base.stdlib}/{name}"
                up = "/".join([".."] * place.count("/"))
                local = image is not None and (image.search or _needs_any(image, libraries))
                rpath = [f"$ORIGIN/{up}/{LIBRARIES}"] if local else None
                items.append(Entry(place, _changed(path, changed / place, rpath)))
    except NotElf as error:
        raise InterpreterNotMovable(interpreter.path, f"one of its files {error}") from error
    return items


def _prefix(interpreter: Interpreter) -> str:
    return interpreter.base_prefix.rstrip("/") + "/"


def _modules(stdlib: Path) -> Iterator[tuple[str, str]]:
    """(path below *stdlib*, file) of its modules that are libraries."""
    for name, path in _walk(stdlib):
        if name.endswith(".so"):
            yield name, str(path)


def _walk(folder: Path, below: str = "") -> Iterator[tuple[str, Path]]:
    """(path below *folder*, file) of what belongs to the standard library, sorted."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{below}{entry.name}"
        if entry.is_dir():
            if entry.name not in _LEFT_OUT and not entry.name.startswith("config-"):
                yield from _walk(Path(entry.path), f"{name}/")
        elif entry.is_file() and not entry.name.endswith((".pyc", ".a")) and name not in _NOT_TAKEN:
            yield name, Path(entry.path)


def _tk(own: Closure, asking: Sequence[tuple[str, ElfImage]], prefix: str) -> set[str]:
    """Modules for Tk whose scripts are the system's: they would not be found elsewhere."""
    outside = {
        one.name for one in own.libraries if one.name.startswith("libtcl") and not one.path.startswith(prefix)
    }
    return {path for path, image in asking if outside & set(image.needed)}


def _unwinder(base: Basis) -> Iterator[tuple[str, ElfImage]]:
    """glibc itself loads this library when a thread is ended, and says nowhere that it needs it."""
    for path, image in base.asking[:1]:
        if any(library == "libc.so.6" for library, _ in image.versions):
            yield path, ElfImage(image.machine, ("libgcc_s.so.1",), "", (), (), ())


def _without(
    wheels: Sequence[tuple[str, ElfImage]], inside: frozenset[str]
) -> Iterator[tuple[str, ElfImage]]:
    """What *wheels* need but for what is *inside* them."""
    for path, image in wheels:
        needed = tuple(name for name in image.needed if name not in inside)
        yield path, ElfImage(image.machine, needed, image.soname, (), (), image.versions)


def _preloads(wheels: Sequence[tuple[str, ElfImage]], libraries: Sequence[Library]) -> tuple[str, ...]:
    """Libraries that the program must have loaded, because those of a wheel that need them look only where
    their own RUNPATH says and where the system has such things."""
    here = {one.name for one in libraries}
    found = {name for _, image in wheels if image.runpath for name in image.needed if name in here}
    return tuple(sorted(found))


def _needs_any(image: ElfImage, libraries: Sequence[Library]) -> bool:
    names = {one.name for one in libraries}
    return any(name in names for name in image.needed)


def _place(library: Library, prefix: str) -> str:
    own = library.path.startswith(prefix) and prefix not in ("/", "/usr/")
    return f"{FALLBACK if RUNTIMES.fullmatch(library.name) and not own else LIBRARIES}/{library.name}"


def _changed(source: str, target: Path, rpath: Sequence[str] | None, needed: Sequence[str] = ()) -> Content:
    """The file *source*, or what it becomes, written to *target*."""
    data = content = Path(source).read_bytes()
    if rpath:
        content = relocated(content, rpath, needed)
    if isolation.knows_variables(content):
        content = isolation.deaf(content)
    if content is data:
        return OnDisk(Path(os.path.realpath(source)))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return OnDisk(target)


def _lay_out(folder: Path, items: Sequence[Item], below: str, stdlib: Path) -> None:
    """The programs and libraries of *items* in *folder*, with the machine's own modules in Python."""
    for item in items:
        place = folder / item.path
        if (
            isinstance(item, Entry)
            and isinstance(item.content, OnDisk)
            and not item.path.startswith(f"{below}/")
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(item.content.path.read_bytes())
            place.chmod(0o755)
    # As it will be: without what is installed for this machine's interpreter, whose .pth would be believed.
    (folder / below).mkdir(parents=True, exist_ok=True)
    for entry in sorted(os.listdir(stdlib)):
        if entry not in _LEFT_OUT and entry not in _NOT_TAKEN:
            (folder / below / entry).symlink_to(stdlib / entry)
    (folder / isolation.CONFIG).write_text(isolation.CONFIG_TEXT, encoding="ascii")


def _ask(interpreter: Interpreter, folder: Path, python: str) -> dict[str, Any]:
    """What the interpreter in *folder* says of itself when all variables are against it."""
    against = {
        **dict.fromkeys(isolation.RENAMED, "/nowhere"),
        "PYTHONUSERBASE": "/nowhere",
        "PATH": "/nowhere",
    }
    try:
        done = subprocess.run(
            [str(folder / "bin" / python), "-c", _PROBE],
            env=against,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )
        facts: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise InterpreterNotMovable(interpreter.path, f"its copy does not run: {error}") from error
    if not facts:
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        raise InterpreterNotMovable(interpreter.path, f"its copy does not run: {said[-1]}")
    outside = [path for path in facts["path"] if path and not path.startswith(f"{folder}/")]
    if outside or facts["user"] or os.path.realpath(facts["prefix"]) != os.path.realpath(folder):
        raise InterpreterNotMovable(interpreter.path, f"its copy looks outside of itself: {outside}")
    return facts


def _sources(stdlib: Path, below: str, prefix: str, left_out: frozenset[str]) -> Iterator[Item]:
    """The modules in Python, and the data beside them."""
    for name, path in _walk(stdlib):
        if name.endswith(".so") or name.partition("/")[0] in left_out:
            continue
        content: Content = OnDisk(path.resolve())
        if name.startswith("_sysconfigdata") and name.endswith(".py"):
            text = path.read_text(encoding="utf-8")
            content = Written(isolation.movable_sysconfig(text, prefix.rstrip("/")).encode())
        yield Entry(f"{below}/{name}", content)


def _tcl(prefix: Path) -> Iterator[Item]:
    """The scripts of a Tcl and Tk that are the interpreter's own."""
    if str(prefix) in ("/", "/usr") or not (prefix / LIBRARIES).is_dir():
        return
    for folder in sorted((prefix / LIBRARIES).iterdir()):
        if _TCL.fullmatch(folder.name) and folder.is_dir():
            for name, path in _walk(folder):
                yield Entry(f"{LIBRARIES}/{folder.name}/{name}", OnDisk(path.resolve()))


def _terminals() -> Iterator[Item]:
    """Descriptions of the usual terminals."""
    for name in _TERMINALS:
        for folder in _TERMINFO:
            path = Path(folder, name[0], name)
            if path.is_file():
                yield Entry(f"{isolation.TERMINFO}/{name[0]}/{name}", OnDisk(path.resolve()))
                break
