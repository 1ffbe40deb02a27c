"""Network traffic through a tap in a namespace of its own: each direction by itself."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
import tomllib
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from xml.etree import ElementTree

import pytest
import tomli_w

from tests.contract.cases import until
from tests.truth.agent import start_agent
from tests.truth.kernel import NetworkNamespace
from tests.truth.rigs import Rig, direct, over_libvirt
from tests.truth.shell import GuestShell
from tests.truth.watched import Watched, nic, nic_integral
from vmtui.backends.ways_in import Agents
from vmtui.figures import BY_ID
from vmtui.model import Power, VMId

pytestmark = pytest.mark.slow

CLOSE = 0.05
FRAMES = 1000
FRAME_BYTES = 1200
PINGS = 300
PING_BYTES = 1200
OWN_WORD = "192.0.2.7"
HEADERS_BYTES = 14 + 20 + 8  # Ethernet, IPv4, ICMP
GUEST_MAC = "52:54:00:91:07:02"
_EXPERIMENTAL = 0x88B5  # IEEE 802: for experiments; no kernel answers it


@pytest.fixture
def namespace() -> Iterator[NetworkNamespace]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made = NetworkNamespace(f"vmtui-truth-{os.getpid()}")
    yield made
    made.remove()


@dataclass
class Wired:
    """A running guest with one card, on the namespace's tap."""

    rig: Rig
    vm: VMId


@pytest.fixture(params=["kvm", "system"])
async def wired(
    request: pytest.FixtureRequest, namespace: NetworkNamespace, micro_image: None
) -> AsyncIterator[Wired]:
    make = _direct if request.param == "kvm" else _libvirt
    async with make(namespace) as made:
        yield made


@asynccontextmanager
async def _direct(namespace: NetworkNamespace) -> AsyncIterator[Wired]:
    async with direct() as rig:
        vm = await rig.made()
        assert rig.store is not None
        path = rig.store.folder((await rig.backend.vm(vm)).name) / "vm.toml"
        definition = tomllib.loads(path.read_text())
        definition["nic"] = [{"mac": GUEST_MAC, "network": "tap", "tap": namespace.tap}]
        path.write_text(tomli_w.dumps(definition))
        with namespace.entered():
            await rig.backend.power(vm, Power.START)
        yield Wired(rig, vm)


@asynccontextmanager
async def _libvirt(namespace: NetworkNamespace) -> AsyncIterator[Wired]:
    pytest.importorskip("libvirt")
    from tests.contract.daemon import SystemLibvirtd

    missing = SystemLibvirtd.missing()
    if missing:
        pytest.skip(missing)
    daemon = SystemLibvirtd()
    try:
        with namespace.entered():
            daemon.start()
        async with over_libvirt(daemon) as rig:
            vm = await rig.made()
            with daemon.client() as connection:
                domain = connection.lookupByUUIDString(vm)
                connection.defineXML(_on_tap(domain.XMLDesc(), namespace.tap))
            await rig.backend.power(vm, Power.START)
            yield Wired(rig, vm)
    finally:
        daemon.stop()


def _on_tap(xml: str, tap: str) -> str:
    root = ElementTree.fromstring(xml)
    devices = root.find("devices")
    assert devices is not None
    for interface in devices.findall("interface"):
        devices.remove(interface)
    devices.append(
        ElementTree.fromstring(
            f"<interface type='ethernet'><mac address='{GUEST_MAC}'/>"
            f"<target dev='{tap}' managed='no'/><model type='virtio'/></interface>"
        )
    )
    return ElementTree.tostring(root, encoding="unicode")


async def test_each_direction_is_the_guests_own(wired: Wired, namespace: NetworkNamespace) -> None:
    async with (
        GuestShell.of(wired.rig.backend, wired.vm) as shell,
        Watched.over(wired.rig, wired.vm) as [watched],
    ):
        # Without its DHCP client, which sends on its own and takes addresses away.
        await shell.run("sed -i /udhcpc/d /etc/inittab; kill -HUP 1; killall udhcpc")
        await shell.run("ip address flush dev eth0; ip link set eth0 up")
        await shell.run(f"ip address add {namespace.GUEST_ADDRESS}/24 dev eth0")
        await shell.run(f"ping -c 1 -W 1 {namespace.ADDRESS} >/dev/null; :")  # each knows the other

        received, sent, rx, tx = await _measured(watched, shell, send_frames(namespace))
        assert received == pytest.approx(FRAMES * FRAME_BYTES, rel=CLOSE)
        assert received == pytest.approx(rx, rel=CLOSE)
        assert sent <= CLOSE * received
        assert sent == pytest.approx(tx, rel=CLOSE, abs=500)

        ping = f"ping -q -c {PINGS} -i 0.01 -W 1 -s {PING_BYTES} {namespace.ADDRESS} >/dev/null; :"
        received, sent, rx, tx = await _measured(watched, shell, shell.run(ping))
        assert sent == pytest.approx(PINGS * (PING_BYTES + HEADERS_BYTES), rel=CLOSE)
        assert sent == pytest.approx(tx, rel=CLOSE)
        assert received <= CLOSE * sent
        assert received == pytest.approx(rx, rel=CLOSE, abs=500)

        with namespace.entered():  # of which this process is then the host
            assert await _told(wired) == ((namespace.GUEST_ADDRESS,), "ARP")
        if wired.rig.store is not None:  # what libvirt asks an agent for is tested by itself
            await the_guest_tells_its_address(wired, shell)


async def the_guest_tells_its_address(wired: Wired, shell: GuestShell) -> None:
    await start_agent(shell, GUEST_MAC, OWN_WORD)
    assert isinstance(wired.rig.backend, Agents)
    await until(partial(wired.rig.backend.agent_answers, wired.vm), 30.0, "the agent")
    assert await _told(wired) == ((OWN_WORD,), "agent")


async def _told(wired: Wired) -> tuple[tuple[str, ...], str]:
    """The addresses and their origin, as a client gets them that has known nothing."""
    client = wired.rig.connect()
    await client.open()
    try:

        async def told() -> bool:
            return bool((await client.vm(wired.vm)).addresses)

        await until(told, 30.0, "an address")
        found = await client.vm(wired.vm)
        return found.addresses, found.address_origin
    finally:
        await client.close()


async def _measured(
    watched: Watched, shell: GuestShell, transfer: Coroutine[None, None, object]
) -> tuple[float, float, int, int]:
    """Bytes received and sent by the rates, then by the guest's own counters."""
    before = await guest_bytes(shell)
    began_s = time.monotonic()
    await watched.until(lambda row: bool(row.rates and row.rates.nics and nic(row).at_s > began_s))
    start = len(watched.rows) - 1
    await transfer
    ended_s = time.monotonic()
    await watched.until(lambda row: nic(row).at_s > ended_s)
    rows = watched.rows[start:]
    after = await guest_bytes(shell)
    return (
        nic_integral(rows, lambda rate: rate.rx_bytes_per_s),
        nic_integral(rows, lambda rate: rate.tx_bytes_per_s),
        after[0] - before[0],
        after[1] - before[1],
    )


async def guest_bytes(shell: GuestShell) -> tuple[int, int]:
    """What the guest's kernel says it received and sent on its card."""
    printed = await shell.run("cat /proc/net/dev")
    line = re.search(r"eth0:(.*)", printed)
    assert line is not None
    numbers = [int(word) for word in line[1].split()]
    return numbers[0], numbers[8]


async def send_frames(namespace: NetworkNamespace) -> None:
    """Frames that the guest takes and answers nothing to, no faster than an emulated one can."""
    with namespace.entered():
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sender.bind((namespace.tap, 0))
    header = bytes.fromhex(GUEST_MAC.replace(":", "")) + bytes.fromhex("525400910701")
    frame = (header + _EXPERIMENTAL.to_bytes(2, "big")).ljust(FRAME_BYTES, b"\0")
    with sender:
        for index in range(FRAMES):
            sender.send(frame)
            if index % 10 == 9:
                await asyncio.sleep(0.01)


async def test_a_user_mode_card_has_no_counters_and_says_why(rig: Rig) -> None:
    vm = await rig.started()
    async with Watched.over(rig, vm) as [watched]:
        row = await watched.until(lambda row: row.rates is not None)
        await watched.until(lambda row: bool(row.counters and row.counters.nics))
        assert nic(watched.last).why_missing
        assert nic(watched.last).rx_bytes is None
        assert watched.last.rates is not None
        assert watched.last.rates.nics == ()
        for name in ("rx_bytes", "tx_bytes", "rx_packets", "errors", "drops"):
            assert BY_ID[name].of(row) is None
            assert "user" in BY_ID[name].why_absent(row)
