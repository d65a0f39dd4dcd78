"""Walls made of Linux namespaces: of users, mounts, network, processes. No rights are needed for them.

What is done here is done by the process that becomes the sandbox, before it does; the kernel takes it away
with the last process in it, whatever ended that.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from typing import TYPE_CHECKING

from pypm_env.sandbox import linux
from pypm_env.sandbox.walls import Empty, Overlay, ReadOnly, Refused, Seen, Step, Walls, steps_for
from pypm_model.later import later

if TYPE_CHECKING:
    import fcntl
else:
    fcntl = later("fcntl")


def enter_namespaces(walls: Walls, kernel: linux.Kernel) -> None:
    """Puts this process behind *walls*. With `isolate` the caller forks next: the child is the first of
    its own processes and calls `begin_as_first`. Raises `Refused`."""
    user, group = os.getuid(), os.getgid()
    flags = linux.NEWUSER
    steps = steps_for(walls)
    if steps or walls.isolate:
        flags |= linux.NEWNS
    if walls.no_net or walls.isolate:
        flags |= linux.NEWNET
    if walls.isolate:
        flags |= linux.NEWPID | linux.NEWIPC | linux.NEWUTS
    cwd = os.open(".", os.O_PATH | os.O_CLOEXEC) if not steps else -1
    with _asking("user namespaces"):
        kernel.unshare(flags)
        _map(user, group)
    if walls.no_net or walls.isolate:
        with _asking("a network namespace"):
            _loopback_up()
    if steps or walls.isolate:
        with _asking("mounts in a user namespace"):
            kernel.mount("", "/", "", linux.MS_REC | linux.MS_PRIVATE)
        carry_out(steps, kernel)
    if cwd >= 0:
        os.close(cwd)


def begin_as_first(kernel: linux.Kernel) -> None:
    """In the first process of a process namespace: dies with the one that waits outside, sees no processes
    but its own. Raises `Refused`."""
    with _asking("a process namespace"):
        kernel.die_with_parent(signal.SIGKILL)
        kernel.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)


def end_privileges(kernel: linux.Kernel) -> None:
    """The last step before the program: it cannot take the walls down again."""
    with _asking("giving up privileges"):
        kernel.give_up_privileges(is_root=True)


def carry_out(steps: tuple[Step, ...], kernel: linux.Kernel) -> None:
    """Does *steps* to this process's mounts. Raises `Refused`."""
    # Opened before anything is covered: this is how what is behind is found again.
    held: dict[str, int] = {}
    for step in steps:
        paths: tuple[str, ...]
        match step:
            case Seen(path):
                paths = (path,)
            case Overlay(path, upper):
                paths = (path, os.path.dirname(upper))
            case _:
                continue
        for one in paths:
            if one not in held:
                try:
                    held[one] = os.open(one, os.O_PATH | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue
    for step in steps:
        match step:
            case ReadOnly(path):
                with _asking("read-only mounts"):
                    kernel.set_read_only(path, True)
            case Empty(path, mode):
                if os.path.isdir(path):
                    with _asking(f"an empty {path}"):
                        flags = linux.MS_NOSUID | linux.MS_NODEV
                        kernel.mount("tmpfs", path, "tmpfs", flags, f"mode={mode:o}")
            case Seen(path, writable):
                if path in held:
                    _see(path, held[path], writable, kernel)
            case Overlay(path, upper, scratch):
                _overlay(path, held[path], upper, scratch, held[os.path.dirname(upper)], kernel)
    for handle in held.values():
        os.close(handle)


def _see(path: str, handle: int, writable: bool, kernel: linux.Kernel) -> None:
    _make_target(path, handle)
    with _asking("bind mounts"):
        kernel.mount(f"/proc/self/fd/{handle}", path, "", linux.MS_BIND | linux.MS_REC)
        kernel.set_read_only(path, not writable)


def _overlay(path: str, lower: int, upper: str, scratch: str, layer: int, kernel: linux.Kernel) -> None:
    """Puts an overlay at *path*; *layer* is the open folder of *upper* and *scratch*."""
    folder = os.path.dirname(upper)
    # Reached by a mount of its own: the one it is in may have been made read-only.
    _see(folder, layer, True, kernel)
    _make_target(path, lower)
    handles = [os.open(one, os.O_PATH | os.O_CLOEXEC) for one in (upper, scratch)]
    below, above, work = (f"/proc/self/fd/{handle}" for handle in (lower, *handles))
    with _asking("copy-on-write mounts"):
        options = f"lowerdir={below},upperdir={above},workdir={work},userxattr"
        kernel.mount("overlay", path, "overlay", linux.MS_NOSUID, options)
        # The kernel makes it read-only, without a word, where it cannot write to `upper`.
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise OSError(30, "they would be read-only")
        kernel.set_read_only(folder, True)  # the overlay has it for itself
    for handle in handles:
        os.close(handle)


def _make_target(path: str, handle: int) -> None:
    """What is mounted on, where something else covers the place."""
    if os.path.lexists(path):
        return
    with _asking(f"a place for {path}"):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            os.makedirs(path, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))


def _map(user: int, group: int) -> None:
    """The user and group stay who they are; nobody else exists."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


def _loopback_up() -> None:
    """Programs in the sandbox can talk to each other by 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        answer = fcntl.ioctl(talk, _SIOCGIFFLAGS, request)
        flags = struct.unpack("16sH14s", answer)[1] | _IFF_UP
        fcntl.ioctl(talk, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags, b""))


class _asking:
    """A block in which the kernel is asked for *what*: its refusal is told as such."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise Refused(f"{self.what}: {(error.strerror or str(error)).lower()}") from error
