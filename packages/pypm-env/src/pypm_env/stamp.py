"""Has anybody touched the environment? Answered with a few `stat` calls; imports nothing but `os`."""

from __future__ import annotations

import os


def environment_fingerprint(folder: str, site: str) -> tuple[int, ...]:
    """Equal tuples: the environment at *folder* is as it was.

    *site* is its site-packages, absolute or relative to *folder* (`State.site`; known from the run that
    made the environment). The numbers are size and times of pypm's record, of site-packages, whose time
    changes with every distribution that comes or goes, and of the interpreter behind ``bin/python``; an
    unfinished apply, and anything missing, gives a tuple that equals no other but the like. Five stats.
    """
    join, stat = os.path.join, os.stat
    numbers: list[int] = []
    scripts = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    for name in ("pyvenv.cfg", "pypm-state", site, scripts):
        try:
            facts = stat(join(folder, name))
        except OSError:
            numbers += (-1, -1)
        else:
            numbers += (facts.st_mtime_ns, facts.st_size if name != site else 0)
    try:
        stat(join(folder, "pypm-journal"))
        numbers.append(1)
    except OSError:
        numbers.append(0)
    return tuple(numbers)
