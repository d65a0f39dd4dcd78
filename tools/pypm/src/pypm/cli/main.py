"""Runs one verb: options to a record, the verb's report to text, errors to one clear message."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable

from pypm._verbs import VERBS
from pypm.cli.arguments import Command, Group, UsageError
from pypm.cli.render.errors import render_error, render_unexpected, render_usage
from pypm_model.errors import PypmError

INTERRUPTED = 130
BROKEN_PIPE = 141


def run(verb: str, arguments: list[str]) -> int:
    """Runs *verb* and gives the process's exit code; never lets an exception through.

    0 done, 1 no, 2 usage, 130 interrupted; a command run in an environment gives its own code.
    """

    def command(words: list[str]) -> int:
        module = importlib.import_module(f"pypm.cli.verbs.{VERBS[verb][0]}")
        found: Command | Group = module.command
        return found.main(f"pypm {verb}", words)

    return guarded(command, arguments, verb)


def guarded(command: Callable[[list[str]], int], arguments: list[str], verb: str = "") -> int:
    """Runs *command* with *arguments*; the process's exit code. What it raises becomes one message, which
    for a wrong option names the page of *verb*."""
    debug = bool(os.environ.get("PYP_DEBUG"))
    json_wanted = "--json" in arguments
    try:
        code = command(arguments)
        sys.stdout.flush()
        return code
    except UsageError as error:
        sys.stderr.write(render_usage(str(error), verb, json=json_wanted))
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return INTERRUPTED
    except PypmError as error:
        if debug:
            _print_traceback()
        sys.stderr.write(render_error(error, json=json_wanted))
        return error.exit
    except BrokenPipeError:
        # The reader has gone (`pypm ls | head`): nothing to say, and nothing may be said at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if debug:
            _print_traceback()
        sys.stderr.write(render_unexpected(error, json=json_wanted))
        return 1


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()
