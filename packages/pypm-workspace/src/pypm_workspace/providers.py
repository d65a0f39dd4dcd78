"""Which distribution a module comes from, by what is known of distributions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pypm_model import names
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_workspace.imports import Imported


@record
class Contents:
    """What can be imported of one distribution."""

    modules: tuple[str, ...] = ()
    """Dotted where they lie in namespaces."""
    stubs: tuple[str, ...] = ()
    """Packages it has only the types of (PEP 561)."""
    commands: tuple[str, ...] = ()
    """Console scripts."""
    is_plugin: bool = False
    """Something else finds it by its entry points, without an import."""
    is_guess: bool = False
    """Nobody has looked into it: *modules* are what its name suggests."""
    is_open: bool = False
    """It may put more on the path than its files show (``.pth``)."""


def guessed(name: NormalizedName) -> Contents:
    """What the distribution *name* has if its modules are named as it is."""
    if stub := stub_of(name):
        return Contents(stubs=(stub,), is_guess=True)
    return Contents((name.replace("-", "_"), name.replace("-", ".")), is_guess=True)


def stub_of(name: str) -> str:
    """The package that a distribution of stubs is for, by its name; empty if it is none."""
    if name.startswith("types-"):
        return name.removeprefix("types-").replace("-", "_")
    return name.removesuffix("-stubs").replace("-", "_") if name.endswith("-stubs") else ""


class Providers:
    """Finds the distributions that have a module."""

    def __init__(self, contents: Mapping[NormalizedName, Contents], told: Mapping[str, str]) -> None:
        """*told* names distributions for modules by hand: it is stronger than what is known."""
        self._told = {module: (names.normalize(name),) for module, name in told.items()}
        self._by_module: dict[str, list[NormalizedName]] = {}
        self._by_stub: dict[str, list[NormalizedName]] = {}
        self._namespaces: dict[str, list[NormalizedName]] = {}
        self._dotted_guesses: dict[str, list[NormalizedName]] = {}
        self._guessed_namespaces: set[str] = set()
        self._found: dict[tuple[str, bool], tuple[NormalizedName, ...]] = {}
        for name, one in sorted(contents.items()):
            for module in one.modules:
                if one.is_guess and "." in module:
                    self._dotted_guesses.setdefault(module, []).append(name)
                    self._guessed_namespaces.update(_prefixes(module)[1:])
                    continue
                # Names differ in case where the guess is made: PIL is no guess, but Flask is.
                self._by_module.setdefault(module.lower() if one.is_guess else module, []).append(name)
                for prefix in _prefixes(module)[1:]:
                    self._namespaces.setdefault(prefix, []).append(name)
            for module in one.stubs:
                self._by_stub.setdefault(module.lower() if one.is_guess else module, []).append(name)

    def of(self, module: str, *, typing: bool = False) -> tuple[NormalizedName, ...]:
        """The distributions that have the dotted *module*, or the package it lies in; what is asked of a
        namespace alone is had by all that are in it. Empty if none is known. With *typing* stubs do."""
        key = (module, typing)
        if key not in self._found:
            self._found[key] = self._find(module, typing)
        return self._found[key]

    def _find(self, module: str, typing: bool) -> tuple[NormalizedName, ...]:
        for prefix in _prefixes(module):
            if prefix in self._told:
                return self._told[prefix]
            found = [*self._by_module.get(prefix, ())]
            if not found and prefix.lower() != prefix:
                found = [*self._by_module.get(prefix.lower(), ())]
            if typing:
                found += self._by_stub.get(prefix, ()) or self._by_stub.get(prefix.lower(), ())
            if found:
                return tuple(dict.fromkeys(found))
        if module in self._namespaces:
            return tuple(dict.fromkeys(self._namespaces[module]))
        # Last: mcp.types may be of mcp-types, but where there is an mcp it is of that.
        dotted = (self._dotted_guesses.get(prefix.lower(), []) for prefix in _prefixes(module))
        return tuple(next(filter(None, dotted), ()))

    def is_namespace(self, module: str) -> bool:
        """Whether *module* is only known as the folder that others lie in."""
        return module in self._namespaces and not any(
            prefix in self._by_module or prefix in self._told for prefix in _prefixes(module)
        )

    def modules_of(self, imported: Imported) -> Iterable[str]:
        """The modules that one import is about: what is imported *from* a namespace is a module each."""
        whole = imported.module
        if whole not in self._namespaces and whole not in self._guessed_namespaces:
            return (whole,)
        inside = [f"{whole}.{name}" for name in imported.names if name != "*"]
        if inside and self.is_namespace(whole):
            return inside
        if inside and not self.of(whole):
            return dict.fromkeys(module if self.of(module) else whole for module in inside)
        return (whole,)


def _prefixes(module: str) -> list[str]:
    """*module* and the packages it lies in, the innermost first."""
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
