"""What the head of an ELF executable says about its platform (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import struct

from pypm_model.records import record

_PT_INTERP = 3
_I386, _ARM = 3, 40
_ARM_ABI_MASK, _ARM_ABI_5, _ARM_HARD_FLOAT = 0xFF000000, 0x05000000, 0x00000400


@record
class Elf:
    """The facts wheel tags hang on."""

    is_32bit: bool
    machine: int
    flags: int
    loader: str
    """The dynamic loader (``/lib/ld-musl-x86_64.so.1``), or empty for a static executable."""

    @property
    def is_i386(self) -> bool:
        return self.is_32bit and self.machine == _I386

    @property
    def hard_float(self) -> bool:
        """32-bit Arm, EABI 5, hard float."""
        abi_fits = self.flags & _ARM_ABI_MASK == _ARM_ABI_5 and bool(self.flags & _ARM_HARD_FLOAT)
        return self.is_32bit and self.machine == _ARM and abi_fits


def read_elf(path: str) -> Elf | None:
    """The head of the executable at *path*; None if it is none or cannot be read."""
    try:
        with open(path, "rb") as file:
            identity = file.read(16)
            if identity[:4] != b"\x7fELF":
                return None
            wide, order = identity[4] == 2, "<" if identity[5] == 1 else ">"
            head = struct.Struct(order + ("HHIQQQIHHH" if wide else "HHIIIIIHHH"))
            _, machine, _, _, table, _, flags, _, size, count = head.unpack(file.read(head.size))
            entry = struct.Struct(order + ("IIQQQQQQ" if wide else "IIIIIIII"))
            loader = ""
            for number in range(count):
                file.seek(table + number * size)
                fields = entry.unpack(file.read(entry.size))
                if fields[0] == _PT_INTERP:
                    offset, length = (fields[2], fields[5]) if wide else (fields[1], fields[4])
                    file.seek(offset)
                    loader = file.read(min(length, 4096)).rstrip(b"\0").decode("utf-8", "surrogateescape")
                    break
            return Elf(not wide, machine, flags, loader)
    except (OSError, struct.error, IndexError):
        return None
