"""What is done with the text of a console: copying, searching, pasting."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from textual import on
from textual.worker import WorkType

from vmtui.consoles import ConsoleKey, OpenConsole
from vmtui.screens.base import Context
from vmtui.screens.confirm import ConfirmScreen
from vmtui.screens.leaving import Leaving
from vmtui.screens.pasting import paste_question
from vmtui.terminal.paste import encode_paste
from vmtui.units import plain
from vmtui.widgets.console_lines import SearchInput
from vmtui.widgets.console_tiles import Tiles
from vmtui.widgets.copy_mode import CopyMode, Outcome
from vmtui.widgets.terminal_view import TerminalView

TOLD_S = 4.0


class ConsoleTexts(Leaving[None]):
    """What the ConsoleScreen is made of, and those of its commands, by id."""

    context: Context
    prefix: str
    front: OpenConsole
    tiles: Tiles
    search: SearchInput
    told, told_until_s = "", 0.0
    _forwards = False  # the way of the last search

    @property
    def view(self) -> TerminalView | None:
        """What shows the console in front."""
        raise NotImplementedError

    @property
    def in_grid(self) -> list[OpenConsole]:
        """Those side by side; empty while one is alone."""
        raise NotImplementedError

    def typed_into(self) -> Sequence[OpenConsole]:
        """Where typing goes."""
        raise NotImplementedError

    def bring(self, console: OpenConsole) -> None:
        """Another console to the front."""
        raise NotImplementedError

    def use_grid(self, consoles: Sequence[OpenConsole]) -> None:
        """These side by side; none: the one in front alone."""
        raise NotImplementedError

    def name_of(self, key: ConsoleKey) -> str:
        """The VM's name, and the console's where it is not the first."""
        raise NotImplementedError

    def consoles_changed(self) -> None:
        """Draw what changed."""
        raise NotImplementedError

    def tell(self, text: str) -> None:
        """One line, for a moment; a notification would hide what is printed."""
        self.told, self.told_until_s = text, self.context.clock.monotonic_s() + TOLD_S
        self.consoles_changed()

    # -- copying and searching -----------------------------------------------------------------

    def do_copy(self) -> None:
        """Begin copy mode, at the cursor or where it is scrolled back to."""
        view = self.view
        if view is None or view.copying:
            return
        cursor = view.lines.terminal.cursor
        line = view.top + (view.size.height - 1 if view.below else cursor.row)
        view.copying = CopyMode(view.lines, (line, cursor.column), view.size.height)
        view.refresh()

    def copies(self, key: str) -> bool:
        """Whether a key was copy mode's."""
        view = self.view
        if view is None or view.copying is None:
            return False
        mode, outcome = view.copying, view.copying.take(key)
        if outcome is Outcome.COPIED:
            if mode.selection:
                self.copied(view.lines.cut(mode.selection))
            self._end_copying(view)
        elif outcome is Outcome.LEFT:
            self._end_copying(view)
        elif outcome in (Outcome.SEARCH, Outcome.SEARCH_BACK):
            self._ask_for_search(forwards=outcome is Outcome.SEARCH)
        elif outcome in (Outcome.NEXT, Outcome.PREVIOUS):
            self._find(forwards=self._forwards == (outcome is Outcome.NEXT))
        if view.copying is not None:
            view.reveal(mode.spot)
        return True

    def _end_copying(self, view: TerminalView) -> None:
        view.copying, view.wanted = None, ""
        view.follow()
        view.refresh()
        self.consoles_changed()

    def copied(self, text: str) -> None:
        """To the clipboard of the user's terminal."""
        self.app.copy_to_clipboard(text)
        lines = text.count("\n") + 1
        self.tell(f"Copied {len(text)} characters." if lines == 1 else f"Copied {lines} lines.")

    @on(TerminalView.Copied)
    def _selected(self, event: TerminalView.Copied) -> None:
        self.copied(event.text)

    def do_search(self) -> None:
        """Ask what for; backwards, because what matters was printed last."""
        self._ask_for_search(forwards=False)

    def _ask_for_search(self, *, forwards: bool) -> None:
        self._forwards = forwards
        self.search.value = ""
        self.add_class("searching")
        self.search.display = True  # at once: what is not displayed takes no focus
        self.set_focus(self.search)

    @on(SearchInput.Left)
    def _search_given(self, event: SearchInput.Left) -> None:
        self.remove_class("searching")
        self.search.display = False
        view = self.view
        if view is None:
            return
        self.set_focus(view)
        if not event.wanted:
            return
        view.wanted = event.wanted
        if view.copying is None:
            self.do_copy()
        self._find(forwards=self._forwards)

    def _find(self, *, forwards: bool) -> None:
        view = self.view
        if view is not None and view.copying is not None and view.wanted:
            search: WorkType[None] = partial(self._found, view, 1 if forwards else -1)
            self.run_worker(search, group="find", exclusive=True)

    async def _found(self, view: TerminalView, step: int) -> None:
        if view.copying is None:
            return
        spot = await view.lines.find(view.wanted, view.copying.spot, step)
        if spot is None:
            self.tell(f"{plain(view.wanted)} is not there.")
        elif view.copying is not None:
            view.copying.go(spot)
            view.reveal(spot)

    # -- pasting -------------------------------------------------------------------------------

    def do_paste(self) -> None:
        """What was copied in vmtui: the terminal's own clipboard comes as a paste."""
        if self.app.clipboard:
            self.run_worker(self._paste(self.app.clipboard), group="paste")
        else:
            self.tell("Nothing was copied here. Your terminal's own paste works too.")

    @on(TerminalView.Pasted)
    def _pasted(self, event: TerminalView.Pasted) -> None:
        self.run_worker(self._paste(event.text), group="paste")

    async def _paste(self, text: str) -> None:
        targets = self.typed_into()
        where = f"{len(targets)} consoles" if len(targets) > 1 else self.name_of(self.front.key)
        question = paste_question(
            text,
            where,
            limit_bytes=self.context.config.paste_question_bytes,
            bracketed=all(c.terminal.modes.bracketed_paste for c in targets),
        )
        if question and not await self.app.push_screen_wait(ConfirmScreen(question)):
            return
        for console in targets:
            console.type(encode_paste(text, console.terminal.modes))
