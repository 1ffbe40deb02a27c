"""A dialog opens with less work than Textual's own, follows the terminal, and leaves in order."""

from __future__ import annotations

import asyncio

from textual.app import App, ComposeResult
from textual.color import Color
from textual.screen import ModalScreen
from textual.widgets import Input

from vmtui.screens.modal import Modal
from vmtui.widgets.target_field import TargetField


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


class Answered(Input):
    """What a screen waits for comes while its widgets are being taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    def on_unmount(self) -> None:
        """Here it is."""
        self.answer.set()


class Waiting(Modal[None]):
    """Shows an answer in a field."""

    def compose(self) -> ComposeResult:
        """The field."""
        yield Answered()

    def on_mount(self) -> None:
        """Wait."""
        self.run_worker(self._show(self.query_one(Answered).answer))

    async def _show(self, answer: asyncio.Event) -> None:
        await answer.wait()
        await asyncio.sleep(0)
        self.query_one(Answered).value = "here it is"


async def test_an_answer_that_comes_while_its_screen_goes_is_for_nobody() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        waiting = Waiting()
        await app.push_screen(waiting)
        waiting.dismiss()
        await pilot.pause()
        assert app.screen is not waiting


async def test_a_target_can_be_told_of_after_its_dialog_has_gone() -> None:
    app: App[None] = App()
    async with app.run_test():
        field = TargetField()
        await app.mount(field)
        await field.remove()
        field.show(2**30)
        field.tell("below its floor")
