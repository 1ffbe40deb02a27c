"""The smallest guest there is: a disk image whose boot sector prints a line, and may power off."""

from __future__ import annotations

import struct
from pathlib import Path

from vmtui.units import MIB

_ORIGIN = 0x7C00
_PRINT = bytes.fromhex(
    "be 00 00"  # mov si, TEXT
    "ac 84 c0 74 06"  # next: lodsb; test al, al; jz done
    "ba f8 03 ee eb f5"  # mov dx, 0x3f8 (the serial port); out dx, al; jmp next
)
_POWER_OFF = bytes.fromhex("ba 04 06 b8 00 20 ef")  # out of PM1a's control register of q35: S5
_HALT = bytes.fromhex("f4 eb fd")


def boot_sector(text: str, *, power_off: bool = False) -> bytes:
    """512 bytes that print `text` on the first serial port."""
    code = bytearray(_PRINT + (_POWER_OFF if power_off else b"") + _HALT)
    code[1:3] = struct.pack("<H", _ORIGIN + len(code))
    return bytes(code + text.encode() + b"\r\n\0").ljust(510, b"\0") + b"\x55\xaa"


def write_image(path: Path, text: str, *, power_off: bool = False, size_bytes: int = MIB) -> Path:
    """A raw disk that boots by it."""
    with path.open("wb") as file:
        file.write(boot_sector(text, power_off=power_off))
        file.truncate(size_bytes)
    return path
