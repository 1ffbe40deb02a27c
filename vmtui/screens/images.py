"""All images: those of the library with who leans on them, and those of the catalogue."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from vmtui.actions import unchangeable
from vmtui.backends.abilities import LeanOnImages
from vmtui.errors import VmtuiError
from vmtui.fleet import Fleet
from vmtui.progress import ProgressSink
from vmtui.screens.base import Context, creating_refusal, say_refusal
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.keys import moves
from vmtui.screens.modal import Modal
from vmtui.shelf import Offer
from vmtui.tasks import Work
from vmtui.units import plain, size
from vmtui.views import FleetView, TaskStatus, TaskView
from vmtui.widgets.image_table import ImageTable

ERROR_TIMEOUT_S = 15.0


class ImagesScreen(Modal[str | None]):
    """`I`. Gives the name of an image to make a VM from, or None."""

    DEFAULT_CSS = """
    ImagesScreen { align: center middle; }
    ImagesScreen ImageTable { width: 96%; max-width: 140; height: 86%; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,I", "close", "close"),
        *moves("move"),
        Binding("n,enter", "new", "new VM"),
        Binding("p", "pull", "pull"),
        Binding("v", "verify", "verify"),
        Binding("x,delete", "remove", "remove"),
    ]

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._shared = context
        self.table = ImageTable()

    def compose(self) -> ComposeResult:
        """The table."""
        yield self.table

    def on_mount(self) -> None:
        """Look them up."""
        self._show_refusals()
        self.run_worker(self._look(), group="look", exclusive=True)

    async def _look(self) -> None:
        try:
            offers = await self._shared.shelf.offers()
        except VmtuiError as error:
            self._tell(error)
            return
        self.table.show(offers)
        self.table.show_users(await images_in_use(self._shared.fleet, failed=self._tell))

    def show(self, view: FleetView) -> None:
        """How far the tasks are."""
        self._show_refusals()
        by_id = {task.id: task for task in view.tasks}
        self.table.show_tasks(
            {
                name: by_id[task_id]
                for name, task_id in self._shared.image_tasks.items()
                if task_id in by_id and by_id[task_id].status is TaskStatus.RUNNING
            }
        )

    def _show_refusals(self) -> None:
        self.table.refuse([key for key in "npx" if self._refusal(key)])

    def _refusal(self, key: str) -> str:
        """Why a key does nothing here; empty: it does. To verify an image changes nothing."""
        view = self._shared.fleet.view()
        return creating_refusal(view) if key == "n" else unchangeable(*view.connections)

    def _may(self, key: str) -> bool:
        """Whether a key does something; says why not."""
        if refusal := self._refusal(key):
            say_refusal(self.app, refusal)
        return not refusal

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.table.move(step)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)

    def action_new(self) -> None:
        """A VM from the one under the cursor."""
        offer = self.table.chosen
        if offer is not None and self._may("n"):
            self.dismiss(offer.name)

    def action_pull(self) -> None:
        """Bring it here."""
        offer = self.table.chosen
        if offer is None or not self._may("p"):
            return
        if offer.here:
            self._say(f"{plain(offer.name)} is here already.")
            return

        async def work(progress: ProgressSink) -> str:
            await self._shared.shelf.pull(offer.name, progress)
            return f"{offer.name} is here"

        self._start("pull", offer, work)

    def action_verify(self) -> None:
        """Compare it with its checksum."""
        offer = self.table.chosen
        if offer is None or not self._is_here(offer):
            return

        async def work(progress: ProgressSink) -> str:
            await self._shared.shelf.verify(offer.name, progress)
            return f"{offer.name} is what it was"

        self._start("verify", offer, work)

    def action_remove(self) -> None:
        """Delete it, after asking."""
        offer = self.table.chosen
        if offer is not None and self._may("x") and self._is_here(offer):
            self.run_worker(self._remove(offer), group="remove", exclusive=True)

    async def _remove(self, offer: Offer) -> None:
        users = tuple(self.table.users(offer.name))
        if not users:
            lines = (f"{size(offer.size_bytes)} as guests see it; it can be pulled again.",)
            question = Question(
                f"Remove the image {plain(offer.name)}?", (("", lines),), yes="remove"
            )
            if not await self.app.push_screen_wait(ConfirmScreen(question)):
                return

        async def work(_: ProgressSink) -> str:
            # Asked again: a VM may have been made from it meanwhile.
            now = await images_in_use(self._shared.fleet)
            await self._shared.shelf.remove(offer.name, tuple(now.get(offer.name, ())))
            return f"{offer.name} is removed"

        self._start("remove", offer, work)

    def _is_here(self, offer: Offer) -> bool:
        if not offer.here:
            self._say(f"{plain(offer.name)} is not here yet.")
        return offer.here

    def _start(self, verb: str, offer: Offer, work: Work) -> None:
        if offer.name in self._shared.image_tasks:
            self._say(f"Something is being done to {plain(offer.name)} already.")
            return
        task = self._shared.fleet.tasks.start(f"{verb} {plain(offer.name)}", None, work)
        self._shared.image_tasks[offer.name] = self._shared.fleet.tasks.views[-1].id
        # By the app: it goes on when this screen is closed.
        self.app.run_worker(self._ended(offer.name, task), group="images")

    async def _ended(self, name: str, task: Awaitable[TaskView]) -> None:
        view = await task
        self._shared.image_tasks.pop(name, None)
        if view.error is not None:
            self._tell(view.error)
        elif view.status is TaskStatus.DONE:
            self._say(plain(view.result))
        if self.is_attached:
            await self._look()

    def _say(self, text: str) -> None:
        self.app.notify(text, markup=False, timeout=4)

    def _tell(self, error: VmtuiError) -> None:
        self.app.notify(str(error), severity="error", markup=False, timeout=ERROR_TIMEOUT_S)


async def images_in_use(
    fleet: Fleet, *, failed: Callable[[VmtuiError], None] | None = None
) -> dict[str, tuple[str, ...]]:
    """By an image, the names of all VMs that lean on it, on every connection that can tell.

    Raises what a connection fails with; with `failed` that is told, and the others count.
    """
    users: dict[str, list[str]] = defaultdict(list)
    backends = [connection.backend for connection in fleet.connections if connection.up]
    asked = (each.images_in_use() for each in backends if isinstance(each, LeanOnImages))
    for found in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(found, VmtuiError) and failed is not None:
            failed(found)
        elif isinstance(found, BaseException):
            raise found
        else:
            for name, vms in found.items():
                users[name] += vms
    return {name: tuple(vms) for name, vms in users.items()}
