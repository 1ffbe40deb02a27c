"""The screens of the demo fleet: a simple desktop that follows the pointer and counts keys."""

from __future__ import annotations

from collections.abc import Sequence

from vmtui.backends.ways_in import Viewer
from vmtui.errors import StateError, UnsupportedError, read_only
from vmtui.keyboards import known
from vmtui.model import VM, VMId
from vmtui.picture import Picture

WIDTH, HEIGHT = 640, 400

Colour = tuple[int, int, int]

_SKY, _BAR, _PAPER, _TITLE = (28, 60, 110), (18, 22, 34), (226, 230, 240), (122, 162, 247)
_INK, _POINTER, _KEY = (60, 66, 90), (255, 255, 255), (158, 206, 106)


class DemoDisplay:
    """One screen."""

    def __init__(self) -> None:
        self.pressed: list[tuple[str, ...]] = []
        """The keys that were pressed, for tests."""
        self.pointer = (0.5, 0.5)
        self.buttons: frozenset[str] = frozenset()

    def press(self, keys: Sequence[str]) -> None:
        """Keys were pressed together."""
        self.pressed.append(tuple(keys))

    def point(self, x: float, y: float, buttons: frozenset[str]) -> None:
        """The pointer was moved, with those buttons down."""
        self.pointer, self.buttons = (x, y), buttons

    def picture(self) -> Picture:
        """What is on it."""
        rows = [bytearray(bytes(_SKY) * WIDTH) for _ in range(HEIGHT)]
        _fill(rows, (0, HEIGHT - 24), (WIDTH, 24), _BAR)
        _fill(rows, (6, HEIGHT - 19), (14, 14), _TITLE)
        for left, top, width, height in ((60, 40, 300, 200), (250, 120, 330, 220)):
            _fill(rows, (left, top), (width, height), _PAPER)
            _fill(rows, (left, top), (width, 20), _TITLE)
            for line in range(6):
                _fill(rows, (left + 16, top + 40 + line * 22), (width - 60 - line * 30, 6), _INK)
        for number in range(min(len(self.pressed), 60)):
            _fill(rows, (30 + number * 10, HEIGHT - 16), (7, 8), _KEY)
        x, y = int(self.pointer[0] * (WIDTH - 1)), int(self.pointer[1] * (HEIGHT - 1))
        _fill(rows, (x, y), (8, 12), _KEY if self.buttons else _POINTER)
        return Picture(WIDTH, HEIGHT, b"".join(rows))


class DemoDisplays:
    """The ability of the demo backend, over its `vm`."""

    _read_only = False

    def __init__(self) -> None:
        super().__init__()
        self._displays: dict[VMId, DemoDisplay] = {}

    async def vm(self, vm: VMId) -> VM:
        """One of the cast."""
        raise NotImplementedError

    async def display(self, vm: VMId) -> DemoDisplay:
        """Its screen. Raises StateError when it is off."""
        found = await self.vm(vm)
        if not found.state.active:
            raise StateError(f"{found.name} is {found.state.value}", hint="Start it first.")
        return self._displays.setdefault(vm, DemoDisplay())

    async def picture(self, vm: VMId) -> Picture:
        """A simple desktop."""
        return (await self.display(vm)).picture()

    async def press(self, vm: VMId, keys: Sequence[str], *, hold_ms: int = 20) -> None:  # noqa: ARG002
        """The keys show on its desktop."""
        (await self._typed_to(vm)).press(known(keys))

    async def point(self, vm: VMId, x: float, y: float, buttons: frozenset[str]) -> None:
        """The pointer follows."""
        (await self._typed_to(vm)).point(x, y, buttons)

    async def _typed_to(self, vm: VMId) -> DemoDisplay:
        if self._read_only:
            raise read_only(f"input to {(await self.vm(vm)).name}")
        return await self.display(vm)

    async def viewer(self, vm: VMId) -> Viewer:
        """Nothing that a viewer could connect to."""
        raise UnsupportedError(f"{(await self.vm(vm)).name} exists in memory only")


def _fill(
    rows: list[bytearray], corner: tuple[int, int], size: tuple[int, int], colour: Colour
) -> None:
    (left, top), (width, height) = corner, size
    right = min(left + width, WIDTH)
    piece = bytes(colour) * max(0, right - left)
    for row in rows[top : min(top + height, HEIGHT)]:
        row[left * 3 : right * 3] = piece
