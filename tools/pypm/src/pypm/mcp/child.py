"""The process that does what one call asks for: a verb, with its events sent to the server.

    python -m pypm.mcp.child HANDLE VERB WORDS...

*HANDLE* is the end of a pipe: each event goes into it as one line of JSON. When the other end is closed,
nobody waits any more: the process and all that it has started are interrupted, and killed if they do not end.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

from pypm.cli.main import run
from pypm.cli.options import HEARERS
from pypm_model.events import Event
from pypm_model.records import as_dict

NO_PIPE = -1
PATIENCE_SECONDS = 10.0
"""What a verb has to leave everything whole after it was interrupted."""
_LONGEST = 200
"""Characters of a text in an event: a line has to fit into a pipe in one piece."""


class Teller:
    """Sends events into the pipe *handle*."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __call__(self, event: Event) -> None:
        facts = {n: v[:_LONGEST] if isinstance(v, str) else v for n, v in as_dict(event).items()}
        line = json.dumps({"event": event.__class__.__name__, **facts}) + "\n"
        with suppress(OSError):  # nobody listens any more: `_end_with` sees to it
            os.write(self._handle, line.encode())


def main(words: list[str]) -> int:
    """Runs what *words* say; the exit code."""
    handle, verb, *rest = words
    if int(handle) != NO_PIPE:
        os.set_inheritable(int(handle), False)
        HEARERS.append(Teller(int(handle)))
        threading.Thread(target=_end_with, args=(int(handle),), daemon=True).start()
    if verb == "run":
        # It becomes its command, which would forget the server: so it is another process.
        return subprocess.run([sys.executable, "-P", "-m", "pypm", "run", *rest], check=False).returncode
    gc.disable()  # as `pypm._entry` does
    return run(verb, rest)


def _end_with(handle: int) -> None:
    """Waits for the other end of the pipe to be closed, and ends this process's group."""
    poll = select.poll()
    poll.register(handle, 0)
    poll.poll()
    os.killpg(os.getpgid(0), signal.SIGINT)
    time.sleep(PATIENCE_SECONDS)
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
