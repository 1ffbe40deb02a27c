"""A panel that says how old things are: drawn again once a second changes a word of that."""

from __future__ import annotations

from vmtui.widgets.lines import Panel


class TimedPanel(Panel):
    """To be told of every second by `tick`."""

    _said: tuple[str, ...] = ()

    def words_of_time(self) -> tuple[str, ...]:
        """All that it says now and that comes of the clock."""
        raise NotImplementedError

    def tick(self) -> None:
        """A second has passed: draw again if that changes a word."""
        if self.words_of_time() != self._said:
            self.redraw()

    def redraw(self) -> None:
        """Draw, and remember what was said of the time."""
        self._said = self.words_of_time()
        super().redraw()
