import asyncio
import os
import pty
import re
import sys
import termios
from collections.abc import Iterator

import pytest

from vmtui.attach import attach
from vmtui.attach.escape import EscapeKey
from vmtui.attach.history import harmless
from vmtui.attach.outer import OuterTerminal
from vmtui.attach.streams import Output
from vmtui.attach.until import Until
from vmtui.backends.ways_in import Ending
from vmtui.prompt_size import PromptSize

SIZE = (120, 40)
WORDS = b" stty rows 40 cols 120\r"


@pytest.mark.parametrize(
    "printed",
    [
        b"\r\nmicro:~# ",
        b"\r\nroot@web:/etc# \x1b[6n",
        b"\r\n\x1b[?2004h\x1b]0;root@web: ~\x07\x1b[01;32mroot@web\x1b[0m:~$ ",
    ],
)
def test_a_guest_is_told_the_size_at_its_shell_prompt(printed: bytes) -> None:
    size = PromptSize()
    size.printed(printed)
    assert size.words(*SIZE) == WORDS
    size.printed(b" stty rows 40 cols 120\r\nmicro:~# ")
    assert size.words(*SIZE) == b"", "once is enough"
    assert size.words(80, 24) == b" stty rows 24 cols 80\r"


@pytest.mark.parametrize(
    "printed",
    [
        b"micro login: ",
        b"Password: ",
        b"[  1.0] kernel",
        b"\r\nCopying 12# done",
        b"\x1b[?1049h\x1b[1;1H# ",
        b"\x1b[24;1Hline # ",
    ],
)
def test_nothing_is_typed_anywhere_else(printed: bytes) -> None:
    size = PromptSize()
    size.printed(printed)
    assert size.words(*SIZE) == b""


def test_nothing_is_typed_into_a_line_that_the_user_has_begun() -> None:
    size = PromptSize()
    size.printed(b"\r\nmicro:~# ")
    size.typed(b"rm ")
    size.printed(b"rm # ")
    assert size.words(*SIZE) == b""
    size.typed(b"\r")
    size.printed(b"\r\nmicro:~# ")
    assert size.words(*SIZE) == WORDS


def test_the_terminals_own_cursor_report_is_not_typing() -> None:
    size = PromptSize()
    size.printed(b"\r\nmicro:~# \x1b[6n")
    size.typed(b"\x1b[5;11R")
    assert size.words(*SIZE) == WORDS


@pytest.mark.parametrize(
    "query",
    [
        b"\x05",
        b"\x1bZ",
        b"\x1b[6n",
        b"\x1b[?996n",
        b"\x1b[c",
        b"\x1b[>c",
        b"\x1b[x",
        b"\x1b[18t",
        b"\x1b[?u",
        b"\x1b[?4m",
        b"\x1b[?2026$p",
        b"\x1b[>0q",
        b"\x1b]11;?\x07",
        b"\x1b]0;a title\x1b\\",
        b"\x1b]52;c;aGVsbG8=\x07",
        b"\x1bP+q544e\x1b\\",
        b"\x1bP$qm\x1b\\",
    ],
)
def test_the_history_asks_the_terminal_nothing(query: bytes) -> None:
    assert harmless(b"a" + query + b"b") == b"ab"


def test_a_string_without_an_end_takes_nothing_along() -> None:
    assert harmless(b"a\x1b]0;title\x1b[1mb") == b"a\x1b[1mb"
    assert harmless(b"a\x1b]0;ti") == b"a"


@pytest.mark.parametrize(
    "kept", [b"\x1b[1;31mred\x1b[0m", b"\x1b[2J\x1b[5;5Hx", b"\x1b[u", b"\x1b[8;24;80t", b"\x1b[4m"]
)
def test_colours_and_movements_in_the_history_stay(kept: bytes) -> None:
    assert harmless(kept) == kept


@pytest.mark.parametrize(
    "pressed",
    [b"\x1d", b"\x1b[27;5;93~", b"\x1b[93;5u", b"\x1b[93;5:1u", b"\x1b[93::93;133u"],
)
def test_the_escape_key_is_known_however_the_terminal_sends_it(pressed: bytes) -> None:
    key = EscapeKey(b"\x1d")
    assert key.split(b"ab" + pressed + b"cd") == (b"ab", True)
    assert key.label == "Ctrl+]"


@pytest.mark.parametrize(
    "typed", [b"]", b"\x1b", b"\x1b[27;6;93~", b"\x1b[93;5:3u", b"\x03\xc2\x9d"]
)
def test_other_keys_are_the_guests(typed: bytes) -> None:
    assert EscapeKey(b"\x1d").split(typed) == (typed, False)


def test_without_an_escape_key_everything_is_the_guests() -> None:
    everything = bytes(range(256))
    assert EscapeKey(b"").split(everything) == (everything, False)


def test_a_letter_is_sent_by_its_small_form() -> None:
    assert EscapeKey(b"\x01").split(b"\x1b[97;5u") == (b"", True)


def test_what_is_waited_for_is_found_across_pieces_and_colours() -> None:
    until = Until(re.compile(rb"^web login: $", re.MULTILINE))
    assert not until.seen_in(b"web login: root\r\nmore\r\n\x1b[1mweb\x1b")
    assert not until.seen_in(b"[0m log")
    assert until.seen_in(b"in: ")


def test_what_is_waited_for_is_found_at_the_start_of_a_lot() -> None:
    assert Until(re.compile(rb"ready")).seen_in(b"ready" + b"x" * 100_000)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Both sides of the terminal that standard input and output are: the user's, the program's."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "rb", buffering=0) as stream, os.fdopen(ours, "rb", buffering=0):
        monkeypatch.setattr(sys, "__stdin__", stream)
        monkeypatch.setattr(sys, "__stdout__", stream)
        yield ours, theirs


async def test_the_alternate_screen_is_left_also_if_it_was_switched_to_byte_by_byte(
    keyboard: tuple[int, int],
) -> None:
    ours, theirs = keyboard
    output = Output(theirs)
    terminal = OuterTerminal(theirs, output)
    for switches, leaves in ((b"\x1b[?1049h\x1b[1m", True), (b"\x1b[?1049l\x1b[0m", False)):
        terminal.take()
        for byte in switches:
            terminal.printed(bytes([byte]))
        terminal.give_back()
        assert (b"\x1b[?1049l" in os.read(ours, 4096)) is leaves
    output.close()


class DeafConsole:
    """Of a guest that prints nothing and reads nothing; `fail` is an error in the backend."""

    history_bytes = 0
    ending = Ending.DETACHED
    ended_because = ""

    def __init__(self) -> None:
        self.fail = asyncio.Event()
        self.written = asyncio.Event()
        self.closed = False

    async def read(self) -> bytes:
        await self.fail.wait()
        raise ValueError("a mistake")

    async def write(self, _: bytes) -> None:
        self.written.set()
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.closed = True


async def test_a_guest_that_reads_nothing_can_be_left(keyboard: tuple[int, int]) -> None:
    ours, theirs = keyboard
    before = termios.tcgetattr(theirs)
    console = DeafConsole()
    attached = asyncio.create_task(attach(console, name="deaf", escape=b"\x1d"))
    os.write(ours, b"a")
    await console.written.wait()
    assert termios.tcgetattr(theirs) != before
    os.write(ours, b"more\x1d")
    assert await attached == "detached"
    assert console.closed
    assert termios.tcgetattr(theirs) == before


async def test_a_mistake_gives_the_terminal_back_first(keyboard: tuple[int, int]) -> None:
    ours, theirs = keyboard
    before = termios.tcgetattr(theirs)
    console = DeafConsole()
    attached = asyncio.create_task(attach(console, name="deaf", escape=b""))
    os.write(ours, b"\x1d")
    await console.written.wait()
    console.fail.set()
    with pytest.raises(ValueError, match="a mistake"):
        await attached
    assert console.closed
    assert termios.tcgetattr(theirs) == before
