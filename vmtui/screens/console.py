"""Embedded consoles on the whole screen: one, or several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events, on
from textual.app import ComposeResult

from vmtui.consoles import Attachment, ConsoleKey, OpenConsole
from vmtui.screens.base import Context
from vmtui.screens.console_keys import BY_KEY, COMMANDS
from vmtui.screens.console_verbs import ConsoleVerbs
from vmtui.screens.keys import display, normalised
from vmtui.units import plain
from vmtui.views import FleetView
from vmtui.widgets import copy_mode
from vmtui.widgets.console_lines import ConsoleBottom, ConsoleOffer, ConsoleTop, SearchInput
from vmtui.widgets.console_tiles import Tile, Tiles
from vmtui.widgets.terminal_view import TerminalView

STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


class ConsoleScreen(ConsoleVerbs):
    """`c` and `w`. Keys go to the guest in front; after the prefix they are commands."""

    DEFAULT_CSS = """
    ConsoleScreen { background: $background; layout: vertical; overflow: hidden;
        layers: below above; }
    ConsoleScreen.searching > ConsoleBottom { display: none; }
    """

    AUTO_FOCUS = ""

    def __init__(self, context: Context, keys: Sequence[ConsoleKey], *, grid: bool = False) -> None:
        super().__init__()
        self.context = context
        self.prefix = normalised(context.config.console_prefix)
        self.front = context.consoles.open(keys[0])
        self._gridded = [context.consoles.open(key) for key in keys] if grid else []
        self._pending = False
        self.top = ConsoleTop()
        self.tiles = Tiles()
        self.bottom = ConsoleBottom()
        self.search = SearchInput()
        self.offer = ConsoleOffer([(display(c.key), c.label) for c in COMMANDS])

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.top
        yield self.tiles
        yield self.bottom
        yield self.search
        yield self.offer

    def on_mount(self) -> None:
        """Show it."""
        self.settle()

    def on_screen_resume(self) -> None:
        """Others may have drawn what changed meanwhile."""
        for tile in self.tiles.tiles:
            tile.view.refresh()
        self.consoles_changed()

    def on_screen_suspend(self) -> None:
        """Below a dialog it is drawn in colours that can be dimmed."""
        for tile in self.tiles.tiles:
            tile.view.refresh()

    # -- which consoles are seen ---------------------------------------------------------------

    @property
    def in_grid(self) -> list[OpenConsole]:
        """Those side by side; empty while one is alone."""
        return [c for c in self._gridded if c in self.context.consoles.all]

    def typed_into(self) -> Sequence[OpenConsole]:
        """Where typing goes."""
        return self.in_grid if self.tiles.armed else (self.front,)

    @property
    def view(self) -> TerminalView | None:
        """What shows the console in front."""
        return self.tiles.view(self.front)

    def settle(self) -> None:
        """Show the console in front, or the grid, and give it the keys."""
        open_ = self.context.consoles.all
        if self.front not in open_:
            if not open_:
                self.dismiss()
                return
            self.front = (self.in_grid or open_)[0]
        if len(self.in_grid) < 2:
            self.tiles.armed = False
        elif self.front not in self.in_grid:
            self._gridded.append(self.front)
        seen = self.in_grid or [self.front]
        self.context.glanced.difference_update(console.key for console in seen)
        self.tiles.show(seen, open_, self._tile)
        if (view := self.view) is not None:
            self.set_focus(view)
        self.consoles_changed()

    def _tile(self, console: OpenConsole) -> Tile:
        tile = Tile(console, self.name_of(console.key))
        tile.view.capture = self._captured
        tile.view.typed_into = self.typed_into
        console.terminal.allow_clipboard = self.context.config.guest_clipboard
        return tile

    def bring(self, console: OpenConsole) -> None:
        """Another console to the front."""
        self.front = console
        self.settle()

    def use_grid(self, consoles: Sequence[OpenConsole]) -> None:
        """These side by side; none: the one in front alone."""
        self._gridded = list(consoles)
        self.tiles.armed = False
        self.settle()

    def name_of(self, key: ConsoleKey) -> str:
        """The VM's name, and the console's where it is not the first."""
        console = self.context.consoles.get(key)
        name = plain(console.vm_name) if console else ""
        name = name or "a VM that is gone"
        return f"{name} {plain(key.name)}" if key.name else name

    def sees(self, console: OpenConsole) -> bool:
        """Whether it is one of those on the screen."""
        return console in (self.in_grid or [self.front])

    # -- drawing -------------------------------------------------------------------------------

    def consoles_changed(self) -> None:
        """Draw what changed; not called more often than the eye can follow."""
        if self.is_mounted and self._all_open():
            for tile in self.tiles.tiles:
                if copied := tile.console.terminal.take_clipboard():
                    self.app.copy_to_clipboard(copied)
            self.tiles.update()
            self._show_lines()

    def console_echoed(self) -> None:
        """Draw what is typed into, alone: what others print meanwhile is drawn after it."""
        if self.is_mounted and self._all_open():
            self.tiles.update(self.typed_into())

    def _all_open(self) -> bool:
        """Whether what is seen is still open; if not, other consoles are shown."""
        seen = {self.front, *(tile.console for tile in self.tiles.tiles)}
        if seen.issubset(self.context.consoles.all):
            return True
        self.settle()
        return False

    def show(self, view: FleetView) -> None:  # noqa: ARG002
        """Names and states may be others."""
        self.tick()

    def tick(self) -> None:
        """A second has passed."""
        if self.is_mounted and self._all_open():
            self._show_lines()

    def _show_lines(self) -> None:
        for tile in self.tiles.tiles:
            tile.view.say(self._banner(tile.console))
        open_ = [
            (self.name_of(c.key), c, bool(c.unseen_bytes) and not self.sees(c))
            for c in self.context.consoles.all
        ]
        armed = len(self.in_grid) if self.tiles.armed else 0
        title = plain(self.front.terminal.title) if self.context.config.guest_title else ""
        name = self.name_of(self.front.key)
        self.top.show(f"{name} – {title}" if title else name, self.front, open_, armed)
        view, prefix = self.view, display(self.prefix)
        self.offer.offer(on=self._pending, width=self.size.width)
        if self.context.clock.monotonic_s() < self.told_until_s:
            self.bottom.say(self.told)
        elif view is not None and view.copying:
            self.bottom.say(copy_mode.KEYS)
        elif self.tiles.armed:
            self.bottom.say(f"{prefix} b ends typing into all")
        elif self.front.offers_size:
            self.bottom.say(
                f"{prefix} d back · {prefix} ? keys · {prefix} z tells the guest this size"
            )
        else:
            self.bottom.say(f"{prefix} d back · {prefix} ? keys · Shift+PgUp scrolls back")

    def _banner(self, console: OpenConsole) -> str:
        prefix = display(self.prefix)
        notice = plain(console.notice)
        said = f"{notice}." if notice and not notice.endswith(".") else notice
        fixed = self.unchangeable(console)
        after = "It is attached again when the VM starts."
        if console.gone:
            after = f"{prefix} x closes its console."
        kept, over = (fixed, "") if fixed else (said, f" {prefix} t takes it over.")
        texts = {
            Attachment.ATTACHED: plain(console.hint),
            Attachment.WATCHING: f"{kept} You see what is printed.{over}",
            Attachment.HELD: f"{kept}{over}",
            Attachment.OFF: f"{said} {after}",
            Attachment.LOST: f"{said} It is attached again when the connection is back.",
            Attachment.FAILED: notice,
        }
        return texts.get(console.attachment, "").strip()

    # -- keys ----------------------------------------------------------------------------------

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002
        """Keys of Textual's own don't come before the guest, whatever has the focus."""
        return not self.search.has_focus

    def on_key(self, event: events.Key) -> None:
        """A key that came before the focus was given."""
        view = self.view
        if view is not None and not self.search.has_focus:
            event.stop()
            view.take(event)

    def _captured(self, event: events.Key) -> bool:
        """Whether a key is a command, or the way to one."""
        if self._pending:
            self._pending = False
            self._command(event.key)
            self._show_lines()
            return True
        if event.key == self.prefix:
            self._pending = True
            self._show_lines()
            return True
        return self.copies(event.key)

    def _command(self, key: str) -> None:
        if key == self.prefix:
            if self.view is not None:
                self.view.type(key, None)
        elif key in BY_KEY:
            getattr(self, f"do_{BY_KEY[key].id}")()
        elif key.isdecimal():
            open_ = self.context.consoles.all
            if 0 < int(key) <= len(open_):
                self.bring(open_[int(key) - 1])
        elif key in STEPS:
            self._move(*STEPS[key])

    def _move(self, across: int, down: int) -> None:
        grid = self.in_grid
        if not grid:
            return
        at = grid.index(self.front) + across + down * self.tiles.columns
        if 0 <= at < len(grid):
            self.bring(grid[at])

    @on(events.DescendantFocus)
    def _focused(self) -> None:
        """A click on a tile brings it to the front."""
        if isinstance(self.focused, TerminalView) and self.focused.console is not self.front:
            self.front = self.focused.console
            self._show_lines()
