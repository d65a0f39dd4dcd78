"""`Memory`: what sessions keep, in one file that any number of processes and threads use at once.

A session's *silo* holds `silo_size` entries. When one more is kept, what has expired makes room, else the
entry that was not used for longest. **Using** an entry is keeping it (`set`) or saying so (`touch`);
looking is not: `peek` changes nothing, neither the entry nor its turn to leave. So one may look at a memory
as often as one likes without deciding what stays in it.

Keys and values are any text. Keys are not kept, only digests of them.

**Promises.** Whoever finds nothing under a key may *claim* the work for it, and gets a promise; others see it
pending and may wait for the result. The claimer has a *lease*, which runs on by itself for as long as the
process lives (or, for a claimer that is no process, for the time it asked for). When it runs out, one of
those who ask next takes the work over; a claimer that comes back late is told, and what it brings is not
kept. `once` does all of this.
"""

from __future__ import annotations

from pypm_memory.operations import Operations
from pypm_memory.session import Session


class Memory(Operations):
    """All sessions of the file: every operation by a session's name, or `session` for one of them."""

    def session(self, session_id: str) -> Session:
        """The session of this name; it need not be there yet."""
        return Session(self, session_id)
