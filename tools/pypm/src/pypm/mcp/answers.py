"""Answers that cost something are promised once: those who ask the same of the same state wait for one of
them, in whichever process it is at work, and for a while nobody needs to ask again.

They are kept in a memory of their own beside the agents' one, whose tools cannot reach it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pypm._verbs import VERSION
from pypm.mcp.state import State
from pypm_memory.memory import Memory
from pypm_memory.memory_errors import MemoryUnusable, NewerMemory, NotAMemory
from pypm_model.records import record

FILE = "answers.db"
"""Beside the memory of agents."""
SESSION = "pypm mcp"
_LARGEST = 64 * 1024 * 1024
_AT_ONCE = 0.001
"""Seconds that an answer is kept that only those get who wait for it already."""
_DECIDING = ("PYPM_", "PYP_", "PIP_", "UV_", "NETRC", "HTTP", "SSL_", "PATH", "VIRTUAL_ENV", "HOME")
"""How variables begin that an answer may hang on."""

Answer = dict[str, Any]
"""``answer`` or ``error``, and what goes with them."""


@record
class Question:
    """What is asked, of what."""

    state: State
    tool: str
    words: tuple[str, ...]
    cwd: Path
    environ: Mapping[str, str]

    @property
    def key(self) -> str:
        """The same for the same question. What variables hold cannot be read from it."""
        state = self.state
        environ = sorted(item for item in self.environ.items() if item[0].startswith(_DECIDING))
        told = (state.workspace.root, state.manifests, state.lock, state.besides, str(self.cwd))
        text = json.dumps([VERSION, *told, self.tool, self.words, environ])
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Answers:
    """What is known already, or is being found out."""

    def __init__(self, file: Path) -> None:
        self._memory = Memory(file, value_limit=_LARGEST)

    async def once(
        self,
        question: Question,
        find: Callable[[], Coroutine[Any, Any, Answer]],
        keep_seconds: float,
    ) -> Answer:
        """The answer to *question*, by *find* unless somebody has it or is at it. One without an error is
        kept for *keep_seconds*; any other goes to those only who wait for it. Where the memory cannot be
        used, each finds it for itself."""
        if not question.state.is_known:
            return await find()
        mine: list[Answer] = []

        async def compute() -> str:
            mine.append(await find())
            return json.dumps(mine[0])

        key = question.key
        seconds = keep_seconds or _AT_ONCE
        try:
            text = await self._memory.session(SESSION).once(key, compute, ttl_seconds=seconds)
            if mine and keep_seconds and "answer" not in mine[0]:
                await asyncio.to_thread(self._memory.set, SESSION, key, text, ttl_seconds=_AT_ONCE)
        except (MemoryUnusable, NewerMemory, NotAMemory):
            return mine[0] if mine else await find()
        found: Answer = json.loads(text)
        return found

    def close(self) -> None:
        """Gives back what was promised here and is not done."""
        self._memory.close()
