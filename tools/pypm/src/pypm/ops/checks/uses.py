"""Every import of a member with the distributions it may come from."""

from __future__ import annotations

from collections.abc import Iterator

from pypm.ops.checks.sources import BUILD, SHIPPED, MemberSources, SourceFile, own_folders
from pypm.ops.checks.subject import Subject
from pypm_model.names import NormalizedName
from pypm_model.records import record
from pypm_workspace.configuration import Member
from pypm_workspace.imports import Imported
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


def uses_of(subject: Subject, member: Member) -> Iterator[Use]:
    """What *member* imports from outside of itself and of the standard library; what a module of its own
    and one of a distribution could both be is its own."""
    sources = subject.sources[member.name]
    providers = subject.providers(member)
    for file, imported, module in foreign_imports(subject, sources, providers):
        found = providers.of(module, typing=imported.is_typing or file.path.endswith(".pyi"))
        if is_standard(module) and not found:
            continue
        if member.name not in found:
            yield Use(file, imported, module, found)


def foreign_imports(
    subject: Subject, sources: MemberSources, providers: Providers
) -> Iterator[tuple[SourceFile, Imported, str]]:
    """(file, import, module) of every module that is not found among the member's own."""
    facts = subject.facts[sources.member.name]
    for file in sources.files:
        known = facts.get(file.path)
        if known is None or not known.imports:
            continue
        folders = own_folders(sources, file.path)
        for imported in known.imports:
            if imported.level:
                continue
            for module in providers.modules_of(imported):
                if sources.has(module, folders) or sources.member.name in providers.of(module):
                    continue
                if file.kind != SHIPPED and module.partition(".")[0] in subject.shared_modules:
                    continue
                yield file, imported, module


def loaded_at_import(subject: Subject, sources: MemberSources) -> frozenset[str]:
    """The files that are run when what the member installs is imported by its names, without more."""
    facts = subject.facts[sources.member.name]
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


def is_build(file: SourceFile) -> bool:
    """Whether the build backend runs it."""
    return file.kind == BUILD
