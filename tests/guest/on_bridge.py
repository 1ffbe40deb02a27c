"""A VM on a bridge of the host, where root has allowed one of two: run in namespaces of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.contract.cases import until
from tests.guest.direct import desk
from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.counters import Counters
from vmtui.errors import OperationError
from vmtui.hardware.changes import Attach
from vmtui.model import Power, VMId
from vmtui.parts import NetworkKind, NicSpec
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

ADDRESS = "192.0.2.7"


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def prepare(folder: Path) -> None:
    """Two bridges; QEMU's helper may use the first. /etc is this namespace's alone."""
    (folder / "qemu").mkdir()
    (folder / "qemu" / "bridge.conf").write_text("allow first\n")
    layers = f"lowerdir={folder}:/etc"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, "/etc"], check=True)
    for bridge in ("first", "second"):
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "set", bridge, "up")


async def main() -> None:
    """Both cards of one VM are on the first bridge, with counters; the second is refused."""
    async with desk() as site:
        backend = await site.backend()
        for bridge in ("first", "second"):
            nics = (NicSpec(NetworkKind.BRIDGE, bridge),) * 2
            spec = VMSpec(bridge, BLANK, disk_bytes=MIB, nics=nics)
            vm = await backend.create(spec, no_progress)
            try:
                await backend.power(vm, Power.START)
            except OperationError as error:
                assert bridge == "second"
                assert f"allow {bridge}" in error.hint
                continue
            assert bridge == "first"
            counters = (await backend.counters([vm]))[vm]
            assert isinstance(counters, Counters)
            ports = await asyncio.to_thread(_ip, "-o", "link", "show", "master", bridge)
            for nic in counters.nics:
                assert f" {nic.name}:" in ports
                assert nic.tx_bytes is not None
            await one_more(backend, vm, bridge)
            await neighbour(await site.backend(), vm, bridge)


async def one_more(backend: KvmBackend, vm: VMId, bridge: str) -> None:
    """A card that is attached while QEMU runs gets a tap too; the other bridge is refused."""
    card = Attach(NicSpec(NetworkKind.BRIDGE, bridge))
    outcome = await backend.change(await backend.plan(vm, [card]))
    assert [done.problem for done in outcome.done] == [""]
    counters = (await backend.counters([vm]))[vm]
    assert isinstance(counters, Counters)
    ports = await asyncio.to_thread(_ip, "-o", "link", "show", "master", bridge)
    assert len(counters.nics) == 3
    assert all(f" {nic.name}:" in ports for nic in counters.nics)
    other = Attach(NicSpec(NetworkKind.BRIDGE, "second"))
    outcome = await backend.change(await backend.plan(vm, [other]))
    assert "can't be put on the bridge" in outcome.done[0].problem
    assert (await backend.vm(vm)).pending, "it is there at the next boot"


async def neighbour(backend: KvmBackend, vm: VMId, bridge: str) -> None:
    """The host's table of neighbours tells the address, also that of a card which came later."""
    mac = (await backend.vm(vm)).nics[2].mac or ""
    words = ("neighbour", "add", ADDRESS, "lladdr", mac, "dev", bridge)
    await asyncio.to_thread(_ip, *words)

    async def shown() -> bool:
        seen = await backend.vm(vm)
        return (seen.addresses, seen.address_origin) == ((ADDRESS,), "ARP")

    await until(shown, 30.0, "its address")
    await backend.power(vm, Power.STOP)
    assert (await backend.vm(vm)).addresses == ()


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
    asyncio.run(main())
    print("done")
