"""The colours that a guest's indexes stand for: xterm's 256."""

from __future__ import annotations

from dataclasses import dataclass

Rgb = tuple[int, int, int]

_SYSTEM: tuple[Rgb, ...] = (
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0),
    (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
    (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0),
    (92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255),
)  # fmt: skip
_LEVELS = (0, 95, 135, 175, 215, 255)
_CUBE = tuple((red, green, blue) for red in _LEVELS for green in _LEVELS for blue in _LEVELS)
_GREYS = tuple((level, level, level) for level in range(8, 248, 10))


@dataclass(frozen=True, slots=True)
class Palette:
    """What colours look like, for guests that ask."""

    indexed: tuple[Rgb, ...] = _SYSTEM + _CUBE + _GREYS
    foreground: Rgb = (229, 229, 229)
    background: Rgb = (0, 0, 0)
