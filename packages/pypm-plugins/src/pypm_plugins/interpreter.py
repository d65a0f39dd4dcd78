"""The child as an interpreter of its own, where a process cannot go on in a fork: macOS and Windows."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from types import FrameType

_CONTROL_C = 0xC000013A
"""Windows' exit code of a process that Ctrl-C ended."""


def run(command: Sequence[str], words: Sequence[str], told: Mapping[str, str], common: Sequence[str]) -> int:
    """Runs *command*, which calls a plugin, with *common* and *words*, and waits. The exit code; below zero
    the signal that ended it.

    Ctrl-C is the plugin's affair: the terminal tells it, too. Other requests to end are handed on.
    """
    environ = {**os.environ, **told}
    process = subprocess.Popen([*command, *common, "--", *words], env=environ)

    def hand_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    handed_on = [signal.SIGTERM]
    if os.name == "posix":
        handed_on += [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
    ignored = [signal.SIGINT] + ([signal.SIGQUIT] if os.name == "posix" else [])
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    before |= {number: signal.signal(number, hand_on) for number in handed_on}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return -signal.SIGINT if code & 0xFFFFFFFF == _CONTROL_C else code
