"""Disks, cards and vCPUs that come and go while the guest runs: it sees them, and sees them go."""

from __future__ import annotations

import pytest

from tests.guest.room import takes_vcpus
from tests.truth.changing import changed, part_ids
from tests.truth.rigs import Rig
from tests.truth.shell import GuestShell
from vmtui.hardware.changes import Assign, Attach
from vmtui.hardware.devices import NewDisk
from vmtui.hardware.settings import PartKind
from vmtui.model import Power
from vmtui.parts import NicSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow

SECTOR_BYTES = 512
SIZE_BYTES, GROWN_BYTES, ADDED_BYTES = 8 * MIB, 24 * MIB, 4 * MIB
CARD = "/sys/class/net/eth1"
COUNT = "grep -c ^processor /proc/cpuinfo"
WORDS = "written while it was there"


async def test_a_guest_sees_what_comes_and_goes(rig: Rig) -> None:
    vm = await rig.made(disk_bytes=SIZE_BYTES)
    await changed(rig.backend, vm, Assign("cpus.max", 2))
    await rig.backend.power(vm, Power.START)
    async with GuestShell.of(rig.backend, vm) as shell:
        # A disk.
        came = await changed(rig.backend, vm, Attach(NewDisk(ADDED_BYTES)))
        await seen(shell, "test -b /dev/vdb")
        assert await sectors(shell, "vdb") == ADDED_BYTES // SECTOR_BYTES
        await shell.run(f"echo {WORDS} | dd of=/dev/vdb conv=fsync 2>/dev/null")
        source = (await rig.backend.vm(vm)).disks[-1].source
        await changed(rig.backend, vm, *came.undo)
        await seen(shell, "! test -b /dev/vdb")
        assert source is not None
        with open(source, "rb") as file:  # noqa: ASYNC230, PTH123
            assert WORDS.encode() in file.read()

        # A card.
        came = await changed(rig.backend, vm, Attach(NicSpec()))
        await seen(shell, f"test -e {CARD}")
        assert (await rig.backend.vm(vm)).nics[-1].mac == await shell.run(f"cat {CARD}/address")
        await changed(rig.backend, vm, *came.undo)
        await seen(shell, f"! test -e {CARD}")

        # The cable of the other one.
        [card] = await part_ids(rig.backend, vm, PartKind.NIC)
        for plugged in (False, True):
            await changed(rig.backend, vm, Assign(f"{card}.link", plugged))
            await seen(shell, f"grep -q {int(plugged)} /sys/class/net/eth0/carrier")

        # A disk that grows is there to its new end.
        await changed(rig.backend, vm, Assign("disk.vda.size", GROWN_BYTES))
        await seen(shell, f"grep -q {GROWN_BYTES // SECTOR_BYTES} /sys/block/vda/size")
        last = GROWN_BYTES // SECTOR_BYTES - 1
        await shell.run(f"echo {WORDS} | dd of=/dev/vda seek={last} conv=fsync 2>/dev/null")
        assert await shell.run(f"dd if=/dev/vda skip={last} 2>/dev/null | head -n 1") == WORDS

        # A vCPU.
        await changed(rig.backend, vm, Assign("cpus", 2))
        has_room = await takes_vcpus(shell.run)
        if has_room:
            await seen(shell, "test -e /sys/devices/system/cpu/cpu1/online")
            await shell.run("echo 1 >/sys/devices/system/cpu/cpu1/online")
            assert await shell.run(COUNT) == "2"
    if not has_room:
        await rig.backend.power(vm, Power.RESET)
        async with GuestShell.of(rig.backend, vm) as shell:
            assert await shell.run(COUNT) == "2"


async def seen(shell: GuestShell, command: str) -> None:
    """Wait until the guest has taken note."""
    await shell.run(f"until {command}; do sleep 0.1; done")


async def sectors(shell: GuestShell, disk: str) -> int:
    return int(await shell.run(f"cat /sys/block/{disk}/size"))
