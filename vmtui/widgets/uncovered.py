"""Whether the terminal's own colours and pictures can be used: they can't be dimmed or covered."""

from __future__ import annotations

from textual.widget import Widget


def is_uncovered(widget: Widget) -> bool:
    """Whether it is on the screen in front. What has just been removed may be drawn once more."""
    return widget.is_attached and widget.screen.is_active
