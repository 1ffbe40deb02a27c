"""Which modes a guest has switched on, and what it is told of them."""

from __future__ import annotations

from vmtui.terminal.cells import Modes, Mouse, MouseEncoding

ALTERNATE_SCREENS = (47, 1047, 1049)

# DECCKM, DECSCNM, DECOM, DECAWM, blinking, DECTCEM, DECNKM, focus, alternate scroll, paste.
_DEC = frozenset({1, 5, 6, 7, 12, 25, 66, 1004, 1007, 2004, *ALTERNATE_SCREENS})
_ON_AT_FIRST = frozenset({7, 25, 1007})
_ANSI = frozenset({4, 20})  # IRM, LNM
_MICE = frozenset(mouse.value for mouse in Mouse if mouse.value)
_ENCODINGS = frozenset(encoding.value for encoding in MouseEncoding if encoding.value)


class Switches:
    """The modes of one terminal."""

    def __init__(self) -> None:
        self._dec = set(_ON_AT_FIRST)
        self._ansi: set[int] = set()
        self._mouse = Mouse.OFF
        self._encoding = MouseEncoding.BYTES
        self._modes: Modes | None = None

    @property
    def modes(self) -> Modes:
        """What matters to those who type and click."""
        if self._modes is None:
            self._modes = Modes(
                application_cursor=1 in self._dec,
                application_keypad=66 in self._dec,
                bracketed_paste=2004 in self._dec,
                focus_events=1004 in self._dec,
                alternate_screen=self.alternate_screen,
                alternate_scroll=1007 in self._dec,
                newline=20 in self._ansi,
                reverse_screen=5 in self._dec,
                mouse=self._mouse,
                mouse_encoding=self._encoding,
            )
        return self._modes

    @property
    def alternate_screen(self) -> bool:
        """Whether the alternate screen is shown."""
        return not self._dec.isdisjoint(ALTERNATE_SCREENS)

    @property
    def insert(self) -> bool:
        """Whether what is printed pushes the rest of its line."""
        return 4 in self._ansi

    @property
    def wrap(self) -> bool:
        """Whether lines are wrapped."""
        return 7 in self._dec

    @property
    def origin(self) -> bool:
        """Whether rows are counted from the top of the scroll region."""
        return 6 in self._dec

    @property
    def blinking(self) -> bool:
        """Whether the cursor blinks."""
        return 12 in self._dec

    def set_dec(self, mode: int, *, on: bool) -> None:
        """A DEC mode; one that there is not is ignored."""
        if mode in _MICE:
            self._mouse = Mouse(mode) if on else Mouse.OFF
        elif mode in _ENCODINGS:
            self._encoding = MouseEncoding(mode) if on else MouseEncoding.BYTES
        elif mode in ALTERNATE_SCREENS:
            self._dec.difference_update(ALTERNATE_SCREENS)
            self._dec.update({mode} if on else ())
        elif mode in _DEC:
            (self._dec.add if on else self._dec.discard)(mode)
        self._modes = None

    def set_ansi(self, mode: int, *, on: bool) -> None:
        """An ANSI mode; one that there is not is ignored."""
        if mode in _ANSI:
            (self._ansi.add if on else self._ansi.discard)(mode)
        self._modes = None

    def soft_reset(self) -> None:
        """DECSTR."""
        for mode in (1, 6, 66):
            self.set_dec(mode, on=False)
        self.set_dec(25, on=True)
        self.set_ansi(4, on=False)

    def dec_report(self, mode: int) -> int:
        """For DECRQM: 1 on, 2 off, 0 there is none."""
        if mode in _MICE:
            return 1 if mode == self._mouse.value else 2
        if mode in _ENCODINGS:
            return 1 if mode == self._encoding.value else 2
        if mode in ALTERNATE_SCREENS:
            return 1 if self.alternate_screen else 2
        return 0 if mode not in _DEC else 1 if mode in self._dec else 2

    def ansi_report(self, mode: int) -> int:
        """The same of an ANSI mode."""
        return 0 if mode not in _ANSI else 1 if mode in self._ansi else 2
