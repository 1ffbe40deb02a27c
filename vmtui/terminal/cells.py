"""What is on a terminal: runs of text in one style, the cursor, and the modes of the guest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

Colour = int | tuple[int, int, int] | None
"""An index into the palette of 256, red-green-blue (0..255 each), or None: the default."""


@dataclass(frozen=True, slots=True)
class Style:
    """How text looks."""

    foreground: Colour = None
    background: Colour = None
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: bool = False
    blink: bool = False
    inverse: bool = False
    strike: bool = False


PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring cells of one style and one width."""

    text: str
    style: Style = PLAIN
    cell_columns: int = 1
    """2 for wide characters."""
    cluster: bool = False
    """`text` is a single cell: a character with the combining ones on it."""

    @property
    def columns(self) -> int:
        """How many it covers."""
        return self.cell_columns * len(self.cells)

    @property
    def cells(self) -> Sequence[str]:
        """The text of each cell."""
        return (self.text,) if self.cluster else self.text


Row = tuple[Run, ...]
"""One line of the terminal, from its first column; what is not there is blank."""


class CursorShape(Enum):
    """What it looks like."""

    BLOCK = "block"
    UNDERLINE = "underline"
    BAR = "bar"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next character goes, from 0."""

    row: int
    column: int
    visible: bool = True
    shape: CursorShape = CursorShape.BLOCK
    blinking: bool = False


class Mouse(Enum):
    """What the guest wants to hear of the mouse. The value is the DEC mode."""

    OFF = 0
    PRESS = 9  # X10: presses only
    BUTTONS = 1000  # presses and releases
    DRAG = 1002  # and motion while a button is down
    MOTION = 1003  # and all motion


class MouseEncoding(Enum):
    """How it wants to hear it. The value is the DEC mode."""

    BYTES = 0
    UTF8 = 1005
    SGR = 1006
    URXVT = 1015


@dataclass(frozen=True, slots=True)
class Modes:
    """What the guest has switched on."""

    application_cursor: bool = False  # DECCKM
    application_keypad: bool = False  # DECNKM, DECKPAM
    bracketed_paste: bool = False
    focus_events: bool = False
    alternate_screen: bool = False
    alternate_scroll: bool = True  # on the alternate screen the wheel sends arrow keys
    newline: bool = False  # LNM: Enter sends CR LF
    reverse_screen: bool = False  # DECSCNM
    mouse: Mouse = Mouse.OFF
    mouse_encoding: MouseEncoding = MouseEncoding.BYTES
