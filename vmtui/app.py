"""The interface as a whole: it shows the fleet's views on screens, and owns theme and keys."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual.message import Message
from textual.theme import Theme

from vmtui import theming
from vmtui.actions import BY_ID
from vmtui.backends.registry import shelf_for, usable_endpoints
from vmtui.balance.balancer import Balancer
from vmtui.config import Config, load, themes_path
from vmtui.consoles import OpenConsole, OpenConsoles, Redraws
from vmtui.ending import ending_on_signals
from vmtui.errors import ConfigError, VmtuiError
from vmtui.fleet import Fleet
from vmtui.readable import readable
from vmtui.screens.app_verbs import AppVerbs
from vmtui.screens.base import Context, Examine, examine
from vmtui.screens.dashboard import Dashboard
from vmtui.screens.keys import keymap
from vmtui.screens.resizing import fit
from vmtui.units import plain
from vmtui.views import ConnectionStatus, FleetView
from vmtui.widgets.clock import Clock


class FleetChanged(Message):
    """A new view; a newer one takes its place before it is handled."""

    def __init__(self, view: FleetView) -> None:
        super().__init__()
        self.view = view

    def can_replace(self, message: Message) -> bool:
        """A burst of views is drawn once."""
        return isinstance(message, FleetChanged)


class ConsolesChanged(Message):
    """A console printed something, or is otherwise than it was; `echo`: as somebody typed."""

    def __init__(self, *, echo: bool) -> None:
        super().__init__()
        self.echo = echo

    def can_replace(self, message: Message) -> bool:
        """Each draws everything, or all echoes."""
        return isinstance(message, ConsolesChanged) and message.echo is self.echo


SHOWING_THRESHOLDS = (10_000, 3, 700)
"""For Python's collector: views come and go by the thousand and hold no cycles, closed screens do.
The middle one decides what one collection looks through: at 20 it held up the loop for 70 ms."""


class VmtuiApp(AppVerbs):
    """vmtui on a terminal. It does not close the fleet: who made it does."""

    TITLE = "vmtui"
    ENABLE_COMMAND_PALETTE = True
    CSS_PATH = "app.tcss"

    def __init__(
        self,
        fleet: Fleet,
        config: Config,
        *,
        open_create: bool = False,
        notices: Sequence[str] = (),
        clock: Clock | None = None,
        examine: Examine = examine,
    ) -> None:
        super().__init__()
        self._thresholds = gc.get_threshold()
        self.fleet = fleet
        self.config = config
        self._open_create = open_create
        self._notices = list(notices)
        keys, self._key_problems = keymap(config.keys)
        self._redraws = Redraws(lambda *, echo: self.post_message(ConsolesChanged(echo=echo)))
        self.consoles = OpenConsoles(
            fleet,
            self._redraws.ask,
            echoed=partial(self._redraws.ask, echo=True),
            scrollback_lines=config.scrollback_lines,
        )
        self.balancer = Balancer(fleet, on_failure=self.balance_failed)
        self.context = Context(
            fleet,
            config,
            self.consoles,
            shelf_for([c.uri for c in fleet.connections]),
            clock or Clock(),
            keys=keys,
            examine=examine,
            balancer=self.balancer,
        )
        self.dashboard = Dashboard(self.context)

    # -- life --------------------------------------------------------------------------------

    def on_load(self) -> None:
        """Have tasks begin at the loop's next turn, not while they are being made."""
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        """Themes, keys, the first screen, then the fleet."""
        self._use_themes()
        self.set_keymap(self.context.keys)
        self.push_screen(self.dashboard)
        self.fleet.watch(self._changed)
        self.fleet.supervise()
        self.set_interval(1.0, self._tick, name="clock")
        if self._key_problems:
            self.notify(
                "\n".join(self._key_problems),
                title="Keys in the configuration that are not used",
                severity="warning",
                markup=False,
                timeout=15,
            )
        self.call_after_refresh(self._started)

    def _started(self) -> None:
        # What is loaded by now stays, and what the views are made of is freed without the
        # collector, which would look through it all every other second and hold up the loop.
        gc.freeze()
        gc.set_threshold(*SHOWING_THRESHOLDS)
        self.run_worker(self.load_rest(), group="load")
        if self._notices:
            self.dashboard.set_notice("; ".join(self._notices))
        if any(not c.uri.startswith("demo:") for c in self.fleet.connections):
            self.run_worker(self._examine(), group="doctor")
            self.run_worker(self.balancer.run(), group="balance")
        if self._open_create:
            self.dashboard.action_do("new")

    async def on_unmount(self) -> None:
        """Detach from consoles, and leave the process as it was."""
        await self.consoles.close_all()
        self._redraws.stop()
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)

    async def _examine(self) -> None:
        try:
            checks = await self.context.examine()
        except VmtuiError as error:
            self._notices.append(error.what)
        else:
            missing = [check for check in checks if check.wrong]
            if len(missing) == 1:
                self._notices.append(f"{missing[0].name}: {missing[0].found}")
            elif missing:
                names = ", ".join(check.name for check in missing)
                self._notices.append(f"not available: {names}")
        if self._notices:
            key = self.context.key(BY_ID["doctor"])
            self.dashboard.set_notice(plain("; ".join(self._notices)), key)

    def recording_failed(self, error: VmtuiError) -> None:
        """Say that no more is recorded; the rest goes on."""
        if self.is_running:
            self.notify(str(error), severity="error", markup=False, timeout=30)

    def balance_failed(self, error: VmtuiError) -> None:
        """Say that what automatic balance does is not logged."""
        if self.is_running:
            self.notify(str(error), severity="warning", markup=False, timeout=15)

    # -- views -------------------------------------------------------------------------------

    def _changed(self, view: FleetView) -> None:
        self.post_message(FleetChanged(view))

    def on_fleet_changed(self, event: FleetChanged) -> None:
        """Draw the view on every screen that shows VMs."""
        self._close_consoles_of_deleted(event.view)
        if self.context.suspended:
            return
        for screen in reversed(self.screen_stack):
            show = getattr(screen, "show", None)
            if show is not None:
                show(event.view)
            if not screen.is_modal:
                break  # what is below can't be seen; it draws when it comes back

    def _close_consoles_of_deleted(self, view: FleetView) -> None:
        for console in self.consoles.all:
            connection = view.connection(console.ref.uri)
            if connection is None or connection.status is not ConnectionStatus.UP:
                continue  # it may be there all the same
            if view.row(console.ref) is None and not self._sees(console):
                self.run_worker(self.consoles.close(console.key), group="deleted")

    def _sees(self, console: OpenConsole) -> bool:
        """Whether it is in front of the user: what is typed there must not reach another."""
        screens = (getattr(screen, "sees", None) for screen in self.screen_stack)
        return any(sees is not None and sees(console) for sees in screens)

    def on_consoles_changed(self, event: ConsolesChanged) -> None:
        """Draw the consoles of the screen in front."""
        if not self.screen_stack:
            return  # vmtui ends
        changed = getattr(self.screen, "consoles_changed", None)
        draw = getattr(self.screen, "console_echoed", None) if event.echo else changed
        if draw is not None and not self.context.suspended:
            draw()

    def _tick(self) -> None:
        if self.context.suspended or not self.screen_stack:
            return
        fit(self)
        tick = getattr(self.screen, "tick", None)
        if tick is not None:
            tick()

    # -- themes ------------------------------------------------------------------------------

    def get_theme(self, theme_name: str) -> Theme | None:
        """As Textual's, with colours that can be read."""
        theme = super().get_theme(theme_name)
        return None if theme is None else readable(theme)

    def _use_themes(self) -> None:
        themes, failed = theming.load_themes([*theming.shipped_folders(), themes_path()])
        for theme in themes:
            self.register_theme(theme)
        if self.config.theme == theming.DEFAULT and self.console.color_system == "standard":
            self.theme = theming.SIXTEEN
        elif self.config.theme in self.available_themes:
            self.theme = self.config.theme
        else:
            known = ", ".join(sorted(self.available_themes))
            failed.append(
                ConfigError(f"there is no theme {self.config.theme!r}", hint=f"There is: {known}.")
            )
            if theming.DEFAULT in self.available_themes:
                self.theme = theming.DEFAULT
        for error in failed:
            self.notify(str(error), severity="warning", markup=False, timeout=15)


def run(
    uris: Sequence[str],
    config: Config | None = None,
    *,
    read_only: bool = False,
    record: Path | None = None,
) -> int:
    """Open the interface on `uris` until the user leaves; gives the exit status.

    Raises InputError for a URI that nothing understands, or a file that can't be recorded to.
    """
    config = config or load()
    read_only = read_only or config.read_only
    usable, notices = usable_endpoints(uris, read_only=read_only, trash_days=config.trash_days)

    async def session() -> int:
        fleet = Fleet(
            usable,
            interval_s=config.interval_s,
            read_only=read_only,
            thresholds=config.thresholds(),
        )
        app = VmtuiApp(fleet, config, notices=notices)
        if record is None:
            return await show(app)
        from vmtui.recorder import recorded  # noqa: PLC0415

        async with recorded(fleet, record, app.recording_failed):
            return await show(app)

    return asyncio.run(session())


async def show(app: VmtuiApp) -> int:
    """Show the interface until the user leaves, and close its fleet; gives the exit status."""
    loop = asyncio.get_running_loop()
    with ending_on_signals() as ending:
        ending.politely = lambda: loop.call_soon_threadsafe(app.exit)
        try:
            await app.run_async()
        finally:
            await app.fleet.close()
    return 128 + ending.received if ending.received else app.return_code or 0
