"""The form for a new VM: problems beside the fields while typing, Enter anywhere makes it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
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
from vmtui.widgets.forms import Choice, Texts, Tick

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
        self._resolved = asyncio.Event()
        self._resolved.set()
        self._judging = False
        self._image = "micro"
        places = [(place.uri, place.label) for place in self._places]
        self._filled = {
            "name": free_name("micro", MICRO, self._limits().taken_names),
            "memory": default_memory(MICRO),
            "disk": default_disk(MICRO),
        }
        values = {**self._filled, "image": self._image, "vcpus": "1"}
        self._inputs = {
            name: Input(value, id=name, compact=True, placeholder="none" if name == "disk" else "")
            for name, value in values.items()
        }
        self._connection = Choice(places, value=self._uri, id="connection")
        self._firmware = Choice([(f.value, words) for f, words in FIRMWARE.items()], id="firmware")
        self._tpm = Tick("TPM 2.0, emulated", id="tpm")
        self._then = Choice(self._thens(), id="then")
        self._notes = Texts((), id="notes")
        self.notes: dict[str, tuple[str, str]] = {}  # by field: a problem or a hint, and its ink
        self._full = Static("", id="full")

    # -- what it looks like --------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Title, fields with their notes, buttons."""
        with Vertical(id="box"):
            yield Static(Content("New VM"), id="title")
            with Horizontal(id="fields"):
                yield Texts([(LABELS[name], "quiet") for name in self._fields()], id="labels")
                with Vertical(id="inputs"):
                    yield from self._fields().values()
                yield self._notes
            yield self._full
            with Horizontal(id="buttons"):
                yield Static(Content("Enter creates · Tab next · Esc cancels"), id="keys")
                yield Button("cancel", id="cancel")
                yield Button("create", id="create", variant="primary")

    def _fields(self) -> dict[str, Widget]:
        """The fields in their order; a single connection needs no choice."""
        others: dict[str, Widget] = {
            "connection": self._connection,
            "firmware": self._firmware,
            "tpm": self._tpm,
            "then": self._then,
        }
        if len(self._places) == 1:
            del others["connection"]
        widgets = {**self._inputs, **others}
        return {name: widgets[name] for name in LABELS if name in widgets}

    def _thens(self) -> list[tuple[str, str]]:
        place = next(place for place in self._places if place.uri == self._uri)
        console = [(CONSOLE, "start, open console")] if Feature.CONSOLE in place.features else []
        return [*console, (START, "start"), (NOTHING, "leave it off")]

    def on_mount(self) -> None:
        """Show notes and problems from the start."""
        self._judge_soon()

    def on_descendant_focus(self) -> None:
        """Tell the focused field's problem in full."""
        self._judge_soon()

    # -- what is typed -------------------------------------------------------------------------

    def _limits(self) -> Limits:
        return self._shared.fleet.limits(self._uri)

    def _draft(self) -> Draft:
        return Draft(
            **{name: widget.value for name, widget in self._inputs.items()},
            boot=self._boot,
            image_error=self._image_error,
            firmware=Firmware(self._firmware.value),
            tpm=self._tpm.on,
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if event.input.id == "image" and event.value != self._image:
            self._image = event.value
            self._boot, self._image_error = None, None
            self._resolved.clear()
            self.run_worker(self._resolve(event.value), group="image", exclusive=True)
        self._judge_soon()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        if event.choice.id == "connection":
            self._uri = event.choice.value
            self._then.set_options(self._thens())
            self._fill()
        self._judge_soon()

    async def _resolve(self, image: str) -> None:
        await asyncio.sleep(DEBOUNCE_S)
        try:
            self._boot, self._image_error = await resolve(image.strip()), None
        except VmtuiError as error:
            self._boot, self._image_error = MICRO, error
        self._fill()
        self._resolved.set()
        self._judge_soon()

    def _fill(self) -> None:
        """Fit what was filled in to the image; what the user typed stays."""
        if self._boot is None or self._image_error is not None:
            return
        fresh = {
            "name": free_name(self._image, self._boot, self._limits().taken_names),
            "memory": default_memory(self._boot),
            "disk": default_disk(self._boot),
        }
        for name, value in fresh.items():
            widget = self._inputs[name]
            if widget.value == self._filled[name]:
                widget.value = self._filled[name] = value

    def _judge_soon(self) -> None:
        # Many changes at a time, such as those of filling in, are judged once.
        if not self._judging:
            self._judging = True
            self.call_later(self._judge)

    def _judge(self) -> None:
        self._judging = False
        draft, limits = self._draft(), self._limits()
        _, problems = draft.read(limits)
        hints = self._hints(draft, limits)
        self.notes = {name: (hints.get(name, ""), "quiet") for name in self._fields()}
        for problem in reversed(problems):  # the first of a field is shown
            self.notes[problem.field] = (plain(str(problem)), "bad")
        self._notes.show([self.notes[name] for name in self._fields()])
        self._tell_in_full(problems)

    def _tell_in_full(self, problems: list[Problem]) -> None:
        """Beside its field a problem may be cut; there is always room for one in full."""
        focused = self.focused.id if self.focused else None
        found = [p for p in problems if p.field == focused] or problems
        text = plain(str(found[0])) if found else ""
        room = self._notes.size.width
        self._full.update(Content(text if cell_len(text) > room else ""))

    def _hints(self, draft: Draft, limits: Limits) -> dict[str, str]:
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
            self.dismiss(Wanted(self._uri, spec, self._then.value))
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
