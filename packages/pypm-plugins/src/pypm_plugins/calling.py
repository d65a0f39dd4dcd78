"""In the child: loads a library and calls its functions, as a program's start would call main().

Only `_ctypes` and what is built in: `ctypes` itself takes longer than everything that is done here.
"""

import sys
from _ctypes import CFuncPtr, _SimpleCData, addressof

TYPE_CHECKING = False  # as `typing` has it
if TYPE_CHECKING:
    from collections.abc import Callable

    Complain = Callable[[str, str], None]
    """Tells the user that the plugin is not run: the code of the error, and the detail."""
    Host = Callable[[], object]
    """Makes the host table, and keeps it; something whose address is the table's."""

try:
    import posix as system
    from _ctypes import dlopen

    def load(path: str | None) -> int:
        """The library at *path* (None: this process), with all it needs. Raises OSError."""
        return dlopen(path, _RTLD_NOW)  # type: ignore[arg-type]

except ImportError:  # Windows
    import nt as system  # type: ignore[import-not-found,no-redef,unused-ignore]
    from _ctypes import LoadLibrary  # type: ignore[attr-defined,unused-ignore]

    def load(path: str | None) -> int:
        """The library at *path* (None: Python's own C library). Raises OSError."""
        if path is None:
            return int(LoadLibrary("ucrtbase.dll", 0))
        return int(LoadLibrary(path, _SEARCH_DEFAULT_FOLDERS | _SEARCH_ITS_FOLDER))


_RTLD_NOW = getattr(system, "RTLD_NOW", 2)
_SEARCH_ITS_FOLDER, _SEARCH_DEFAULT_FOLDERS = 0x100, 0x1000
_CDECL = 1

CANNOT_LOAD, NO_MAIN = 126, 127
"""Exit codes of a plugin that did not get to its first instruction; every other one is its own."""
ABI = 1


class _Int(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Byte(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Pointer(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


class _Text(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class _Returns(CFuncPtr):
    _flags_ = _CDECL
    _restype_ = _Int


class _ReturnsText(CFuncPtr):
    _flags_ = _CDECL
    _restype_ = _Text


class Library:
    """A loaded library. Raises OSError if it cannot be."""

    def __init__(self, path: str | None) -> None:
        self._handle = load(path)

    def function(self, name: str) -> "Callable[..., int] | None":
        """A function of it that gives an int; None if it has none of that name."""
        try:
            return _Returns((name, self))  # type: ignore[call-arg,arg-type,no-any-return,return-value,unused-ignore]
        except AttributeError:
            return None

    def text_function(self, name: str) -> "Callable[..., bytes | None] | None":
        """A function of it that gives a C string; None if it has none of that name."""
        try:
            return _ReturnsText((name, self))  # type: ignore[call-arg,arg-type,no-any-return,return-value,unused-ignore]
        except AttributeError:
            return None


def call_main(path: str, arguments: list[bytes], host: "Host", complain: "Complain") -> int:
    """Loads the library at *path* and runs its main function; *arguments* begin with the plugin's name.

    The exit code: the plugin's own, or `CANNOT_LOAD` or `NO_MAIN` after a complaint.
    """
    library = open_checked(path, complain)
    if library is None:
        return CANNOT_LOAD
    main = library.function("pypm_plugin_main")
    if main is None:
        complain("plugin-without-main", "")
        return NO_MAIN
    init = library.function("pypm_plugin_init")
    if init is not None:
        code = init(_Pointer(addressof(host())))  # type: ignore[arg-type]
        if code != 0:
            complain("plugin-init", str(code))
            return CANNOT_LOAD
    # One block of bytes that the plugin may write to, and pointers into it. Both live as long as the process.
    block = b"".join(each + b"\0" for each in arguments)
    space = (_Byte * len(block)).from_buffer_copy(block)
    at = addressof(space)
    pointers = (_Pointer * (len(arguments) + 1))()
    for number, each in enumerate(arguments):
        pointers[number] = at
        at += len(each) + 1
    return main(_Int(len(arguments)), pointers)


def call_describe(library: Library) -> bytes | None:
    """What *library* says of itself; None if it says nothing or cannot be asked."""
    describe = library.text_function("pypm_plugin_describe")
    return None if describe is None else describe()


def open_checked(path: str, complain: "Complain") -> Library | None:
    """The library at *path*, loaded, if it is content with this pypm's ABI; None after a complaint."""
    try:
        library = Library(path)
    except OSError as error:
        # The loader names the file as it was given, which may be a descriptor's.
        complain("plugin-unloadable", str(error).removeprefix(f"{path}: "))
        return None
    abi = library.function("pypm_plugin_abi")
    if abi is not None and (asked := abi()) not in range(1, ABI + 1):
        complain("plugin-abi", str(asked))
        return None
    return library


def end(code: int) -> None:
    """Ends this process as returning from main() would: what was left for its end is done, streams are
    flushed, threads are no more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass
    leave = Library(None).function("exit")
    if leave is not None:
        leave(_Int(code))
    system._exit(code & 0xFF)
