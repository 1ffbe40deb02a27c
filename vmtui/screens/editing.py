"""A setting edited where it stands: typed or chosen, judged while it is, and by its backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget
from textual.widgets import Input, Static

from vmtui.errors import VmtuiError
from vmtui.hardware.changes import ChangePlan
from vmtui.hardware.settings import Setting, setting
from vmtui.hardware.tree import Entry
from vmtui.hardware.values import Kind, Value
from vmtui.screens.modal import Modal
from vmtui.units import plain
from vmtui.widgets.forms import Choice

Judge = Callable[[Value], Awaitable[ChangePlan]]
"""What a value would do. Raises what `Configures.plan` does."""

UNSET = ""
EXAMPLES = {
    Kind.SIZE: "Such as 512M or 1.5G",
    Kind.COUNT: "A whole number",
}


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a setting stands on the screen: its row, the columns of its label, and its pane."""

    row: Region
    label_cells: int
    pane: Region
    """What is edited covers no more than this, without its border."""


class EntryEditor(Modal[ChangePlan | None]):
    """Gives the plan of the value that was typed; None when it was given up."""

    DEFAULT_CSS = """
    EntryEditor { background: transparent; }
    EntryEditor > Vertical { position: absolute; constrain: none inside; height: auto;
        background: $panel; }
    EntryEditor #line { height: 1; }
    EntryEditor #label { color: $primary; text-style: bold; }
    EntryEditor Input { width: 1fr; height: 1; border: none; padding: 0;
        background: $primary 25%; }
    EntryEditor Choice { background: $primary 25%; }
    EntryEditor #said { height: auto; min-height: 1; padding: 0 2; color: $text-muted; }
    EntryEditor #said.-problem { color: $error; }
    EntryEditor #keys { height: auto; padding: 0 2; color: $text-muted; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "cancel", show=False),
        Binding("enter", "take", "done", show=False),
    ]

    def __init__(self, entry: Entry, seat: Seat, judge: Judge) -> None:
        super().__init__()
        self._setting: Setting = setting(entry.key)
        self._seat = seat
        self._judge = judge
        form = self._setting.form
        self._before = entry.next if entry.next is not None else entry.now
        self._field: Input | Choice
        if form.kind is Kind.CHOICE:
            choices = [(choice, choice) for choice in entry.choices or form.choices]
            if form.optional:
                choices.insert(0, (UNSET, "– (the default)"))
            self._field = Choice(choices, value=form.text(self._before))
        else:
            self._field = Input(form.text(self._before), compact=True)
        self._judging = False

    def compose(self) -> ComposeResult:
        """The setting, what is said of it, and the keys."""
        label = Static(Content(f"▸   {plain(self._setting.label)}"), id="label")
        label.styles.width = self._seat.label_cells
        with Vertical():
            with Horizontal(id="line"):
                yield label
                yield self._field
            yield Static("", id="said")
            yield Static(Content(self._keys()), id="keys")

    def _keys(self) -> str:
        choosing = "← → choose · " if isinstance(self._field, Choice) else ""
        return f"{choosing}Enter shows what it would do · Esc cancels"

    def _help(self) -> str:
        example = EXAMPLES.get(self._setting.form.kind, "")
        if self._setting.form.optional and isinstance(self._field, Input):
            example = f"{example}; empty: the default" if example else "Empty: the default"
        return f"{self._setting.help} {example}{'.' if example else ''}".rstrip()

    def on_mount(self) -> None:
        """Where the setting stands."""
        box = self.query_one(Vertical)
        row = self._seat.row
        box.styles.width = row.width
        box.styles.offset = (row.x, row.y)
        box.styles.margin = (0, 0, max(0, self.size.height - self._seat.pane.bottom), 0)
        self._field.focus()
        self._say(self._help())

    def _text(self) -> str:
        return self._field.value

    def _value(self) -> Value:
        """What is typed. Raises ValueError."""
        return self._setting.form.parse(self._text())

    @on(Input.Changed)
    def _typed(self) -> None:
        try:
            self._value()
        except ValueError as error:
            self._say(str(error), problem=True)
        else:
            self._say(self._help())

    @on(Choice.Changed)
    def _chosen(self) -> None:
        self._say(self._help())

    def _say(self, text: str, *, problem: bool = False) -> None:
        said = self.query_one("#said", Static)
        said.update(Content(plain(text)))
        said.set_class(problem, "-problem")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_take()

    def action_take(self) -> None:
        """Enter: ask the backend what it would do; until it answers, Esc calls that off."""
        if self._judging:
            return
        try:
            value = self._value()
        except ValueError as error:
            self._say(str(error), problem=True)
            return
        if value == self._before:
            self.dismiss(None)
        else:
            self._judging = True
            self.run_worker(self._look(value), group="judge")

    async def _look(self, value: Value) -> None:
        self._say("Looking what that would do …")
        try:
            plan = await self._judge(value)
        except VmtuiError as error:
            self._say(" ".join(str(error).split()), problem=True)
        else:
            self.dismiss(plan)
        finally:
            self._judging = False

    def action_give_up(self) -> None:
        """Nothing is changed."""
        self.dismiss(None)

    @property
    def field(self) -> Widget:
        """What is typed into."""
        return self._field
