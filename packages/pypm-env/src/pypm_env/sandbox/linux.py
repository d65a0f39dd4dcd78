"""The system calls of Linux that walls are made of, by ctypes. The one seam to the kernel: tests put a
kernel that refuses in its place."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
_MOUNT_SETATTR = 442
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 1, 28, 38, 24
_NO_ROOT = 0xEF
"""Securebits: programs of uid 0 get no capabilities, and nobody can change that."""


class Kernel:
    """What is asked of the kernel. Everything raises OSError when it is refused."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError(38, "not Linux")
        self._library = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        """Leaves the namespaces that *flags* name."""
        self._checked(self._library.unshare(flags))

    def mount(self, source: str, target: str, kind: str, flags: int, data: str = "") -> None:
        """mount(2)"""
        texts = [ctypes.c_char_p(os.fsencode(text) if text else None) for text in (source, target, kind)]
        options = ctypes.c_char_p(os.fsencode(data) if data else None)
        self._checked(self._library.mount(*texts, ctypes.c_ulong(flags), options))

    def set_read_only(self, path: str, read_only: bool) -> None:
        """Of the mount at *path* and those below it (mount_setattr, Linux 5.12)."""
        values = (_ATTR_RDONLY, 0) if read_only else (0, _ATTR_RDONLY)
        attributes = struct.pack("QQQQ", *values, 0, 0)
        self._call(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(path), _AT_RECURSIVE, attributes, len(attributes))

    def die_with_parent(self, signal: int) -> None:
        """Has the kernel send *signal* to this process when the one that forked it ends."""
        self._checked(self._library.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0))

    def give_up_privileges(self, *, is_root: bool) -> None:
        """No program this process becomes gets more rights than it has; *is_root*: it is one that is root
        in its own user namespace, and loses that too."""
        self._checked(self._library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        if is_root:
            self._checked(self._library.prctl(_PR_SET_SECUREBITS, _NO_ROOT, 0, 0, 0))

    def landlock_version(self) -> int:
        """Of the interface; raises OSError where there is none."""
        return self._call(_LANDLOCK_CREATE_RULESET, None, 0, 1)

    def landlock_ruleset(self, files: int, net: int) -> int:
        """A descriptor of a ruleset for these kinds of access."""
        attributes = struct.pack("QQ", files, net) if net else struct.pack("Q", files)
        return self._call(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)

    def landlock_allow(self, ruleset: int, access: int, folder: int) -> None:
        """Allows *access* to all that is below the open *folder*."""
        rule = struct.pack("=Qi", access, folder)
        self._call(_LANDLOCK_ADD_RULE, ruleset, 1, rule, 0)

    def landlock_restrict(self, ruleset: int) -> None:
        """Puts this process, and all it becomes and starts, under the ruleset."""
        self._call(_LANDLOCK_RESTRICT_SELF, ruleset, 0)

    def _call(self, number: int, *arguments: int | bytes | None) -> int:
        words = [
            ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments
        ]
        return self._checked(self._library.syscall(ctypes.c_long(number), *words))

    @staticmethod
    def _checked(answer: int) -> int:
        if answer < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return answer
