"""How much of the engine's time a guest has earned.

A few characters can make the engine rewrite the whole screen. Each character earns a guest some
cells, and what would cost more than it has is dropped, so that no output holds the interface up.
What programs really print earns far more than it costs.
"""

from __future__ import annotations

CELLS_PER_CHARACTER = 16
SCREENS_AT_ONCE = 16


class Effort:
    """What one guest has. The same output earns the same, however it is split into reads."""

    def __init__(self, screen_cells: int) -> None:
        self._left = self._most = SCREENS_AT_ONCE * screen_cells

    def earn(self, characters: int) -> None:
        """It printed these."""
        self._left = min(self._left + CELLS_PER_CHARACTER * characters, self._most)

    def resize(self, screen_cells: int) -> None:
        """The screen has another size."""
        self._most = SCREENS_AT_ONCE * screen_cells

    @property
    def left(self) -> int:
        """Cells that may be printed."""
        return self._left

    def spend(self, cells: int) -> bool:
        """Whether it has that much; then it is spent."""
        if cells > self._left:
            return False
        self._left -= cells
        return True
