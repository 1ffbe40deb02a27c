"""The key that detaches, in every form in which terminals send it."""

from __future__ import annotations

import re

# Ctrl, with Caps Lock or Num Lock or without.
_MODIFIERS = rb"(?:5|69|133|197)"


class EscapeKey:
    """A control character, such as b"\\x1d" for Ctrl+]; b"" for none: nothing detaches."""

    def __init__(self, byte: bytes) -> None:
        self._pattern: re.Pattern[bytes] | None = None
        self.label = ""
        """For people."""
        if byte:
            key = chr(byte[0] | 0x40)
            self.label = f"Ctrl+{key}"
            # A program in the guest can ask the terminal for more exact keys (vim does): then it
            # comes as xterm's modifyOtherKeys or in Kitty's way.
            code = b"%d" % ord(key.lower())
            self._pattern = re.compile(
                re.escape(byte)
                + rb"|\x1b\[27;%b;%b~" % (_MODIFIERS, code)
                + rb"|\x1b\[%b(?::\d*)*;%b(?::[12])?(?:;[\d:]*)?u" % (code, _MODIFIERS)
            )

    def split(self, data: bytes) -> tuple[bytes, bool]:
        """What was typed before the key, and whether the key was pressed."""
        found = self._pattern.search(data) if self._pattern else None
        return (data[: found.start()], True) if found else (data, False)
