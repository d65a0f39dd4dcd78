"""What a command line may hold, as records, and how it is read.

A verb is a function and the parts its command line has; `verb` puts them together::

    @verb(option("--check", help="Write nothing."), argument("name"), COMMON)
    def command(common: Common, check: bool, name: str) -> int: ...

Own code rather than a library: a library for this takes longer to load (35 ms) than a lock takes to be
checked, and the same records make the reference page and, for agents, the schemas (`pypm.mcp.schemas`).
Words follow GNU's habits: ``--name value`` or ``--name=value``, ``-n value`` or ``-nvalue``, ``-qv`` for
two flags, ``--`` ends the options, and options stand anywhere unless an argument takes all the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pypm_model.records import record


class UsageError(Exception):
    """The command line cannot be understood; says why in one clause."""


@record
class Option:
    """Something with dashes. Without a *metavar* it is a flag: False unless it is given."""

    flags: tuple[str, ...]
    """As written: ``-U``, ``--upgrade``."""
    name: str
    """Of the function's parameter."""
    help: str
    metavar: str = ""
    many: bool = False
    """May be given again: the values arrive as a tuple."""
    choices: tuple[str, ...] = ()
    least: int | None = None
    """The value is a whole number, not below this."""
    default: str | int | None = None


@record
class Argument:
    """A word without dashes."""

    name: str
    metavar: str
    required: bool = True
    many: bool = False
    """Any number of words (at least one if *required*), as a tuple."""
    rest: bool = False
    """*many*, and with it options end at the first word without dashes: what follows is another command's."""
    default: str | None = None


@record
class Gathered:
    """Options whose values arrive as one parameter, made by *make* from all of them by name."""

    name: str
    make: Callable[..., Any]
    options: tuple[Option, ...]


@record
class Words:
    """A parameter with the words of the whole command line, as they were given."""

    name: str


Part = Option | Argument | Gathered | Words


def option(
    *flags: str,
    help: str,
    name: str = "",
    metavar: str = "",
    many: bool = False,
    choices: Sequence[str] = (),
    least: int | None = None,
    default: str | int | None = None,
) -> Option:
    """An option; its parameter is named as its last flag if *name* says nothing else."""
    named = name or flags[-1].lstrip("-").replace("-", "_")
    shown = metavar or "|".join(choices) or ("N" if least is not None else "")
    return Option(flags, named, help, shown, many, tuple(choices), least, default)


def argument(
    name: str,
    *,
    metavar: str = "",
    required: bool = True,
    many: bool = False,
    rest: bool = False,
    default: str | None = None,
) -> Argument:
    """An argument, shown as *metavar*, or its name in capitals."""
    needed = required and default is None
    return Argument(name, metavar or name.upper(), needed, many or rest, rest, default)


HELP = option("--help", help="Show this text.")


@record
class Command:
    """A verb, or one of a group: its parts, and the function that runs it."""

    run: Callable[..., int]
    parts: tuple[Part, ...]

    @property
    def help(self) -> str:
        """What it does: the function's docstring, paragraphs separated by empty lines."""
        return _prose(self.run.__doc__ or "")

    @property
    def options(self) -> tuple[Option, ...]:
        """All options, in order, those that are gathered among them."""
        found: list[Option] = []
        for part in self.parts:
            if isinstance(part, Option):
                found.append(part)
            elif isinstance(part, Gathered):
                found += part.options
        return tuple(found)

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """The words without dashes, in order."""
        return tuple(part for part in self.parts if isinstance(part, Argument))

    @property
    def usage(self) -> str:
        """``[OPTIONS] NAME [MEMBERS]...``"""
        words = ["[OPTIONS]"]
        for each in self.arguments:
            words.append(
                f"{each.metavar if each.required else f'[{each.metavar}]'}{'...' if each.many else ''}"
            )
        return " ".join(words)

    def main(self, called: str, words: Sequence[str]) -> int:
        """Reads *words* and runs; the exit code. Raises `UsageError`."""
        values = read(self, words)
        if values is None:
            sys.stdout.write(help_text(called, self))
            return 0
        return self.run(**values)


@record
class Group:
    """A verb that is followed by another word."""

    help: str
    commands: Mapping[str, Command]

    def main(self, called: str, words: Sequence[str]) -> int:
        """Runs the command that the first of *words* names which is no option and no option's value. Raises
        `UsageError`."""
        at = self._first_plain(words)
        word = words[at] if at < len(words) else ""
        if word not in self.commands:
            if "--help" in words or not words:
                sys.stdout.write(group_text(called, self))
                return 0 if words else 2
            raise UsageError(f"no such command: {called} {word or words[0]}")
        # Options that stood before the verb belong to its command.
        return self.commands[word].main(f"{called} {word}", [*words[:at], *words[at + 1 :]])

    def _first_plain(self, words: Sequence[str]) -> int:
        """Where the first of *words* stands that is no option of a command and no value of one."""
        options = (each for command in self.commands.values() for each in command.options)
        valued = {flag for each in options if each.metavar for flag in each.flags}
        at = 0
        while at < len(words) and words[at].startswith("-"):
            at += 2 if words[at] in valued else 1
        return at


def verb(*parts: Part) -> Callable[[Callable[..., int]], Command]:
    """Makes the decorated function a `Command` with *parts*."""
    return lambda run: Command(run, parts)


def read(command: Command, words: Sequence[str]) -> dict[str, Any] | None:
    """The values of the function's parameters that *words* give; None if help is asked for.

    Raises `UsageError`.
    """
    options = {flag: each for each in (HELP, *command.options) for flag in each.flags}
    given: dict[str, Any] = {}
    plain: list[str] = []
    takes_the_rest = any(each.rest for each in command.arguments)
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            plain += waiting
            break
        if not word.startswith("-") or word == "-":
            plain.append(word)
            if takes_the_rest:
                plain += waiting
                break
            continue
        flag, value = _split(word, options)
        found = options[flag]
        if found is HELP:
            return None
        if not found.metavar:
            if value.startswith("="):
                raise UsageError(f"{flag} takes no value")
            if value:
                waiting.insert(0, f"-{value}")  # further flags of one letter
            given[found.name] = True
            continue
        if value:
            value = value.removeprefix("=")
        elif waiting:
            value = waiting.pop(0)
        else:
            raise UsageError(f"{flag} needs a value: {found.metavar}")
        checked = _checked(found, flag, value)
        given[found.name] = (*given.get(found.name, ()), checked) if found.many else checked
    return dict(_values(command, given, plain, words))


def _split(word: str, options: Mapping[str, Option]) -> tuple[str, str]:
    """The flag at the beginning of *word*, and what follows: ``=value``, a value, or more letters."""
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        value = equals + value
    else:
        flag, value = word[:2], word[2:]
    if flag not in options:
        from difflib import get_close_matches

        near = get_close_matches(flag, sorted(options), n=1)
        raise UsageError(f"no such option: {flag}" + (f" (did you mean {near[0]}?)" if near else ""))
    return flag, value


def _checked(found: Option, flag: str, value: str) -> str | int:
    if found.choices and value not in found.choices:
        raise UsageError(f"{flag} takes one of {', '.join(found.choices)}, not {value!r}")
    if found.least is None:
        return value
    if not (value.isascii() and value.isdigit() and int(value) >= found.least):
        raise UsageError(f"{flag} takes a whole number from {found.least} on, not {value!r}")
    return int(value)


def _values(
    command: Command, given: Mapping[str, Any], plain: list[str], words: Sequence[str]
) -> Iterator[tuple[str, Any]]:
    def value(each: Option) -> Any:
        otherwise: Any = () if each.many else each.default if each.metavar else False
        return given.get(each.name, otherwise)

    for part in command.parts:
        match part:
            case Option(name=name):
                yield name, value(part)
            case Gathered(name=name, make=make, options=options):
                yield name, make(**{each.name: value(each) for each in options})
            case Words(name=name):
                yield name, list(words)
            case Argument(name=name, many=many):
                if part.required and not plain:
                    raise UsageError(f"{part.metavar} is missing")
                if many:
                    yield name, tuple(plain)
                    plain = []
                else:
                    yield name, plain.pop(0) if plain else part.default
    if plain:
        raise UsageError(f"unexpected argument: {plain[0]}")


def help_text(called: str, command: Command) -> str:
    """What ``--help`` prints."""
    lines = [f"usage: {called} {command.usage}", "", *_wrapped(command.help, "  "), ""]
    return "\n".join([*lines, "options:", *_listed(_rows(command))]) + "\n"


def group_text(called: str, group: Group) -> str:
    """What ``--help`` of a group prints."""
    rows = [(name, command.help.partition("\n")[0]) for name, command in group.commands.items()]
    lines = [f"usage: {called} COMMAND [OPTIONS]", "", *_wrapped(group.help, "  "), "", "commands:"]
    return "\n".join([*lines, *_listed(rows)]) + "\n"


def _rows(command: Command) -> Iterator[tuple[str, str]]:
    for each in (*command.options, HELP):
        yield ", ".join(each.flags) + (f" {each.metavar}" if each.metavar else ""), each.help


def _listed(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    table = list(rows)
    width = min(max(len(left) for left, _ in table), 28)
    for left, right in table:
        first, *others = _wrapped(right, " " * (width + 4))
        yield f"  {left:<{width}}  {first.lstrip()}" if len(left) <= width else f"  {left}\n{first}"
        yield from others


def _wrapped(text: str, indent: str) -> list[str]:
    from textwrap import wrap

    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        lines += ["", *wrap(paragraph, 100, initial_indent=indent, subsequent_indent=indent)]
    return lines[1:]


def _prose(text: str) -> str:
    """A docstring with each paragraph in one line."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
