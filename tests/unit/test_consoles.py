"""The parts of open consoles that need no guest."""

from __future__ import annotations

import asyncio
import resource
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vmtui.backends.ways_in import Ending
from vmtui.consoles.attachment import device_in_guest, places
from vmtui.consoles.feed import Feed
from vmtui.consoles.log_file import LogFile, default_path
from vmtui.consoles.outgoing import LIMIT_BYTES, Outgoing
from vmtui.consoles.redraws import AHEAD, Redraws
from vmtui.consoles.turns import Turns
from vmtui.errors import OperationError
from vmtui.model import VM, State, VMId
from vmtui.terminal.cells import Mouse
from vmtui.terminal.emulator import Emulator
from vmtui.views import ConnectionStatus, ConnectionView, FleetView, VMRef, VMView

HERE, THERE = VMRef("kvm:", VMId("1")), VMRef("lab:", VMId("1"))
VM_ON = VM(VMId("1"), "web", State.RUNNING, 1, 0, consoles=("serial0", "serial1", "console1"))
VM_OFF = replace(VM_ON, state=State.OFF)


def view(here: VM | None, there: VM | None = None, *, up: bool = True) -> FleetView:
    status = ConnectionStatus.UP if up else ConnectionStatus.DOWN
    return FleetView(
        0.0,
        tuple(
            ConnectionView(ref.uri, ref.uri, status, vms=(VMView(ref, vm),) if vm else ())
            for ref, vm in ((HERE, here), (THERE, there))
        ),
    )


def test_a_vm_is_where_it_runs() -> None:
    def place(fleet: FleetView) -> tuple[VMRef, bool]:
        found = places(fleet, [HERE])[HERE]
        return found.ref, found.running

    assert place(view(VM_ON)) == (HERE, True)
    assert place(view(VM_OFF)) == (HERE, False)
    assert place(view(None)) == (HERE, False)
    assert place(view(VM_ON, VM_ON)) == (HERE, True)
    assert place(view(VM_OFF, VM_ON)) == (THERE, True), "it was migrated"
    assert place(view(None, VM_ON)) == (THERE, True)
    assert place(view(VM_ON, up=False)) == (HERE, False)
    assert places(FleetView(0.0, ()), [HERE])[HERE].problem


@pytest.mark.parametrize(
    ("name", "device"),
    [("", "ttyS0"), ("serial0", "ttyS0"), ("serial1", "ttyS1"), ("console1", "hvc0")],
)
def test_the_guest_has_names_of_its_own(name: str, device: str) -> None:
    assert device_in_guest(VM_ON, name) == device


class Script:
    """A console that gives pieces and ends."""

    ending = Ending.OFF
    ended_because = "the VM is off"

    def __init__(self, *pieces: bytes, history_bytes: int = 0) -> None:
        self.history_bytes = history_bytes
        self._pieces = iter(pieces)
        self.written = b""

    async def read(self) -> bytes:
        return next(self._pieces, b"")

    async def write(self, data: bytes) -> None:
        self.written += data

    async def close(self) -> None:
        pass


class Fed:
    """A feed, and what came of it."""

    def __init__(self) -> None:
        self.output = b""
        self.answers = b""
        self.terminal = Emulator()
        self.feed = Feed(self.terminal, Turns(), on_output=self._printed, answer=self._answered)

    def _printed(self, piece: bytes) -> None:
        self.output += piece

    def _answered(self, answer: bytes) -> None:
        self.answers += answer

    def text(self) -> str:
        rows = ("".join(run.text for run in self.terminal.row(row)) for row in range(24))
        return "\n".join(row.rstrip() for row in rows).rstrip()


async def test_questions_of_the_past_are_not_answered() -> None:
    fed = Fed()
    await fed.feed.all_of(Script(b"a\x1b[6n", b"b\x1b[6nc", history_bytes=5), live=True)
    assert fed.answers == b"\x1b[1;3R"
    await fed.feed.all_of(Script(b"\x1b[6n"), live=False)
    assert fed.answers == b"\x1b[1;3R"
    assert fed.text() == "abc"


async def test_what_is_known_is_not_shown_twice() -> None:
    fed = Fed()
    await fed.feed.all_of(Script(b"one\r\n", b"two\r\n", history_bytes=3), live=True)
    again = b"one\r\ntwo\r\nthree\r\n"
    await fed.feed.all_of(Script(again, b"four\r\n", history_bytes=len(again)), live=True)
    await fed.feed.all_of(Script(again + b"four\r\n", history_bytes=len(again) + 6), live=True)
    assert fed.output == b"one\r\ntwo\r\nthree\r\nfour\r\n"
    # What is known is longer ago than what is kept: all that is kept is new.
    await fed.feed.all_of(Script(b"ten\r\n", history_bytes=5), live=True)
    assert fed.output.endswith(b"four\r\nten\r\n")


async def test_a_new_run_begins_below_the_old_one_as_on_a_new_terminal() -> None:
    fed = Fed()
    await fed.feed.all_of(Script(b"boot\r\nlogin: \x1b[?1000h\x1b[?1h\x1b[31m\x1b[?25l"), live=True)
    mouse = [fed.terminal.modes.mouse]
    fed.feed.end_run("the VM is off")
    fed.feed.end_run("the VM is off")
    mouse.append(fed.terminal.modes.mouse)
    assert mouse == [Mouse.BUTTONS, Mouse.OFF]
    assert not fed.terminal.modes.application_cursor
    assert fed.terminal.cursor.visible
    await fed.feed.all_of(Script(b"boot\r\nlogin: ", history_bytes=13), live=True)
    assert fed.text() == "boot\nlogin:\n── the VM is off ──\nboot\nlogin:"


async def test_a_full_screen_program_is_left_when_its_guest_is_gone() -> None:
    fed = Fed()
    await fed.feed.all_of(Script(b"shell\r\n\x1b[?1049h\x1b[Hprogram\x1b]0;half a ti"), live=True)
    fed.feed.end_run("the VM is off")
    assert not fed.terminal.modes.alternate_screen
    assert fed.text() == "shell\n\n── the VM is off ──"


async def test_others_have_their_turn_during_a_flood() -> None:
    turns, order = Turns(), []

    def feed(name: str) -> Feed:
        return Feed(
            Emulator(), turns, on_output=lambda _: order.append(name), answer=lambda _: None
        )

    loud = asyncio.create_task(feed("loud").all_of(Script(b"x\r\n" * 100_000), live=True))
    await asyncio.sleep(0)
    quiet = asyncio.create_task(feed("quiet").all_of(Script(b"key"), live=True))
    await quiet
    assert not loud.done()
    assert order.count("loud") <= 3
    await loud


async def test_what_is_typed_on_comes_before_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmtui.consoles.turns.ECHO_S", 3600.0)
    turns = Turns()
    order: list[str] = []

    def feed(name: str) -> Feed:
        return Feed(
            Emulator(), turns, on_output=lambda _: order.append(name), answer=lambda _: None
        )

    loud, quiet, other = feed("loud"), feed("quiet"), feed("other")
    quiet.typed()
    other.typed()
    flood = asyncio.create_task(loud.all_of(Script(b"x\r\n" * 100_000), live=True))
    await asyncio.sleep(0)
    await quiet.all_of(Script(b"echo"), live=True)
    await other.all_of(Script(b"echo"), live=True)
    assert order == ["quiet", "other"]
    flood.cancel()


async def test_a_flood_goes_on_however_much_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmtui.consoles.turns.ECHO_S", 0.001)
    turns = Turns()
    order: list[bytes] = []
    quiet = Feed(Emulator(), turns, on_output=lambda _: quiet.typed(), answer=lambda _: None)
    loud = Feed(Emulator(), turns, on_output=order.append, answer=lambda _: None)
    quiet.typed()
    typing = asyncio.create_task(quiet.all_of(Script(*[b"echo"] * 1_000_000), live=True))
    await loud.all_of(Script(b"flood"), live=True)
    assert order == [b"flood"]
    typing.cancel()


async def test_a_flood_goes_on_after_an_echo() -> None:
    turns = Turns()
    order: list[bytes] = []
    quiet = Feed(Emulator(), turns, on_output=lambda _: None, answer=lambda _: None)
    loud = Feed(Emulator(), turns, on_output=order.append, answer=lambda _: None)
    quiet.typed()
    await loud.all_of(Script(b"flood"), live=True)
    assert order == [b"flood"]


async def test_echoes_are_drawn_at_once_and_all_else_at_its_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vmtui.consoles.redraws.REDRAW_S", 3600.0)
    drawn: list[bool] = []
    redraws = Redraws(lambda *, echo: drawn.append(echo))

    async def count() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return len(drawn)

    redraws.ask()
    assert await count() == 1  # after a silence
    redraws.ask()
    assert await count() == 1
    redraws.ask(echo=True)
    assert await count() == 2
    redraws.ask()
    redraws.ask(echo=True)
    redraws.ask()
    assert await count() == 3
    redraws.ask(echo=True)
    assert await count() == 1 + AHEAD  # as many may be ahead
    assert drawn == [False] + AHEAD * [True]
    redraws.stop()


async def test_all_else_is_drawn_after_an_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmtui.consoles.redraws.REDRAW_S", 0.01)
    drawn: asyncio.Queue[bool] = asyncio.Queue()
    redraws = Redraws(lambda *, echo: drawn.put_nowait(echo))
    redraws.ask()
    redraws.ask()
    async with asyncio.timeout(10):
        assert not await drawn.get()
        redraws.ask(echo=True)
        assert await drawn.get()
        assert not await drawn.get()
    assert drawn.empty()
    redraws.ask(echo=True)
    redraws.stop()


async def test_what_is_typed_is_sent_and_bounded() -> None:
    outgoing, console = Outgoing(), Script()
    assert outgoing.put(b"x" * LIMIT_BYTES)
    assert not outgoing.put(b"y")
    sending = asyncio.create_task(outgoing.send_to(console))
    async with asyncio.timeout(10):
        while len(console.written) < LIMIT_BYTES:
            await asyncio.sleep(0)
    assert outgoing.put(b"y")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert console.written.endswith(b"xy")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)


# -- logs ----------------------------------------------------------------------------------------


async def test_a_log_is_private_whole_and_never_over_another_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "web.log"
    log = await LogFile.begin(path, pytest.fail)
    for number in range(1000):
        log.add(b"%d\r\n\x1b[0m\x00" % number)
    await log.end()
    assert path.read_bytes() == b"".join(b"%d\r\n\x1b[0m\x00" % n for n in range(1000))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for taken in (path, link, path / "below"):
        with pytest.raises(OperationError):
            await LogFile.begin(taken, pytest.fail)


@pytest.fixture
def _little_room() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_little_room")
async def test_a_full_disk_ends_the_log_alone(tmp_path: Path) -> None:
    failures: list[str] = []
    log = await LogFile.begin(tmp_path / "web.log", failures.append)
    log.add(b"x" * 10_000)
    await log.end()
    log.add(b"more")
    assert len(failures) == 1
    assert "web.log" in failures[0]
    assert (tmp_path / "web.log").stat().st_size == 4096


@pytest.mark.parametrize("name", ["web", "../../etc/passwd", "-rf", ".hidden", "\x1b[31m/", ""])
def test_a_name_stays_in_the_folder(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = default_path(name)
    assert path.parent == tmp_path / "vmtui" / "consoles"
    assert path.resolve().parent == path.parent
    assert path.name[0] not in ".-"
    assert path.name.isprintable()
