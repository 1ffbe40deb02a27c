"""A console's terminal on the screen: drawn where it changed, and scrolled back."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from vmtui.consoles import Attachment, OpenConsole
from vmtui.terminal.keys import FOCUS_IN, FOCUS_OUT
from vmtui.terminal.palette import Palette
from vmtui.theming import Ink, ink_of
from vmtui.widgets.copy_mode import CopyMode
from vmtui.widgets.lines import fit, wrapped
from vmtui.widgets.terminal_lines import Selection, Spot, TerminalLines, matches
from vmtui.widgets.terminal_strips import marked, own_colours, row_strip

BANNER_LINES = 3


class TerminalScreen(Widget, can_focus=True):
    """What is looked at; `update` draws what changed since it was called last."""

    ALLOW_SELECT = False  # its own selection knows of the scrollback

    DEFAULT_CSS = """
    TerminalScreen { width: 1fr; height: 1fr; }
    """

    def __init__(self, console: OpenConsole) -> None:
        super().__init__()
        self.console = console
        self.lines = TerminalLines(console.terminal)
        self.banner: tuple[str, ...] = ()
        """What has to be said above the terminal, line by line."""
        self._said = ""  # the same before it is broken into lines
        self.copying: CopyMode | None = None
        self.wanted = ""
        """What is searched for: its matches are marked."""
        self._top: int | None = None  # the first line that is seen; None: it follows the end
        self.selection: Selection | None = None
        """What is selected with the mouse."""
        self._cursor: Spot | None = None  # where it is drawn
        self._drawn = (0, 0, False)  # the screen's first line, the cursor's row, inverse

    @property
    def ink(self) -> Ink:
        """The inks of the theme of this moment."""
        return ink_of(self.app)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Guests are shown in the colours of the user's own terminal."""
        return own_colours(self, super().get_line_filters())

    # -- what is seen --------------------------------------------------------------------------

    @property
    def top(self) -> int:
        """The first line that is seen."""
        if self._top is None:
            return self.lines.screen
        return min(max(self._top, self.lines.first), self.lines.screen)

    @property
    def below(self) -> int:
        """Lines between what is seen and the end."""
        return self.lines.screen - self.top

    def scroll_back(self, lines: int) -> None:
        """Back (positive) or towards the end."""
        wanted = self.top - lines
        if wanted < self.lines.screen:
            self._top = wanted
            self.refresh()
        else:
            self.follow()

    def follow(self) -> None:
        """Back to the end."""
        if self._top is not None:
            self._top = None
            self.lines.terminal.forget_drawn()
            self.refresh()

    def reveal(self, spot: Spot) -> None:
        """Scroll as little as needed to see a spot."""
        line, height = spot[0], self.lines.terminal.rows
        if line < self.top:
            self.scroll_back(self.top - line)
        elif line >= self.top + height:
            self.scroll_back(self.top + height - 1 - line)
        self.refresh()

    def update(self) -> None:
        """Draw what changed since the last time."""
        terminal = self.lines.terminal
        damage = terminal.take_damage()
        screen, cursor, inverse = self.lines.screen, terminal.cursor, terminal.modes.reverse_screen
        before, self._drawn = self._drawn, (screen, cursor.row, inverse)
        if before[2] != inverse or (before[0] != screen and (self.selection or self.copying)):
            self.refresh()
            return
        if self._top is None:
            rows = damage | {before[1], cursor.row}
        else:
            # What was on the screen may have changed before it left it.
            height = self.size.height
            rows = frozenset(range(max(0, min(before[0], screen) - self.top), height))
            rows |= {height - 1}
        width = self.size.width
        self.refresh(*(Region(0, row, width, 1) for row in rows))

    def say(self, text: str) -> None:
        """Show another banner, or none."""
        self._said = text
        width = self.size.width
        # Without a size yet it is broken into lines as soon as there is one.
        banner = tuple(wrapped(text, max(20, width - 2))[:BANNER_LINES]) if width else ()
        if banner != self.banner:
            self.banner = banner
            self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Some lines, straight away: what Textual keeps of lines is never asked for again here."""
        self._cursor = self._cursor_now()
        ground = self.background_colors[1]
        strips = [self.render_line(y).crop(crop.x, crop.right) for y in crop.line_range]
        for each in self.get_line_filters():
            strips = [strip.apply_filter(each, ground) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """One line, with what is marked in it."""
        width, ink = self.size.width, self.ink
        if y < len(self.banner):
            return _bar(self.banner[y], width, ink.bar + ink.warn)
        line = self.top + y
        terminal = self.lines.terminal
        if y >= terminal.rows:
            return Strip.blank(width, ink.base)
        strip = row_strip(
            terminal.line(line), width, ink.base, reverse=terminal.modes.reverse_screen
        )
        if spans := self._marks(line, ink):
            strip = marked(strip, spans)
        if y == self.size.height - 1 and self.below:
            way = "" if self.copying else " · End returns"
            return _noted(strip, f" {self.below} lines below{way} ", ink)
        return strip

    def _marks(self, line: int, ink: Ink) -> list[tuple[int, int, Style]]:
        spans: list[tuple[int, int, Style]] = []
        if self.wanted:
            style = _block(ink, ink.warn)
            spans += [(a, b, style) for a, b in matches(self.lines.cells(line), self.wanted)]
        chosen = self.copying.selection if self.copying else self.selection
        if chosen and (span := chosen.on(line, self.size.width)):
            spans.append((*span, _block(ink, ink.accent)))
        if (cursor := self._cursor) and cursor[0] == line:
            cells = self.lines.cells(line)[cursor[1] : cursor[1] + 2]
            wide = len(cells) == 2 and not cells[1]
            shown = _block(ink, ink.text if self.has_focus else ink.off)
            spans.append((cursor[1], cursor[1] + 1 + wide, shown))
        return spans

    def _cursor_now(self) -> Spot | None:
        if self.copying:
            return self.copying.spot
        cursor = self.lines.terminal.cursor
        if not cursor.visible or self.console.attachment is not Attachment.ATTACHED:
            return None
        return (self.lines.screen + cursor.row, min(cursor.column, self.size.width - 1))

    def on_mount(self) -> None:
        """Follow the theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._use_theme())
        self._use_theme()

    def _use_theme(self) -> None:
        """Programs that ask for the colours are told these: they choose theirs to go with them."""
        ground, terminal = self.ink.base, self.lines.terminal
        if ground.color and ground.bgcolor and not self.app.native_ansi_color:
            front, back = ground.color.get_truecolor(), ground.bgcolor.get_truecolor()
            terminal.palette = Palette(
                foreground=(front.red, front.green, front.blue),
                background=(back.red, back.green, back.blue),
            )
        self.refresh()

    def on_resize(self) -> None:
        """The terminal is as large as what shows it."""
        width, height = self.size
        terminal = self.lines.terminal
        if width and height and (width, height) != (terminal.columns, terminal.rows):
            self.console.resize(width, height)
        self.say(self._said)
        self.refresh()

    def on_focus(self) -> None:
        """Show the cursor as one that types; a guest that asked is told."""
        self._tell_focus(FOCUS_IN)

    def on_blur(self) -> None:
        """The same without."""
        self._tell_focus(FOCUS_OUT)

    def _tell_focus(self, report: bytes) -> None:
        if self.lines.terminal.modes.focus_events:
            self.console.type(report)
        self.refresh()


def _block(ink: Ink, of: Style) -> Style:
    """Cells on the colour of an ink, readable whatever they were."""
    # A terminal's own colours have no values; the default ones change places.
    if ink.base.bgcolor is None or ink.base.bgcolor.is_default:
        return Style(reverse=True)
    return Style(color=ink.base.bgcolor, bgcolor=of.color, reverse=False, dim=False)


def _bar(text: str, width: int, style: Style) -> Strip:
    return Strip([Segment(fit(f" {text}", width), style)], width)


def _noted(strip: Strip, text: str, ink: Ink) -> Strip:
    width = strip.cell_length
    note = Segment(fit(text, min(len(text), width)), ink.selected)
    return Strip([*strip.crop(0, width - note.cell_length), note], width)
