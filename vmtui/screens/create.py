"""The form for a new VM: an image, a name, and Enter; problems beside the fields while typing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from vmtui import making
from vmtui.backends.base import Feature
from vmtui.errors import VmtuiError
from vmtui.recipe import Recipe
from vmtui.screens.base import Context
from vmtui.screens.draft import Draft, filled_in
from vmtui.screens.form_fields import Group
from vmtui.screens.form_groups import Fold, Form, fill
from vmtui.screens.form_notes import judged, summary
from vmtui.screens.lookups import Lookups
from vmtui.screens.preview import PreviewScreen
from vmtui.shelf import Offer
from vmtui.spec import MICRO, Boot, Limits, Problem, VMSpec
from vmtui.units import plain
from vmtui.views import ConnectionStatus, ConnectionView
from vmtui.widgets.forms import Choice
from vmtui.widgets.image_list import ImageList

DEBOUNCE_S = 0.2

CONSOLE, START, NOTHING = "console", "start", "nothing"
EDGES = 7
"""Lines of the box that are not fields."""

OF_FILES = ("ssh_keys", "user_data", "network_config")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the form gives: where, what, and what comes then."""

    uri: str
    spec: VMSpec
    then: str


class CreateScreen(ModalScreen[Wanted | None]):
    """Fields with defaults, so that an image and Enter are enough."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "cancel"),
        Binding("enter", "submit", "create"),
        Binding("down", "down", show=False),
        Binding("up", "up", show=False),
        Binding("f2", "preview", "preview"),
    ]

    AUTO_FOCUS = "#image"

    def __init__(
        self,
        context: Context,
        preferred_uri: str | None = None,
        *,
        preset: str = "",
        image: str = "micro",
    ) -> None:
        super().__init__()
        self._shared = context
        self._places = creating_connections(context)
        uris = [place.uri for place in self._places]
        self._uri = preferred_uri if preferred_uri in uris else uris[0]
        self._boot: Boot | None = MICRO
        self._image_error: VmtuiError | None = None
        self._resolved = asyncio.Event()
        self._resolved.set()
        self._looked_up = asyncio.Event()
        self._judging = False
        self._image = "micro"
        self._first = (preset, image)
        self._late: Problem | None = None  # one that only making it could tell
        self._found = Lookups()
        self._own_limits: Limits | None = None
        self._preset = Choice(self._found.preset_options, id="preset")
        self._connection = Choice([(p.uri, p.label) for p in self._places], id="connection")
        self._connection.choose(self._uri)
        self._then = Choice(self._thens(), id="then")
        self._form = Form(
            filled_in("micro", MICRO, self._limits(), Recipe()) | {"image": "micro"},
            {
                "preset": self._preset,
                # A single one needs no choice.
                "connection": self._connection if len(self._places) > 1 else None,
                "then": self._then,
            },
        )
        self._image_input = self._form.widgets["image"]
        self._list = ImageList(id="images")
        self.notes: Mapping[str, tuple[str, str]] = {}  # by field: a problem or a hint, and its ink
        self._full = Static("", id="full")

    # -- what it looks like --------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Title, groups of fields with their notes, buttons."""
        with Vertical(id="box"):
            yield Static(Content("New VM"), id="title")
            with VerticalScroll(id="fields", can_focus=False):
                for group, fields in self._form.groups.items():
                    if group in self._form.folds:
                        yield self._form.folds[group]
                    yield fields
                    if group is Group.IMAGE:
                        yield self._list
            yield self._full
            with Horizontal(id="buttons"):
                keys = "Enter creates · Space unfolds · F2 what will run · Esc"
                yield Static(Content(keys), id="keys")
                yield Button("create", id="create", variant="primary")

    def _thens(self) -> list[tuple[str, str]]:
        place = next(place for place in self._places if place.uri == self._uri)
        console = [(CONSOLE, "start, open console")] if Feature.CONSOLE in place.features else []
        return [*console, (START, "start"), (NOTHING, "leave it off")]

    def on_mount(self) -> None:
        """Show notes and problems from the start; what has to be looked up comes in a moment."""
        self._list.display = False
        self._judge_soon()
        self.run_worker(self._look_up(), group="look")
        self.run_worker(self._ask_limits(), group="limits", exclusive=True)

    def on_resize(self) -> None:
        """What does not fit is scrolled to; the buttons stay."""
        self.query_one("#fields").styles.max_height = max(4, self.app.size.height - EDGES)

    async def _look_up(self) -> None:
        await self._found.look(self._shared.shelf)
        for error in self._found.failed:
            self.notify(str(error), severity="warning", markup=False, timeout=15)
        self._preset.set_options(self._found.preset_options)
        self._begin(*self._first)
        self._looked_up.set()
        self._list_images()
        self._judge_soon()

    def _begin(self, preset: str, image: str) -> None:
        """What was asked for before the form opened."""
        if preset:
            self._preset.choose(preset)
            self._preset_chosen()
        if image != "micro":
            self._form.fill({"image": image})

    async def _ask_limits(self) -> None:
        try:
            self._own_limits = await self._shared.fleet.asked_limits(self._uri)
        except VmtuiError:
            self._own_limits = None  # it is told when the VM is made
        self._judge_soon()

    def on_descendant_focus(self) -> None:
        """Tell the focused field's problem in full; list images only for their field."""
        self._list_images()
        self._judge_soon()

    # -- what is typed -------------------------------------------------------------------------

    def _limits(self) -> Limits:
        return self._shared.fleet.limits(self._uri, self._own_limits)

    def _draft(self, files: Recipe | None = None) -> Draft:
        return Draft(
            self._form.texts(),
            boot=self._boot,
            image_error=self._image_error,
            own_keys=self._found.own_keys,
            throwaway=bool(self._found.presets[self._preset.value].throwaway),
            files=files or Recipe(),
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._late = None
        if event.input.id == "image" and event.value != self._image:
            self._image = event.value
            self._boot, self._image_error = None, None
            self._resolved.clear()
            self._list_images()
            self.run_worker(self._resolve(event.value), group="image", exclusive=True)
        self._judge_soon()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        if event.choice is self._connection:
            self._uri = event.choice.value
            self._then.set_options(self._thens())
            self._own_limits = None
            self.run_worker(self._ask_limits(), group="limits", exclusive=True)
            self._fill()
        elif event.choice is self._preset:
            self._preset_chosen()
        self._judge_soon()

    def _preset_chosen(self) -> None:
        self._form.fill({"image": self._found.presets[self._preset.value].image or "micro"})
        self._fill()

    async def _resolve(self, image: str) -> None:
        await asyncio.sleep(0 if self._found.offer(image) else DEBOUNCE_S)
        try:
            self._boot, self._image_error = await self._shared.shelf.resolve(image.strip()), None
        except VmtuiError as error:
            self._boot, self._image_error = MICRO, error
        self._fill()
        self._resolved.set()
        self._judge_soon()

    def _fill(self) -> None:
        """Fit what was filled in to the image and the preset; what the user typed stays."""
        if self._boot is None or self._image_error is not None:
            return
        preset = self._found.presets[self._preset.value]
        fresh = filled_in(self._image, self._boot, self._limits(), preset)
        del fresh["image"]
        self._form.fill(fresh)

    # -- images --------------------------------------------------------------------------------

    def _list_images(self) -> None:
        """What fits the words; all, while nothing was typed."""
        typed = self._image if self._form.touched("image") else ""
        wanted = self.focused is self._image_input and self._found.offer(typed) is None
        found = (
            [offer for offer in self._found.offers if offer.matches(typed.split())]
            if wanted
            else []
        )
        self._list.show(found, choose=bool(typed))

    @on(ImageList.Chosen)
    def _clicked(self, event: ImageList.Chosen) -> None:
        self._take(event.offer)

    def _take(self, offer: Offer) -> None:
        fill(self._image_input, offer.name)
        self._form.go_to("name")

    def action_down(self) -> None:
        """In the list of images, or to the next field."""
        if not (self.focused is self._image_input and self._list.step(1)):
            self.focus_next()

    def action_up(self) -> None:
        """The same, back."""
        if not (self.focused is self._image_input and self._list.step(-1)):
            self.focus_previous()

    # -- what is wrong -------------------------------------------------------------------------

    def _judge_soon(self) -> None:
        # Many changes at a time, such as those of filling in, are judged once.
        if not self._judging:
            self._judging = True
            self.call_later(self._judge)

    def _judge(self) -> None:
        self._judging = False
        draft, offer = self._draft(), self._list.chosen
        judgement = judged(
            draft, self._limits(), late=self._late, offered=offer.name if offer else ""
        )
        self.notes = judgement.notes
        for group, fields in self._form.groups.items():
            fields.show(self.notes)
            if group in self._form.folds:
                self._form.folds[group].tell(*summary(fields.widgets, draft, judgement))
        self._tell_in_full(judgement.problems)

    def _tell_in_full(self, problems: Sequence[Problem]) -> None:
        """Beside its field a problem may be cut; there is always room for one in full."""
        focused = self.focused.id if self.focused else None
        found = [p for p in problems if p.field == focused] or list(problems)
        text = plain(str(found[0])) if found else ""
        room = self._form.groups[Group.BASICS].room
        self._full.update(Content(text if cell_len(text) > room else ""))

    @on(Fold.Turned)
    def _turned(self, event: Fold.Turned) -> None:
        self._form.groups[event.fold.group].display = event.fold.open

    # -- leaving ---------------------------------------------------------------------------------

    @on(Input.Submitted)
    def _entered(self) -> None:
        self.action_submit()

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.action_submit()

    def action_cancel(self) -> None:
        """Leave without a VM."""
        self.dismiss(None)

    def action_submit(self) -> None:
        """Take the image under the cursor; or make the VM, or go to the first problem."""
        if self.focused is self._image_input and (offer := self._list.chosen):
            self._take(offer)
        else:
            self.run_worker(self._submit(), group="submit", exclusive=True)

    def action_preview(self) -> None:
        """What would run."""
        self.run_worker(self._preview(), group="submit", exclusive=True)

    async def _submit(self) -> None:
        spec = await self._read()
        if spec is not None:
            self.dismiss(Wanted(self._uri, spec, self._then.value))

    async def _preview(self) -> None:
        spec = await self._read()
        if spec is None:
            return
        try:
            text = await making.preview(self._shared.fleet, self._uri, spec)
        except VmtuiError as error:
            self.notify(str(error), severity="error", markup=False, timeout=15)
            return
        screen = PreviewScreen(plain(spec.name), plain(text, keep_lines=True))
        if await self.app.push_screen_wait(screen):
            self.dismiss(Wanted(self._uri, spec, self._then.value))

    async def _read(self) -> VMSpec | None:
        """The VM, with the files that fields name; None once the first problem has the focus."""
        await self._looked_up.wait()
        await self._resolved.wait()
        recipe = self._draft().recipe([])
        named = Recipe(**{name: getattr(recipe, name) for name in OF_FILES})
        try:
            files = await making.completed(named)
        except VmtuiError as error:
            field = next(name for name in OF_FILES if getattr(recipe, name))
            self._refuse(Problem(field, f"{error.what}: {error.why}.", error.hint))
            return None
        spec, problems = self._draft(files).read(self._limits())
        problems += await making.missing_files(spec) if spec else []
        if problems:
            self._refuse(problems[0])
            return None
        return spec

    def _refuse(self, problem: Problem) -> None:
        """Go to where it is, and say it until something is changed."""
        self._late = problem
        self._form.go_to(problem.field)
        self._judge_soon()


def creating_connections(context: Context) -> list[ConnectionView]:
    """The connections on which a VM can be made now."""
    return [
        connection
        for connection in context.fleet.view().connections
        if connection.status is ConnectionStatus.UP
        and not connection.read_only
        and Feature.CREATE in connection.features
    ]
