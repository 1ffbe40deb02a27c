"""A guest's screen on the whole terminal: seen, typed into, pointed at."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.widget import Widget

from vmtui.backends.base import Feature
from vmtui.backends.ways_in import Displays
from vmtui.screens.base import Context
from vmtui.screens.confirm import ConfirmScreen
from vmtui.screens.dialog import Dialog
from vmtui.screens.keys import display, normalised
from vmtui.screens.leaving import Leaving
from vmtui.screens.pasting import paste_question
from vmtui.units import plain
from vmtui.views import ConnectionStatus, FleetView, VMRef
from vmtui.widgets.lines import Line, Lines, spread
from vmtui.widgets.listing import Listing, Row
from vmtui.widgets.screen_view import ScreenView
from vmtui.widgets.states import STATES

KEYS = (
    ("d", "Back to where you came from."),
    ("Del F1 … F12", "Press it with Ctrl and Alt."),
    ("z", "The whole screen, or in its own size."),
    ("← ↓ ↑ →", "Move over a screen in its own size."),
    ("]", "Type what was copied here, by the guest's keyboard layout."),
    ("Esc", "Stop typing what was pasted."),
    ("?", "These keys."),
    ("twice", "Press the key itself in the guest."),
)


class ScreenHelp(Dialog):
    """The prefix and `?`."""

    heading = "Keys of guests' screens"

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def body(self) -> list[Widget]:
        """Those after the prefix; all others are the guest's."""
        rows: list[Row] = [((f"After {self._prefix}; all other keys go to the guest", "note"),)]
        rows += [((key, "accent"), (what, "text")) for key, what in KEYS]
        return [Listing(rows, (16,))]


class GuestScreen(Leaving[None]):
    """`V`"""

    DEFAULT_CSS = """
    GuestScreen { background: $background; layout: vertical; overflow: hidden; }
    """

    AUTO_FOCUS = "ScreenView"

    def __init__(self, context: Context, ref: VMRef) -> None:
        super().__init__()
        self.context = context
        self._ref = ref
        prefix = normalised(context.config.console_prefix)
        self._prefix = display(prefix)
        self.top = _Top(self._prefix)
        self.guest = ScreenView(
            prefix=prefix, layout=context.config.keyboard, graphics=context.config.graphics
        )

    def compose(self) -> ComposeResult:
        """A line, and the screen."""
        yield self.top
        yield self.guest

    async def on_mount(self) -> None:
        """Look at it."""
        self.show(self.context.fleet.view())
        backend = self.context.fleet.backend(self._ref)
        assert isinstance(backend, Displays)
        pointer = Feature.POINTER in backend.features
        await self.guest.show(backend, self._ref.id, pointer=pointer)

    def show(self, view: FleetView) -> None:
        """Take over `view`.

        Where the VM or its connection goes, this stays: what is being typed must not reach what
        is below.
        """
        row, connection = view.row(self._ref), view.connection(self._ref.uri)
        if row is not None:
            symbol, colour = STATES[row.vm.state]
            self.top.show(plain(row.vm.name), f"{symbol} {row.vm.state.value}", colour)
        elif connection is None or connection.status is ConnectionStatus.UP:
            self.top.show(self.top.vm_name, "is not there any more", "bad")
        else:
            self.top.show(self.top.vm_name, f"{connection.label} is not connected", "bad")

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002
        """Keys of Textual's own don't come before the guest, whatever has the focus."""
        return True

    def on_key(self, event: events.Key) -> None:
        """A key that came before the focus was given."""
        event.stop()
        self.guest.on_key(event)

    @on(ScreenView.Reserved)
    def _reserved(self, event: ScreenView.Reserved) -> None:
        if event.key == "d":
            self.dismiss()
        elif event.key == "question_mark":
            self.app.push_screen(ScreenHelp(self._prefix))
        elif event.key == "right_square_bracket" and self.app.clipboard:
            self.run_worker(self._paste(self.app.clipboard), group="paste")

    @on(ScreenView.Pasted)
    def _pasted(self, event: ScreenView.Pasted) -> None:
        self.run_worker(self._paste(event.text), group="paste")

    async def _paste(self, text: str) -> None:
        limit = self.context.config.paste_question_bytes
        question = paste_question(text, self.top.vm_name, limit_bytes=limit, bracketed=False)
        if question is None or await self.app.push_screen_wait(ConfirmScreen(question)):
            self.guest.paste(text)


class _Top(Lines):
    """Whose screen it is, how that VM is, and the way back."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.vm_name = ""
        self._state = ("", "quiet")
        self._prefix = prefix

    def show(self, name: str, state: str, colour: str) -> None:
        """Take over the VM."""
        self.vm_name, self._state = name, (state, colour)
        self.redraw()

    def ground(self) -> Style:
        """The bar's own ground."""
        return self.ink.bar

    def paint(self) -> Sequence[Line]:
        """One line."""
        ink, (state, colour) = self.ink, self._state
        left = [Segment(f" {self.vm_name}  ", ink.accent), Segment(state, getattr(ink, colour))]
        right = [Segment(f"{self._prefix} d back · {self._prefix} ? keys ", ink.quiet)]
        return [spread(left, right, self.size.width)]
