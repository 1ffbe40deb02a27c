"""Which part of a picture is seen, how large, and where on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from vmtui.picture import RGB, Part, Picture, fitted, half_blocks, scaled

BLOCK_CELL = (1, 2)
"""The pixels of a cell that is drawn as half blocks."""

PAN_SHARE = 0.5
"""How much of what is seen one step moves."""


@dataclass(frozen=True, slots=True)
class Framing:
    """What the user chose: all of it, or a part in its own size around a centre (0..1)."""

    whole: bool = True
    x: float = 0.5
    y: float = 0.5

    def other_size(self) -> Framing:
        """The whole picture, or its own size."""
        return replace(self, whole=not self.whole)

    def shown(
        self,
        picture: Picture,
        columns: int,
        rows: int,
        cell: tuple[int, int] = BLOCK_CELL,
        *,
        enlarge: bool = True,
    ) -> Shown:
        """What is to be drawn in so many cells of so many pixels.

        Without `enlarge` it is left to whoever draws it to make a small picture larger.
        """
        part = Part(0, 0, picture.width, picture.height)
        room = (columns * cell[0], rows * cell[1])
        if self.whole:
            width, height = fitted(picture.width, picture.height, *room)
        else:
            width, height = min(room[0], picture.width), min(room[1], picture.height)
            left = _start(self.x, width, picture.width)
            part = Part(left, _start(self.y, height, picture.height), width, height)
        used = (-(-width // cell[0]), -(-height // cell[1]))
        return Shown(
            self,
            (picture.width, picture.height),
            part,
            scaled(picture, part, width, height)
            if enlarge
            else scaled(picture, part, min(width, part.width), min(height, part.height)),
            (width, height),
            cell,
            used,
            left=(columns - used[0]) // 2,
            top=(rows - used[1]) // 2,
        )


@dataclass(frozen=True)
class Shown:
    """A picture as it is drawn, `left` and `top` of it cells that are blank."""

    framing: Framing
    size: tuple[int, int]  # of the guest's screen
    part: Part
    picture: Picture  # what `part` became
    pixels: tuple[int, int]  # that it takes
    cell: tuple[int, int]  # of so many pixels
    cells: tuple[int, int]
    left: int
    top: int

    @cached_property
    def rows(self) -> list[list[tuple[RGB, RGB]]]:
        """It in half blocks."""
        return half_blocks(self.picture)

    @property
    def covers(self) -> tuple[int, ...]:
        """Which cells it takes, and of which size they are."""
        return (self.left, self.top, *self.cells, *self.cell)

    @property
    def percent(self) -> int:
        """Its scale."""
        return round(100 * self.pixels[0] / self.part.width)

    def differs_from(self, other: Shown) -> Iterator[int]:
        """The lines of half blocks that are not as in `other`, which covers the same cells."""
        for at, (mine, others) in enumerate(zip(self.rows, other.rows, strict=True)):
            if mine != others:
                yield self.top + at

    def place(self, x: int, y: int) -> tuple[float, float]:
        """Where in the picture the middle of a cell is, 0..1."""
        across = (x - self.left + 0.5) * self.cell[0] / self.pixels[0]
        down = (y - self.top + 0.5) * self.cell[1] / self.pixels[1]
        width, height = self.size
        return (
            _within((self.part.left + across * self.part.width) / width),
            _within((self.part.top + down * self.part.height) / height),
        )

    def panned(self, across: int, down: int) -> Framing:
        """The framing one step further; a whole picture stays as it is."""
        if self.framing.whole:
            return self.framing
        width, height = self.size
        x = self.part.left + self.part.width * (0.5 + across * PAN_SHARE)
        y = self.part.top + self.part.height * (0.5 + down * PAN_SHARE)
        return replace(self.framing, x=_within(x / width), y=_within(y / height))


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _start(centre: float, length: int, of: int) -> int:
    return min(max(round(centre * of - length / 2), 0), of - length)
