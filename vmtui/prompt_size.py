"""When a guest on a serial line can be told its terminal's size, and with which words. Pure."""

from __future__ import annotations

import re

TAIL_BYTES = 512

# A shell prompt: a short last line that ends in "# " or "$ ", with nothing in it but colours,
# erasing, cursor reports, paste brackets and titles. Anything that moves the cursor is a
# full-screen program, which must not be typed into.
_HARMLESS = re.compile(
    rb"\x1b\[[0-9;]*[mKJ]|\x1b\[6n|\x1b\[\?2004[hl]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
)
_SHELL_PROMPT = re.compile(rb"(?:^|[\r\n])[^\r\n\x1b]{0,160}[#$] $")


class PromptSize:
    """Decides when the guest can be told this terminal's size, and with which words.

    A serial line carries no size, so it is typed, once for each size, and only at a shell prompt
    at which the user has typed nothing.
    """

    def __init__(self) -> None:
        self._tail = b""
        self._typed = False
        self._told: tuple[int, int] | None = None

    def printed(self, data: bytes) -> None:
        """The guest printed something."""
        self._tail = (self._tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]

    def typed(self, data: bytes) -> None:
        """The user typed something; a prompt after an Enter is a fresh one."""
        # The cursor report that the terminal itself sends (ESC [ row ; col R) is not typing.
        if re.sub(rb"\x1b\[\d+;\d+R", b"", data):
            self._typed = not data.endswith((b"\r", b"\n", b"\x03", b"\x04"))
            self._tail = b""

    @property
    def at_prompt(self) -> bool:
        """Whether a shell waits for its next command, of which nothing was typed yet."""
        return not self._typed and bool(_SHELL_PROMPT.search(_HARMLESS.sub(b"", self._tail)))

    def words(self, columns: int, rows: int) -> bytes:
        """What to type now; b"" for nothing."""
        if self._told == (columns, rows) or columns <= 0 or rows <= 0 or not self.at_prompt:
            return b""
        self._told = (columns, rows)
        # The leading space keeps it out of most shells' history.
        return b" stty rows %d cols %d\r" % (rows, columns)
