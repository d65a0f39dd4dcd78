#!/usr/bin/env python3
"""How long pypm takes to the first instruction of a plugin: a command that says itself what it measured.

    python starting.py COMMAND...

The command's first output is the time of the system's monotonic clock, in nanoseconds, as the plugin has
read it before anything else (`SOURCE`). The last line of the output is JSON: wall seconds from just before
the command is started until then, CPU seconds and peak memory of the whole.
"""

from __future__ import annotations

import json
import os
import sys
import time

SOURCE = """
#include <stdio.h>
#include <time.h>

int pypm_plugin_main(int argc, char **argv) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  printf("%lld\\n", (long long)now.tv_sec * 1000000000LL + now.tv_nsec);
  return 0;
}
"""


def main(command: list[str]) -> int:
    """Runs *command*; its exit code."""
    told, output = os.pipe()
    begin = time.monotonic_ns()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, output, 1)])
    _, status, used = os.wait4(child, 0)
    os.close(output)
    first = int(os.read(told, 64) or begin)
    memory = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"wall": (first - begin) / 1e9, "cpu": used.ru_utime + used.ru_stime, "memory": memory}))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
