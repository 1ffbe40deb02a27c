"""What the interface itself does when a key of the table asks for it, whatever is in front."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.screen import Screen
from textual.worker import WorkType

from vmtui import screens, theming, widgets
from vmtui.actions import ACTIONS, BY_ID
from vmtui.deferred import deferred
from vmtui.fleet import Fleet
from vmtui.screens.base import Context, FleetScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.dashboard import Dashboard
from vmtui.screens.holding import Releasing
from vmtui.units import plain
from vmtui.views import TaskStatus

if TYPE_CHECKING:
    from vmtui.screens import connections, creating, doctor, ksm, palette, tasks, trash
    from vmtui.screens import help as keys_help
else:
    connections, creating, doctor, keys_help, ksm, palette, tasks, trash = deferred(
        "vmtui.screens",
        *("connections", "creating", "doctor", "help", "ksm", "palette", "tasks", "trash"),
    )


class AppVerbs(Releasing):
    """What the VmtuiApp is made of, and those of its actions, by id."""

    fleet: Fleet
    context: Context
    dashboard: Dashboard
    _leaving: ConfirmScreen | None = None
    """What asks whether to leave."""

    async def load_rest(self) -> None:
        """Import what the first picture does without, so that no key has to wait for it.

        A module at a time, and widgets before the screens that are made of them: each takes a
        few milliseconds then.
        """
        for package in (widgets, screens):
            for module in iter_modules(package.__path__):
                import_module(f"{package.__name__}.{module.name}")
                await asyncio.sleep(0)

    def view_new(self) -> None:
        """`n`."""
        screen = self.screen
        if isinstance(screen, FleetScreen):
            screen.bring(partial(creating.create, screen, self.dashboard), "create")

    def view_sandbox(self) -> None:
        """`N`."""
        screen = self.screen
        if isinstance(screen, FleetScreen):
            create = partial(creating.create, screen, self.dashboard, preset="sandbox")
            screen.bring(create, "create")

    def view_images(self) -> None:
        """`I`."""
        screen = self.screen
        if isinstance(screen, FleetScreen):
            screen.bring(partial(creating.show_images, screen, self.dashboard), "images")

    def view_trash(self) -> None:
        """`Z`."""
        screen = self.screen
        if isinstance(screen, FleetScreen):
            self.push_screen(trash.TrashScreen(screen))

    def view_ksm(self) -> None:
        """`M`."""
        screen = self.screen
        if isinstance(screen, FleetScreen):
            connection = screen.view.connection(screen.host_uri() or "")
            if connection is not None:
                self.push_screen(ksm.KsmPanel(screen, connection))

    def view_retry(self) -> None:
        """`ctrl+r`."""
        down = [c for c in self.fleet.connections if not c.up]
        for connection in down:
            connection.retry()
        if not down:
            self.notify("All connections are up.", markup=False, timeout=3)

    def view_connections(self) -> None:
        """`@`."""
        self.push_screen(connections.ConnectionsScreen(self.context))

    def view_tasks(self) -> None:
        """`T`."""
        self.push_screen(tasks.TasksScreen(self.context))

    def view_doctor(self) -> None:
        """`H`."""
        self.push_screen(doctor.DoctorScreen(self.context))

    def view_help(self) -> None:
        """`?`."""
        self.push_screen(keys_help.HelpScreen(self.context))

    def view_theme(self) -> None:
        """`ctrl+t`."""
        self.theme = theming.following(list(self.available_themes), self.theme)
        self.notify(f"Theme: {self.theme}", markup=False, timeout=2)

    def view_quit(self) -> None:
        """`q`."""
        leave: WorkType[None] = self._leave
        self.run_worker(leave, group="leave", exclusive=True)

    async def action_quit(self) -> None:
        """Textual's own key for it does the same."""
        self.view_quit()

    def action_help_quit(self) -> None:
        """Ctrl+C is for the terminal; say how to leave."""
        self.notify(f"{self.context.key(BY_ID['quit'])} leaves vmtui.", markup=False, timeout=3)

    async def _leave(self) -> None:
        running = [t.label for t in self.fleet.tasks.views if t.status is TaskStatus.RUNNING]
        if running and self.screen is not self._leaving:  # the second time it is the answer
            question = Question(
                title="Leave while tasks are running?",
                groups=(("They are cancelled; VMs go on.", tuple(map(plain, running))),),
                yes="leave",
                no="stay",
            )
            self._leaving = ConfirmScreen(question)
            if not await self.push_screen_wait(self._leaving):
                return
        self.exit()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every action that can be done now, and every theme."""
        if isinstance(screen, FleetScreen):
            refusal = screen.refusals()
            for action in ACTIONS:
                if not refusal(action):
                    title = f"{action.label[:1].upper()}{action.label[1:]}"
                    yield SystemCommand(
                        f"{title}  ({self.context.key(action)})",
                        action.help,
                        partial(screen.action_do, action.id),
                    )
            for name, action_id in palette.PLAIN_NAMES:
                if not refusal(action := BY_ID[action_id]):
                    yield SystemCommand(name, action.help, partial(screen.action_do, action_id))
            yield from palette.hardware_commands(screen)
        for name in self.available_themes:
            yield SystemCommand(
                f"Theme: {name}", "Use this theme.", partial(setattr, self, "theme", name)
            )
