"""The functions a plugin may call, as the C struct ``pypm_host`` of `pypm_plugin.h`.

What they answer comes from a `Provider`; here is only how it gets to C and who owns what: a text lives in
this module until the plugin releases it, and the table as long as the process.
"""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from itertools import count
from typing import Any, Protocol

from pypm_model.errors import PypmError
from pypm_plugins.calling import ABI

FAILED, FAULTY = 1, 2
"""What a function gives: it cannot answer; pypm itself is at fault."""


class Provider(Protocol):
    """What there is to be asked. Called from any of the plugin's threads, one at a time."""

    def workspace(self) -> Any: ...
    def lock(self) -> Any: ...
    def settings(self) -> Any: ...
    def environment(self, member: str | None) -> Any: ...
    def log(self, level: int, message: str) -> None: ...
    def progress(self, what: str, done: int, total: int) -> None: ...
    def symbol(self, plugin: str, name: str) -> int:
        """The function's address; 0 if it cannot be had, which has been said."""
        ...


class _Text(Structure):
    pass


_Release = CFUNCTYPE(None, POINTER(_Text))
_Text._fields_ = [
    ("data", c_void_p),
    ("size", c_size_t),
    ("release", _Release),
    ("private_data", c_void_p),
]

_Asks = CFUNCTYPE(c_int, c_void_p, POINTER(_Text))
_AsksOf = CFUNCTYPE(c_int, c_void_p, c_char_p, POINTER(_Text))
_Logs = CFUNCTYPE(c_int, c_void_p, c_int, c_char_p)
_Progresses = CFUNCTYPE(c_int, c_void_p, c_char_p, c_uint64, c_uint64)
_Links = CFUNCTYPE(c_int, c_void_p, c_char_p, c_char_p, POINTER(c_void_p))


class Table(Structure):
    """``pypm_host``."""

    _fields_ = [
        ("abi", c_uint32),
        ("size", c_uint32),
        ("private_data", c_void_p),
        ("workspace", _Asks),
        ("lock", _Asks),
        ("settings", _Asks),
        ("environment", _AsksOf),
        ("log", _Logs),
        ("progress", _Progresses),
        ("symbol", _Links),
    ]


_texts: dict[int, ctypes.Array[ctypes.c_char]] = {}
"""The texts that plugins hold, by what their `private_data` says."""
_numbers = count(1)
_one_at_a_time = threading.RLock()
"""A function of a plugin that is linked may call the table again, from the same thread."""


def _forget(text: Any) -> None:
    _texts.pop(text.contents.private_data or 0, None)
    ctypes.memset(text, 0, ctypes.sizeof(_Text))


_release = _Release(_forget)


def make(provider: Provider) -> Table:
    """The table of *provider*. Keep it: its functions are called through it until the process ends."""

    def asks(answer: Callable[[], Any]) -> Any:
        return _Asks(lambda host, out: _answer(out, answer))

    def environment(host: Any, member: bytes | None, out: Any) -> int:
        return _answer(out, lambda: provider.environment(None if member is None else _text(member)))

    def log(host: Any, level: int, message: bytes | None) -> int:
        return _do(lambda: provider.log(level, _text(message)))

    def progress(host: Any, what: bytes | None, done: int, total: int) -> int:
        return _do(lambda: provider.progress(_text(what), done, total))

    def symbol(host: Any, plugin: bytes | None, name: bytes | None, address: Any) -> int:
        found = 0

        def look() -> None:
            nonlocal found
            found = provider.symbol(_text(plugin), _text(name))

        code = _do(look)
        if address:
            address[0] = found or None
        return code or (0 if found else FAILED)

    return Table(
        ABI,
        ctypes.sizeof(Table),
        None,
        asks(provider.workspace),
        asks(provider.lock),
        asks(provider.settings),
        _AsksOf(environment),
        _Logs(log),
        _Progresses(progress),
        _Links(symbol),
    )


def _answer(out: Any, answer: Callable[[], Any]) -> int:
    """Fills *out* with what *answer* gives, or with the error that it raises."""
    code = 0
    try:
        with _one_at_a_time:
            found = answer()
    except PypmError as error:
        found, code = {"error": error.to_json()}, FAILED
    except Exception as error:
        said = {"code": "internal", "message": f"{type(error).__name__}: {error}", "hint": None}
        found, code = {"error": said}, FAULTY
    if not out:
        return code
    # JSON's escapes keep the text ASCII, whatever paths hold.
    content = json.dumps(found, sort_keys=True, default=str).encode("ascii")
    number = next(_numbers)
    _texts[number] = space = ctypes.create_string_buffer(content)
    text = out[0]
    text.data, text.size = ctypes.addressof(space), len(content)
    text.release, text.private_data = _release, number
    return code


def _do(work: Callable[[], None]) -> int:
    try:
        with _one_at_a_time:
            work()
    except PypmError:
        return FAILED
    except Exception:
        return FAULTY
    return 0


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
