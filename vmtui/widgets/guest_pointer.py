"""This terminal's mouse as a guest's pointer: buttons that go down and up, the wheel."""

from __future__ import annotations

from textual import events
from textual.widget import Widget

_BUTTONS = {1: "left", 2: "middle", 3: "right"}
_NONE: frozenset[str] = frozenset()


class Pointing(Widget):
    """A widget whose mouse is the guest's."""

    def point(self, x: int, y: int, buttons: frozenset[str]) -> None:
        """The pointer is in that cell, with these buttons down."""
        raise NotImplementedError

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A button goes down in the guest too."""
        self.focus()
        self.capture_mouse()
        self._point(event, frozenset({_BUTTONS.get(event.button, "left")}))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """And up."""
        self.release_mouse()
        self._point(event, _NONE)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """The guest's pointer follows."""
        button = _BUTTONS.get(event.button)
        self._point(event, frozenset({button}) if button else _NONE)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        self._point(event, frozenset({"wheel-up"}))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        self._point(event, frozenset({"wheel-down"}))

    def _point(self, event: events.MouseEvent, buttons: frozenset[str]) -> None:
        event.stop()
        self.point(event.x, event.y, buttons)
