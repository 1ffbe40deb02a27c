"""Text that is pasted, as a terminal sends it."""

from __future__ import annotations

import re

from vmtui.terminal.cells import Modes

_BEGIN, _END = "\x1b[200~", "\x1b[201~"
_NEWLINE = re.compile("\r\n|\n")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def encode_paste(text: str, modes: Modes, *, allow_controls: bool = False) -> bytes:
    """What pasting `text` sends.

    Control characters other than tab and Enter are typed only if they are allowed: an editor's or
    a shell's commands hide in them.
    """
    text = _NEWLINE.sub("\r", text)
    if not allow_controls:
        text = _CONTROLS.sub("", text)
    if modes.bracketed_paste:
        while _END in text:  # what is left when one goes may be another
            text = text.replace(_END, "")
        text = f"{_BEGIN}{text}{_END}"
    return text.encode("utf-8", "ignore")
