"""Where plugins are, what is recorded of them, and the look at a library before it is loaded.

Loaded by every start of a plugin, so only built-in modules are imported here: what `os` would bring costs a
tenth of the whole start. What is refused is told as a `Refusal`; typed errors are made of it by
`pypm_plugins.errors`, which is not loaded when all is well.
"""

import sys

TYPE_CHECKING = False  # as `typing` has it, which takes longer to load than all of this
if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import posix as _system
except ImportError:  # Windows
    import nt as _system  # type: ignore[import-not-found,no-redef,unused-ignore]

system = _system
"""What `os` is made of: `posix`, or `nt`."""

MAIN = "pypm_plugin_main"
HEAD, END = "pypm-plugin 1", "end"
RECORD = ".plugin"
SUFFIX = {"win32": ".dll", "cygwin": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
LONGEST_NAME = 64
LARGEST = 512 << 20
"""Bytes: no library is larger than this."""

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_NAME = _LETTERS | frozenset("._-")
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))})
_KEYS = frozenset({"sha256", "size", "source", "added", "asked-sha256", "allow-http"})
_HEX = frozenset("0123456789abcdef")
_LONGEST_RECORD = 1 << 16
_CHUNK = 1 << 20

_S_IFMT, _S_IFREG, _S_IFLNK, _S_IWOTH = 0o170000, 0o100000, 0o120000, 0o002
_READ = (
    system.O_RDONLY
    | getattr(system, "O_CLOEXEC", 0)
    | getattr(system, "O_NOFOLLOW", 0)
    | getattr(system, "O_NONBLOCK", 0)
    | getattr(system, "O_BINARY", 0)
    | getattr(system, "O_NOINHERIT", 0)
)
"""Without waiting: a named pipe in the place of a file would keep us for ever."""


class Refusal(Exception):
    """A plugin is not run: *code* says why in one word (`pypm_plugins.errors.FROM_CODE`), *name* which,
    *path* what it is about, *detail* the rest."""

    def __init__(self, code: str, name: str, path: str = "", detail: str = "") -> None:
        super().__init__(code, name, path, detail)
        self.code = code
        self.name = name
        self.path = path
        self.detail = detail


def what_is_wrong_with(name: str) -> str:
    """Why *name* can be no plugin's, in a clause; empty if it can. A name is a file name on every system, and
    never leads out of a folder."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters"
    if not _NAME.issuperset(name):
        return "it may hold letters, digits, dots, hyphens and underscores of ASCII only"
    if name[0] not in _LETTERS:
        return "it begins with neither a letter nor a digit"
    if ".." in name or name[-1] == ".":
        return "it has two dots in a row, or one at its end"
    if name.partition(".")[0].lower() in _DEVICES:
        return "that is a device on Windows"
    return ""


def is_sha256(text: str) -> bool:
    """Whether *text* is a digest as it is recorded: 64 hexadecimal digits, small."""
    return len(text) == 64 and _HEX.issuperset(text)


def variable(name: str) -> str:
    """The environment variable of this process; empty if it is not set."""
    if system.__name__ != "posix":
        return system.environ.get(name, "")  # type: ignore[call-overload,no-any-return,unused-ignore]
    value = system.environ.get(name.encode(), b"")
    return value.decode(sys.getfilesystemencoding(), "surrogateescape")


def home(variable: "Callable[[str], str]") -> str:
    """``PYPM_HOME``, else ``~/.pypm``; an absolute path, empty if there is no home. *variable* gives an
    environment variable, or an empty text."""
    chosen, own = variable("PYPM_HOME"), variable("HOME") or variable("USERPROFILE")
    if chosen == "~" or chosen.startswith(("~/", "~\\")):
        chosen = own + chosen[1:]
    if not chosen:
        if not own:
            return ""
        chosen = f"{own.rstrip('/')}/.pypm"
    if chosen[:1] in ("/", "\\") or chosen[1:2] == ":":
        return chosen.rstrip("/") or "/"
    return f"{current_folder()}/{chosen}".rstrip("/")


def current_folder() -> str:
    """The current folder; empty if it was removed."""
    try:
        return system.getcwd()
    except OSError:
        return ""


def folder_in(home: str) -> str:
    """The folder of plugins that were added by name."""
    return f"{home}/plugins"


def library_in(home: str, name: str) -> str:
    """The library of the plugin *name*."""
    return f"{home}/plugins/{name}{SUFFIX}"


def record_in(home: str, name: str) -> str:
    """The record beside it."""
    return f"{home}/plugins/{name}{RECORD}"


def pinned_in(home: str, sha256: str) -> str:
    """The library that workspaces pin by this digest, which is its name."""
    return f"{home}/pinned/{sha256}{SUFFIX}"


def exists(path: str) -> bool:
    """Whether there is anything at *path*, a dead link included."""
    try:
        system.lstat(path)
    except (OSError, ValueError):
        return False
    return True


# --- records -------------------------------------------------------------------------------------


def read_record(path: str, name: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The digests that a plugin's record knows (two while it is being replaced), and what else it says.

    Raises `Refusal`: there is none, or it is not as pypm writes it.
    """
    try:
        handle = system.open(path, _READ)
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal("unknown", name, path) from None
    except OSError as error:
        raise _unopened(error, name, path) from None
    try:
        _look_at(system.fstat(handle), name, path)
        content = _content(handle, _LONGEST_RECORD)
    finally:
        system.close(handle)
    digests: list[str] = []
    said: dict[str, str] = {}
    lines = content.decode("ascii", "replace").split("\n")
    if lines[0] != HEAD or lines[-2:] != [END, ""]:
        raise Refusal("record", name, path)
    for line in lines[1:-2]:
        key, _, value = line.partition(" ")
        if key not in _KEYS or (key == "sha256" and not is_sha256(value)):
            raise Refusal("record", name, path)
        if key == "sha256":
            digests.append(value)
        else:
            said[key] = value
    if not digests:
        raise Refusal("record", name, path)
    return tuple(digests), said


def _content(handle: int, most: int) -> bytes:
    parts = []
    while part := system.read(handle, most):
        parts.append(part)
        most -= len(part)
        if most <= 0:
            break
    return b"".join(parts)


# --- before loading ------------------------------------------------------------------------------


def check_folder(path: str, name: str) -> None:
    """Raises `Refusal` if others than the user could put something of theirs into the folder at *path*."""
    try:
        status = system.stat(path)
    except OSError:
        return  # what is in it will not be found either
    if why := what_is_open(status):
        raise Refusal("open", name, path, why)


def what_is_open(status: object) -> str:
    """Who else could change a file or folder with this *status*, in a clause; empty if nobody could."""
    if system.__name__ != "posix":
        return ""  # Windows' rights are no bits; a user's own folders are closed there
    if status.st_mode & _S_IWOTH:  # type: ignore[attr-defined]
        return "everybody may write it"
    owner = status.st_uid  # type: ignore[attr-defined]
    if owner not in (system.geteuid(), 0):
        return f"it belongs to another user (uid {owner})"
    return ""


def _look_at(status: object, name: str, path: str) -> None:
    kind = status.st_mode & _S_IFMT  # type: ignore[attr-defined]
    if kind != _S_IFREG:
        raise Refusal("odd-file", name, path, "it is no plain file")
    if why := what_is_open(status):
        raise Refusal("open", name, path, why)


def _unopened(error: OSError, name: str, path: str) -> Refusal:
    try:
        if system.lstat(path).st_mode & _S_IFMT == _S_IFLNK:
            return Refusal("odd-file", name, path, "it is a symbolic link")
    except OSError:
        pass
    return Refusal("unreadable", name, path, (error.strerror or "it cannot be read").lower())


def open_library(path: str, name: str) -> tuple[int, int]:
    """A descriptor of the library at *path*, and its size; nothing is read yet. Raises `Refusal`."""
    if system.__name__ != "posix" and exists(path) and system.lstat(path).st_mode & _S_IFMT == _S_IFLNK:
        raise Refusal("odd-file", name, path, "it is a symbolic link")
    try:
        handle = system.open(path, _READ)
    except (FileNotFoundError, NotADirectoryError):
        raise Refusal("missing", name, path) from None
    except OSError as error:
        raise _unopened(error, name, path) from None
    try:
        status = system.fstat(handle)
        _look_at(status, name, path)
    except BaseException:
        system.close(handle)
        raise
    return handle, status.st_size


def digest_of(handle: int, sha256: object) -> str:
    """The digest of all that *handle* has, from where it stands; *sha256* is a new hash object."""
    while part := system.read(handle, _CHUNK):
        sha256.update(part)  # type: ignore[attr-defined]
    return sha256.hexdigest()  # type: ignore[attr-defined,no-any-return]
