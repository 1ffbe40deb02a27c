"""How the form for a new VM is laid out, and where what is said of its fields is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from vmtui.screens.draft import Draft
from vmtui.screens.form_fields import Group
from vmtui.screens.form_groups import Fold, Form
from vmtui.screens.form_notes import Judgement, summary
from vmtui.spec import Problem
from vmtui.units import plain
from vmtui.widgets.image_list import ImageList

EDGES = 7
"""Lines of the box that are not fields."""


class FormBox(Vertical):
    """Title, groups of fields with their notes, buttons."""

    def __init__(self, form: Form, images: ImageList) -> None:
        super().__init__(id="box")
        self._form = form
        self._images = images
        images.display = False  # until their field has the focus
        self.notes: Mapping[str, tuple[str, str]] = {}  # by field: a problem or a hint, and its ink
        self._fields = VerticalScroll(id="fields", can_focus=False)
        self._full = Static("", id="full")

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield Static(Content("New VM"), id="title")
        with self._fields:
            for group, fields in self._form.groups.items():
                if group in self._form.folds:
                    yield self._form.folds[group]
                yield fields
                if group is Group.IMAGE:
                    yield self._images
        yield self._full
        with Horizontal(id="buttons"):
            keys = "Enter creates · Space unfolds · F2 what will run · Esc"
            yield Static(Content(keys), id="keys")
            yield Button("create", id="create", variant="primary")

    def fit(self, height: int) -> None:
        """What does not fit is scrolled to; the buttons stay. May be told before it is mounted."""
        self._fields.styles.max_height = max(4, height - EDGES)

    def show(self, judgement: Judgement, draft: Draft) -> None:
        """What is said beside the fields, and of the folded ones."""
        self.notes = judgement.notes
        for group, fields in self._form.groups.items():
            fields.show(self.notes)
            if group in self._form.folds:
                self._form.folds[group].tell(*summary(fields.widgets, draft, judgement))
        self._tell_in_full(judgement.problems)

    def _tell_in_full(self, problems: Sequence[Problem]) -> None:
        """Beside its field a problem may be cut; there is always room for one in full."""
        focused = self.screen.focused.id if self.screen.focused else None
        found = [p for p in problems if p.field == focused] or list(problems)
        text = plain(str(found[0])) if found else ""
        room = self._form.groups[Group.BASICS].room
        self._full.update(Content(text if cell_len(text) > room else ""))

    @on(Fold.Turned)
    def _turned(self, event: Fold.Turned) -> None:
        self._form.groups[event.fold.group].display = event.fold.open
