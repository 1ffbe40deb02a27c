"""A dialog opens with less work than Textual's own, and still follows the size of the terminal."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.color import Color
from textual.screen import ModalScreen
from textual.widgets import Input

from vmtui.screens.modal import Modal


class Asking(ModalScreen[None]):
    """A field as wide as the terminal, with the focus."""

    DEFAULT_CSS = "Asking Input { background: red; } Asking Input:focus { background: lime; }"

    laid_out = 0

    def on_mount(self) -> None:
        """Count what comes from now on."""
        self.screen_layout_refresh_signal.subscribe(self, self._count, immediate=True)

    def _count(self, _: object) -> None:
        self.laid_out += 1

    def compose(self) -> ComposeResult:
        """The field."""
        yield Input()


class AskingLightly(Asking, Modal[None]):
    """The same as one of vmtui's."""


async def test_a_dialog_opens_with_less_work_and_follows_the_terminal() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        own, dialog = Asking(), AskingLightly()
        for screen in (own, dialog):
            await app.push_screen(screen)
            await pilot.pause()
            field = screen.query_one(Input)
            assert field.has_focus
            assert field.styles.background == Color.parse("lime")
            assert field.outer_size.width == 80
        assert dialog.laid_out < own.laid_out
        await pilot.resize_terminal(60, 20)
        assert field.outer_size.width == 60
        await app.push_screen(AskingLightly())
        await pilot.resize_terminal(100, 30)
        await app.pop_screen()
        await pilot.pause()
        assert field.outer_size.width == 100


async def test_what_is_told_to_go_twice_takes_nothing_else_along() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        below, dialog = AskingLightly(), AskingLightly()
        await app.push_screen(below)
        answers: list[None] = []
        await app.push_screen(dialog, answers.append)
        dialog.dismiss()
        dialog.dismiss()
        await pilot.pause()
        assert app.screen is below
        assert answers == [None]
