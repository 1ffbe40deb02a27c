"""The oracle: what tmux, another terminal by other people, makes of the same output."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Self

from vmtui.terminal.cells import Colour, Style

LIMIT_S = 20.0

MODES = (
    "cursor_x", "cursor_y", "cursor_flag", "alternate_on", "keypad_cursor_flag", "keypad_flag",
    "mouse_standard_flag", "mouse_button_flag", "mouse_all_flag", "mouse_sgr_flag",
)  # fmt: skip
"""The cursor and the modes, for `Tmux.ask`."""

_SGR = re.compile("\x1b\\[([0-9;:]*)m|([\x0e\x0f])|(\x1b\\][^\x1b]*\x1b\\\\)")
# tmux prints line-drawing characters as the letters that they were sent as.
_DRAWING = str.maketrans("`abcdefghijklmnopqrstuvwxyz{|}~", "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")


Characters = list[tuple[str, Style]]
"""What is on a row, from its first column: characters, those of no width too, each in its style.
Blanks at the end that look like nothing are left out."""


def normal(row: Iterable[tuple[str, Style]]) -> Characters:
    """With what can't be seen made the same: a blank shows its background, and its decorations."""
    characters: Characters = []
    for text, style in row:
        if text == " ":
            decorated = style.underline or style.inverse or style.strike
            foreground = style.foreground if decorated else None
            blank = replace(
                style, foreground=foreground, bold=False, faint=False, italic=False, blink=False
            )
            characters.append((text, blank))
        else:
            characters.append((text, style))
    # tmux does not tell of what was erased at the end of a line.
    while characters and characters[-1] == (" ", Style(background=characters[-1][1].background)):
        characters.pop()
    return characters


class Tmux:
    """A tmux server with one pane, in which what it is fed is printed."""

    def __init__(self, columns: int, rows: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="oracle-")
        self._socket = Path(self._folder.name) / "socket"
        self._output = Path(self._folder.name) / "output"
        self._size = (columns, rows)
        self._fed = 0

    def __enter__(self) -> Self:
        subprocess.run(["mkfifo", self._output], check=True)
        columns, rows = self._size
        # With a history, it would fill its screen from there when it grows.
        self._tmux(
            "-f", "/dev/null", "set-option", "-g", "history-limit", "0", ";",
            "new-session", "-d", "-x", str(columns), "-y", str(rows),
            f"stty raw -echo; exec cat {self._output}",
        )  # fmt: skip
        for option in ("window-size manual", "allow-rename on", "status off", "set-titles off"):
            self._tmux("set-option", "-g", *option.split())
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))
        self._pipe: BinaryIO = self._output.open("wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")
        self._pipe.close()
        self._folder.cleanup()

    def _tmux(self, *arguments: str) -> str:
        return subprocess.run(
            ["tmux", "-u", "-S", self._socket, *arguments],
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "xterm-256color"},
        ).stdout.decode("utf-8", "replace")

    def feed(self, text: str) -> None:
        """Print it; back when tmux has read it all."""
        self._fed += 1
        title = f"fed {self._fed}"
        self._pipe.write(f"{text}\x1b]2;{title}\x1b\\".encode())
        limit_s = time.monotonic() + LIMIT_S
        while self.ask("pane_title") != [title]:
            assert time.monotonic() < limit_s, "tmux does not read"

    def ask(self, *names: str) -> list[str]:
        """Some of tmux's formats."""
        asked = "\t".join(f"#{{{name}}}" for name in names)
        return self._tmux("display-message", "-p", asked).rstrip("\n").split("\t")

    def resize(self, columns: int, rows: int) -> None:
        """Take another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> list[Characters]:
        """The rows."""
        captured = self._tmux("capture-pane", "-p", "-e", "-N")
        style = Style()
        rows: list[Characters] = []
        for line in captured.split("\n")[:-1]:
            row, style = _row(line, style)
            rows.append(normal(row))
        return rows


def _row(line: str, style: Style) -> tuple[Characters, Style]:
    characters: Characters = []
    position = 0
    drawing = False
    while position < len(line):
        if found := _SGR.match(line, position):
            position = found.end()
            if found[2]:
                drawing = found[2] == "\x0e"
            elif found[1] is not None:
                style = _styled(style, found[1])
        else:
            text = line[position]
            characters.append((text.translate(_DRAWING) if drawing else text, style))
            position += 1
    return characters, style


_ON = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 5: "blink", 7: "inverse", 9: "strike"}


def _styled(style: Style, parameters: str) -> Style:
    codes = iter(parameters.split(";"))
    for part in codes:
        if ":" in part:
            if part.startswith("4:"):
                style = replace(style, underline=True)
            continue
        code = int(part or 0)
        if code == 0:
            style = Style()
        elif code in _ON:
            style = replace(style, **{_ON[code]: True})
        elif code == 21:
            style = replace(style, underline=True)
        elif code in (38, 48, 58):
            first = 3 if next(codes) == "2" else 1
            values = [int(next(codes)) for _ in range(first)]
            colour: Colour = (values[0], values[1], values[2]) if first == 3 else values[0]
            if code != 58:
                style = _coloured(style, code // 10 * 10, colour)
        elif code % 10 == 9:
            style = _coloured(style, code - 9, None)
        elif code >= 30:
            bright = code >= 90
            style = _coloured(style, code // 10 * 10 - 60 * bright, code % 10 + 8 * bright)
    return style


def _coloured(style: Style, base: int, colour: Colour) -> Style:
    if base == 30:
        return replace(style, foreground=colour)
    return replace(style, background=colour)
