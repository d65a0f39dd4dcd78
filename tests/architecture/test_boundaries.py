"""The rules of the house, read from the members' own manifests and sources.

Lazy and typing-only imports count: an edge that exists only for a type is still an edge.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = sorted(
    p.parent for p in [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("tools/*/pyproject.toml")]
)
THINKING = {"pypm_audit", "pypm_model", "pypm_resolver", "pypm_workspace"}
WORLD = {
    "asyncio",
    "concurrent",
    "http",
    "httpx",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "selectors",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
"""Standard modules through which a thinking member could touch the world."""
WORLD_ALLOWED = {
    # The one member that reads manifests does so here and nowhere else.
    ("pypm_workspace", "discover"): {"os", "pathlib"},
    ("pypm_workspace", "edit"): {"os", "pathlib", "tempfile"},
    # Of what is known against a lock, only the machine's own advisories and what they are made of are files.
    ("pypm_audit", "database"): {"os", "pathlib", "sqlite3"},
    ("pypm_audit", "snapshot"): {"os", "pathlib"},
    # The one module that waits for the disk.
    ("pypm_workspace", "watch"): {"os", "time"},
}
PURE_FROM = {
    "pathlib": {"PurePath", "PurePosixPath", "PureWindowsPath"},
    "urllib": {"parse"},
    "os": {"PathLike"},
}
ALONE = {"pypm_memory": {"pypm_model"}}
"""Members that are of use without the rest of the house, and what of it they may take with them."""
LAZY_FOLDERS = ("cli", "ops")
LIGHT = ("_entry", "_command", "_tasks", "_plugins", "_plugin_search")
"""Modules of runs that are over before anything else is loaded (`tests/architecture/test_cold_start.py`)."""
FOREIGN_SCRIPTS = {
    # Files that other interpreters run, down to Python 2.7 (they say why they cannot use one that is too
    # old) and with nothing of pypm importable: they import late, by what the interpreter has.
    "pypm_env.probe_script",
    "pypm_env.compile_script",
    # Runs in a build environment's process and forks for each hook: what a hook's child needs is imported
    # in the child, because what the parent imports every backend would see.
    "pypm_env.build.host_process",
}
"""Modules that are run as scripts elsewhere, and so free to import inside functions."""


@dataclass(frozen=True)
class Import:
    module: str
    names: tuple[str, ...]
    line: int
    inside_function: bool
    typing_only: bool


def package_of(member: Path) -> str:
    (folder,) = [p for p in (member / "src").iterdir() if p.is_dir() and p.name.isidentifier()]
    return folder.name


PACKAGES = {package_of(m): m for m in MEMBERS}


def modules(package: str) -> dict[str, Path]:
    """Dotted module name → file."""
    source = PACKAGES[package] / "src"
    found = {}
    for path in sorted((source / package).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path: Path) -> tuple[Import, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"))

    def walk(node: ast.AST, inside: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, (), child.lineno, inside, typing_only)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: imports are absolute in this house"
                yield Import(
                    child.module or "", tuple(a.name for a in child.names), child.lineno, inside, typing_only
                )
            else:
                if postponed := later_module(child):
                    yield Import(postponed, (), child.lineno, inside, False)
                if isinstance(child, ast.expr):
                    continue  # nothing else in an expression is an import
                function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
                guard = isinstance(child, ast.If) and "TYPE_CHECKING" in names_in(child.test)
                yield from walk(child, inside or function, typing_only or guard)

    return tuple(walk(tree, False, False))


def names_in(expression: ast.expr) -> set[str]:
    """Names and attributes that *expression* mentions."""
    found = {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)}
    return found | {node.attr for node in ast.walk(expression) if isinstance(node, ast.Attribute)}


def later_module(node: ast.AST) -> str:
    """The module that ``later("...")`` names; empty if *node* is something else."""
    match node:
        case ast.Call(func=ast.Name("later"), args=[ast.Constant(str() as module)]):
            return module
        case _:
            return ""


def declared(package: str) -> set[str]:
    """Packages of the members that *package*'s manifest declares at run time."""
    manifest = tomllib.loads((PACKAGES[package] / "pyproject.toml").read_text(encoding="utf-8"))
    names = {
        d.split(";")[0].strip().split(">")[0].split("=")[0].split("[")[0]
        for d in manifest["project"]["dependencies"]
    }
    return {n.replace("-", "_") for n in names} & set(PACKAGES)


def test_members_import_only_members_they_declare() -> None:
    wrong = []
    for package in PACKAGES:
        allowed = declared(package) | {package}
        for path in modules(package).values():
            for found in imports(path):
                top = found.module.split(".")[0]
                if top in PACKAGES and top not in allowed:
                    wrong.append(f"{path.relative_to(ROOT)}:{found.line}: {top} is not declared")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", sorted(ALONE))
def test_what_stands_alone_takes_only_nouns_with_it(package: str) -> None:
    assert declared(package) <= ALONE[package]


def test_no_underscore_name_of_another_member() -> None:
    wrong = []
    for package in PACKAGES:
        for path in modules(package).values():
            for found in imports(path):
                parts = found.module.split(".")
                if parts[0] not in PACKAGES or parts[0] == package:
                    continue
                if any(p.startswith("_") for p in [*parts, *found.names]):
                    wrong.append(f"{path.relative_to(ROOT)}:{found.line}: {found.module} {found.names}")
    assert not wrong, "\n".join(wrong)


def test_declared_edges_between_members_have_no_cycle() -> None:
    graph = networkx.DiGraph([(p, d) for p in PACKAGES for d in declared(p)])
    assert list(networkx.simple_cycles(graph)) == []


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_cycle_between_modules(package: str) -> None:
    known = modules(package)
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for name, path in known.items():
        for found in imports(path):
            for target in (found.module, *(f"{found.module}.{n}" for n in found.names)):
                if target in known and target != name and not name.startswith(f"{target}."):
                    graph.add_edge(name, target)
    assert [" -> ".join(c) for c in networkx.simple_cycles(graph)] == []


@pytest.mark.parametrize("package", sorted(THINKING & set(PACKAGES)))
def test_thinking_members_touch_nothing(package: str) -> None:
    wrong = []
    for name, path in modules(package).items():
        allowed = WORLD_ALLOWED.get((package, name.split(".")[-1]), set())
        for found in imports(path):
            top = found.module.split(".")[0]
            if top not in WORLD or top in allowed or found.typing_only:
                continue
            pure = PURE_FROM.get(top, set())
            if found.module.split(".")[-1] in pure or (found.names and set(found.names) <= pure):
                continue
            wrong.append(f"{path.relative_to(ROOT)}:{found.line}: {found.module}")
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "open(" in text else ():
            opens = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
            if opens and "os" not in allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: open()")
    assert not wrong, "\n".join(wrong)


def test_imports_inside_functions_only_in_faces_and_verbs() -> None:
    wrong = []
    for package in PACKAGES:
        for name, path in modules(package).items():
            if name in FOREIGN_SCRIPTS:
                continue
            lazy_allowed = package == "pypm" and (name.split(".")[1:2] or [""])[0] in (
                *LAZY_FOLDERS,
                *LIGHT,
            )
            for found in imports(path):
                if found.inside_function and not lazy_allowed:
                    wrong.append(f"{path.relative_to(ROOT)}:{found.line}: {found.module}")
    assert not wrong, "\n".join(wrong)


def test_what_is_loaded_later_is_what_the_type_checker_sees() -> None:
    """Each ``name = later("module")`` stands beside an import that binds the same name to the same module."""
    wrong = []
    for package in PACKAGES:
        for path in modules(package).values():
            text = path.read_text(encoding="utf-8")
            if "later(" not in text:
                continue
            tree = ast.parse(text)
            typed = {
                alias.asname or alias.name: (
                    f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                )
                for node in ast.walk(tree)
                if isinstance(node, (ast.Import, ast.ImportFrom))
                for alias in node.names
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign) and (module := later_module(node.value)):
                    (target,) = node.targets
                    if not isinstance(target, ast.Name) or typed.get(target.id) != module:
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {module}")
    assert not wrong, "\n".join(wrong)


def test_no_room_for_odds_and_ends() -> None:
    forbidden = {"core", "common", "utils", "util", "helpers", "misc"}
    wrong = [n for p in PACKAGES for n in modules(p) if forbidden & set(n.split("."))]
    assert wrong == []


def test_package_heads_bind_nothing_heavy() -> None:
    wrong = []
    for package in PACKAGES:
        head = modules(package)[package]
        wrong += [f"{head.relative_to(ROOT)}:{f.line}" for f in imports(head) if f.module != "__future__"]
    assert wrong == []


@pytest.mark.parametrize(
    ("address", "member"), [("py" + "pi.org", "pypm-index"), ("osv" + '.dev"', "pypm-audit")]
)
def test_a_public_address_is_written_once(address: str, member: str) -> None:
    hits = []
    for folder in ("packages", "tools", "tests", "docs", "benchmarks", "changes"):
        for path in sorted((ROOT / folder).rglob("*")):
            if (
                path.is_file()
                and "__pycache__" not in path.parts
                and path.suffix in {".py", ".md", ".toml", ".lock", ".txt", ".json"}
            ):
                count = path.read_text(encoding="utf-8", errors="replace").count(address)
                hits += [str(path.relative_to(ROOT))] * count
    assert len(hits) == 1 and hits[0].startswith(f"packages/{member}/src/"), hits
