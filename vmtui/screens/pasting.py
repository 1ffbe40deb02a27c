"""When a paste is asked about first, and how."""

from __future__ import annotations

from vmtui.screens.confirm import Question
from vmtui.units import plain, size

BEGINNING = 60
"""Characters of a paste that are shown."""


def paste_question(text: str, where: str, *, limit_bytes: int, bracketed: bool) -> Question | None:
    """What to ask before `text` is typed; None: nothing.

    `bracketed`: the guest is told that it is a paste, and runs no line of it by itself.
    """
    data_bytes = len(text.encode(errors="replace"))
    runs = not bracketed and any(mark in text.rstrip("\r\n") for mark in "\r\n")
    if data_bytes <= limit_bytes and not runs:
        return None
    lines = len(text.splitlines())
    many = f"{lines} lines" if lines > 1 else "1 line"
    first = plain(next((line for line in text.splitlines() if line.strip()), ""))
    why = "Each line is a command to a shell." if runs else "That is a lot."
    return Question(
        title=f"Paste {many}, {size(data_bytes)}, into {where}?",
        groups=(("", (f"It begins: {first[:BEGINNING]}", why)),),
        yes="paste",
    )
