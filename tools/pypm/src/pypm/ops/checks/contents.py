"""What is in the distributions that are locked: by their unpacked wheels, else by environments, else by
their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path

from pypm.ops.tools import Tools
from pypm.ops.world import VENV
from pypm_env.installed import inspect
from pypm_model.locks import Lock, LockedPackage
from pypm_model.names import NormalizedName, normalize
from pypm_model.patterns import pattern
from pypm_model.sources import MemberSource
from pypm_store.import_names import import_names
from pypm_store.tree import Tree
from pypm_workspace.providers import Contents, guessed
from pypm_workspace.workspace import Workspace

_commands = ("console_scripts", "gui_scripts")
_stubs = "-stubs"
_namespace = pattern(r"^\s*__path__\s*=.*\bextend_path\(|\bdeclare_namespace\(\s*__name__\s*\)", 8)
_finds = pattern(r"__editable__|finder|sys\.(path|meta_path)|addsitedir|path_hooks")
_LARGE = 2_000
"""Bytes of an ``__init__`` that holds more than the lines which make a namespace."""


def contents_of(
    tools: Tools, workspace: Workspace, lock: Lock | None, declared: Iterable[NormalizedName]
) -> dict[NormalizedName, Contents]:
    """What can be imported of each distribution that is locked or *declared* and no member."""
    found: dict[NormalizedName, Contents] = {}
    wanted = dict.fromkeys(declared)
    for package in lock.packages if lock else ():
        if isinstance(package.source, MemberSource):
            continue
        wanted[package.name] = None
        for tree in _trees(tools, package):
            found[package.name] = _joined(found.get(package.name), of_tree(tree))
    wanted = {name: None for name in wanted if name not in workspace.by_name}
    missing = wanted.keys() - found.keys()
    if missing:
        for folder in _environments(workspace):
            found |= _installed(tools, folder, missing - found.keys())
    return {name: found[name] if name in found else guessed(name) for name in wanted}


def of_tree(tree: Tree) -> Contents:
    """What an unpacked wheel says."""
    return Contents(
        _told_apart(tree.import_names, tree.files, lambda path: tree.site / path),
        tuple(top.name.removesuffix(_stubs) for top in tree.top_level if top.name.endswith(_stubs)),
        (
            *[point.name for point in tree.entry_points if point.group in _commands],
            *[_command(path) for path in tree.scripts],
        ),
        is_plugin=any(point.group not in _commands for point in tree.entry_points),
        is_open=any(_opens(tree.site / top.name) for top in tree.top_level if top.name.endswith(".pth")),
    )


def _told_apart(
    modules: Iterable[str], files: Iterable[str], place: Callable[[str], Path]
) -> tuple[str, ...]:
    """*modules*, with what lies in a namespace that an ``__init__`` makes (``pkgutil``, ``pkg_resources``) in
    place of that namespace, which other distributions share: ``backports.tarfile``, not ``backports``.
    *place* tells where one of *files* is."""
    found = set(modules)
    while shared := {f"{m.replace('.', '/')}/__init__.py" for m in found if _is_shared(place, m)}:
        files = [file for file in files if file not in shared]
        found = {*import_names("", files, "")}
    return tuple(sorted(found))


def _is_shared(place: Callable[[str], Path], module: str) -> bool:
    """Whether *module* is a package that does nothing but let others put modules into it."""
    file = place(f"{module.replace('.', '/')}/__init__.py")
    try:
        if not 0 < file.stat().st_size < _LARGE:
            return False
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return _namespace.search(text) is not None


def _opens(file: Path) -> bool:
    """Whether the ``.pth`` file may make more modules importable: it names a folder, or its code has to do
    with where modules are found. Most run something at the start: a shim, a tracer."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    stated = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return any(_finds.search(line) if line.startswith(("import ", "import\t")) else True for line in stated)


def _command(path: str) -> str:
    """What is typed to run the file *path*: programs that are no console scripts, too, as ruff is."""
    return path.rpartition("/")[2].removesuffix(".exe")


def _in_scripts(path: str) -> bool:
    return path.startswith("../") and path.rpartition("/")[0].endswith(("/bin", "/Scripts"))


def _trees(tools: Tools, package: LockedPackage) -> Iterator[Tree]:
    digests = [file.sha256 for file in package.files if file.is_wheel]
    digests.append(getattr(package.source, "sha256", ""))
    for digest in digests:
        if digest and tools.store.manifest_size(digest):
            tree = tools.store.tree(digest, check=False)
            if tree is not None:
                yield tree


def _joined(one: Contents | None, other: Contents) -> Contents:
    """What either of two versions (or builds for two platforms) has."""
    if one is None:
        return other
    return Contents(
        tuple(sorted({*one.modules, *other.modules})),
        tuple(sorted({*one.stubs, *other.stubs})),
        tuple(sorted({*one.commands, *other.commands})),
        is_plugin=one.is_plugin or other.is_plugin,
        is_open=one.is_open or other.is_open,
    )


def _environments(workspace: Workspace) -> Iterator[Path]:
    root = Path(workspace.root)
    for path in dict.fromkeys((".", *(member.path for member in workspace.members))):
        folder = root / path / VENV
        if folder.is_dir():
            yield folder


def _installed(
    tools: Tools, folder: Path, names: Iterable[NormalizedName]
) -> Mapping[NormalizedName, Contents]:
    """What the environment in *folder*, whoever made it, has of *names*."""
    wanted = set(names)
    found: dict[NormalizedName, Contents] = {}
    for one in inspect(folder).dists:
        if one.name in wanted and one.is_ours:
            tree = tools.store.tree(one.dist.tree, check=False)
            if tree is not None:
                found[one.name] = of_tree(tree)
    sites = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
    if wanted - found.keys() and sites:
        for there in distributions(path=[str(site) for site in sites]):
            name = normalize(there.name or "")
            if name in wanted and name not in found:
                found[name] = _of_distribution(there)
    return found


def _of_distribution(one: Distribution) -> Contents:
    """What an installed distribution says: its METADATA and RECORD, else ``top_level.txt``."""
    files = [file.as_posix() for file in one.files or ()]
    modules = set(import_names(one.read_text("METADATA") or "", files, ""))
    modules = {module for module in modules if not module.startswith("__editable__")}
    modules = set(_told_apart(modules, files, lambda path: Path(str(one.locate_file(path)))))
    modules.update((one.read_text("top_level.txt") or "").split())
    groups = {point.group: point.name for point in one.entry_points}
    return Contents(
        tuple(sorted(modules)),
        tuple(sorted({f.partition("/")[0].removesuffix(_stubs) for f in files if f"{_stubs}/" in f})),
        tuple(
            sorted(
                {point.name for point in one.entry_points if point.group in _commands}
                | {_command(file) for file in files if _in_scripts(file)}
            )
        ),
        is_plugin=bool(groups.keys() - set(_commands)),
        is_open=any(
            _opens(Path(str(one.locate_file(file))))
            for file in files
            if file.endswith(".pth") and "/" not in file
        ),
    )
