"""What can be imported of a distribution, by its metadata and its files."""

from __future__ import annotations

from collections.abc import Iterable

_EXTENSIONS = (".so", ".pyd")


def module_name(filename: str) -> str:
    """The module a file is, or empty if it is none: ``a.py``, ``a.cpython-312-x86_64-linux-gnu.so``."""
    stem, dot, ending = filename.rpartition(".")
    if ending == "py":
        name = stem
    elif dot + ending in _EXTENSIONS:
        name = stem.partition(".")[0]
    else:
        return ""
    return name if name.isidentifier() else ""


def import_names(metadata: str, files: Iterable[str], info: str) -> tuple[str, ...]:
    """By METADATA's Import-Name (PEP 794), else the packages and modules among *files* (relative, with
    ``/``), with dots where they lie in namespaces. Nothing in the folder *info*. Sorted."""
    declared: list[str] = []
    says = False
    for line in metadata.splitlines():
        if not line.strip():
            break
        key, _, value = line.partition(":")
        if key.lower() == "import-name":
            says = True
            name = value.partition(";")[0].strip()
            declared += [name] if name else []
    if says:
        return tuple(sorted(set(declared)))
    packages: set[str] = set()
    modules: list[tuple[str, str]] = []
    for path in files:
        folder, _, filename = path.rpartition("/")
        name = module_name(filename)
        if name == "__init__":
            packages.add(folder)
        elif name and not (info and folder.startswith(info)):
            modules.append((folder, name))
    found: set[str] = set()
    for package in packages:
        # A package below another is not a name of its own.
        if package and not _has_parent(package, packages) and all(map(str.isidentifier, package.split("/"))):
            found.add(package.replace("/", "."))
    for folder, name in modules:
        inside = folder in packages or _has_parent(folder, packages)
        if not inside and all(map(str.isidentifier, folder.split("/") if folder else ())):
            found.add(".".join([*folder.split("/"), name]) if folder else name)
    return tuple(sorted(found))


def _has_parent(folder: str, packages: set[str]) -> bool:
    while folder := folder.rpartition("/")[0]:
        if folder in packages:
            return True
    return False
