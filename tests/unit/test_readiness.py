import asyncio
import itertools
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.listening import listening
from vmtui import readiness
from vmtui.errors import OperationError
from vmtui.readiness import LoginPrompt, ssh_banner, wait_for_login

BOOT = b"[    0.1] Linux\r\nuser root, password micro\r\n\r\nmicro login: "


@given(st.lists(st.integers(0, len(BOOT)), max_size=6))
def test_the_prompt_is_seen_however_the_stream_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(BOOT)]
    prompt = LoginPrompt()
    seen = [prompt.seen_in(BOOT[start:end]) for start, end in itertools.pairwise(edges)]
    assert seen[-1]


@pytest.mark.parametrize(
    "text",
    [
        b"Debian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ",
        b"\x1b[2J\x1b[Hlocalhost login:",
        b"login: ",
        b"\nAlpine\nlocalhost login: \x1b[6n",
    ],
)
def test_prompts(text: bytes) -> None:
    assert LoginPrompt().seen_in(text)


@pytest.mark.parametrize(
    "text", [b"", b"Last login: Mon", b"login: root\r\nPassword: ", b"relogin", b"login: \r\n"]
)
def test_what_is_no_prompt(text: bytes) -> None:
    assert not LoginPrompt().seen_in(text)


async def said(*chunks: bytes) -> AsyncGenerator[bytes, None]:
    for chunk in chunks:
        yield chunk


async def test_waiting_ends_at_the_prompt() -> None:
    await wait_for_login(said(b"boot\n", b"x login", b": ", b"more"), "x", 5)


async def test_a_vm_that_stops_first_is_told() -> None:
    with pytest.raises(OperationError, match="stopped before"):
        await wait_for_login(said(b"panic\n"), "x", 5)


async def test_only_a_banner_says_that_ssh_is_there() -> None:
    """Taken and dropped, taken and never answered, something else, and then an ssh server."""
    asked = 0
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            await ended.wait()
        elif asked == 3:
            writer.write(b"HTTP/1.1 400\r\n")
        elif asked == 4:
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening(server):
        async with asyncio.timeout(20):
            await ssh_banner(*server.sockets[0].getsockname())
        assert asked == 4
        ended.set()


async def test_an_ssh_server_that_is_slow_to_greet_is_not_flooded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[float]()
    ready = asyncio.Event()

    async def greets(host: str, port: int, limit_s: float) -> bool:
        asked.append(limit_s)
        return await ready.wait()

    monkeypatch.setattr(readiness, "_greets", greets)
    monkeypatch.setattr(readiness, "_MORE_S", 0.0)
    before = asyncio.all_tasks()
    waiting = asyncio.create_task(ssh_banner("127.0.0.1", 22))
    for _ in range(200):
        await asyncio.sleep(0)
    assert asked == [20, 3, 3, 3, 20, 3, 3, 3], "sshd turns others away from ten on"
    ready.set()
    async with asyncio.timeout(20):
        await waiting
    assert asyncio.all_tasks() == before
