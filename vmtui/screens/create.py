"""The form for a new VM: an image, a name, and Enter; problems beside the fields while typing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Button, Input

from vmtui import making
from vmtui.errors import VmtuiError
from vmtui.recipe import Recipe
from vmtui.screens.asked_image import AskedImage
from vmtui.screens.base import Context
from vmtui.screens.destination import Destination
from vmtui.screens.draft import Draft, filled_in
from vmtui.screens.finishing import finished
from vmtui.screens.form_box import FormBox
from vmtui.screens.form_groups import Form, fill
from vmtui.screens.form_notes import judged
from vmtui.screens.lookups import Lookups
from vmtui.screens.modal import Modal
from vmtui.screens.preview import PreviewScreen
from vmtui.screens.wanted import Wanted
from vmtui.shelf import Offer
from vmtui.spec import MICRO, Problem, VMSpec
from vmtui.units import plain
from vmtui.widgets.forms import Choice
from vmtui.widgets.image_list import ImageList

DEBOUNCE_S = 0.2


class CreateScreen(Modal[Wanted | None]):
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
        self._destination = Destination(context, preferred_uri)
        self._looked_up = asyncio.Event()
        self._judging = False
        self._image = AskedImage()
        self._first = (preset, image)
        self._late: Problem | None = None  # one that only making it could tell
        self._found = Lookups()
        self._preset = Choice(self._found.preset_options, id="preset")
        self._form = Form(
            filled_in("micro", MICRO, self._destination.limits, Recipe()) | {"image": "micro"},
            {"preset": self._preset, **self._destination.fields},
        )
        self._image_input = self._form.widgets["image"]
        self._list = ImageList(id="images")
        self._box = FormBox(self._form, self._list)

    # -- what it looks like --------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Everything is in the box."""
        yield self._box

    @property
    def notes(self) -> Mapping[str, tuple[str, str]]:
        """By field: a problem or a hint, and its ink."""
        return self._box.notes

    def on_mount(self) -> None:
        """Show notes and problems from the start; what has to be looked up comes in a moment."""
        self._judge_soon()
        self.run_worker(self._look_up(), group="look")
        self.run_worker(self._ask_limits(), group="limits", exclusive=True)

    def on_resize(self) -> None:
        """Fields scroll where they don't fit."""
        self._box.fit(self.app.size.height)

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
        await self._destination.ask_limits()
        self._judge_soon()

    def on_descendant_focus(self) -> None:
        """Tell the focused field's problem in full; list images only for their field."""
        self._list_images()
        self._judge_soon()

    # -- what is typed -------------------------------------------------------------------------

    def _draft(self) -> Draft:
        return Draft(
            self._form.texts(),
            boot=self._image.boot,
            image_error=self._image.error,
            own_keys=self._found.own_keys,
            throwaway=bool(self._found.presets[self._preset.value].throwaway),
        )

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._late = None
        if event.input.id == "image" and event.value != self._image.text:
            self._image.ask(event.value)
            self._list_images()
            self.run_worker(self._look_up_image(), group="image", exclusive=True)
        self._judge_soon()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        if event.choice is self._destination.connection:
            self._destination.moved()
            self.run_worker(self._ask_limits(), group="limits", exclusive=True)
            self._fill()
        elif event.choice is self._preset:
            self._preset_chosen()
        self._judge_soon()

    def _preset_chosen(self) -> None:
        self._form.fill({"image": self._found.presets[self._preset.value].image or "micro"})
        self._fill()

    async def _look_up_image(self) -> None:
        after_s = 0 if self._found.offer(self._image.text) else DEBOUNCE_S
        await self._image.look_up(self._shared.shelf, after_s=after_s)
        self._fill()
        self._judge_soon()

    def _fill(self) -> None:
        """Fit what was filled in to the image and the preset; what the user typed stays."""
        if (boot := self._image.usable) is None:
            return
        preset = self._found.presets[self._preset.value]
        fresh = filled_in(self._image.text, boot, self._destination.limits, preset)
        del fresh["image"]
        self._form.fill(fresh)

    # -- images --------------------------------------------------------------------------------

    def _list_images(self) -> None:
        """What fits the words; all, while nothing was typed."""
        typed = self._image.text if self._form.touched("image") else ""
        wanted = self.focused is self._image_input and self._found.offer(typed) is None
        if wanted and not self._looked_up.is_set():
            self._list.look()
            return
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
        if self._image.usable:  # while that is open, what was chosen stays
            self._destination.offer_thens(ssh_answers=draft.ssh_answers())
        limits = self._destination.limits
        judgement = judged(draft, limits, late=self._late, offered=offer.name if offer else "")
        self._box.show(judgement, draft)

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
            self._give(spec)

    def _give(self, spec: VMSpec) -> None:
        self.dismiss(self._destination.wanted(spec))

    async def _preview(self) -> None:
        spec = await self._read()
        if spec is None:
            return
        try:
            text = await making.preview(self._shared.fleet, self._destination.uri, spec)
        except VmtuiError as error:
            self.notify(str(error), severity="error", markup=False, timeout=15)
            return
        screen = PreviewScreen(plain(spec.name), plain(text, keep_lines=True))
        if await self.app.push_screen_wait(screen):
            self._give(spec)

    async def _read(self) -> VMSpec | None:
        """The VM; None once the first problem has the focus."""
        await self._looked_up.wait()
        await self._image.known()
        read = await finished(self._draft(), self._destination.limits)
        if isinstance(read, Problem):
            self._refuse(read)
            return None
        return read

    def _refuse(self, problem: Problem) -> None:
        """Go to where it is, and say it until something is changed."""
        self._late = problem
        self._form.go_to(problem.field)
        self._judge_soon()
