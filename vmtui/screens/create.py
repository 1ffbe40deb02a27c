"""The form for a new VM: problems beside the fields while typing, Enter anywhere makes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from vmtui.backends.base import Feature
from vmtui.errors import VmtuiError
from vmtui.images.resolve import resolve
from vmtui.model import Firmware
from vmtui.screens.base import Context
from vmtui.screens.draft import Draft, default_disk, default_memory, described, free_name
from vmtui.spec import MICRO, Boot, Limits, Problem, VMSpec
from vmtui.units import plain, size
from vmtui.views import ConnectionStatus, ConnectionView
from vmtui.widgets.facts import FIRMWARE
from vmtui.widgets.forms import Choice, Tick

DEBOUNCE_S = 0.2

LABELS = {
    "name": "Name",
    "connection": "Connection",
    "image": "Image",
    "vcpus": "vCPUs",
    "memory": "Memory",
    "disk": "Disk",
    "firmware": "Firmware",
    "tpm": "TPM",
    "then": "Then",
}

CONSOLE, START, NOTHING = "console", "start", "nothing"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form gives: where, what, and what comes then."""

    uri: str
    spec: VMSpec
    then: str


class CreateScreen(ModalScreen[Wanted | None]):
    """Fields with defaults, so that a name and Enter are enough."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel"),
        Binding("enter", "submit", "create"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    AUTO_FOCUS = "#name"

    def __init__(self, context: Context, preferred_uri: str | None = None) -> None:
        super().__init__()
        self._shared = context
        self._places = creating_connections(context)
        uris = [place.uri for place in self._places]
        self._uri = preferred_uri if preferred_uri in uris else uris[0]
        self._boot: Boot | None = MICRO
        self._image_error: VmtuiError | None = None
        self._filled: dict[str, str] = {}  # what was filled in, not typed
        self._resolved = asyncio.Event()
        self._resolved.set()

    # -- what it looks like --------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Title, fields with their notes, buttons."""
        with Vertical(id="box"):
            yield Static(Content("New VM"), id="title")
            with VerticalScroll(id="fields", can_focus=False):
                for name, widget in self._fields().items():
                    with Horizontal(classes="field"):
                        yield Static(Content(LABELS[name]), classes="label")
                        yield widget
                        yield Static("", id=f"note-{name}", classes="note")
            yield Static("", id="full")
            with Horizontal(id="buttons"):
                yield Static(Content("Enter creates · Tab next · Esc cancels"), id="keys")
                yield Button("cancel", id="cancel")
                yield Button("create", id="create", variant="primary")

    def _fields(self) -> dict[str, Widget]:
        self._filled = {
            "name": free_name("micro", MICRO, self._limits().taken_names),
            "memory": default_memory(MICRO),
            "disk": default_disk(MICRO),
        }
        places = [(place.uri, place.label) for place in self._places]
        fields: dict[str, Widget] = {
            "name": Input(self._filled["name"], id="name", compact=True),
            "connection": Choice(places, value=self._uri, id="connection"),
            "image": Input("micro", id="image", compact=True),
            "vcpus": Input("1", id="vcpus", compact=True),
            "memory": Input(self._filled["memory"], id="memory", compact=True),
            "disk": Input(self._filled["disk"], placeholder="none", id="disk", compact=True),
            "firmware": Choice([(f.value, words) for f, words in FIRMWARE.items()], id="firmware"),
            "tpm": Tick("TPM 2.0, emulated", id="tpm"),
            "then": Choice(self._thens(), id="then"),
        }
        if len(places) == 1:
            fields.pop("connection")
        return fields

    def _thens(self) -> list[tuple[str, str]]:
        place = next(place for place in self._places if place.uri == self._uri)
        console = [(CONSOLE, "start, open console")] if Feature.CONSOLE in place.features else []
        return [*console, (START, "start"), (NOTHING, "leave it off")]

    def on_mount(self) -> None:
        """Show notes and problems from the start."""
        self._judge()

    def on_descendant_focus(self) -> None:
        """Tell the focused field's problem in full."""
        self._judge()

    # -- what is typed -------------------------------------------------------------------------

    def _limits(self) -> Limits:
        return self._shared.fleet.limits(self._uri)

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    def _draft(self) -> Draft:
        return Draft(
            name=self._value("name"),
            image=self._value("image"),
            vcpus=self._value("vcpus"),
            memory=self._value("memory"),
            disk=self._value("disk"),
            boot=self._boot,
            image_error=self._image_error,
            firmware=Firmware(self.query_one("#firmware", Choice).value),
            tpm=self.query_one("#tpm", Tick).on,
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if event.input.id == "image" and event.value != getattr(self, "_image", "micro"):
            self._image = event.value
            self._boot, self._image_error = None, None
            self._resolved.clear()
            self.run_worker(self._resolve(event.value), group="image", exclusive=True)
        self._judge()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        if event.choice.id == "connection":
            self._uri = event.choice.value
            self.query_one("#then", Choice).set_options(self._thens())
            self._fill()
        self._judge()

    async def _resolve(self, image: str) -> None:
        await asyncio.sleep(DEBOUNCE_S)
        try:
            self._boot, self._image_error = await resolve(image.strip()), None
        except VmtuiError as error:
            self._boot, self._image_error = MICRO, error
        self._fill()
        self._resolved.set()
        self._judge()

    def _fill(self) -> None:
        """Fit what was filled in to the image; what the user typed stays."""
        if self._boot is None or self._image_error is not None:
            return
        fresh = {
            "name": free_name(self._value("image"), self._boot, self._limits().taken_names),
            "memory": default_memory(self._boot),
            "disk": default_disk(self._boot),
        }
        for name, value in fresh.items():
            widget = self.query_one(f"#{name}", Input)
            if widget.value == self._filled[name]:
                widget.value = self._filled[name] = value

    def _judge(self) -> None:
        try:
            draft = self._draft()
        except NoMatches:
            return  # not composed yet
        limits = self._limits()
        _, problems = draft.read(limits)
        notes = self._notes(draft, limits)
        for name in LABELS:
            found = [problem for problem in problems if problem.field == name]
            for note in self.query(f"#note-{name}").results(Static):
                note.set_class(bool(found), "problem")
                text = str(found[0]) if found else notes.get(name, "")
                note.update(Content(plain(text)))
        self._tell_in_full(problems)

    def _tell_in_full(self, problems: list[Problem]) -> None:
        """Beside its field a problem may be cut; there is always room for one in full."""
        focused = self.focused.id if self.focused else None
        found = [p for p in problems if p.field == focused] or problems
        text = plain(str(found[0])) if found else ""
        room = self.query(".note").first().size.width - 2
        self.query_one("#full", Static).update(Content(text if cell_len(text) > room else ""))

    def _notes(self, draft: Draft, limits: Limits) -> dict[str, str]:
        notes = {"image": described(draft.boot)}
        if limits.host_cpus:
            notes["vcpus"] = f"the host has {limits.host_cpus} CPUs"
        if limits.host_memory_bytes:
            notes["memory"] = f"the host has {size(limits.host_memory_bytes)}"
        if not draft.disk.strip():
            own = draft.boot.virtual_size_bytes if draft.boot else None
            notes["disk"] = f"{size(own)}, as the image has" if own else "none; a size such as 10G"
        return notes

    # -- leaving ---------------------------------------------------------------------------------

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_submit()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "create":
            self.action_submit()
        else:
            self.dismiss(None)

    def action_cancel(self) -> None:
        """Leave without a VM."""
        self.dismiss(None)

    def action_submit(self) -> None:
        """Make it, or go to the first problem."""
        self.run_worker(self._submit(), group="submit", exclusive=True)

    async def _submit(self) -> None:
        await self._resolved.wait()
        spec, problems = self._draft().read(self._limits())
        if spec is not None:
            self.dismiss(Wanted(self._uri, spec, self.query_one("#then", Choice).value))
        elif problems:
            for widget in self.query(f"#{problems[0].field}").results():
                widget.focus()


def creating_connections(context: Context) -> list[ConnectionView]:
    """The connections on which a VM can be made now."""
    return [
        connection
        for connection in context.fleet.view().connections
        if connection.status is ConnectionStatus.UP
        and not connection.read_only
        and Feature.CREATE in connection.features
    ]
