"""One host on the whole screen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from vmtui.screens.base import Context, FleetScreen
from vmtui.screens.graphing import GRAPH_KEYS, Graphing
from vmtui.views import FleetView, VMView
from vmtui.widgets.action_bar import ActionBar
from vmtui.widgets.graph_panel import GraphPanel
from vmtui.widgets.host_view import HostView
from vmtui.widgets.top_bar import TopBar


class HostScreen(Graphing, FleetScreen):
    """The host of one connection; there is no VM to act on here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *GRAPH_KEYS,
        Binding("up,k", "scroll(-1)", "up", show=False),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("pageup,ctrl+b,ctrl+u", "scroll(-10)", "a page up", show=False),
        Binding("pagedown,ctrl+f,ctrl+d", "scroll(10)", "a page down", show=False),
        Binding("home,g", "scroll(-1000000)", "to the top", show=False),
        Binding("end", "now", "back to now", show=False),
        Binding("G", "scroll(1000000)", "to the bottom", show=False),
    ]

    def __init__(self, context: Context, uri: str) -> None:
        super().__init__(context)
        self._uri = uri
        self.top_bar = TopBar(context.clock)
        self.host = HostView(context.clock, context.fleet.history)
        self.actions = ActionBar(context.key)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.top_bar
        yield self.host
        yield self.actions

    def on_mount(self) -> None:
        """Fill the height."""
        self.host.styles.height = "1fr"
        self._draw()

    def show(self, view: FleetView) -> None:
        """Take over `view`."""
        super().show(view)
        if self.is_mounted:
            self._draw()

    def _draw(self) -> None:
        self.top_bar.show(self.view)
        self.host.show(self.view.connection(self._uri))
        refusal = self.refusals()
        self.actions.show(lambda action: bool(refusal(action)))

    def tick(self) -> None:
        """Clock and ages."""
        self.top_bar.redraw()
        self.host.tick()

    def targets(self) -> list[VMView]:
        """None."""
        return []

    def host_uri(self) -> str | None:
        """Its own."""
        return self._uri

    def graphs(self) -> GraphPanel:
        """The host's."""
        return self.host

    def action_back(self) -> None:
        """To the list."""
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Through what does not fit."""
        self.host.scroll_graphs(lines)
