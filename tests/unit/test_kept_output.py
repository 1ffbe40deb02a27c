"""Files that keep what consoles print, and how an attached console goes on from them."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from vmtui.backends.joined_console import JoinedConsole, LoggedConsole
from vmtui.backends.kept_output import ALL, KeptOutput, WatchedConsole
from vmtui.backends.ways_in import Ending

Kind = type[JoinedConsole] | type[LoggedConsole]
KINDS = [JoinedConsole, LoggedConsole]


class Socket:
    """QEMU's side: what is printed goes to a file, and to a client once that was noticed."""

    history_bytes = 0
    ending = Ending.OFF
    ended_because = "the VM is off"

    def __init__(self, log: Path) -> None:
        self._log = log
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.noticed = False
        self.logs = True
        self.heard = asyncio.Event()  # all that was printed, and more is waited for

    def prints(self, data: bytes, *, dropped: bool = False) -> None:
        self.heard.clear()
        if self.noticed and not dropped:
            self._queue.put_nowait(data)
        if self.logs:
            with self._log.open("ab") as file:
                file.write(data)

    def ends(self) -> None:
        self._queue.put_nowait(b"")

    async def read(self) -> bytes:
        if self._queue.empty():
            self.heard.set()
        data = await self._queue.get()
        if not data:
            self.ends()  # for good
        return data

    async def write(self, data: bytes) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "console.log"
    path.write_bytes(b"booted\r\nlogin: ")
    return path


async def taken(console: JoinedConsole | LoggedConsole | WatchedConsole, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(10):
        while len(data) < count:
            piece = await console.read()
            assert piece, data
            data += piece
    return data


def test_the_end_is_read_first_and_then_what_comes(log: Path) -> None:
    kept = KeptOutput(log, 7)
    assert (kept.history_bytes, kept.read(), kept.read()) == (7, b"login: ", b"")
    with log.open("ab") as file:
        file.write(b"root")
    assert (kept.read(), kept.history_bytes) == (b"root", 7)
    kept.close()
    everything = KeptOutput(log, ALL)
    assert everything.read() == b"booted\r\nlogin: root"
    everything.close()


def test_rotated_files_are_one_stream(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    path.write_bytes(b"0")
    kept, read, written = KeptOutput(path, ALL), b"", b"0"
    randomly = random.Random(1)
    for number in range(1, 200):
        piece = b"%d " % number
        written += piece
        if randomly.random() < 0.3:  # as virtlogd does it, with three old files
            for old in (1, 0):
                if path.with_name(f"console.log.{old}").exists():
                    path.with_name(f"console.log.{old}").rename(f"{path}.{old + 1}")
            path.rename(f"{path}.0")
            path.touch()
        with path.open("ab") as file:
            file.write(piece)
        if randomly.random() < 0.6:
            read += kept.read()
    while piece := kept.read():
        read += piece
    assert read == written
    kept.close()
    for wanted in (1, 10, 30, ALL):
        later, data = KeptOutput(path, wanted), b""
        there = sum(file.stat().st_size for file in tmp_path.iterdir())
        while piece := later.read():
            data += piece
        assert later.history_bytes == min(wanted, there)
        assert data == written[-later.history_bytes :]
        later.close()


LONG = b"".join(b"%d " % number for number in range(100))


async def test_no_byte_twice_and_none_lost(log: Path) -> None:
    socket = Socket(log)
    console = JoinedConsole(socket, KeptOutput(log, ALL))
    assert console.history_bytes == 15
    assert await taken(console, 15) == b"booted\r\nlogin: "
    socket.prints(b"printed before QEMU looked\r\n")
    assert await taken(console, 28) == b"printed before QEMU looked\r\n"
    socket.prints(b"and more ")
    socket.noticed = True
    socket.prints(b"and then\r\n" + LONG)
    assert await taken(console, 19 + len(LONG)) == b"and more and then\r\n" + LONG
    socket.logs = False  # from here on the file is of no account
    socket.prints(b"on\r\n")
    assert await taken(console, 4) == b"on\r\n"
    socket.ends()
    assert await console.read() == b""
    await console.close()


async def test_a_file_that_is_behind_is_waited_for(log: Path) -> None:
    socket = Socket(log)
    console = JoinedConsole(socket, KeptOutput(log, ALL))
    await taken(console, 15)
    socket.noticed, socket.logs = True, False
    socket.prints(b"heard first")
    reading = asyncio.create_task(taken(console, 20))
    await socket.heard.wait()
    with log.open("ab") as file:
        file.write(b"unheard: heard first")
    assert await reading == b"unheard: heard first"
    await console.close()


async def test_first_words_that_were_shown_before_are_new_ones(log: Path) -> None:
    socket = Socket(log)
    console = JoinedConsole(socket, KeptOutput(log, ALL))
    await taken(console, 15)
    socket.prints(b"l")
    assert await taken(console, 1) == b"l"
    socket.noticed, socket.logs = True, False
    socket.prints(b"l")  # the console says it a moment before the file has it
    reading = asyncio.create_task(taken(console, 1))
    await socket.heard.wait()
    with log.open("ab") as file:
        file.write(b"l")
    assert await reading == b"l"
    await console.close()


@pytest.mark.parametrize("seed", range(30))
async def test_it_goes_on_from_anywhere(log: Path, seed: int) -> None:
    randomly = random.Random(seed)
    printed = bytes(randomly.choices(b"ab\n", k=800))
    noticed, said, kept, late = randomly.randrange(400), 0, 0, b""
    socket = Socket(log)
    socket.logs = False
    console = JoinedConsole(socket, KeptOutput(log, 5))

    async def everything() -> bytes:
        data = b""
        while piece := await console.read():
            data += piece
        return data

    reading = asyncio.create_task(everything())
    while kept < len(printed):
        piece = printed[said : said + randomly.randrange(1, 9)]
        said += len(piece)
        socket.noticed = said > noticed
        socket.prints(piece)
        late += piece
        if randomly.random() < 0.7 or said == len(printed):  # the file is always behind
            count = len(late) if said == len(printed) else randomly.randrange(len(late) + 1)
            with log.open("ab") as file:
                file.write(late[:count])
            late, kept = late[count:], kept + count
        await asyncio.sleep(0)
    socket.ends()
    assert await reading == b"gin: " + printed
    await console.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_last_words_are_read_when_it_has_ended(log: Path, kind: Kind) -> None:
    socket = Socket(log)
    console = kind(socket, KeptOutput(log, ALL))
    data = await console.read()
    socket.ends()
    socket.prints(b"bye")
    async with asyncio.timeout(10):
        while piece := await console.read():
            data += piece
    assert data.endswith(b"bye")
    await console.close()


class Stuck(Socket):
    """One that can't be let go of."""

    async def close(self) -> None:
        raise OSError


async def test_the_file_is_let_go_of_whatever_becomes_of_the_rest(log: Path) -> None:
    kept = KeptOutput(log, ALL)
    with pytest.raises(OSError):
        await JoinedConsole(Stuck(log), kept).close()
    with pytest.raises(ValueError, match="closed"):
        kept.read()


async def test_what_the_reader_missed_is_taken_from_the_file(log: Path) -> None:
    socket = Socket(log)
    console = LoggedConsole(socket, KeptOutput(log, 0))
    assert console.history_bytes == 0
    socket.noticed = True
    for number in range(100):
        socket.prints(b"%03d " % number, dropped=number % 7 == 3)
    assert await taken(console, 400) == b"".join(b"%03d " % number for number in range(100))
    await console.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_full_disk_does_not_silence_a_console(log: Path, kind: Kind) -> None:
    socket = Socket(log)
    console = kind(socket, KeptOutput(log, 0))
    socket.noticed = True
    socket.prints(b"room")
    assert await taken(console, 4) == b"room"
    socket.logs = False
    for piece in (b"no room ", b"left"):
        socket.prints(piece)
        assert await taken(console, len(piece)) == piece
    await console.close()


async def test_watching_ends_with_the_vm(log: Path) -> None:
    running = True

    async def alive() -> bool:
        return running

    console = WatchedConsole(KeptOutput(log, 7), alive)
    assert await taken(console, 7) == b"login: "
    reading = asyncio.create_task(console.read())
    await asyncio.sleep(0)
    running = False
    assert await reading == b""
    endings = [console.ending]
    await console.close()
    assert await console.read() == b""
    endings.append(console.ending)
    assert endings == [Ending.OFF, Ending.DETACHED]
