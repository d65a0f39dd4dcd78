"""Writes `docs/reference/commands.md`, `settings.md`, `error-codes.md` and `doctor-checks.md` from the code.

    python docs/generate.py            write what is missing or stale
    python docs/generate.py --check    write nothing; exit 1 and name the pages that are

Commands come from the records of the command line, settings from the pydantic models of the two tables, errors from
every subclass of `PypmError` in the members. What a setting is for stands here, because the models
have no room for prose: a key without a sentence, or a sentence without a key, is an error.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from pypm._verbs import ALIASES, VERBS
from pypm.cli.arguments import Command, Group, Option
from pypm.cli.options import COMMON
from pypm.ops.doctor.checks import CHECKS
from pypm_model.errors import PypmError
from pypm_workspace.tables import MemberTool, WorkspaceFile, kebab

REFERENCE = Path(__file__).with_name("reference")
MEMBERS = (
    "pypm_model",
    "pypm_workspace",
    "pypm_resolver",
    "pypm_index",
    "pypm_store",
    "pypm_env",
    "pypm_memory",
    "pypm_plugins",
    "pypm_audit",
    "pypm_bundle",
    "pypm",
)
NOTE = "<!-- Written by docs/generate.py from the code: change it there. -->"


def pages() -> dict[str, str]:
    """Every generated page by file name, as it should be."""
    return {
        "commands.md": commands(),
        "settings.md": settings(),
        "error-codes.md": error_codes(),
        "doctor-checks.md": doctor_checks(),
    }


# --- commands ------------------------------------------------------------------------------------

WITHOUT_OPTIONS = {
    "version": "Prints `pypm` and its version. `pypm --version` and `pypm -V` are the same.",
    "help": "Without an argument the list of commands; `pypm help COMMAND` tells one command's options.",
}
"""Commands that end before an option parser is loaded."""


def commands() -> str:
    """The page of commands."""
    lines = ["# Commands", "", NOTE, ""]
    lines += [
        "`pypm COMMAND [OPTIONS]`. Standard output carries data, standard error the talk. Exit codes: 0 done,",
        "1 no (or it failed), 2 the input cannot be used (wrong usage, a manifest with faults), 3 the search for",
        "versions ran out of its budget (`undecided`), 127 no such",
        "command to run, 130 interrupted; `run` and `exec` give the exit code of what they ran.",
        "",
        "| command | |",
        "|---|---|",
    ]
    lines += [f"| [`{verb}`](#{anchor(verb)}) | {summary} |" for verb, (_, summary) in VERBS.items()]
    names = ", ".join(f"`{alias}` for `{verb}`" for alias, verb in ALIASES.items())
    lines += ["", f"Short names: {names}.", "", "## Common options", ""]
    lines += [
        "All commands that have options take these; they may also stand before the command, as `-o` may where"
        " a command has it.",
        "",
    ]
    lines += _option_table(COMMON.options)
    for verb in VERBS:
        lines += ["", f"## {verb}", ""]
        command = command_of(verb)
        if command is None:
            lines.append(WITHOUT_OPTIONS[verb])
        elif isinstance(command, Group):
            lines += [_prose(command.help), ""]
            for name in sorted(command.commands):
                lines += _command(f"{verb} {name}", command.commands[name], "###")
            lines.pop()
        else:
            lines += _command(verb, command, "")
            lines.pop()
    return "\n".join(lines) + "\n"


def command_of(verb: str) -> Command | Group | None:
    """What *verb* takes; None for one that has no options."""
    module = f"pypm.cli.verbs.{VERBS[verb][0]}"
    if importlib.util.find_spec(module) is None:
        return None
    found: Command | Group = importlib.import_module(module).command
    return found


def _command(name: str, command: Command, level: str) -> list[str]:
    lines = [f"{level} {name}", ""] if level else []
    lines += [f"`pypm {name} {command.usage}`", "", _prose(command.help), ""]
    own = [option for option in command.options if option not in COMMON.options]
    return lines + ([*_option_table(own), ""] if own else [])


def _option_table(options: Iterable[Option]) -> list[str]:
    lines = ["| option | |", "|---|---|"]
    for option in options:
        names = ", ".join(f"`{text}`" for text in option.flags)
        if option.metavar:
            names += f" `{option.metavar}`".replace("|", "\\|")
        lines.append(f"| {names} | {cell(option.help)} |")
    return lines


# --- settings ------------------------------------------------------------------------------------

UNUSED = " Read and checked; no command of this release acts on it."

SETTINGS = {
    "workspace": "The workspace itself.",
    "workspace.name": "Default: the folder's name.",
    "workspace.members": "Globs from the root. A match without a `pyproject.toml` is an error that names it.",
    "workspace.exclude": "Globs of folders that are no members although `members` matches them.",
    "workspace.environments": "What the lock must cover: markers, or [targets](../how-to/webassembly.md) such as `pyemscripten_2026_0`. Default: every platform the members' Pythons run on.",
    "workspace.required-environments": "Environments, in the same way, for which every package must have a usable file.",
    "workspace.default-groups": 'Dependency groups that are installed unless `--no-default-groups`; `"all"` for all.',
    "workspace.shared-environment": "`false`: each member has an environment of its own, and members that conflict are locked apart.",
    "workspace.link-mode": "How files come from the store into environments. `auto`: hard links (copies across devices) in the shared environment, a farm of symbolic links for members' own. A flag or `PYPM_LINK_MODE` is stronger.",
    "workspace.python": "The interpreter to use, as `--python` takes it. A flag or `PYPM_PYTHON` is stronger.",
    "catalog": 'Versions said once, `name = ">=1,<2"`: a member\'s bare `name` means this.',
    "catalog.NAME.version": "The range, where the entry is a table.",
    "sources": "Where a name comes from, for every member: see [sources](#sources).",
    "index": "Package indexes, in order of priority; the first that has a name is the only one asked for it.",
    "index.name": "What sources and the lock call it.",
    "index.url": "Its simple API, or a folder.",
    "index.explicit": 'Asked only for names whose source says `index = "NAME"`.',
    "index.default": "Stands in for the built-in default index, last in order.",
    "resolution": "How versions are chosen.",
    "resolution.strategy": "`lowest-direct`: the lowest version of what members ask for themselves, the highest of the rest.",
    "resolution.fork-strategy": "`requires-python`: the newest version for each Python; `fewest`: as few different versions as possible.",
    "resolution.prereleases": "A mode, or a table. `if-necessary`: only where no final release fits.",
    "resolution.prereleases.mode": "As above.",
    "resolution.prereleases.only": "Names whose pre-releases are as good as final releases; nobody else's are taken.",
    "resolution.exclude-newer": "A date or time: files uploaded later are not seen. A date counts to its end, in UTC.",
    "resolution.exclude-newer-package": 'Exceptions: `name = "2026-11-01"`, a period (`"2 days"`), or `false` for no cut-off.',
    "resolution.cooldown": 'A period (`"7 days"`), or a table: files must have been public for so long.',
    "resolution.cooldown.period": "As above.",
    "resolution.cooldown.except": "Names the cooldown is not for.",
    "resolution.constraints": "Requirements that hold for a package if something asks for it.",
    "resolution.overrides": "Requirements that replace what anybody asks of that package.",
    "resolution.excludes": "Dependencies on these names are dropped wherever they occur.",
    "resolution.dependency-metadata": "What packages depend on, in the place of what their own metadata says: it is then not fetched, and nothing is built for it.",
    "resolution.dependency-metadata.name": "The package.",
    "resolution.dependency-metadata.version": "The version it is said of; not given: of all.",
    "resolution.dependency-metadata.requires-dist": 'Requirements; those of an extra have `extra == "NAME"` in their markers.',
    "resolution.dependency-metadata.requires-python": "The Pythons it is for.",
    "resolution.dependency-metadata.provides-extra": "Names of its extras.",
    "resolution.build": "Whose build backends may run: [sdists and builds](../how-to/builds-and-sdists.md).",
    "resolution.build.default": "`always`: any sdist may be built.",
    "resolution.build.allow": "Names whose sdists may be built.",
    "resolution.build.never": "Names that are only ever installed from a wheel.",
    "resolution.build.constraints": "Requirements that hold for what build backends need, wherever something is built.",
    "resolution.build.requires": 'What the build of a package needs besides what it says itself: `name = ["setuptools<81"]`.',
    "resolution.no-binary": "Names that are never installed from a wheel; `*` for all.",
    "resolution.conflicts": "Lists of `{ member, extra, group }`: of each list at most one is ever installed.",
    "resolution.conflicts.member": "A member; left out: the project in the workspace's own folder.",
    "resolution.conflicts.extra": "An extra of that member.",
    "resolution.conflicts.group": "A dependency group of that member.",
    "resolution.max-steps": "Steps of the search for versions after which `pypm lock` ends with `undecided`; the default lasts for a minute or so, and large workspaces take hundreds.",
    "resolution.find-links": "Folders of wheels and sdists that are looked at before all indexes.",
    "tasks": "`[tasks.NAME]`, inherited by every member that does not define its own; a string is its command.",
    "tasks.NAME.command": "For the shell; without one the task only stands for what it needs.",
    "tasks.NAME.needs": "Tasks to run first: `x` in the same member, `^x` in every member this one depends on.",
    "tasks.NAME.inputs": "Globs of files the task reads." + UNUSED,
    "tasks.NAME.outputs": "Globs of files the task makes." + UNUSED,
    "tasks.NAME.env": "Variables set for the command.",
    "tasks.NAME.description": "Shown by `pypm run` without a task.",
    "tasks.NAME.scope": "`members`: a run in each member; `workspace`: one run, at the root.",
    "lock": "The lock file.",
    "lock.export": "Files that are kept in step with the lock: `pylock.toml`, `pylock.NAME.toml`, `NAME.txt` (a requirements file); a name, or a table.",
    "lock.export.file": "The file, below the workspace's folder.",
    "lock.export.target": "Only what this [target](../how-to/webassembly.md), or a marker, needs: as `pypm export --target`.",
    "plugins": "Native plugins." + UNUSED,
    "plugins.NAME.url": "Where it comes from." + UNUSED,
    "plugins.NAME.sha256": "Its digest." + UNUSED,
    "boundaries": "Which members may depend on which; `pypm check` looks.",
    "boundaries.layers": "Members by layer, highest first: none may depend on one in a higher layer.",
    "boundaries.allow": "What may be in spite of layers and `deny`.",
    "boundaries.allow.from": "Members, globs or tags.",
    "boundaries.allow.to": "Members, globs or tags.",
    "boundaries.allow.reason": "For messages.",
    "boundaries.deny": "What may not be.",
    "boundaries.deny.from": "Members, globs or tags.",
    "boundaries.deny.to": "Members, globs or tags.",
    "boundaries.deny.reason": "For messages.",
    "check": "What `pypm check` is to know of the code: [one check for CI](../how-to/check.md).",
    "licenses": "Which licences may be used: [licences](../how-to/licenses-and-sbom.md). Without `allow` and `deny` nothing is found fault with.",
    "licenses.allow": "SPDX licences that may be used, one each: `MIT`, `GPL-2.0-only WITH Classpath-exception-2.0`, a family `BSD-*`. Default: all that are not denied.",
    "licenses.deny": "Those that may not. What says more about a licence is stronger, of equal rules this one.",
    "licenses.exceptions": "Packages whose licence somebody has looked at.",
    "licenses.exceptions.package": "The package.",
    "licenses.exceptions.license": "The SPDX expression it is taken to be under, as long as its metadata say nothing else.",
    "licenses.exceptions.reason": "Why it may be.",
    "audit": "What `pypm audit` looks into, and what it passes over: [auditing](../how-to/audit.md).",
    "audit.database": "A snapshot of OSV records, a zip file or a folder, that every audit, and whatever installs, takes in; an audit asks no network then. A flag or `PYPM_AUDIT_DB` is stronger.",
    "audit.osv-url": "The service that is asked for advisories, if it is not the public one: a mirror or proxy that speaks OSV's API. A flag or `PYPM_OSV_URL` is stronger.",
    "audit.ignore": "What is passed over for a while.",
    "audit.ignore.id": "Of the advisory, under any of its names.",
    "audit.ignore.reason": "Why it may be; told with every audit.",
    "audit.ignore.expires": "A date or time from which on it counts again. A date counts to its end, in UTC.",
    "audit.ignore.package": "Only for this package. Default: for every one.",
    "check.ignore": "Distributions and modules, as globs, that nothing is said of.",
    "check.tests": "Globs below each member: code that is not shipped, besides tests and documentation.",
    "check.exclude": "Globs below each member: code that is not read.",
    "check.imports": 'Who has a module: `cv2 = "opencv-python"`.',
}

MEMBER_SETTINGS = {
    "sources": "Where names come from, for this member; stronger than the workspace's.",
    "tasks": "Tasks of this member; stronger than the workspace's of the same name.",
    "tags": "Words for boundary rules.",
    "check": "The same keys as the workspace's `[check]`, for this member, besides those.",
    "default-groups": "Groups of this member that are installed by default, in place of the workspace's list.",
    "package": "`false`: this project is not built, only what it asks for is installed.",
}

SOURCES = """\
## Sources

A source is a table (or a list of tables whose markers exclude each other):

| key | |
|---|---|
| `index = "NAME"` | that index and no other |
| `path = "DIR"` | a folder, wheel or sdist, relative to the manifest; `editable = true` for a folder |
| `url = "..."` | a wheel or sdist at an address; `subdirectory = "..."` |
| `git = "..."` | a repository; one of `rev`, `tag`, `branch`; `subdirectory = "..."` |
| `workspace = true` | the member of that name (never needed: a member's name is always the member) |
| `marker = "..."` | where this source counts |
| `extra = "..."`, `group = "..."` | for requirements of that extra or group only |
"""


def settings() -> str:
    """The page of settings."""
    lines = ["# Settings", "", NOTE, ""]
    lines += [
        "An unknown key or a wrong value is an error with its line and the nearest known key; all of a file are",
        "told together. Most settings that a command line or an environment variable can also give are listed with",
        "the [commands](commands.md) and the [environment variables](environment-variables.md): a flag is",
        "stronger than a variable, a variable stronger than a file.",
        "",
        "## pypm-workspace.toml",
        "",
    ]
    lines += _setting_table(WorkspaceFile, SETTINGS)
    lines += ["", "## [tool.pypm] of a member's pyproject.toml", ""]
    lines += _setting_table(MemberTool, MEMBER_SETTINGS, whole=False)
    lines += ["", SOURCES.rstrip("\n"), ""]
    lines += [
        "Of `[tool.uv]` everything that decides what is locked or installed is understood:",
        "[moving from uv](../how-to/move-from-uv.md).",
    ]
    return "\n".join(lines) + "\n"


def _setting_table(model: type[BaseModel], sentences: dict[str, str], *, whole: bool = True) -> list[str]:
    found = dict(keys_of(model, (), whole))
    missing, left = sorted(found.keys() - sentences.keys()), sorted(sentences.keys() - found.keys())
    if missing or left:
        raise SystemExit(f"docs/generate.py: no sentence for {missing}, no setting for {left}")
    lines = ["| key | type | default | |", "|---|---|---|---|"]
    for key, (kind, default) in found.items():
        lines.append(f"| `{key}` | {kind} | {default} | {cell(sentences[key])} |")
    return lines


def keys_of(
    model: type[BaseModel], above: tuple[str, ...], whole: bool = True
) -> Iterator[tuple[str, tuple[str, str]]]:
    """(dotted key, (type, default)) of every setting below *model*; *whole* False: only its own keys."""
    for name, field in model.model_fields.items():
        path = (*above, kebab(name))
        below, keyed = _tables(field)
        yield ".".join(path), (cell(_written(field)), _default(field))
        if below is not None and whole:
            yield from keys_of(below, (*path, "NAME") if keyed else path)


def _tables(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """(the model of the tables in *field*, whether they are below names of the user's choice)."""
    kind, keyed = field.annotation, False
    while True:
        kind = _plain(kind)
        origin = get_origin(kind)
        if origin is dict:
            kind, keyed = get_args(kind)[1], True
        elif origin is list:
            kind = get_args(kind)[0]
        else:
            is_table = isinstance(kind, type) and issubclass(kind, BaseModel)
            return (kind, keyed) if is_table else (None, False)


def _plain(kind: Any) -> Any:
    """*kind* without Annotated and ``| None``."""
    while get_origin(kind) is Annotated or type(None) in get_args(kind):
        kind = next(each for each in get_args(kind) if each is not type(None))
    return kind


def _written(field: FieldInfo) -> str:
    """What a setting is in a file: a number that a validator makes of a text (a period) is a string there."""
    read = any(isinstance(each, BeforeValidator) for each in field.metadata)
    return "string" if read and _plain(field.annotation) is int else _type(field.annotation)


def _type(kind: Any) -> str:
    kind = _plain(kind)
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if origin is list:
        inner = _plain(get_args(kind)[0])
        words = {str: "strings"}
        if get_origin(inner) is list:
            return "array of arrays"
        return f"array of {words.get(inner, 'tables')}"
    if origin is dict:
        return "table"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "table"
    return {str: "string", bool: "boolean", int: "integer"}[kind]


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if value is None or value == "" or value == [] or value == {} or isinstance(value, BaseModel):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`".replace("'", '"')


# --- errors --------------------------------------------------------------------------------------

OTHERS = {
    "usage": (2, "A command, option or argument is wrong."),
    "system": (1, "The operating system refused: the file, and its own words."),
    "internal": (1, "A fault in pypm. `PYP_DEBUG=1` shows where."),
}
"""Codes that the command line gives itself."""

WARNINGS = {
    "advisories-unread": "The snapshot that `audit.database` names cannot be read; what is known to be malicious already has to do.",
    "another-python": "`pypm pypylock` and images: the environment of the workspace is on another Python than the one that is packed.",
    "cache-damaged": "The metadata cache was damaged; it was set aside and a new one begun.",
    "cache-in-memory": "The metadata cache cannot be used; what is learned is forgotten after this run.",
    "copied-view": "A copy-on-write view of a project cannot be had from the system; it was copied.",
    "empty-pattern": "An entry of `members` matches no folder.",
    "environment-left": "Members share no environment any more, and the one they shared is still there.",
    "file-conflict": "Two distributions own one path with different contents; the one whose name sorts last has it.",
    "no-certificates": "This machine has no certificates of authorities that a bundle could bring along.",
    "not-bundled": "A library that a wheel needs cannot come along in a bundle: it is a driver's, or nowhere here.",
    "index-api-newer": "An index speaks a newer minor version of the simple API; what is known of it is read.",
    "not-a-member": "A project was begun below a workspace whose `members` do not match its folder.",
    "provenance-unread": "What an index has of a file's publisher (PEP 740) could not be asked or read; the lock goes without, an audit says nothing of it.",
    "lock-unfit": "A lock from elsewhere, perhaps merged by lines, holds what does not go together: it is resolved.",
    "publisher-changed": "A version that is newly locked has another publisher than the one that was locked before.",
    "sbom-unreadable": "A bill of materials inside of a wheel cannot be read; the others are.",
    "index-strategy": "uv's `index-strategy` wants a name looked for on all indexes; pypm asks the first that has it, and no other.",
    "index-not-asked": "An index could not be asked whether versions are yanked; `pypm audit` tells what the cache knows.",
    "leftover-folder": "A folder that `members` matches holds nothing but caches: what version control leaves behind.",
    "member-cycle": "Members depend on each other in a circle.",
    "narrower-sibling": "In a uv workspace whose members share no Python: a member is locked for those of its sibling only.",
    "not-looked-into": "`pypm check`: a locked wheel that may have what is imported could not be fetched and unpacked.",
    "metadata-differs": "A wheel says other dependencies, extras or Pythons of itself than its index did, which the lock was made from.",
    "no-usable-file": "A locked version has no file that any covered environment can use.",
    "no-upload-times": "An index gives no upload times; under a cut-off in time its files count as too new.",
    "nothing-covered": "An environment of `environments` or `required-environments` is of a Python that no member is for.",
    "outside-environment": "What is to be removed lies outside the environment, and is left alone.",
    "export-no-defaults": "An exported `pylock.toml` has no default groups, because members, extras or groups that were chosen exclude each other.",
    "pylock-name": "A pylock file is written under a name that other tools do not look for.",
    "pylock-newer": "A pylock file is of a newer minor version; what is known of it is read.",
    "resolution": "Something odd that the resolver passed over: an unknown extra, a yanked version kept.",
    "sibling-version": "A member asks for a version of a sibling that the sibling has not; it is used all the same.",
    "unknown-key": "A key under `[project]` that no standard knows.",
}
CHANGING = {"Warned", "_warn", "_warn_once", "warn_as"}
"""Functions whose first argument is the code of a warning."""


def error_codes() -> str:
    """The page of errors and warnings."""
    lines = ["# Error codes", "", NOTE, ""]
    lines += [
        "An error is printed as `error[CODE]: ...` on standard error, with the places in your files and what would",
        "help; with `--json` as one line of JSON with the same facts. The exit code is the process's.",
        "",
        "| code | exit | |",
        "|---|---|---|",
    ]
    rows = {(error.code, error.exit): _sentence(error) for error in errors()}
    if len({code for code, _ in rows}) != len(list(errors())):
        raise SystemExit("docs/generate.py: two errors have one code")
    rows.update({(code, number): text for code, (number, text) in OTHERS.items()})
    lines += [f"| `{code}` | {number} | {cell(rows[code, number])} |" for code, number in sorted(rows)]
    found = warning_codes()
    if found != WARNINGS.keys():
        raise SystemExit(
            f"docs/generate.py: no sentence for warnings {sorted(found - WARNINGS.keys())},"
            f" no warning {sorted(WARNINGS.keys() - found)}"
        )
    lines += ["", "## Warnings", "", "Printed as `warning[CODE]: ...`; nothing stops.", ""]
    lines += ["| code | |", "|---|---|"]
    lines += [f"| `{code}` | {WARNINGS[code]} |" for code in sorted(WARNINGS)]
    return "\n".join(lines) + "\n"


def errors() -> Iterator[type[PypmError]]:
    """Every error that can be raised: the subclasses of `PypmError` in all members but their bases."""
    for _ in modules():
        pass
    seen: set[type[PypmError]] = set()
    waiting: list[type[PypmError]] = [PypmError]
    while waiting:
        for found in waiting.pop().__subclasses__():
            if found not in seen:
                seen.add(found)
                waiting.append(found)
    for found in sorted(seen, key=lambda each: (each.code, each.__module__)):
        if found.__module__.split(".")[0] in MEMBERS and not _is_base(found):
            yield found


def _is_base(kind: type[PypmError]) -> bool:
    """Whether *kind* only gives its fields to other errors, and is never raised itself."""
    return any(
        each.__module__ == kind.__module__ and each.code != kind.code for each in kind.__subclasses__()
    )


def modules() -> Iterator[ModuleType]:
    """Every module of every member."""
    for member in MEMBERS:
        package = importlib.import_module(member)
        yield package
        for found in pkgutil.walk_packages(package.__path__, f"{member}."):
            if not found.name.endswith(".__main__"):
                yield importlib.import_module(found.name)


def warning_codes() -> set[str]:
    """Codes of all warnings, read from the sources."""
    found: set[str] = set()
    for module in modules():
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if name in CHANGING and isinstance(node.args[0].value, str):
                    found.add(node.args[0].value)
    return found


def _sentence(error: type[PypmError]) -> str:
    """The first paragraph of the docstring as one line of Markdown."""
    text = inspect.getdoc(error) or ""
    if not text or text.startswith(f"{error.__name__}("):
        raise SystemExit(f"docs/generate.py: {error.__module__}.{error.__name__} has no docstring")
    return _prose(text.split("\n\n")[0])


# --- doctor --------------------------------------------------------------------------------------


def doctor_checks() -> str:
    """The page of `pypm doctor`'s checks."""
    lines = ["# Checks of pypm doctor", "", NOTE, ""]
    lines += [
        "In the order in which they are told; how to use them: [doctor](../how-to/doctor.md). Those marked with a",
        "`w` look at a workspace and are left out where there is none.",
        "",
        "| group | check | | looks whether, or at |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {check.group} | `{check.name}` | {'`w`' if check.of_workspace else ''} | {cell(check.about)} |"
        for check in CHECKS
    ]
    return "\n".join(lines) + "\n"


# --- text ----------------------------------------------------------------------------------------


def _prose(text: str | None) -> str:
    """A docstring as Markdown: paragraphs of one line, literals with single backticks."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs).replace("``", "`")


def cell(text: str | None) -> str:
    """*text* for one cell of a table."""
    return _prose(text).replace("\\|", "|").replace("|", "\\|").replace("\n\n", " ")


def anchor(heading: str) -> str:
    """The fragment that a Markdown heading is reached by."""
    return heading.lower().replace(" ", "-")


def main(arguments: list[str]) -> int:
    """Writes or checks the pages."""
    stale = []
    for name, text in pages().items():
        path = REFERENCE / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8", newline="\n")
    for name in stale:
        print(f"docs/reference/{name}: {'stale' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
