"""A guest's screen in the terminal: drawn as it changes, typed into, pointed at."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from vmtui.backends.ways_in import Displays
from vmtui.displaying import WatchedScreen
from vmtui.graphics import AUTO, chosen
from vmtui.keyboards import Chord
from vmtui.model import VMId
from vmtui.picture import Picture
from vmtui.theming import Ink, ink_of
from vmtui.widgets.canvas import Canvas
from vmtui.widgets.framing import Framing
from vmtui.widgets.guest_keys import Keyboard
from vmtui.widgets.guest_pointer import Pointing
from vmtui.widgets.lines import Line, fit

_PAN = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


class ScreenView(Pointing, can_focus=True):
    """One VM's screen above a line that tells of it. Every key goes to the guest.

    After the prefix a key is a command: Delete and F1…F12 press Ctrl+Alt+ that key, z changes
    between the whole screen and its own size, arrows move over it, Esc stops typing what was
    pasted, the prefix itself is pressed. Any other is told as `Reserved`, for the screen to act on.

    `layout` and `graphics` are the configuration's `keyboard` and `graphics`.
    """

    ALLOW_SELECT = False

    DEFAULT_CSS = """
    ScreenView { width: 1fr; height: 1fr; }
    """

    class Reserved(Message):
        """A key after the prefix that means nothing here, such as one that leaves."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    class Pasted(Message):
        """Text was pasted; whether it is typed (`paste`) is for the screen to say."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self,
        *,
        prefix: str,
        layout: str = "us",
        graphics: str = AUTO,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.prefix = prefix
        self.capture: Callable[[events.Key], bool] = lambda _: False
        """Whether a key is not for the guest, and not a command of this either."""
        self._watched: WatchedScreen | None = None
        self._vm: VMId | None = None
        self._pointer = False
        self._looking = False
        self._commanding = False
        self._keyboard = Keyboard(layout)
        self.framing = Framing()
        self._graphics = graphics
        self._canvas = Canvas(self)
        self._drawing: asyncio.Task[None] | None = None
        self._again = False

    @property
    def ink(self) -> Ink:
        """The inks of the theme of this moment."""
        return ink_of(self.app)

    # -- whose screen ----------------------------------------------------------------------------

    async def show(self, displays: Displays | None, vm: VMId | None, *, pointer: bool) -> None:
        """Another VM's screen, or none; the same again changes nothing."""
        if vm == self._vm:
            return
        if self._watched is not None:
            await self._watched.close()
        self._watched, self._vm, self._pointer = None, vm, pointer
        self._commanding = False
        self._canvas.clear()
        self.framing = Framing()
        if displays is not None and vm is not None:
            self._watched = WatchedScreen(displays, vm, self.redraw)
            self._watched.watch(on=self._looking)
        self._keyboard.plug_into(self._watched)
        self.refresh()

    @property
    def screen_picture(self) -> Picture | None:
        """What is on it, in its own size."""
        return self._watched.picture if self._watched else None

    def look(self, *, on: bool) -> None:
        """Whether anybody sees it: if not, the guest is left alone."""
        self._looking = on
        if self._watched is not None:
            self._watched.watch(on=on)

    def on_mount(self) -> None:
        """Follow the theme, and what is above it."""
        if self._graphics != AUTO or not self.app.is_headless:
            self._canvas.wanted = chosen(self._graphics, os.environ)
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.refresh())
        self.app.screen_change_signal.subscribe(self, lambda _screen: self._uncovered())

    def on_show(self) -> None:
        """It can be seen now."""
        self._uncovered()

    def on_hide(self) -> None:
        """It was hidden."""
        self.look(on=False)

    def _uncovered(self) -> None:
        """Another screen is in front: its own, a dialog above it, or one that hides it."""
        self.look(on=self.screen.is_current and self.is_on_screen)
        self.redraw()

    async def on_unmount(self) -> None:
        """Look no more."""
        watched, self._watched, self._vm = self._watched, None, None
        if self._drawing is not None:
            self._drawing.cancel()
        self._canvas.clear()
        self._keyboard.plug_into(None)
        if watched is not None:
            await watched.close()

    # -- drawing -----------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Fit it in anew."""
        self.redraw()

    def redraw(self) -> None:
        """Draw anew: something of it, or what is above it, may be other than before."""
        self._again = True
        if self.is_mounted and (self._drawing is None or self._drawing.done()):
            self._drawing = asyncio.create_task(self._draw())

    async def _draw(self) -> None:
        while self._again:
            self._again = False
            picture, width, height = self.screen_picture, self.size.width, self.size.height - 1
            if picture is None or width < 1 or height < 1:
                self._canvas.clear()
                self.refresh()
                continue
            # Scaling a large screen takes longer than a frame.
            canvas = self._canvas
            drawing = await asyncio.to_thread(canvas.prepared, self.framing, picture, width, height)
            lines = canvas.put(drawing)
            if lines is None:
                self.refresh()
            else:
                self.refresh(*(Region(0, y, width, 1) for y in (*lines, height)))

    def render_line(self, y: int) -> Strip:
        """One line."""
        width, height = self.size
        if y == height - 1:
            return Strip(self._status(width)).adjust_cell_length(width).apply_style(self.ink.bar)
        shown = self._canvas.shown
        if shown is None:
            return self._told(y)
        row = y - shown.top
        if not 0 <= row < shown.cells[1]:
            return Strip.blank(width, self.ink.base)
        ground = self.ink.base
        line = [Segment(" " * shown.left, ground), *self._canvas.row(row, ground)]
        return Strip(line).adjust_cell_length(width, ground)

    def _told(self, y: int) -> Strip:
        width, height = self.size
        dark = self._watched.dark if self._watched else None
        if y != max(0, height // 2 - 1) or self._watched is None:
            return Strip.blank(width, self.ink.base)
        text = " ".join(str(dark).split()) if dark else "Looking …"
        line: Line = [Segment(fit(f" {text}", width), self.ink.quiet)]
        return Strip(line, width).apply_style(self.ink.base)

    def _status(self, width: int) -> Line:
        ink, keyboard = self.ink, self._keyboard
        if self._commanding:
            left = "Del F1…F12: with Ctrl+Alt · z size · arrows move · Esc stop typing"
            return [Segment(f" {left}", ink.accent)]
        line: Line = [Segment(" ")]
        if keyboard.refused is not None:
            refused = " ".join(str(keyboard.refused).split())
            return [*line, Segment(fit(refused, width - 1), ink.warn)]
        if keyboard.pending > 1:
            return [*line, Segment(f"{keyboard.pending} keys to type", ink.text)]
        picture, shown = self.screen_picture, self._canvas.shown
        if picture is None or shown is None:
            return line
        words = f"{picture.width}x{picture.height} · {shown.percent} % · {self._canvas.name}"
        return [*line, Segment(words, ink.quiet)]

    # -- keys --------------------------------------------------------------------------------------

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002
        """All of them: no binding of a screen or of Textual comes before the guest."""
        return True

    def on_key(self, event: events.Key) -> None:
        """To whoever takes it, or to the guest."""
        event.stop()
        event.prevent_default()
        if self.capture(event):
            return
        if self._commanding:
            self._commanding = self._command(event.key)
        elif event.key == self.prefix:
            self._commanding = True
        else:
            self._keyboard.type(event.key, event.character)
        self._refresh_status()

    def _command(self, key: str) -> bool:
        """Act on a key after the prefix; whether another may follow."""
        if key == self.prefix:
            self._keyboard.type(key, None)
        elif key == "delete" or (key[:1] == "f" and key[1:].isdecimal()):
            self.press(("ctrl", "alt", key))
        elif key == "z":
            self.framing = self.framing.other_size()
            self.redraw()
        elif key in _PAN and (shown := self._canvas.shown) is not None:
            self.framing = shown.panned(*_PAN[key])
            self.redraw()
            return True
        elif key == "escape":
            self._keyboard.forget_pending()
        else:
            self.post_message(self.Reserved(key))
        return False

    def press(self, keys: Chord) -> None:
        """Press keys in the guest."""
        self._keyboard.press(keys)

    def on_paste(self, event: events.Paste) -> None:
        """Not typed yet: it may have to be asked for."""
        event.stop()
        self.post_message(self.Pasted(event.text))

    def paste(self, text: str) -> None:
        """Type a text into the guest, all of it or nothing."""
        self._keyboard.paste(text)
        self._refresh_status()

    def _refresh_status(self) -> None:
        self.refresh(Region(0, max(0, self.size.height - 1), self.size.width, 1))

    # -- pointer -----------------------------------------------------------------------------------

    def point(self, x: int, y: int, buttons: frozenset[str]) -> None:
        """Put the guest's pointer where that cell is."""
        shown = self._canvas.shown
        if self._watched is not None and shown is not None and self._pointer:
            self._watched.point(*shown.place(x, y), buttons)
