"""A guest's screen as a widget, on the demo's displays."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen

from tests.contract.cases import until
from vmtui.backends.demo import DemoBackend
from vmtui.graphics import Graphics
from vmtui.model import State, VMId
from vmtui.picture import Part, half_blocks, scaled
from vmtui.widgets.guest_keys import chords
from vmtui.widgets.screen_view import ScreenView

PREFIX = "ctrl+backslash"


class ScreenApp(App[None]):
    """One view, and what it says to its screen."""

    def __init__(self, graphics: str) -> None:
        super().__init__()
        self.view = ScreenView(prefix=PREFIX, layout="de", graphics=graphics)
        self.reserved: list[str] = []
        self.pasted: list[str] = []

    def compose(self) -> ComposeResult:
        yield self.view

    def on_screen_view_reserved(self, message: ScreenView.Reserved) -> None:
        self.reserved.append(message.key)

    def on_screen_view_pasted(self, message: ScreenView.Pasted) -> None:
        self.pasted.append(message.text)


@pytest.fixture
async def backend() -> AsyncIterator[DemoBackend]:
    backend = DemoBackend()
    await backend.open()
    yield backend
    await backend.close()


async def of_state(backend: DemoBackend, state: State) -> VMId:
    return next(vm.id for vm in await backend.vms() if vm.state is state)


@asynccontextmanager
async def shown(
    backend: DemoBackend, vm: VMId, *, graphics: str = "auto"
) -> AsyncIterator[tuple[ScreenApp, Pilot[None]]]:
    app = ScreenApp(graphics)
    async with app.run_test(size=(80, 26)) as pilot:
        await app.view.show(backend, vm, pointer=True)
        app.view.focus()
        await pilot.pause()
        yield app, pilot


def text(app: ScreenApp) -> list[str]:
    return [app.view.render_line(y).text for y in range(app.view.size.height)]


async def says(app: ScreenApp, words: str) -> None:
    await until(lambda: words in "\n".join(text(app)), what=f"{words} in {text(app)}")


async def test_it_is_drawn_in_half_blocks_with_its_size_and_scale(backend: DemoBackend) -> None:
    vm = await of_state(backend, State.RUNNING)
    async with shown(backend, vm) as (app, _):
        await says(app, "640x400 · 12 % · half blocks")
        picture = await backend.picture(vm)
        cells = half_blocks(scaled(picture, Part(0, 0, 640, 400), 80, 50))
        for y, row in enumerate(cells):
            strip = app.view.render_line(y)
            assert set(strip.text) == {"▀"}
            drawn = [
                (segment.style.color.triplet, segment.style.bgcolor.triplet)
                for segment in strip
                for _ in segment.text
                if segment.style and segment.style.color and segment.style.bgcolor
            ]
            assert drawn == row


async def test_keys_go_to_the_guest_by_its_layout(backend: DemoBackend) -> None:
    vm = await of_state(backend, State.RUNNING)
    display = await backend.display(vm)
    async with shown(backend, vm) as (_, pilot):
        await pilot.press("a", "Z", "?", "enter", "ctrl+c", "shift+tab", "f5", "escape", "up")
        wanted: list[tuple[str, ...]] = [
            ("a",),
            ("shift", "y"),
            ("shift", "minus"),
            ("ret",),
            ("ctrl", "c"),
            ("shift", "tab"),
            ("f5",),
            ("esc",),
            ("up",),
        ]
        await until(lambda: display.pressed == wanted, what=f"{display.pressed}")


async def test_the_prefix_makes_commands(backend: DemoBackend) -> None:
    vm = await of_state(backend, State.RUNNING)
    display = await backend.display(vm)
    async with shown(backend, vm) as (app, pilot):
        await says(app, "640x400")
        await pilot.press(PREFIX, "delete", PREFIX, "f2", PREFIX, "d", PREFIX, PREFIX)
        wanted: list[tuple[str, ...]] = [
            ("ctrl", "alt", "delete"),
            ("ctrl", "alt", "f2"),
            ("ctrl", "alt_r", "minus"),
        ]
        await until(lambda: display.pressed == wanted, what=f"{display.pressed}")
        assert app.reserved == ["d"]
        await pilot.press(PREFIX, "z")
        await says(app, "640x400 · 100 %")
        await pilot.press(PREFIX, "right", "right", "down", "z")
        await says(app, "640x400 · 12 %")


async def test_what_was_pasted_is_typed_once_it_is_allowed(backend: DemoBackend) -> None:
    vm = await of_state(backend, State.RUNNING)
    display = await backend.display(vm)
    async with shown(backend, vm) as (app, pilot):
        app.view.post_message(events.Paste("äb"))
        await until(lambda: app.pasted == ["äb"])
        await pilot.pause()
        assert display.pressed == []
        app.view.paste("äb")
        await until(lambda: display.pressed == [("apostrophe",), ("b",)])
        app.view.paste("a漢")
        await says(app, "German keyboard (de) has no '漢'")
        assert display.pressed == [("apostrophe",), ("b",)]


async def test_the_pointer_is_where_the_mouse_is(backend: DemoBackend) -> None:
    vm = await of_state(backend, State.RUNNING)
    display = await backend.display(vm)
    async with shown(backend, vm) as (app, pilot):
        await says(app, "640x400")
        await pilot.mouse_down(app.view, offset=(20, 12))
        x, y = 20.5 / 80, 25 / 50
        await until(lambda: display.pointer == (x, y) and display.buttons == frozenset({"left"}))
        await pilot.mouse_up(app.view, offset=(20, 12))
        await until(lambda: display.buttons == frozenset())


async def test_a_vm_that_is_off_says_so(backend: DemoBackend) -> None:
    async with shown(backend, await of_state(backend, State.OFF)) as (app, _):
        await says(app, "is off")


async def test_nobody_looks_at_a_hidden_screen(backend: DemoBackend) -> None:
    vm = await of_state(backend, State.RUNNING)
    async with shown(backend, vm) as (app, pilot):
        await says(app, "640x400")
        app.view.display = False
        await pilot.pause()
        before = app.view.screen_picture
        await backend.press(vm, ["a"])
        app.view.display = True
        await until(lambda: app.view.screen_picture is not before)


@pytest.mark.parametrize(
    ("key", "character", "layout", "wanted"),
    [
        ("a", "a", "fr", [("q",)]),
        ("ctrl+a", None, "fr", [("ctrl", "q")]),
        ("ctrl+backslash", None, "us", [("ctrl", "backslash")]),
        ("alt+f4", None, "us", [("alt", "f4")]),
        ("circumflex_accent", "^", "de", [("grave_accent",), ("spc",)]),
        ("space", " ", "us", [("spc",)]),
    ],
)
def test_a_key_of_the_terminal_is_one_of_the_guest(
    key: str, character: str | None, layout: str, wanted: list[tuple[str, ...]]
) -> None:
    assert chords(key, character, layout) == wanted


@pytest.mark.parametrize("graphics", [Graphics.KITTY, Graphics.SIXEL])
async def test_a_terminal_that_can_draws_the_picture_itself(
    backend: DemoBackend, graphics: Graphics, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = await of_state(backend, State.RUNNING)
    async with shown(backend, vm, graphics=graphics) as (app, _):
        await says(app, {"kitty": "kitty graphics", "sixel": "sixels"}[graphics])
        sent: list[str] = []
        driver = app._driver
        assert driver is not None
        monkeypatch.setattr(driver, "write", sent.append)
        await backend.press(vm, ["a"])
        if graphics is Graphics.SIXEL:
            # In its place, and the cursor back where Textual left it; no cell is painted.
            await until(lambda: any("\x1b7\x1b[1;1H\x1bP" in text for text in sent))
            assert app.view.render_line(0).text.isspace()
        else:
            # The first picture's paint may end only now: what it deletes is not what is meant.
            await until(lambda: any(text.startswith("\x1b_Ga=T,") for text in sent))
            number = re.search(r"\x1b_Ga=T,.*?i=(\d+),", "".join(sent))
            assert number
            after = next(at for at, text in enumerate(sent) if text.startswith("\x1b_Ga=T,"))
            await until(lambda: any(text.startswith("\x1b_Ga=d") for text in sent[after:]))
            assert f"i={number[1]}\x1b" not in "".join(sent[after:])  # the one that is seen stays
            style = next(s.style for s in app.view.render_line(0) if "\U0010eeee" in s.text)
            assert style and style.color and style.color.triplet
            assert int.from_bytes(bytes(style.color.triplet), "big") == int(number[1])
        # Below a dialog it is made of cells, which can be dimmed.
        app.push_screen(ModalScreen())
        await until(lambda: "▀" in app.view.render_line(0).text)
        app.pop_screen()
        await until(lambda: "▀" not in app.view.render_line(0).text)
