"""What is done with open consoles: closing, switching, taking over, saving, logging."""

from __future__ import annotations

import asyncio
from pathlib import Path

from vmtui.actions import unchangeable
from vmtui.consoles import Attachment, OpenConsole
from vmtui.errors import VmtuiError
from vmtui.files import at_home
from vmtui.screens.ask import AskScreen, ChooseScreen
from vmtui.screens.confirm import ConfirmScreen, Question
from vmtui.screens.console_keys import ConsoleHelp
from vmtui.screens.console_texts import ConsoleTexts
from vmtui.units import plain
from vmtui.widgets.console_lines import ATTACHMENTS


class ConsoleVerbs(ConsoleTexts):
    """The other commands of the ConsoleScreen, by id."""

    # -- consoles ------------------------------------------------------------------------------

    def unchangeable(self, console: OpenConsole) -> str:
        """Why nobody here may type on it; empty: nothing forbids it."""
        return unchangeable(self.context.fleet.view().connection(console.key.ref.uri))

    def do_leave(self) -> None:
        """Back; the consoles stay open."""
        self.tiles.armed = False
        self.dismiss()

    def do_close(self) -> None:
        """Close the one in front."""
        self.run_worker(self._close(self.front), group="close")

    async def _close(self, console: OpenConsole) -> None:
        others = [c for c in self.in_grid or self.context.consoles.all if c is not console]
        await self.context.consoles.close(console.key)
        if others:
            self.bring(others[0])
        else:
            self.dismiss()

    def do_next(self) -> None:
        """The next one."""
        self._step(1)

    def do_previous(self) -> None:
        """The one before."""
        self._step(-1)

    def _step(self, step: int) -> None:
        consoles = self.in_grid or list(self.context.consoles.all)
        self.bring(consoles[(consoles.index(self.front) + step) % len(consoles)])

    def do_list(self) -> None:
        """All that are open."""
        self.run_worker(self._choose(), group="choose")

    async def _choose(self) -> None:
        consoles = self.context.consoles.all
        rows = [
            (self.name_of(c.key), f"{ATTACHMENTS[c.attachment][0]} {c.attachment.value}")
            for c in consoles
        ]
        chosen = await self.app.push_screen_wait(
            ChooseScreen("Open consoles", rows, consoles.index(self.front))
        )
        if chosen is not None and consoles[chosen] in self.context.consoles.all:
            self.bring(consoles[chosen])

    def do_grid(self) -> None:
        """All side by side, or this one alone."""
        if self.in_grid:
            self.use_grid(())
        elif len(self.context.consoles.all) > 1:
            self.use_grid(self.context.consoles.all)
        else:
            self.tell("No other console is open.")

    def do_all(self) -> None:
        """Type into all of the grid, or not."""
        if len(self.in_grid) < 2:
            self.tell("That is for a grid of consoles.")
            return
        self.tiles.armed = not self.tiles.armed
        self.consoles_changed()

    def do_help(self) -> None:
        """All these keys."""
        self.app.push_screen(ConsoleHelp(self.prefix))

    def do_take(self) -> None:
        """Take it from whoever has it, after a question."""
        if fixed := self.unchangeable(self.front):
            self.tell(fixed)
        elif self.front.attachment in (Attachment.HELD, Attachment.WATCHING):
            self.run_worker(self._take_over(self.front), group="take")
        else:
            self.tell("Nobody else has this console.")

    async def _take_over(self, console: OpenConsole) -> None:
        question = Question(
            title=f"Take over the console of {self.name_of(console.key)}?",
            groups=(("", (plain(console.notice), "Whoever is attached now is detached.")),),
            yes="take over",
        )
        if await self.app.push_screen_wait(ConfirmScreen(question)):
            console.take_over()

    def do_size(self) -> None:
        """Tell the guest the size."""
        for console in self.typed_into():
            self.run_worker(console.set_size(), group="size")

    # -- files ---------------------------------------------------------------------------------

    def _file_name(self, kind: str) -> str:
        name = self.name_of(self.front.key).replace("/", "_").replace(" ", "-")
        return f"{name}-{self.context.clock.local():%Y%m%d-%H%M%S}.{kind}"

    def do_save(self) -> None:
        """Save what was printed, under a name that is asked for."""
        self.run_worker(self._save(self.front), group="save")

    async def _save(self, console: OpenConsole) -> None:
        view = self.tiles.view(console)
        title = f"Save what {self.name_of(console.key)} printed as"
        name = await self.app.push_screen_wait(AskScreen(title, self._file_name("txt")))
        if not name or view is None:
            return
        text = await view.lines.all_text()
        try:
            path = await asyncio.to_thread(_write_new, name, text)
        except OSError as error:
            why = f"{plain(name)} can't be written: {plain(error.strerror or str(error))}"
            self.notify(why, severity="error", markup=False)
        else:
            self.tell(f"Saved {text.count(chr(10))} lines in {plain(str(path))}.")

    def do_log(self) -> None:
        """Write what is printed to a file, or stop that."""
        self.run_worker(self._log(self.front), group="log")

    async def _log(self, console: OpenConsole) -> None:
        if console.log is not None:
            path = console.log
            await console.stop_log()
            self.tell(f"No longer written to {plain(str(path))}.")
            return
        try:
            path = await console.start_log()
        except VmtuiError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.tell(f"What is printed now is also written to {plain(str(path))}.")


def _write_new(name: str, text: str) -> Path:
    path = at_home(name)
    # A guest's words must not take the place of a file of the user's.
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    return path.resolve()
