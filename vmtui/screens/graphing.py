"""The keys of screens that are filled with graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from vmtui.widgets.graph_panel import GraphPanel

if TYPE_CHECKING:
    from vmtui.screens.base import FleetScreen

    _Base = FleetScreen
else:
    _Base = object

GRAPH_KEYS: list[BindingType] = [
    Binding("plus,equals_sign", "zoom(1)", "closer", show=False),
    Binding("minus", "zoom(-1)", "more of the past", show=False),
    Binding("left,h", "pan(-1)", "back in time", show=False),
    Binding("right,l", "pan(1)", "on in time", show=False),
    Binding("0", "now", "back to now", show=False),
]


class Graphing(_Base):
    """For a FleetScreen with a panel of graphs."""

    BINDINGS: ClassVar[list[BindingType]] = GRAPH_KEYS

    def graphs(self) -> GraphPanel:
        """The panel."""
        raise NotImplementedError

    def action_zoom(self, step: int) -> None:
        """Closer, or more of the past."""
        self.graphs().zoom(step)

    def action_pan(self, step: int) -> None:
        """Back or on in time."""
        self.graphs().pan(step)

    def action_now(self) -> None:
        """Follow again."""
        self.graphs().pan_to_now()
