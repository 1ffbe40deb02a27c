"""An open console on a backend that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from vmtui.backends.base import Endpoint, Feature
from vmtui.backends.demo import DemoBackend
from vmtui.backends.ways_in import Console, Ending
from vmtui.consoles import Attachment, ConsoleKey, OpenConsole, OpenConsoles, keeper
from vmtui.errors import (
    BusyError,
    RefusedError,
    UnreachableError,
    UnsupportedError,
    VmtuiError,
)
from vmtui.fleet import Fleet
from vmtui.model import VM, State, VMId
from vmtui.views import ConnectionStatus, VMRef

LIMIT_S = 10.0


class Line:
    """A console that prints what the test says."""

    history_bytes = 0

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.ending = Ending.OFF
        self.ended_because = ""
        self.written = b""
        self.closed = False

    def prints(self, data: bytes) -> None:
        self._queue.put_nowait(data)

    def ends(self, ending: Ending, because: str) -> None:
        self.ending, self.ended_because = ending, because
        self._queue.put_nowait(b"")

    async def read(self) -> bytes:
        return await self._queue.get()

    async def write(self, data: bytes) -> None:
        self.written += data

    async def close(self) -> None:
        self.closed = True


class Told(DemoBackend):
    """Its VMs run, and have consoles that are given out or not."""

    features = DemoBackend.features | Feature.CONSOLE

    def __init__(self) -> None:
        super().__init__("demo:")
        self.lines: list[Line] = []
        self.error: VmtuiError | None = None
        self.forced = 0

    async def vms(self) -> Sequence[VM]:
        return [
            replace(vm, state=State.RUNNING, consoles=("serial0", "virtio0"))
            for vm in await super().vms()
        ]

    async def console(  # type: ignore[override]
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> Console:
        if self.error is not None and not force:
            raise self.error
        self.forced += force
        self.lines.append(Line())
        return self.lines[-1]


class Opened:
    """One console over it."""

    def __init__(self, backend: Told, console: OpenConsole, changed: asyncio.Event) -> None:
        self.backend = backend
        self.console = console
        self._changed = changed

    @classmethod
    @asynccontextmanager
    async def on(
        cls, backend: Told, name: str = "", *, attach: bool = True
    ) -> AsyncIterator[Opened]:
        fleet, changed = Fleet([Endpoint(backend, "demo")]), asyncio.Event()
        await fleet.connect()
        consoles = OpenConsoles(fleet, changed.set)
        ref = VMRef(backend.uri, fleet.connections[0].vms[0].id)
        try:
            console = consoles.open(ConsoleKey(ref, name), attach=attach)
            yield cls(backend, console, changed)
        finally:
            await consoles.close_all()
            await fleet.close()
        assert all(line.closed for line in backend.lines)

    async def until(self, reached: Callable[[OpenConsole], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not reached(self.console):
                self._changed.clear()
                await self._changed.wait()

    async def becomes(self, attachment: Attachment) -> None:
        await self.until(lambda console: console.attachment is attachment)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILENT_S", "HELD_RETRY_S", "RETRY_FIRST_S"):
        monkeypatch.setattr(keeper, name, 0.05)


@pytest.mark.parametrize(("name", "device"), [("", "ttyS0"), ("virtio0", "hvc0")])
async def test_a_silent_guest_gets_a_hint_until_it_speaks(name: str, device: str) -> None:
    async with Opened.on(Told(), name) as opened:
        await opened.until(lambda console: bool(console.hint))
        assert f"console={device}" in opened.console.hint
        assert "Screen" in opened.console.hint
        opened.backend.lines[0].prints(b"at last")
        await opened.until(lambda console: not console.hint)
        assert opened.console.unseen_bytes == 7
        opened.console.seen()
        assert opened.console.unseen_bytes == 0


async def test_typing_reaches_the_guest_only_while_attached() -> None:
    async with Opened.on(Told()) as opened:
        opened.console.type(b"too early")
        await opened.becomes(Attachment.ATTACHED)
        opened.console.type(b"now")
        line = opened.backend.lines[0]
        line.prints(b"\x1b[6n")
        async with asyncio.timeout(LIMIT_S):
            while line.written != b"now\x1b[1;1R":
                await asyncio.sleep(0)


async def test_who_has_it_is_told_and_left_alone_until_taking_over_is_wanted() -> None:
    backend = Told()
    backend.error = BusyError("someone is attached", why="process 42", hint="Take it over.")
    async with Opened.on(backend) as opened:
        await opened.becomes(Attachment.HELD)
        assert opened.console.holder == "process 42"
        assert "someone" in opened.console.notice
        assert backend.forced == 0
        opened.console.take_over()
        await opened.becomes(Attachment.ATTACHED)
        assert (backend.forced, opened.console.holder, opened.console.notice) == (1, "", "")

        # Taken away again: told, and not fought for; when it is free, it comes back.
        backend.lines[0].ends(Ending.TAKEN, "taken over by process 43")
        await opened.becomes(Attachment.HELD)
        assert opened.console.notice == "taken over by process 43"
        backend.error = None
        await opened.becomes(Attachment.ATTACHED)
        assert backend.forced == 1


@pytest.mark.parametrize("watchable", [True, False])
async def test_a_glance_keeps_nobody_from_it(
    watchable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> Console:
        raise UnsupportedError("nothing is kept")

    backend = Told()
    if not watchable:
        monkeypatch.setattr(backend, "watch_console", refuse)
    async with Opened.on(backend, attach=False) as opened:
        await opened.becomes(Attachment.WATCHING if watchable else Attachment.DETACHED)
        assert backend.lines == []
        opened.console.attach()
        await opened.becomes(Attachment.ATTACHED)
        opened.console.attach()
        assert len(backend.lines) == 1


async def test_a_read_only_connection_says_so() -> None:
    backend = Told()
    backend.error = RefusedError("the console is refused", why="this connection is read-only")
    async with Opened.on(backend) as opened:
        await opened.becomes(Attachment.HELD)
        assert "read-only" in opened.console.notice


async def test_it_comes_back_after_a_failure() -> None:
    backend = Told()
    backend.error = UnreachableError("it can't be reached")
    async with Opened.on(backend) as opened:
        await opened.becomes(Attachment.LOST)
        backend.error = VmtuiError("something else")
        await opened.becomes(Attachment.FAILED)
        backend.error = None
        await opened.becomes(Attachment.ATTACHED)
        backend.lines[0].prints(b"first run")
        backend.lines[0].ends(Ending.OFF, "the VM is off")
        await opened.becomes(Attachment.OFF)
        await opened.becomes(Attachment.ATTACHED)


async def test_the_size_is_offered_at_a_prompt_and_typed() -> None:
    async with Opened.on(Told()) as opened:
        await opened.becomes(Attachment.ATTACHED)
        assert not opened.console.offers_size
        opened.backend.lines[0].prints(b"web:~# ")
        await opened.until(lambda console: console.offers_size)
        opened.console.resize(132, 50)
        await opened.console.set_size()
        async with asyncio.timeout(LIMIT_S):
            while not opened.backend.lines[0].written:
                await asyncio.sleep(0)
        assert opened.backend.lines[0].written == b" stty rows 50 cols 132\r"
        assert not opened.console.offers_size


async def test_a_log_is_switched_on_and_off(tmp_path: Path) -> None:
    async with Opened.on(Told()) as opened:
        await opened.becomes(Attachment.ATTACHED)
        line = opened.backend.lines[0]
        line.prints(b"before")
        await opened.until(lambda console: console.unseen_bytes == 6)
        path = await opened.console.start_log(tmp_path / "web.log")
        assert opened.console.log == path
        line.prints(b"\x1b[31mraw\r\n\xff")
        await opened.until(lambda console: console.unseen_bytes == 17)
        await opened.console.stop_log()
        line.prints(b"after")
        await opened.until(lambda console: console.unseen_bytes == 22)
        assert opened.console.log is None
        assert path.read_bytes() == b"\x1b[31mraw\r\n\xff"


async def test_it_stays_where_the_vm_is_until_that_has_left() -> None:
    desk, lab = Told(), Told()
    lab.uri = "lab:"
    fleet, changed = Fleet([Endpoint(desk, "desk"), Endpoint(lab, "lab")]), asyncio.Event()
    consoles = OpenConsoles(fleet, changed.set)
    fleet.watch(lambda _: changed.set())
    vm = (await desk.vms())[0]
    console = consoles.open(ConsoleKey(VMRef(desk.uri, vm.id)))

    async def until(reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not reached():
                changed.clear()
                await changed.wait()

    async def known(*states: State | None) -> None:
        for connection, state in zip(fleet.connections, states, strict=True):
            here = [replace(vm, state=state)] if state else []
            connection.describe(ConnectionStatus.UP, None, here)
        changed.clear()
        async with asyncio.timeout(LIMIT_S):
            await changed.wait()

    try:
        await known(State.RUNNING, None)
        await until(lambda: console.attachment is Attachment.ATTACHED)
        await known(None, State.RUNNING)
        desk.lines[0].ends(Ending.OFF, "the VM is gone")
        await until(lambda: console.notice == "the VM runs on lab now")
        assert (console.attachment, console.ref.uri) == (Attachment.ATTACHED, lab.uri)

        # Where a VM is migrated to, it is there before it runs.
        await known(State.PAUSED, State.RUNNING)
        assert console.ref.uri == lab.uri
        await known(State.RUNNING, None)
        lab.lines[0].ends(Ending.OFF, "the VM is gone")
        await until(lambda: console.notice == "the VM runs on desk now")
        assert (console.attachment, console.ref.uri) == (Attachment.ATTACHED, desk.uri)
    finally:
        await consoles.close_all()
        await fleet.close()
