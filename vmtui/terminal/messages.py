"""What guests say beside the text: titles and things to copy. All of it is untrusted."""

from __future__ import annotations

import base64
import binascii

from vmtui.terminal import answers
from vmtui.terminal.palette import Palette
from vmtui.terminal.scanner import ControlString
from vmtui.units import plain

MAX_TITLE = 256
MAX_TITLES = 10
MAX_CLIPBOARD_BYTES = 100_000


class Messages:
    """What one guest has said."""

    def __init__(self) -> None:
        self.title = ""
        self.palette = Palette()
        self.allow_clipboard = False
        self.clipboard = ""
        self._titles: list[str] = []

    def take(self, string: ControlString) -> bytes:
        """Note what it says; gives the answer if it asks. Links and pictures are dropped."""
        command, _, text = string.text.partition(";")
        if string.kind == "k":
            self._call(string.text)
        elif string.kind == "]" and command in ("0", "2"):
            self._call(text)
        elif string.kind == "]" and command == "52":
            self._copy(text.partition(";")[2])
        else:
            return answers.to_string(string, self.palette)
        return b""

    def _call(self, title: str) -> None:
        self.title = plain(title[:MAX_TITLE])

    def _copy(self, encoded: str) -> None:
        if not self.allow_clipboard or len(encoded) > MAX_CLIPBOARD_BYTES * 4 // 3 + 4:
            return
        try:
            copied = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return
        self.clipboard = plain(copied.decode("utf-8", "replace"), keep_lines=True)

    def push_title(self) -> None:
        """Keep the title for `pop_title`."""
        self._titles = [*self._titles[1 - MAX_TITLES :], self.title]

    def pop_title(self) -> None:
        """Take the title that was kept last."""
        if self._titles:
            self.title = self._titles.pop()

    def reset(self) -> None:
        """RIS."""
        self.title, self._titles = "", []
