"""The terminal's size, looked at again: the last signal of a change may be overtaken by another.

Textual's handler of SIGWINCH asks for the size and posts it. One that comes within it is handled
first, and so the older size is what stays.
"""

from __future__ import annotations

import shutil

from textual.app import App
from textual.events import Resize
from textual.geometry import Size


def fit(app: App[None]) -> None:
    """Have the app take over the terminal's size, if it has another."""
    # Where a terminal tells its size itself, no signal does.
    if app.is_headless or app.supports_smooth_scrolling:
        return
    size = Size(*shutil.get_terminal_size())
    if size != app.size:
        app.post_message(Resize(size, size))
