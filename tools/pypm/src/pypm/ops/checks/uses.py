"""Every import of a member with the distributions it may come from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pypm.ops.checks.sources import SHIPPED, MemberSources, SourceFile, own_folders
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_workspace.imports import Imported, SourceFacts
from pypm_workspace.providers import Providers
from pypm_workspace.standard_library import is_standard


@record
class Use:
    """A module that a file of a member imports, and that is not the member's own."""

    file: SourceFile
    imported: Imported
    module: str
    """Absolute and dotted."""
    providers: tuple[NormalizedName, ...]
    """Who has it; empty: nobody who is known."""

    @property
    def is_typing(self) -> bool:
        """Whether nothing runs it."""
        return self.imported.is_typing or self.file.path.endswith(".pyi")

    @property
    def is_foreign(self) -> bool:
        """Whether a distribution is to bring it: it is not of the standard library, or not of that alone."""
        return bool(self.providers) or not is_standard(self.module)


def uses_of(
    sources: MemberSources,
    facts: Mapping[str, SourceFacts],
    providers: Providers,
    shared_modules: Collection[str],
) -> Iterator[Use]:
    """What a member imports that is not its own, the standard library included; what a module of its own
    and one of a distribution could both be is its own. *shared_modules* are on the path of what is not
    shipped."""
    for file in sources.files:
        known = facts.get(file.path)
        if known is None or not known.imports:
            continue
        folders = own_folders(sources, file.path)
        is_stub = file.path.endswith(".pyi")
        for imported in known.imports:
            if imported.module[0] == ".":
                continue
            for module in providers.modules_of(imported):
                if sources.has(module, folders):
                    continue
                found = providers.of(module, typing=is_stub or imported.is_typing)
                if sources.member.name in found:
                    continue
                if file.kind != SHIPPED and module.partition(".")[0] in shared_modules:
                    continue
                yield Use(file, imported, module, found)


def loaded_at_import(sources: MemberSources, facts: Mapping[str, SourceFacts]) -> frozenset[str]:
    """The files that are run when what the member installs is imported by its names, without more."""
    by_module = {
        module: file.path
        for file in sources.files
        if file.kind == SHIPPED and file.path.endswith(".py") and (module := sources.module_of(file.path))
    }
    todo = [by_module[name] for name in sources.contents.modules if name in by_module]
    seen = set(todo)
    for path in todo:
        module = sources.module_of(path)
        is_package = path.endswith("__init__.py")
        for imported in facts[path].imports if path in facts else ():
            if imported.is_late or imported.is_typing or imported.is_optional:
                continue
            base = imported.module
            if imported.level:
                parts = module.split(".") if is_package else module.split(".")[:-1]
                kept = parts[: len(parts) - imported.level + 1]
                base = ".".join([*kept, *filter(None, [imported.module.lstrip(".")])])
            for target in (base, *(f"{base}.{name}" for name in imported.names)):
                # Importing a module imports the packages it lies in first.
                parts = target.split(".")
                for length in range(1, len(parts) + 1):
                    file = by_module.get(".".join(parts[:length]))
                    if file is not None and file not in seen:
                        seen.add(file)
                        todo.append(file)
    return frozenset(seen)
