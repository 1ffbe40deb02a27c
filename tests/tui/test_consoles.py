"""Embedded consoles: keys, scrollback, search, copying, pasting, several at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.support import Held, Silent, press, running, said, state_of, until, whole
from tests.tui.support import point as point_at
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.backends.demo_console import DemoGuest
from vmtui.config import Config
from vmtui.consoles import Attachment, ConsoleKey
from vmtui.model import Power
from vmtui.screens.ask import AskScreen, ChooseScreen
from vmtui.screens.confirm import ConfirmScreen
from vmtui.screens.console import ConsoleScreen
from vmtui.screens.console_keys import COMMANDS, ConsoleHelp
from vmtui.widgets.console_lines import UNSEEN
from vmtui.widgets.lines import Lines
from vmtui.widgets.terminal_view import TerminalView

PREFIX = "ctrl+backslash"


@dataclass
class Desk:
    """An app with a console in front, and what is behind that."""

    app: VmtuiApp
    pilot: Pilot[None]
    backend: DemoBackend

    @property
    def screen(self) -> ConsoleScreen:
        assert isinstance(self.app.screen, ConsoleScreen)
        return self.app.screen

    @property
    def view(self) -> TerminalView:
        view = self.screen.view
        assert view is not None
        return view

    async def guest(self, name: str = "web-01") -> DemoGuest:
        return await self.backend.guest(self.app.fleet.find(name).id)

    async def open(self, name: str, *, prompt: bool = True) -> None:
        await point_at(self.pilot, self.app, name)
        await press(self.pilot, "c")
        await until(self.pilot, lambda: isinstance(self.app.screen, ConsoleScreen))
        if prompt:
            await self.sees(f"root@{name}:~#")

    async def keys(self, *keys: str) -> None:
        await press(self.pilot, *keys)

    async def type(self, text: str) -> None:
        await press(self.pilot, *({" ": "space"}.get(c, c) for c in text), "enter")

    async def command(self, *keys: str) -> None:
        await press(self.pilot, PREFIX, *keys)

    async def sees(self, text: str) -> None:
        await until(self.pilot, lambda: text in whole(self.app))

    async def sees_not(self, text: str) -> None:
        await until(self.pilot, lambda: text not in whole(self.app))

    async def seq(self, last: int) -> None:
        """Output of so many lines."""
        await self.type(f"seq {last}")
        await self.sees(f"\n{last} ")

    async def paste(self, text: str) -> None:
        self.app.post_message(events.Paste(text))
        await self.pilot.pause()


@asynccontextmanager
async def desk(
    backend: DemoBackend | None = None,
    *,
    vm: str = "web-01",
    size: tuple[int, int] = (100, 30),
    config: Config | None = None,
    prompt: bool = True,
) -> AsyncIterator[Desk]:
    backend = backend or DemoBackend()
    async with running(backend, size=size, config=config) as (app, pilot):
        made = Desk(app, pilot, backend)
        await made.open(vm, prompt=prompt)
        yield made


# -- keys ------------------------------------------------------------------------------------------


async def test_every_key_reaches_the_guest_as_xterm_sends_it() -> None:
    keys = {
        "a": b"a",
        "A": b"A",
        "enter": b"\r",
        "escape": b"\x1b",
        "tab": b"\t",
        "shift+tab": b"\x1b[Z",
        "backspace": b"\x7f",
        "ctrl+c": b"\x03",
        "ctrl+q": b"\x11",
        "ctrl+p": b"\x10",
        "ctrl+t": b"\x14",
        "ctrl+right_square_bracket": b"\x1d",
        "ctrl+@": b"\x00",
        "up": b"\x1b[A",
        "shift+left": b"\x1b[1;2D",
        "ctrl+right": b"\x1b[1;5C",
        "home": b"\x1b[H",
        "end": b"\x1b[F",
        "pageup": b"\x1b[5~",
        "delete": b"\x1b[3~",
        "f1": b"\x1bOP",
        "f12": b"\x1b[24~",
        "question_mark": b"?",
        "q": b"q",
    }
    async with desk() as d:
        guest = await d.guest()
        for key, sent in keys.items():
            guest.typed.clear()
            await d.keys(key)
            await until(d.pilot, lambda expected=sent: bytes(guest.typed) == expected)  # type: ignore[misc]
        assert isinstance(d.app.screen, ConsoleScreen)
        assert d.app.is_running


async def test_cursor_keys_follow_what_the_program_asked_for() -> None:
    async with desk() as d:
        guest = await d.guest()
        await d.type("top")
        await d.sees("top on web-01")
        guest.typed.clear()
        await d.keys("up")
        await until(d.pilot, lambda: bytes(guest.typed) == b"\x1bOA")
        await d.keys("q")
        await until(d.pilot, lambda: "top on web-01" not in whole(d.app))
        await d.sees("root@web-01:~#")


async def test_the_prefix_is_not_the_guests_until_pressed_twice() -> None:
    async with desk() as d:
        guest = await d.guest()
        before = bytes(guest.typed)
        await d.keys(PREFIX)
        await d.sees("t take over")
        await d.keys("y")  # means nothing
        assert bytes(guest.typed) == before
        await d.command(PREFIX)
        await until(d.pilot, lambda: bytes(guest.typed) == before + b"\x1c")


async def test_the_prefix_can_be_another() -> None:
    async with desk(config=Config(console_prefix="ctrl+a")) as d:
        await d.sees("ctrl+a d back")
        guest = await d.guest()
        await d.keys(PREFIX)
        await until(d.pilot, lambda: guest.typed.endswith(b"\x1c"))
        await d.keys("ctrl+a", "d")
        await until(d.pilot, lambda: d.app.screen is d.app.dashboard)


async def test_all_keys_of_consoles_are_told_and_do_something() -> None:
    async with desk(size=(120, 40)) as d:
        await d.command("question_mark")
        await until(d.pilot, lambda: isinstance(d.app.screen, ConsoleHelp))
        for command in COMMANDS:
            await d.sees(command.help[:40])
            assert hasattr(ConsoleScreen, f"do_{command.id}")
        await d.keys("escape")
        await until(d.pilot, lambda: isinstance(d.app.screen, ConsoleScreen))


async def test_what_a_guest_prints_never_gets_through() -> None:
    async with desk() as d:
        guest = await d.guest()
        guest._print(
            "\x1b]0;evil\x07\x1b]52;c;ZXZpbA==\x07a\u202eb\x1b]8;;http://x\x07link\x1b]8;;\x07!"
        )
        await d.sees("link!")
        assert "evil" not in whole(d.app)
        assert d.app.clipboard == ""
        for strip in (d.view.render_line(y) for y in range(d.view.size.height)):
            assert "\u202e" not in strip.text
            assert strip.text.isprintable()
            assert strip.cell_length == d.view.size.width


async def test_a_guest_may_copy_and_name_its_console_where_that_is_allowed() -> None:
    async with desk(config=Config(guest_title=True, guest_clipboard=True)) as d:
        guest = await d.guest()
        guest._print("\x1b]0;good\x07\x1b]52;c;Z29vZA==\x07")
        await d.sees("web-01 – good")
        assert d.app.clipboard == "good"


# -- scrollback, search, copying -----------------------------------------------------------------


async def test_a_scrolled_view_stays_in_place_while_output_goes_on() -> None:
    async with desk() as d:
        guest = await d.guest()
        await d.seq(200)
        await d.keys("shift+pageup")
        await d.sees("lines below · End returns")
        lines = whole(d.app).splitlines()[1:20]
        guest.feed(b"seq 100\r")
        await until(d.pilot, lambda: d.view.below > 100)
        assert whole(d.app).splitlines()[1:20] == lines
        await d.keys("end")
        await until(d.pilot, lambda: not d.view.below)
        assert not guest.typed.endswith(b"\x1b[F")
        await d.keys("shift+pageup", "x")  # typing goes to the end too
        await until(d.pilot, lambda: "root@web-01:~# x" in whole(d.app))


async def test_the_wheel_scrolls_and_is_arrows_in_a_program() -> None:
    async with desk() as d:
        guest = await d.guest()
        await d.seq(100)
        await d.pilot._post_mouse_events([events.MouseScrollUp], d.view, button=0)
        assert d.view.below == 3
        await d.pilot._post_mouse_events([events.MouseScrollDown], d.view, button=0)
        assert d.view.below == 0
        await d.type("top")
        await d.sees("top on web-01")
        await d.pilot._post_mouse_events([events.MouseScrollDown], d.view, button=0)
        await until(d.pilot, lambda: guest.typed.endswith(b"\x1bOB" * 3))


async def test_search_goes_back_and_on_and_marks_matches() -> None:
    async with desk() as d:
        await d.seq(300)
        await d.command("slash")
        await press(d.pilot, *"7", "7", "enter")
        await until(d.pilot, lambda: d.view.copying is not None)
        mode = d.view.copying
        assert mode is not None
        await until(d.pilot, lambda: d.view.lines.terminal.line(mode.spot[0])[0].text == "277")
        await d.keys("n")
        await until(d.pilot, lambda: d.view.lines.terminal.line(mode.spot[0])[0].text == "177")
        assert d.view.top <= mode.spot[0] < d.view.top + d.view.size.height
        await d.keys("N")
        await until(d.pilot, lambda: d.view.lines.terminal.line(mode.spot[0])[0].text == "277")
        await d.keys("slash", *"nowhere", "enter")
        await d.sees("nowhere is not there.")
        await d.keys("q")
        assert d.view.copying is None
        assert not d.view.below


async def test_copy_mode_selects_by_keys() -> None:
    async with desk() as d:
        guest = await d.guest()
        await d.type("echo one two three")
        await d.sees("\none two three")
        typed = bytes(guest.typed)
        await d.command("left_square_bracket")
        await d.keys("k", "0", "w", "v", "w", "h", "h", "y")
        assert d.app.clipboard == "two"
        await d.command("left_square_bracket")
        await d.keys("k", "k", "V", "j", "enter")
        assert d.app.clipboard == "root@web-01:~# echo one two three\none two three"
        assert bytes(guest.typed) == typed


async def test_the_mouse_selects_and_copies_also_through_the_scrollback() -> None:
    async with desk() as d:
        await d.type("echo one two three")
        await d.sees("\none two three")
        row = next(y for y, line in enumerate(whole(d.app).splitlines()) if line[:7] == "one two")
        await d.pilot.mouse_down(offset=(4, row))
        await d.pilot.hover(offset=(6, row))
        await d.pilot.mouse_up(offset=(6, row))
        await d.pilot.pause()
        assert d.app.clipboard == "two"
        await d.pilot.click(offset=(9, row), times=2)
        await d.pilot.pause()
        assert d.app.clipboard == "three"


async def test_the_mouse_is_the_guests_when_it_asks_for_it() -> None:
    async with desk() as d:
        guest = await d.guest()
        guest._print("\x1b[?1000h\x1b[?1006hasked")
        await d.sees("asked")
        await d.pilot.click(offset=(4, 3))
        await until(d.pilot, lambda: guest.typed.endswith(b"\x1b[<0;5;3M\x1b[<0;5;3m"))


async def test_wide_characters_keep_their_columns() -> None:
    async with desk() as d:
        await d.type("ls")
        await d.sees("日本語.txt")
        line = next(li for li in whole(d.app).splitlines() if "日本語" in li)
        assert line.rstrip() == "etc  hello  notes.txt  日本語.txt"


# -- pasting ---------------------------------------------------------------------------------------


async def test_a_line_is_pasted_and_several_are_asked_about() -> None:
    async with desk() as d:
        guest = await d.guest()
        guest.typed.clear()
        await d.paste("echo hi")
        await until(d.pilot, lambda: bytes(guest.typed) == b"echo hi")
        await d.paste("one\ntwo\n")
        await until(d.pilot, lambda: isinstance(d.app.screen, ConfirmScreen))
        await d.sees("Paste 2 lines, 8 B, into web-01?")
        await d.keys("n")
        assert bytes(guest.typed) == b"echo hi"
        await d.paste("one\ntwo\n")
        await until(d.pilot, lambda: isinstance(d.app.screen, ConfirmScreen))
        await d.keys("y")
        await until(d.pilot, lambda: guest.typed.endswith(b"one\rtwo\r"))


async def test_a_bracketed_paste_is_only_asked_about_when_it_is_large() -> None:
    async with desk() as d:
        guest = await d.guest()
        guest._print("\x1b[?2004hready")
        await d.sees("ready")
        await d.paste("one\ntwo")
        await until(d.pilot, lambda: guest.typed.endswith(b"\x1b[200~one\rtwo\x1b[201~"))
        await d.paste("x" * 4097)
        await until(d.pilot, lambda: isinstance(d.app.screen, ConfirmScreen))
        await d.keys("n")


async def test_what_was_copied_here_can_be_pasted_by_key() -> None:
    async with desk() as d:
        guest = await d.guest()
        d.app.copy_to_clipboard("word")
        await d.command("right_square_bracket")
        await until(d.pilot, lambda: guest.typed.endswith(b"word"))


# -- files -----------------------------------------------------------------------------------------


async def test_what_was_printed_is_saved_and_never_over_another_file(tmp_path: Path) -> None:
    async with desk() as d:
        await d.seq(100)
        await d.command("s")
        await until(d.pilot, lambda: isinstance(d.app.screen, AskScreen))
        d.app.screen.query_one(Input).value = str(tmp_path / "out")
        await d.keys("enter")
        await until(d.pilot, (tmp_path / "out").exists)
        await d.sees("Saved ")
        text = (tmp_path / "out").read_text()
        assert "\n1\n2\n3\n" in text
        assert "\n99\n100\nroot@web-01:~#" in text
        await d.command("s")
        await until(d.pilot, lambda: isinstance(d.app.screen, AskScreen))
        d.app.screen.query_one(Input).value = str(tmp_path / "out")
        await d.keys("enter")
        await until(d.pilot, lambda: "File exists" in said(d.app))


async def test_the_log_has_what_is_printed_while_it_is_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with desk() as d:
        await d.command("l")
        await d.sees("● log")
        path = d.screen.front.log
        assert path is not None
        await d.type("echo kept")
        await d.sees("\nkept ")
        await d.command("l")
        await until(d.pilot, lambda: d.screen.front.log is None)
        await d.type("echo lost")
        await d.sees("\nlost ")
        assert b"\r\nkept\r\n" in path.read_bytes()
        assert b"lost" not in path.read_bytes()


# -- several ---------------------------------------------------------------------------------------


async def test_several_are_open_and_switched_by_key() -> None:
    async with desk() as d:
        await d.command("d")
        await until(d.pilot, lambda: d.app.screen is d.app.dashboard)
        await d.open("pihole")
        (await d.guest("web-01"))._print("something new")
        await d.sees("1 web-01•")
        await d.command("n")
        await d.sees("something new")
        await d.sees("1 web-01 ")
        await d.command("2")
        await d.sees("root@pihole")
        await d.command("c")
        await until(d.pilot, lambda: isinstance(d.app.screen, ChooseScreen))
        await d.keys("k", "enter")
        await d.sees("something new")
        await d.command("x")
        await d.sees("root@pihole")
        await until(d.pilot, lambda: len(d.app.consoles.all) == 1)
        await d.sees_not("web-01")
        await d.command("x")
        await until(d.pilot, lambda: d.app.screen is d.app.dashboard)
        assert not d.app.consoles.all


async def test_the_grid_types_into_all_only_while_it_says_so() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        d = Desk(app, pilot, app.fleet.connections[0].backend)  # type: ignore[arg-type]
        for name in ("web-01", "pihole"):
            await point_at(pilot, app, name)
            await press(pilot, "space")
        await press(pilot, "w")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        await d.sees("root@web-01")
        await d.sees("root@pihole")
        web, pihole = await d.guest("web-01"), await d.guest("pihole")
        await d.keys("a")
        await until(pilot, lambda: web.typed + pihole.typed == b"a")
        await d.command("b")
        await d.sees("TYPING INTO ALL 2 CONSOLES")
        await d.keys("b")
        await until(pilot, lambda: web.typed.endswith(b"b") and pihole.typed.endswith(b"b"))
        await d.command("b")
        await d.sees_not("TYPING")
        front = d.screen.front
        await d.command("right")
        assert d.screen.front is not front
        await d.command("left")
        assert d.screen.front is front
        await d.command("b", PREFIX, "g")  # alone again: never armed
        await d.sees_not("TYPING")
        before = len(web.typed) + len(pihole.typed)
        await d.keys("c")
        await until(pilot, lambda: len(web.typed) + len(pihole.typed) == before + 1)
        await d.command("g")
        assert len(d.screen.tiles.tiles) == 2
        await d.sees_not("TYPING")


async def test_what_is_in_the_grid_is_never_marked_as_unseen() -> None:
    async with running(size=(100, 30)) as (app, pilot):
        d = Desk(app, pilot, app.fleet.connections[0].backend)  # type: ignore[arg-type]
        for name in ("web-01", "pihole"):
            await point_at(pilot, app, name)
            await press(pilot, "space")
        await press(pilot, "w")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        await d.sees("root@web-01")
        await d.sees("root@pihole")
        other = next(c for c in app.consoles.all if c is not d.screen.front)
        other.unseen_bytes = 1  # as between what is printed and the next drawing
        d.screen.tick()
        assert UNSEEN not in shown(d.screen.top)
        await d.command("g")
        other.unseen_bytes = 1
        d.screen.tick()
        assert UNSEEN in shown(d.screen.top)


def shown(line: Lines) -> str:
    return "".join(segment.text for segments in line.paint() for segment in segments)


async def test_a_vm_with_several_consoles_asks_which() -> None:
    async with running(size=(100, 30)) as (app, pilot):
        await point_at(pilot, app, "router")
        await press(pilot, "c")
        await until(pilot, lambda: isinstance(app.screen, ChooseScreen))
        await press(pilot, "2")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        await until(pilot, lambda: "router virtio0" in whole(app))
        assert app.consoles.all[0].key.name == "virtio0"


# -- how consoles are -----------------------------------------------------------------------------


async def test_a_console_that_somebody_has_is_watched_until_it_is_taken() -> None:
    async with desk(Held(), prompt=False) as d:
        await until(d.pilot, lambda: d.screen.front.attachment is Attachment.WATCHING)
        await d.sees("root@web-01:~#")
        await d.sees("◐ watching")
        await d.sees("somebody else is attached")
        await d.command("t")
        await until(d.pilot, lambda: isinstance(d.app.screen, ConfirmScreen))
        await d.keys("y")
        await d.sees("● attached")
        await d.type("echo mine")
        await d.sees("\nmine ")


async def test_what_is_said_above_a_console_is_broken_into_lines_as_wide_as_it() -> None:
    async with desk(Held(), prompt=False) as d:
        await d.sees("to this console: a console serves one at a time")
        await d.pilot.resize_terminal(50, 24)
        await d.sees("to this console: a ")
        await d.sees_not("a console serves")


async def test_a_vm_that_stops_says_so_and_is_attached_again_when_it_starts() -> None:
    async with desk() as d:
        ref = d.app.fleet.find("web-01")
        await d.app.fleet.backend(ref).power(ref.id, Power.STOP)
        await d.sees("○ off")
        await d.sees("the VM is off. It is attached again when the VM starts.")
        await d.app.fleet.backend(ref).power(ref.id, Power.START)
        await d.sees("● attached")
        await d.type("echo again")
        await d.sees("\nagain ")
        assert state_of(d.app, "web-01") == "running"


async def deleted(d: Desk, name: str) -> None:
    ref = d.app.fleet.find(name)
    plan = await d.app.fleet.backend(ref).delete_plan(ref.id)
    await d.app.fleet.delete(ref, plan)


async def test_what_is_typed_at_a_vm_that_is_deleted_reaches_no_other() -> None:
    async with desk() as d:
        await d.command("d")
        await d.open("pihole")
        await deleted(d, "pihole")
        await d.sees("the VM is not there any more. ctrl+\\ x closes its console.")
        await d.type("touch mine")
        assert d.screen.name_of(d.screen.front.key) == "pihole"
        await d.command("x")
        await d.sees("root@web-01:~#")
        assert "touch" not in whole(d.app)
        await d.command("x")
        await until(d.pilot, lambda: d.app.screen is d.app.dashboard)
        assert not d.app.consoles.all


async def test_the_console_of_a_deleted_vm_is_closed_once_nobody_sees_it() -> None:
    async with desk() as d:
        await d.command("d")
        await d.open("pihole")
        await deleted(d, "web-01")
        await until(d.pilot, lambda: len(d.app.consoles.all) == 1)
        await deleted(d, "pihole")
        await d.sees("the VM is not there any more")
        await d.command("d")
        await until(d.pilot, lambda: d.app.screen is d.app.dashboard)
        await until(d.pilot, lambda: not d.app.consoles.all)


async def test_a_silent_guest_is_told_of_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmtui.consoles.keeper.SILENT_S", 0.05)
    async with desk(Silent(), prompt=False) as d:
        await d.sees("Nothing was printed so far.")
        await d.sees("console=ttyS0")
        await d.sees("Screen")


# -- the tab ---------------------------------------------------------------------------------------


async def test_the_console_tab_is_live_and_lets_go_of_what_it_only_showed() -> None:
    backend = DemoBackend()
    async with running(backend, size=(120, 40)) as (app, pilot):
        await point_at(pilot, app, "web-01")
        await press(pilot, "tab")
        await until(pilot, lambda: "root@web-01:~#" in whole(app))
        guest = await backend.guest(app.fleet.find("web-01").id)
        guest._print("live")
        await until(pilot, lambda: "root@web-01:~# live" in whole(app))
        await point_at(pilot, app, "pihole")
        await until(pilot, lambda: "root@pihole:~#" in whole(app))
        await until(pilot, lambda: guest.holder is None)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        await until(pilot, lambda: "● attached" in whole(app))
        await press(pilot, PREFIX, "d")
        await point_at(pilot, app, "web-01")
        await until(pilot, lambda: "root@web-01:~# live" in whole(app))
        pihole = ConsoleKey(app.fleet.find("pihole"))
        assert app.consoles.get(pihole) is not None  # it was entered: it stays


async def test_the_pane_shows_no_console_that_was_closed_elsewhere() -> None:
    backend = DemoBackend()
    async with running(backend, size=(120, 40)) as (app, pilot):
        await point_at(pilot, app, "web-01")
        await press(pilot, "tab")
        await until(pilot, lambda: "root@web-01:~#" in whole(app))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
        await until(pilot, lambda: "● attached" in whole(app))
        await press(pilot, PREFIX, "x")
        await until(pilot, lambda: app.screen is app.dashboard)
        guest = await backend.guest(app.fleet.find("web-01").id)
        await until(pilot, lambda: bool(app.context.glanced))
        await until(pilot, lambda: "root@web-01:~#" in whole(app))
        guest._print("live")
        await until(pilot, lambda: "root@web-01:~# live" in whole(app))


async def test_what_a_vm_screen_looked_at_is_let_go_of_by_the_list() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await point_at(pilot, app, "web-01")
        await press(pilot, "enter", "tab")
        await until(pilot, lambda: "root@web-01:~#" in whole(app))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await until(pilot, lambda: not app.consoles.all)


async def test_the_console_tab_of_a_vm_screen_opens_by_enter() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await point_at(pilot, app, "web-01")
        await press(pilot, "enter", "tab")
        await until(pilot, lambda: "root@web-01:~#" in whole(app))
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, ConsoleScreen))
