from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.listening import listening
from vmtui.backends.addresses import of_neighbours
from vmtui.backends.kvm import agent
from vmtui.backends.kvm.addresses import of_interfaces
from vmtui.backends.kvm.agent import Address, Interface, answers, interfaces

MAC, OTHER = "52:54:00:00:00:01", "52:54:00:00:00:02"

# As qemu-ga 7.2 on Debian 12 says it, without most of its counters.
REAL = b"""{"return": [
{"name": "lo", "ip-addresses": [{"ip-address-type": "ipv4", "ip-address": "127.0.0.1",
 "prefix": 8}], "hardware-address": "00:00:00:00:00:00", "statistics": {"tx-packets": 88}},
{"name": "enp1s0", "ip-addresses": [
 {"ip-address-type": "ipv4", "ip-address": "192.168.7.20", "prefix": 24},
 {"ip-address-type": "ipv6", "ip-address": "2001:db8::20", "prefix": 64},
 {"ip-address-type": "ipv6", "ip-address": "fe80::5054:ff:fe00:1", "prefix": 64}],
 "hardware-address": "52:54:00:00:00:01", "statistics": {"tx-packets": 9}},
{"name": "docker0", "ip-addresses": [{"ip-address-type": "ipv4", "ip-address": "172.17.0.1",
 "prefix": 16}], "hardware-address": "02:42:aa:bb:cc:dd"},
{"name": "wg0"}]}""".replace(b"\n", b"")


@asynccontextmanager
async def guest(
    channel: Path, said: bytes = b"", *, there: bool = True, before: bytes = b""
) -> AsyncIterator[None]:
    """Greets, unless it is not `there`, then says `said` whatever it is asked."""
    speaking = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaking.append(asyncio.current_task())
        with suppress(ConnectionError):  # nobody listens to it any more
            line = await reader.readline()
            if there:
                number = json.loads(line)["arguments"]["id"]
                writer.write(before + json.dumps({"return": number}).encode() + b"\n")
                if await reader.readline():
                    writer.write(said)
                    await reader.read()  # until it is left
            writer.close()
            await writer.wait_closed()

    async with listening(await asyncio.start_unix_server(speak, channel)):
        yield
    await asyncio.gather(*filter(None, speaking))


async def test_an_agent_is_there_once_it_answers_us(tmp_path: Path) -> None:
    assert not await answers(tmp_path / "none")
    assert await interfaces(tmp_path / "none") == ()
    async with guest(tmp_path / "mute", there=False):
        assert not await answers(tmp_path / "mute")
    before = b'\xff{"return": 7}\n{"return": []}\n'  # for somebody before us
    async with guest(tmp_path / "socket", before=before):
        assert await answers(tmp_path / "socket")


async def test_only_cards_on_the_hosts_networks_lead_to_the_guest(tmp_path: Path) -> None:
    async with guest(tmp_path / "socket", REAL + b"\n"):
        told = await interfaces(tmp_path / "socket")
    assert len(told) == 4
    assert of_interfaces(told, {MAC}) == ("192.168.7.20", "2001:db8::20")
    assert of_interfaces(told, {OTHER}) == ()
    shouted = Interface("AA:BB:CC:00:00:01", (Address("10.0.0.7"),))
    assert of_interfaces([shouted], {"aa:bb:cc:00:00:01"}) == ("10.0.0.7",)


HOSTILE = {
    "empty": b"\n",
    "no JSON": b"not json\n",
    "no text": b"\xff\xfe\n",
    "an error": b'{"error": {"class": "CommandNotFound", "desc": "no such command"}}\n',
    "a number": b'{"return": 7}\n',
    "one interface": b'{"return": {"name": "eth0"}}\n',
    "a card of bytes": b'{"return": [{"hardware-address": "\xff"}]}\n',
    "a card of numbers": b'{"return": [{"hardware-address": 1}]}\n',
    "a deeper address": b'{"return": [{"ip-addresses": [{"ip-address": {}}]}]}\n',
    "null": b'{"return": [{"ip-addresses": null}]}\n',
    "a deep answer": b'{"return": [], "x": ' + b"[" * 200_000 + b"\n",
    "a long answer": b'{"return": [' + b" " * 600_000 + b"]}\n",
    "half an answer": REAL[:-1] + b"\n",
}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_makes_no_sense_is_nothing(tmp_path: Path, said: bytes) -> None:
    async with guest(tmp_path / "socket", said):
        assert await interfaces(tmp_path / "socket") == ()


@pytest.mark.parametrize(
    "before",
    [b"\n" * 1000, b"x" * 600_000, b"x" * 200_000 + b"\n" * 100],
    ids=["many lines", "a long line", "both"],
)
async def test_who_says_other_things_first_does_not_answer(tmp_path: Path, before: bytes) -> None:
    async with guest(tmp_path / "socket", before=before):
        assert not await answers(tmp_path / "socket")


async def test_nobody_is_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "_ANSWER_LIMIT_S", 0.05)
    async with guest(tmp_path / "socket"):
        assert await interfaces(tmp_path / "socket") == ()


TABLE = f"""\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0
192.168.7.20     0x1         0x2         {MAC}     *        br0
192.168.7.21     0x1         0x6         {MAC}     *        br0
192.168.7.22     0x1         0x0         {MAC}     *        br0
192.168.7.23     0x1         0x0         00:00:00:00:00:00     *        br0
169.254.3.4      0x1         0x2         {MAC}     *        br0
"""


def test_neighbours_that_have_answered_are_known_by_their_cards() -> None:
    assert of_neighbours(TABLE, {MAC}) == ("192.168.7.20", "192.168.7.21")
    assert of_neighbours(TABLE, {OTHER}) == ()
    assert of_neighbours("", {MAC}) == ()
