"""What a guest's sequences do: to the engine, to the modes and titles that are ours, as answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from vmtui.terminal import answers, sgr
from vmtui.terminal.cells import CursorShape
from vmtui.terminal.effort import Effort
from vmtui.terminal.engine import Engine
from vmtui.terminal.messages import Messages
from vmtui.terminal.modes import ALTERNATE_SCREENS, Switches
from vmtui.terminal.parameters import number, numbers
from vmtui.terminal.printer import Printer
from vmtui.terminal.scanner import ControlString, Csi, Escape, Scanner, Token
from vmtui.terminal.scrollback import Scrollback
from vmtui.terminal.shadow import Shadow, decorated, designated

MAX_ANSWER_BYTES = 4096
"""To one feed."""

_SHAPES = (CursorShape.BLOCK, CursorShape.UNDERLINE, CursorShape.BAR)
_AS_THEY_ARE = frozenset("@ABCDEFGHIKPXZ`adefg")

# Into G0 and G1: line drawing, and what is taken for ASCII.
_CHARSETS = frozenset(which + charset for which in "()" for charset in "0AB12")


class Interpreter:
    """Does what tokens say, until the engine has it all."""

    def __init__(self, engine: Engine, scrollback: Scrollback) -> None:
        self.engine = engine
        self.switches = Switches()
        self.messages = Messages()
        self.shape = CursorShape.BLOCK
        self.printer = Printer(engine, scrollback)
        self._scrollback = scrollback
        self._scanner = Scanner()
        self._answers = bytearray()
        self._saved: dict[bool, Shadow] = {}  # by whether on the alternate screen
        self._top_margin = 0
        self._effort = Effort(self._screen_cells)

    def take(self, text: str) -> bytes:
        """Do all that `text` says; gives the answers to it."""
        self._answers.clear()
        for token in self._scanner.tokens(text):
            self._effort.earn(_length(token))
            if isinstance(token, Csi):
                self._csi(token)
            elif isinstance(token, str):
                self.printer.print(token)
            elif isinstance(token, Escape):
                self._escape(token.name)
            elif isinstance(token, ControlString):
                self._answer(self.messages.take(token))
            else:
                self.printer.weave(token.text)
        self.printer.flush()
        return bytes(self._answers)

    @property
    def _screen_cells(self) -> int:
        return self.engine.columns * self.engine.rows

    def _answer(self, data: bytes) -> None:
        if len(self._answers) + len(data) <= MAX_ANSWER_BYTES:
            self._answers += data

    def _csi(self, csi: Csi) -> None:
        name, parameters = csi.name, csi.parameters
        if name == "m":
            self._style(parameters)
        elif name in _AS_THEY_ARE:
            self.printer.send(f"\x1b[{parameters}{name}")
        elif answer := answers.FIXED.get((name, parameters)):
            self._answer(answer)
        elif does := _CSI.get(name):
            does(self, parameters)

    def _style(self, parameters: str) -> None:
        understood, on = sgr.understood(parameters)
        if understood:
            self.printer.send(f"\x1b[{understood}m")
        if on is not None and on != self.printer.shadow.decorated:
            self.printer.shadow = decorated(self.printer.shadow, on=on)

    def _margins(self, parameters: str) -> None:
        self.printer.send(f"\x1b[{parameters}r")
        first, _, last = parameters.partition(";")
        top, bottom = number(first, 1), number(last, self.engine.rows)
        if top < bottom <= self.engine.rows:
            self._top_margin = top - 1

    def _save(self) -> None:
        self._saved[self.switches.alternate_screen] = self.printer.shadow

    def _restore(self) -> None:
        saved = self._saved.get(self.switches.alternate_screen, Shadow())
        if saved != self.printer.shadow:
            self.printer.shadow = saved
            self.printer.send(saved.charsets)
            self.switches.set_dec(6, on=saved.origin)
            self.switches.set_dec(7, on=saved.wrap)

    def _save_cursor(self, _parameters: str = "") -> None:
        self.printer.send("\x1b7")
        self._save()

    def _restore_cursor(self, _parameters: str = "") -> None:
        self.printer.send("\x1b8")
        self._restore()

    def _erase_display(self, parameters: str) -> None:
        if parameters == "3":
            self.printer.flush()
            self._scrollback.clear(self.engine)
        elif self._effort.spend(self._screen_cells // 4):
            self.printer.send(f"\x1b[{parameters}J")

    def _scroll(self, parameters: str, *, final: str) -> None:
        count = min(number(parameters, 1), self.engine.rows)
        if self._effort.spend(count * self.engine.columns // 2):
            self.printer.send(f"\x1b[{count}{final}")

    def _repeat(self, parameters: str) -> None:
        count = min(number(parameters, 1), self._effort.left)
        if count and self._effort.spend(count):
            self.printer.send(f"\x1b[{count}b")

    def _dec_modes(self, parameters: str, *, on: bool) -> None:
        for mode in numbers(parameters):
            if mode == 3:  # DECCOLM changes no size here, but clears
                if self._effort.spend(self._screen_cells // 4):
                    self.printer.send("\x1b[H\x1b[2J")
            elif mode in ALTERNATE_SCREENS:
                self._switch_screen(mode, on=on)
            elif mode == 1048:
                (self._save_cursor if on else self._restore_cursor)()
            else:
                if mode in (1, 6, 7, 25):
                    self.printer.send(f"\x1b[?{mode}{'h' if on else 'l'}")
                self._set(mode, on=on)

    def _set(self, mode: int, *, on: bool) -> None:
        self.switches.set_dec(mode, on=on)
        if mode == 6:
            self.printer.shadow = replace(self.printer.shadow, origin=on)
        elif mode == 7:
            self.printer.shadow = replace(self.printer.shadow, wrap=on)

    def _switch_screen(self, mode: int, *, on: bool) -> None:
        if not self._effort.spend(self._screen_cells // 2):
            return
        if mode == 1049 and on:
            self._save()
        # Lines that scrolled off the screen so far are given away while it is shown.
        self.printer.flush()
        self.printer.send(f"\x1b[?{1049 if mode == 1049 else 1047}{'h' if on else 'l'}")
        self.printer.flush()
        self.switches.set_dec(mode, on=on)
        if mode == 1049 and not on:
            self._restore()

    def _ansi_modes(self, parameters: str, *, on: bool) -> None:
        for mode in numbers(parameters):
            if mode in (4, 20):
                self.printer.send(f"\x1b[{mode}{'h' if on else 'l'}")
            self.switches.set_ansi(mode, on=on)
        self.printer.insert = self.switches.insert

    def _report_cursor(self, parameters: str, *, prefix: str) -> None:
        if parameters != "6" or len(self._answers) > MAX_ANSWER_BYTES - 20:
            return
        self.printer.flush()
        row, column, _ = self.engine.cursor
        if self.switches.origin:
            row -= self._top_margin
        column = min(column, self.engine.columns - 1)
        self._answer(f"\x1b[{prefix}{row + 1};{column + 1}R".encode("ascii"))

    def _report_mode(self, parameters: str, *, dec: bool) -> None:
        mode = number(parameters, 0)
        report = (self.switches.dec_report if dec else self.switches.ansi_report)(mode)
        self._answer(f"\x1b[{'?' if dec else ''}{mode};{report}$y".encode("ascii"))

    def _window(self, parameters: str) -> None:
        operation = number(parameters, 0)
        if operation == 18:
            self._answer(f"\x1b[8;{self.engine.rows};{self.engine.columns}t".encode("ascii"))
        elif operation == 22:
            self.messages.push_title()
        elif operation == 23:
            self.messages.pop_title()

    def _cursor_shape(self, parameters: str) -> None:
        shape = number(parameters, 0)
        if shape <= 2 * len(_SHAPES):
            self.shape = _SHAPES[max(0, shape - 1) // 2]
            self.switches.set_dec(12, on=shape % 2 == 1)

    def _soft_reset(self, _parameters: str) -> None:
        self.printer.send("\x1b[!p\x1b[?1l")
        self.switches.soft_reset()
        self.printer.insert = False
        self.printer.shadow, self._top_margin = Shadow(wrap=self.printer.shadow.wrap), 0
        self._saved.pop(self.switches.alternate_screen, None)

    def _escape(self, name: str) -> None:
        if name == "c":
            self._reset()
        elif name == "7":
            self._save_cursor()
        elif name == "8":
            self._restore_cursor()
        elif name == "M":
            self._reverse_index()
        elif name in ("=", ">"):
            self.switches.set_dec(66, on=name == "=")
        elif name == "Z":
            self._answer(answers.FIXED["c", ""])
        elif name == "#8":  # DECALN takes the margins away too
            if self._effort.spend(2 * self._screen_cells):
                self.printer.send("\x1b[?6l\x1b[r\x1b[H\x1b#8")
                self._set(6, on=False)
                self._top_margin = 0
        elif name in _CHARSETS:
            self.printer.send(f"\x1b{name}")
            self.printer.shadow = designated(self.printer.shadow, name)

    def _reverse_index(self) -> None:
        # The engine takes the row for one of the scroll region when rows are counted from its top.
        if self.switches.origin:
            self.printer.flush()
            if self.engine.cursor[0] != self._top_margin:
                self.printer.send("\x1b[A")
                return
        self.printer.send("\x1bM")

    def _reset(self) -> None:
        if not self._effort.spend(self._screen_cells):
            return
        self.printer.flush()
        self.printer.send("\x1bc")
        self.printer.flush()
        self.switches = Switches()
        self.printer.insert = False
        self.shape = CursorShape.BLOCK
        self.messages.reset()
        self.printer.shadow, self._saved, self._top_margin = Shadow(), {}, 0

    def resized(self) -> None:
        """The engine has another size."""
        self._top_margin = 0
        self._effort.resize(self._screen_cells)


def _length(token: Token) -> int:
    if isinstance(token, str):
        return len(token)
    if isinstance(token, Csi):
        return 2 + len(token.parameters) + len(token.name)
    return 2 if isinstance(token, Escape) else len(token.text)


_CSI: dict[str, Callable[[Interpreter, str], None]] = {
    "J": Interpreter._erase_display,
    "L": partial(Interpreter._scroll, final="L"),
    "M": partial(Interpreter._scroll, final="M"),
    "S": partial(Interpreter._scroll, final="S"),
    "T": partial(Interpreter._scroll, final="T"),
    "b": Interpreter._repeat,
    "r": Interpreter._margins,
    "s": Interpreter._save_cursor,
    "u": Interpreter._restore_cursor,
    "h": partial(Interpreter._ansi_modes, on=True),
    "l": partial(Interpreter._ansi_modes, on=False),
    "?h": partial(Interpreter._dec_modes, on=True),
    "?l": partial(Interpreter._dec_modes, on=False),
    "n": partial(Interpreter._report_cursor, prefix=""),
    "?n": partial(Interpreter._report_cursor, prefix="?"),
    "$p": partial(Interpreter._report_mode, dec=False),
    "?$p": partial(Interpreter._report_mode, dec=True),
    "t": Interpreter._window,
    " q": Interpreter._cursor_shape,
    "!p": Interpreter._soft_reset,
}
