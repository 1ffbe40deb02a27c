"""A guest with known pictures on its screen, that tells which bytes its keyboard sends."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.contract.cases import BOOT_LIMIT_S, until
from vmtui.backends.base import Backend
from vmtui.backends.ways_in import Consoles
from vmtui.model import Power, VMId
from vmtui.picture import RGB, Picture
from vmtui.spec import Boot, BootKind, VMSpec
from vmtui.units import MIB

SOURCE = Path(__file__).with_name("screen.s")


def built(folder: Path) -> Path:
    """The guest's disk, made of its source by the GNU assembler."""
    code, disk = folder / "screen.o", folder / "screen.img"
    subprocess.run(["as", "--32", "-o", code, SOURCE], check=True)
    flat = ["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary"]
    subprocess.run(["ld", *flat, "-o", disk, code], check=True)
    assert disk.stat().st_size == 512
    with disk.open("ab") as file:
        file.truncate(MIB)
    return disk


def spec(name: str, disk: Path) -> VMSpec:
    """A VM of that disk."""
    return VMSpec(
        name, boot=Boot(BootKind.DISK, disk, "raw", disk.stat().st_size), memory_bytes=96 * MIB
    )


def _level(six_bits: int) -> int:
    """What QEMU makes of a colour's six bits: the lowest is repeated."""
    return six_bits << 2 | (six_bits & 1) * 3


def _dac(red: int, green: int, blue: int) -> bytes:
    return bytes(_level(level & 63) for level in (red, green, blue))


# The colours of text mode, as IBM's VGA has them: brown is the odd one.
_TEXT_COLOURS = [
    _dac(*(42 * (n >> bit & 1) + 21 * (n >> 3) for bit in (2, 1, 0))) for n in range(16)
]
_TEXT_COLOURS[6] = _dac(42, 21, 0)
_GRAPHICS_COLOURS = [_dac(n, n >> 2, ~n) for n in range(256)]

TEXT_CELL = (9, 16)
GRAPHICS_CELL = (16, 16)  # the VGA doubles both lines and columns


def text_screen() -> Picture:
    """What F1 draws."""
    return _cells(80, 25, TEXT_CELL, lambda x, y: _TEXT_COLOURS[(x + y) % 16])


def graphics_screen() -> Picture:
    """What F2 draws."""
    return _cells(40, 25, GRAPHICS_CELL, lambda x, y: _GRAPHICS_COLOURS[(40 * y + x) % 256])


def graphics_cells() -> list[list[tuple[RGB, RGB]]]:
    """What F2 draws, in half blocks of a square each."""

    def colour(x: int, y: int) -> RGB:
        red, green, blue = _GRAPHICS_COLOURS[(40 * y + x) % 256] if y < 25 else bytes(3)
        return red, green, blue

    return [[(colour(x, y), colour(x, y + 1)) for x in range(40)] for y in range(0, 26, 2)]


def _cells(
    columns: int, rows: int, cell: tuple[int, int], colour: Callable[[int, int], bytes]
) -> Picture:
    width, height = cell
    lines = (b"".join(colour(x, y) * width for x in range(columns)) * height for y in range(rows))
    return Picture(columns * width, rows * height, b"".join(lines))


class ScreenGuest:
    """A running one."""

    def __init__(self, backend: Backend, vm: VMId) -> None:
        self.backend = backend
        self.vm = vm
        self._printed = b""

    async def _listen(self) -> None:
        assert isinstance(self.backend, Consoles)
        async for data in self.backend.console_output(self.vm):
            self._printed += data

    @property
    def codes(self) -> list[int]:
        """What the keyboard sent (scan codes of set 1) since `forget`."""
        return [int(code, 16) for code in re.findall(rb"\b[0-9a-f]{2} ", self._printed)]

    def forget(self) -> None:
        """Begin anew."""
        self._printed = b""

    async def sent(self, number: int) -> list[int]:
        """That many codes, once they are there."""
        await until(lambda: len(self.codes) >= number, what=f"{number} codes in {self.codes}")
        return self.codes

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ScreenGuest]:
        """Started, and ready for keys, inside the `async with`."""
        await self.backend.power(self.vm, Power.START)
        listening = asyncio.create_task(self._listen())
        try:
            await until(lambda: b"ready" in self._printed, BOOT_LIMIT_S, "the guest is ready")
            self.forget()
            yield self
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
