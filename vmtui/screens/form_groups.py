"""Groups of fields of the form for a new VM: labels, fields, notes; some fold out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from vmtui.screens.form_fields import FIELDS, Field, Group, Kind, fields_of
from vmtui.widgets.forms import Choice, Texts, Tick
from vmtui.widgets.lines import Line, Lines

Notes = Mapping[str, tuple[str, str]]
"""By field: a problem or a hint, and its ink."""


class Fold(Lines, can_focus=True):
    """The heading of a group that folds: Space, → and a click open it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,right", "turn(True)", show=False),
        Binding("left", "turn(False)", show=False),
    ]

    class Turned(Message):
        """It was opened or closed."""

        def __init__(self, fold: Fold) -> None:
            super().__init__()
            self.fold = fold

    def __init__(self, group: Group) -> None:
        super().__init__(classes="fold")
        self.group = group
        self.open = False
        self._told: tuple[str, str] = ("", "quiet")

    def tell(self, text: str, ink: str) -> None:
        """What is set in it, or wrong."""
        self._told = (text, ink)
        self.redraw()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show it. A handler of Blur would come while it still has the focus."""
        super().watch_has_focus(has_focus)
        self.redraw()

    def paint(self) -> Sequence[Line]:
        """An arrow, the name, and what is set."""
        ink = self.ink
        text, style = self._told
        return [
            [
                Segment("▾ " if self.open else "▸ ", ink.accent),
                Segment(self.group.value, ink.accent if self.has_focus else ink.strong),
                Segment(f"  {text}" if text and not self.open else "", getattr(ink, style)),
            ]
        ]

    def turn(self, opened: bool) -> None:
        """Open or close it."""
        if opened != self.open:
            self.open = opened
            self.redraw()
            self.post_message(self.Turned(self))

    def action_turn(self, opened: bool) -> None:
        """Space closes an open one as well."""
        self.turn(opened and not self.open)

    def on_click(self, event: events.Click) -> None:
        """The other way round."""
        event.stop()
        self.turn(not self.open)


class FieldGroup(Horizontal):
    """The fields of one group in three columns."""

    def __init__(self, group: Group, widgets: Mapping[str, Widget], labels: Sequence[str]) -> None:
        super().__init__(classes="group")
        self.group = group
        self.widgets = widgets
        self._labels = labels
        self._notes = Texts((), classes="notes")
        self.display = not group.folds

    def compose(self) -> ComposeResult:
        """Labels, fields, notes."""
        yield Texts([(label, "quiet") for label in self._labels], classes="labels")
        with Vertical(classes="inputs"):
            yield from self.widgets.values()
        yield self._notes

    def show(self, notes: Notes) -> None:
        """A note beside each field."""
        self._notes.show([notes[name] for name in self.widgets])

    @property
    def room(self) -> int:
        """The cells that a note has."""
        return self._notes.size.width


def widget_of(name: str, field: Field, value: str) -> Widget:
    """What a field is filled with."""
    if field.kind is Kind.TICK:
        tick = Tick(field.options[0][1], id=name)
        tick.choose(value or "no")
        return tick
    if field.kind is Kind.CHOICE:
        return Choice(field.options, value=value, id=name)
    return Input(value, id=name, compact=True, select_on_focus=True)


def value_of(widget: Widget) -> str:
    """What it is filled with now."""
    assert isinstance(widget, Input | Choice)
    return widget.value


def fill(widget: Widget, value: str) -> None:
    """Fill it."""
    if isinstance(widget, Input):
        widget.value = value
    elif isinstance(widget, Choice):
        widget.choose(value)


class Form:
    """All fields by name, with what was filled in for the user and may be filled in anew.

    `own` are choices whose options only the screen knows; None leaves the field out.
    """

    def __init__(self, filled: Mapping[str, str], own: Mapping[str, Choice | None]) -> None:
        self._filled = dict(filled)
        self._own = frozenset(own)
        self.widgets: dict[str, Widget] = {}
        for name, field in FIELDS.items():
            widget = own[name] if name in own else widget_of(name, field, filled[name])
            if widget is not None:
                self.widgets[name] = widget
        self.groups = {group: self._group(group) for group in Group}
        self.folds = {group: Fold(group) for group in Group if group.folds}

    def _group(self, group: Group) -> FieldGroup:
        fields = {name: f for name, f in fields_of(group).items() if name in self.widgets}
        own = {name: self.widgets[name] for name in fields}
        return FieldGroup(group, own, [field.label for field in fields.values()])

    def texts(self) -> dict[str, str]:
        """What all are filled with now."""
        return {name: value_of(widget) for name, widget in self.widgets.items()}

    def touched(self, name: str) -> bool:
        """Whether the user has changed it."""
        return value_of(self.widgets[name]) != self._filled[name]

    def fill(self, fresh: Mapping[str, str]) -> None:
        """Fill in what the user has not touched; what he typed stays."""
        for name, value in fresh.items():
            if name in self.widgets and name not in self._own and not self.touched(name):
                self._filled[name] = value
                fill(self.widgets[name], value)

    def go_to(self, name: str) -> None:
        """Put the focus there, and open its group."""
        if name in self.widgets:
            group = FIELDS[name].group
            if group in self.folds:
                self.folds[group].turn(True)
                self.groups[group].display = True
            self.widgets[name].focus()
