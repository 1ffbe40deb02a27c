"""Consoles on one screen: one alone, or several side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.geometry import Size

from vmtui.consoles import Attachment, OpenConsole
from vmtui.widgets.console_lines import ATTACHMENTS
from vmtui.widgets.terminal_view import TerminalView

TILE_LEAST = (40, 8)
"""Columns and lines of a tile that are worth it; what has no room is scrolled to."""


class Tile(Vertical):
    """A terminal in a border that says whose it is; alone it has none."""

    DEFAULT_CSS = """
    Tile { border: round $foreground 30%; border-title-color: $text-muted;
        border-subtitle-color: $warning; background: $background; }
    Tile:focus-within { border: round $primary; border-title-color: $primary;
        border-title-style: bold; }
    Tile.armed { border: heavy $error; border-title-color: $error; }
    Tile.alone { border: none; }
    """

    def __init__(self, console: OpenConsole, name: str) -> None:
        super().__init__()
        self.console = console
        self.name_shown = name
        self.view = TerminalView(console)

    def compose(self) -> ComposeResult:
        """The terminal."""
        yield self.view

    def update(self, *, armed: bool) -> None:
        """Draw what changed in the terminal, and say how the console is."""
        self.view.update()
        self.console.seen()
        self.set_class(armed, "armed")
        title = f"{'▲ ' if armed else ''}{self.name_shown}"
        attachment = self.console.attachment
        state = "" if attachment is Attachment.ATTACHED else attachment.value
        symbol = ATTACHMENTS[attachment][0]
        if (title, state) != getattr(self, "_told", None):
            self._told = (title, state)
            self.border_title = Content(title)
            self.border_subtitle = Content(f"{symbol} {state}") if state else Content("")


class Tiles(Container):
    """A tile for each open console, of which one or several are seen."""

    DEFAULT_CSS = """
    Tiles { layout: grid; grid-rows: 1fr; height: 1fr; scrollbar-size-vertical: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.armed = False
        self._seen: list[OpenConsole] = []

    @property
    def tiles(self) -> list[Tile]:
        """Those that are seen, in their order."""
        by_console = {tile.console: tile for tile in self.query(Tile)}
        return [by_console[console] for console in self._seen if console in by_console]

    @property
    def columns(self) -> int:
        """Tiles beside each other."""
        if not self._seen:
            return 1
        most = max(1, self._room.width // TILE_LEAST[0])
        return min(most, math.ceil(math.sqrt(len(self._seen))))

    @property
    def _room(self) -> Size:
        """Before the first layout what there will be, nearly.

        Laid out wrongly even for a moment, a console would scroll away what it then has room for.
        """
        return self.size or self.app.size

    def view(self, console: OpenConsole) -> TerminalView | None:
        """What shows that console."""
        return next((tile.view for tile in self.tiles if tile.console is console), None)

    def show(
        self,
        seen: Sequence[OpenConsole],
        open_: Sequence[OpenConsole],
        made: Callable[[OpenConsole], Tile],
    ) -> None:
        """See other consoles; those that are not open any more go."""
        known = {tile.console: tile for tile in self.query(Tile)}
        for console, tile in known.items():
            if console not in open_:
                tile.remove()
        self._seen = [console for console in seen if console in open_]
        fresh = [made(console) for console in self._seen if console not in known]
        if fresh:
            self.mount(*fresh)
        for console, tile in known.items():
            tile.display = console in self._seen
            tile.view.refresh()
        for tile in [*known.values(), *fresh]:
            tile.set_class(len(self._seen) == 1, "alone")
        self._share_out()

    def on_resize(self) -> None:
        """As many beside each other as have room."""
        self._share_out()

    def _share_out(self) -> None:
        columns = self.columns
        rows = math.ceil(max(1, len(self._seen)) / columns)
        low = self._room.height // rows < TILE_LEAST[1]
        self.styles.grid_size_columns = columns
        self.styles.grid_rows = str(TILE_LEAST[1]) if low and rows > 1 else "1fr"
        self.styles.overflow_y = "auto" if low else "hidden"

    def update(self, consoles: Collection[OpenConsole] | None = None) -> None:
        """Draw what changed, of these or of all."""
        for tile in self.tiles:
            if consoles is None or tile.console in consoles:
                tile.update(armed=self.armed)
