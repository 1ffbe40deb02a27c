"""Open consoles in real guests: used, flooded, taken over, rebooted, and gone from below."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.truth.desk import Desk, everything, lines, screen
from tests.truth.rigs import Rig, over_libvirt
from vmtui.consoles import Attachment, OpenConsole
from vmtui.model import Power, VMId
from vmtui.terminal.cells import Mouse

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls")]

FLOOD_BYTES = 20_000_000
TRICKLE_BYTES = int(os.environ.get("VMTUI_TRICKLE_BYTES", "200000"))
"""An emulated serial port takes a second for about 100 kB: 20 MB are for who has the minutes."""


async def with_two_consoles(rig: Rig) -> tuple[VMId, str]:
    """A VM, off, with a virtio console beside the serial one, and the name of that."""
    vm = await rig.made()
    if rig.store is not None:
        path = rig.store.folder((await rig.backend.vm(vm)).name) / "vm.toml"
        path.write_text('console = ["serial", "virtio"]\n' + path.read_text("utf-8"), "utf-8")
        return vm, "virtio0"
    assert rig.daemon is not None
    with rig.daemon.client() as connection:
        domain = ET.fromstring(connection.lookupByUUIDString(vm).XMLDesc())
        devices = domain.find("devices")
        assert devices is not None
        console = ET.SubElement(devices, "console", type="pty")
        assert rig.daemon.places.logs is not None
        log = rig.daemon.places.logs / f"{vm}-virtio.log"
        ET.SubElement(console, "log", file=str(log), append="off")
        ET.SubElement(console, "target", type="virtio", port="1")
        connection.defineXML(ET.tostring(domain, encoding="unicode"))
    return vm, "console1"


async def test_a_guest_is_worked_in_from_two_places(rig: Rig) -> None:
    vm = await rig.started()
    async with Desk.over(rig) as desk, Desk.over(rig) as other:
        console = desk.open(vm)
        await desk.shows(console, "login:")
        await desk.log_in(console)

        console.resize(100, 30)
        await desk.until(lambda: console.offers_size)
        await console.set_size()
        await desk.shows(console, r"stty rows 30(?s:.*)#$")
        await desk.run(console, "stty size", "30 100")

        console.type(b"vi note\r")
        await desk.shows(console, r"^~$")
        # The shell may have asked where the cursor is, and vi been told: its last line says so.
        console.type(b"\x07")
        await desk.shows(console, r"^- note")
        console.type(b"iwritten in vi")
        await desk.until(lambda: lines(console)[0] == "written in vi")
        console.type(b"\x1b")
        await desk.shows(console, r"^- note")
        console.type(b":wq\r")
        await desk.shows(console, r"#$")
        await desk.run(console, "cat note", "written in vi")

        console.type(b"while :; do echo round; sleep 1; done\r")
        await desk.shows(console, "^round$")
        console.type(b"\x03")
        await desk.shows(console, r"#$")
        console.type(b"seq 100\r")
        await desk.shows(console, r"^100\n.*#$")
        await desk.run(console, "echo $((6*7))-answer", "42-answer")

        # A second one sees the same, from the beginning, and can't type.
        second = other.open(vm)
        second.resize(100, 30)
        await other.becomes(second, Attachment.WATCHING)
        assert "attached" in second.notice
        await other.shows(second, r"^42-answer$(?s:.*)#$")
        assert re.search("^1\n2\n3\n", everything(second), re.MULTILINE)
        second.type(b"echo never\r")
        await desk.run(console, "echo $((6*8))-answer", "48-answer")
        await other.shows(second, r"^48-answer$(?s:.*)#$")
        assert lines(second) == lines(console)
        assert "never" not in everything(second)

        # It takes over; the first is told, goes on watching and does not fight back.
        second.take_over()
        await other.becomes(second, Attachment.ATTACHED)
        await desk.becomes(console, Attachment.WATCHING)
        assert "took" in console.notice or "taken" in console.notice
        await other.run(second, "echo $((6*9))-answer", "54-answer")
        await desk.shows(console, r"^54-answer$(?s:.*)#$")
        for text in (everything(console), everything(second)):
            assert len(re.findall("^54-answer$", text, re.MULTILINE)) == 1
        assert lines(second) == lines(console)

        # When the second one leaves, the first has it again by itself.
        await other.consoles.close(second.key)
        await desk.becomes(console, Attachment.ATTACHED)
        await desk.run(console, "echo $((6*10))-answer", "60-answer")

        await off_and_on(rig, desk, vm)


async def off_and_on(rig: Rig, desk: Desk, vm: VMId) -> None:
    console = desk.open(vm)
    # What a program has set does not outlive the guest.
    console.type(rb"printf '\033[?1000h\033[?1h'" + b"\r")
    await desk.until(lambda: console.terminal.modes.mouse is Mouse.BUTTONS)
    console.type(b"reboot\r")
    await desk.until(lambda: console.terminal.modes.mouse is Mouse.OFF)
    await desk.shows(console, "login: *$")
    assert console.attachment is Attachment.ATTACHED

    await rig.backend.power(vm, Power.STOP)
    await desk.becomes(console, Attachment.OFF)
    await desk.shows(console, "── the VM is off ──")
    await rig.backend.power(vm, Power.START)
    await desk.becomes(console, Attachment.ATTACHED)
    await desk.shows(console, r"the VM is off(?s:.*)login: *$")
    await desk.log_in(console)
    await desk.run(console, "echo $((7*7))-answer", "49-answer")

    os.kill(await rig.process(vm), signal.SIGKILL)
    await desk.becomes(console, Attachment.OFF)
    await rig.backend.power(vm, Power.START)
    await desk.becomes(console, Attachment.ATTACHED)
    await desk.shows(console, "login: *$")


async def test_nothing_of_a_flood_is_lost(rig: Rig, tmp_path: Path) -> None:
    vm, name = await with_two_consoles(rig)
    assert name in (await rig.backend.vm(vm)).consoles
    await rig.backend.power(vm, Power.START)
    async with Desk.over(rig) as desk:
        serial, virtio = desk.open(vm), desk.open(vm, name)
        for console in (serial, virtio):
            await desk.becomes(console, Attachment.ATTACHED)
        for console in (serial, virtio):
            await desk.shows(console, "login: *$")
            await desk.log_in(console)
        answers = asyncio.create_task(goes_on_answering(desk, serial))
        # libvirt has consoles on ptys. Into a pty that is full QEMU writes a part of what came over
        # virtio and drops the rest, also from its log: whoever reads can't get that back.
        whole = rig.store is not None
        count = FLOOD_BYTES if whole else FLOOD_BYTES // 4
        await flood(desk, virtio, count, tmp_path / "flood.log", whole=whole)
        answers.cancel()
        assert await answers > 0
        await flood(desk, serial, TRICKLE_BYTES, tmp_path / "trickle.log")


async def goes_on_answering(desk: Desk, console: OpenConsole) -> int:
    """How often, until it is cancelled."""
    rounds = 0
    try:
        while True:
            await desk.run(console, f"echo $((1000+{rounds}))", str(1000 + rounds))
            rounds += 1
    except asyncio.CancelledError:
        return rounds


async def flood(
    desk: Desk, console: OpenConsole, count: int, path: Path, *, whole: bool = True
) -> None:
    """Print that many bytes; `whole`: they are in the log file as they were in the guest."""
    console.type(b"seq 30000 | head -c 99990 >/tmp/a\r")
    pieces = f"for i in $(seq {count // 100_000}); do printf '%09d\\n' $i; cat /tmp/a; done"
    await desk.run(console, f"{pieces} >/tmp/f; echo made", "made")
    found = await desk.run(console, "sha256sum </tmp/f", r"([0-9a-f]{64})  -")
    await console.start_log(path)
    assert path.stat().st_mode & 0o777 == 0o600
    # Without carriage returns the end is at any column: what marks it begins a line of its own.
    end = b"stty opost; echo; echo '>''>>'"
    console.type(b"stty -opost; clear; echo '<<<'; cat /tmp/f; " + end + b"\r")
    await desk.shows(console, ">>>")
    await console.stop_log()
    printed = path.read_bytes().rpartition(b"<<<\n")[2].partition(b"\r\n>>>")[0]
    if whole:
        if printed != (wanted := await asyncio.to_thread(_wanted, count)):
            pytest.fail(await asyncio.to_thread(_difference, printed, wanted))
        assert hashlib.sha256(printed).hexdigest() == found[1]
    console.type(b"\r")
    await desk.run(console, "echo $((8*8))-answer", "64-answer")


def _wanted(count: int) -> bytes:
    piece = b"".join(b"%d\n" % number for number in range(1, 30_001))[:99_990]
    return b"".join(b"%09d\n" % n + piece for n in range(1, count // 100_000 + 1))


def _difference(printed: bytes, wanted: bytes) -> str:
    pairs = enumerate(zip(printed, wanted, strict=False))
    at = next((place for place, (a, b) in pairs if a != b), min(len(printed), len(wanted)))
    return (
        f"{len(printed)} bytes for {len(wanted)}; at {at} "
        f"{printed[at : at + 60]!r} for {wanted[at : at + 60]!r}"
    )


async def test_a_console_comes_back_with_libvirts_daemon(
    mortal_libvirtd: PrivateLibvirtd, micro_image: None
) -> None:
    async with over_libvirt(mortal_libvirtd) as rig:
        vm, name = await with_two_consoles(rig)
        await rig.backend.power(vm, Power.START)
        async with Desk.over(rig) as desk:
            kept, bare = desk.open(vm), desk.open(vm, name)
            await desk.shows(kept, "login: *$")
            await desk.log_in(kept)
            await desk.becomes(bare, Attachment.ATTACHED)
            await desk.run(kept, "echo $((6*7))-answer", "42-answer")

            await asyncio.to_thread(mortal_libvirtd.kill)
            for console in (kept, bare):
                await desk.becomes(console, Attachment.LOST)
            await asyncio.to_thread(mortal_libvirtd.start)
            for console in (kept, bare):
                await desk.becomes(console, Attachment.ATTACHED)
            assert screen(kept).count("42-answer") == 1
            await desk.run(kept, "echo $((6*8))-answer", "48-answer")
            bare.type(b"\r")
            await desk.shows(bare, "login: *$")
        await rig.backend.close()
        await rig.backend.open()
