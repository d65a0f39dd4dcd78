"""Who is waiting for which fact: the bookkeeping of a catalog, without any finding out."""

from __future__ import annotations

from collections.abc import Iterable

from pypm_model.facts import Fact, Key


class Ledger:
    """Keys asked for, facts found, errors met. A fact is handed out once for each time it is asked for."""

    def __init__(self) -> None:
        self.needed: dict[Key, None] = {}
        """Keys that are still waited for, in the order in which they were asked for."""
        self._facts: dict[Key, Fact] = {}
        self._ready: dict[Key, None] = {}
        self._asked: set[Key] = set()
        self._errors: dict[Key, BaseException] = {}

    def ask(self, keys: Iterable[Key], speculative: Iterable[Key] = ()) -> list[Key]:
        """Notes that *keys* are needed and *speculative* ones would be welcome; those of both that
        nobody is finding out about yet."""
        needed = list(dict.fromkeys(keys))
        self.needed.update((key, None) for key in needed if key not in self._facts)
        fresh: list[Key] = []
        for key in dict.fromkeys((*needed, *speculative)):
            if key in self._facts:
                self._ready[key] = None
            elif key not in self._asked:
                fresh.append(key)
        self._asked.update(fresh)
        return fresh

    def settle(self, key: Key, fact: Fact) -> None:
        """*key* is answered."""
        self._facts[key] = fact
        self._ready[key] = None
        self.needed.pop(key, None)
        self._asked.discard(key)

    def fail(self, key: Key, error: BaseException) -> None:
        """*key* has no answer. If it is needed `failed` says so, else it is as if never asked for."""
        self._asked.discard(key)
        self._errors[key] = error

    def failed(self) -> BaseException | None:
        """What stands in the way of a needed key; after that nothing is needed any more."""
        key = next((key for key in self._errors if key in self.needed), None)
        if key is None:
            return None
        error = self._errors[key]
        self._errors, self.needed = {}, {}
        return error

    def forget(self, key: Key) -> None:
        """The next one who asks for *key* is told what is true then."""
        self._facts.pop(key, None)
        self._asked.discard(key)

    def forget_all(self, kind: type[Key]) -> None:
        """As `forget`, for all keys of *kind* that are answered."""
        for key in [key for key in self._facts if isinstance(key, kind)]:
            self.forget(key)

    def hand_out(self) -> tuple[Fact, ...]:
        """The facts that were asked for and have not been handed out since."""
        facts = tuple([self._facts[key] for key in self._ready])
        self._errors, self._ready = {}, {}
        return facts
