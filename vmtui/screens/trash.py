"""`Z`: deleted VMs, brought back or gone for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from vmtui.actions import unchangeable
from vmtui.backends.abilities import Trash
from vmtui.backends.base import Feature
from vmtui.errors import VmtuiError
from vmtui.progress import ProgressSink
from vmtui.screens.base import FleetScreen, say_refusal
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.doing import Outcome, tell, tell_error
from vmtui.screens.holding import Holding
from vmtui.screens.modal import Modal
from vmtui.units import plain, size
from vmtui.views import TaskStatus
from vmtui.widgets.trash_table import InTrash, TrashTable


class TrashScreen(Modal[None], Holding):
    """Of all connections that have one."""

    DEFAULT_CSS = """
    TrashScreen { align: center middle; }
    TrashScreen TrashTable { width: 96%; max-width: 120; height: 8; max-height: 90%; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,Z", "close", "close"),
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("g,home", "move(-100000)", show=False),
        Binding("G,end", "move(100000)", show=False),
        Binding("r,enter", "restore", "restore"),
        Binding("x,delete", "purge", "purge"),
    ]

    def __init__(self, over: FleetScreen) -> None:
        super().__init__()
        self._over = over
        self.table = TrashTable(over.context.clock)

    def compose(self) -> ComposeResult:
        """The table."""
        yield self.table

    def on_mount(self) -> None:
        """Look."""
        self.run_worker(self._look(), group="look", exclusive=True)

    async def _look(self) -> None:
        found: list[InTrash] = []
        for connection in self._over.context.fleet.connections:
            backend = connection.backend
            if not connection.up or not isinstance(backend, Trash):
                continue
            if Feature.TRASH not in backend.features:
                continue
            try:
                found += [
                    InTrash(connection.uri, connection.label, trashed)
                    for trashed in await backend.trashed()
                ]
            except VmtuiError as error:
                tell_error(self._over, error)
        found.sort(key=lambda each: -each.trashed.deleted_at_s)
        self.table.show(found, changeable=not all(map(self._refusal, found)))

    def action_close(self) -> None:
        """Back."""
        if not self.call_off():
            self.dismiss()

    def action_move(self, step: int) -> None:
        """Move the cursor."""
        self.table.move(step)

    def action_restore(self) -> None:
        """Bring it back, off."""
        chosen = self._changeable()
        if chosen is not None:
            name = chosen.trashed.name
            work = self._do(chosen, "restore", f"{name} is back", self._trash(chosen).restore)
            self.app.run_worker(work, group="configuring")

    def action_purge(self) -> None:
        """For good, after asking."""
        chosen = self._changeable()
        if chosen is not None:
            self.bring(partial(self._purge, chosen), "configuring")

    def _changeable(self) -> InTrash | None:
        """What is under the cursor, if it can be changed; says why not."""
        chosen = self.table.chosen
        if chosen is None or not (refusal := self._refusal(chosen)):
            return chosen
        say_refusal(self.app, refusal)
        return None

    def _refusal(self, chosen: InTrash) -> str:
        return unchangeable(self._over.context.fleet.view().connection(chosen.uri))

    async def _purge(self, chosen: InTrash) -> None:
        trashed = chosen.trashed
        name = plain(trashed.name)
        line = f"{size(trashed.size_bytes)} of disks, and all else of it: gone for good."
        question = Question(f"Purge {name}?", (("", (line,)),), yes="purge")
        if await self.app.push_screen_wait(ConfirmScreen(question)):
            done = f"{trashed.name} is gone for good"
            await self._do(chosen, "purge", done, self._trash(chosen).purge)

    def _trash(self, chosen: InTrash) -> Trash:
        backend = self._over.context.fleet.connection(chosen.uri).backend
        assert isinstance(backend, Trash)
        return backend

    async def _do(
        self, chosen: InTrash, verb: str, done: str, run: Callable[..., Awaitable[None]]
    ) -> None:
        fleet = self._over.context.fleet
        connection = fleet.connection(chosen.uri)
        vm = chosen.trashed.vm

        async def work(_: ProgressSink) -> str:
            await run(vm)
            await connection.refresh(vm)
            return done

        label = f"{verb} {plain(chosen.trashed.name)}"
        view = await fleet.tasks.start(label, None, work)
        text = str(view.error) if view.error else plain(view.result)
        tell(self._over, label, [Outcome(text, ok=view.status is TaskStatus.DONE)])
        if self.is_attached:
            await self._look()
