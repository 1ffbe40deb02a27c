"""Changes of domains as libvirt itself then tells of them, on a real daemon with a real guest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("libvirt")

import libvirt
from lxml import etree

from tests.contract.cases import made, opened, until
from tests.contract.conftest import micro_with_disk
from tests.contract.test_contract import prompt
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.configuring import coming
from vmtui.backends.libvirt.making import marked
from vmtui.backends.libvirt.storage import volume_xml
from vmtui.counters import Counters
from vmtui.errors import InputError, UnsupportedError, VmtuiError
from vmtui.hardware.changes import Assign, Attach, Change, Detach, Outcome, When
from vmtui.hardware.devices import NewDisk
from vmtui.hardware.tree import Takes
from vmtui.model import DiskKind, Firmware, Power, VMId
from vmtui.parts import DiskBus, NicSpec
from vmtui.spec import BLANK, VMSpec
from vmtui.units import GIB, MIB

if TYPE_CHECKING:
    from tests.contract.daemon import SystemLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls", "micro_image")]

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
STORED = libvirt.VIR_DOMAIN_XML_INACTIVE


@pytest.fixture
async def backend(system_libvirtd: SystemLibvirtd) -> AsyncIterator[LibvirtBackend]:
    client = LibvirtBackend(system_libvirtd.uri, places=system_libvirtd.places)
    async with opened(client) as backend:
        yield backend


@pytest.fixture
def ask(system_libvirtd: SystemLibvirtd) -> Callable[..., Any]:
    """What another client of the daemon is told of a domain."""

    async def told(vm: VMId, question: Callable[[Any], Any]) -> Any:
        def work() -> Any:
            with system_libvirtd.client() as connection:
                return question(connection.lookupByUUIDString(vm))

        return await asyncio.to_thread(work)

    return told


async def change(
    backend: LibvirtBackend, vm: VMId, *changes: Change, when: When = When.AUTO
) -> Outcome:
    outcome = await backend.change(await backend.plan(vm, changes, when))
    assert [one.problem for one in outcome.done] == [""] * len(changes)
    return outcome


async def test_what_is_live_is_taken_at_once_and_undone(
    backend: LibvirtBackend, system_libvirtd: SystemLibvirtd, ask: Callable[..., Any], name: str
) -> None:
    vm = await made(backend, replace(micro_with_disk(name), nics=(NicSpec(),)))
    await change(backend, vm, Assign("cpus.max", 3), Assign("memory.max", GIB))
    await change(backend, vm, Attach(NewDisk(kind=DiskKind.CDROM)))
    await backend.power(vm, Power.START)
    assert (await backend.hardware(vm)).pending == ()
    disk = Path((await backend.vm(vm)).disks[0].source or "")
    changes = (
        Assign("cpus", 2),
        Assign("cpu.weight", 200),
        Assign("cpu.quota", 150),
        Assign("cpu.pin", "0=0 1=0-1"),
        Assign("cpu.emulator", "0"),
        Assign("memory.plugged", 64 * MIB),
        Assign("disk.vda.iops", 500),
        Assign("disk.vda.rate", 8 * MIB),
        Assign("nic.net0.link", False),
        Assign("notes", "on the fly"),
    )
    plan = await backend.plan(vm, changes)
    assert {step.takes for step in plan.steps} == {Takes.BOTH}
    outcome = await backend.change(plan)
    assert [one.problem for one in outcome.done] == [""] * len(changes)
    shares = await ask(vm, lambda d: d.schedulerParametersFlags(LIVE))
    usual = 1024 if not Path("/sys/fs/cgroup/cgroup.controllers").exists() else 100
    assert shares["cpu_shares"] == 2 * usual
    assert (shares["global_quota"], shares["global_period"]) == (150_000, 100_000)
    pins = await ask(vm, lambda d: [pin[:2] for pin in d.vcpuPinInfo(LIVE)])
    assert pins == [(True, False), (True, True)]
    assert (await ask(vm, lambda d: d.emulatorPinInfo(LIVE)))[:2] == (True, False)
    limits = await ask(vm, lambda d: d.blockIoTune("vda", LIVE))
    assert (limits["total_iops_sec"], limits["total_bytes_sec"]) == (500, 8 * MIB)
    xml = etree.fromstring(await ask(vm, lambda d: d.XMLDesc(0)))
    assert xml.findtext("devices/memory/target/requested") == str(64 * 1024)
    assert (await ask(vm, lambda d: d.vcpusFlags(LIVE))) == 2
    assert xml.find("devices/interface/link").get("state") == "down"  # type: ignore[union-attr]
    hardware = await backend.hardware(vm)
    assert hardware.pending == ()
    assert [hardware.entry(one.key).now for one in changes] == [one.value for one in changes]  # type: ignore[union-attr]
    memory = hardware.part("memory")
    assert memory is not None
    assert memory.notes == ("the guest has taken 0 B of what is plugged in",)
    await change(backend, vm, *(one for one in outcome.undo if one != Assign("cpus", 1)))
    shares = await ask(vm, lambda d: d.schedulerParametersFlags(LIVE))
    assert (shares["cpu_shares"], shares["global_quota"]) == (usual, -1)
    assert all(await ask(vm, lambda d: d.emulatorPinInfo(LIVE)))
    assert (await ask(vm, lambda d: d.blockIoTune("vda", LIVE)))["total_iops_sec"] == 0
    assert (await backend.vm(vm)).notes == ""
    assert (await backend.hardware(vm)).pending in ((), ("cpus",))
    await change(backend, vm, Assign("cpu.profile", "low"))
    shares = await ask(vm, lambda d: d.schedulerParametersFlags(LIVE))
    assert (shares["cpu_shares"], shares["global_quota"]) == (usual // 4, 150_000)
    # A disk of the VM can't be attached once more; a medium goes into the tray and out of it.
    with pytest.raises(VmtuiError):
        await backend.plan(vm, [Attach(NewDisk(path=disk))])
    medium = system_libvirtd.root / "medium.iso"
    medium.write_bytes(bytes(MIB))
    await change(backend, vm, Assign("disk.sda.source", str(medium)))
    trays = "string(devices/disk[@device='cdrom']/source/@file)"
    xml = etree.fromstring(await ask(vm, lambda d: d.XMLDesc(0)))
    assert xml.xpath(trays) == str(medium)
    await change(backend, vm, Assign("disk.sda.source", ""))
    xml = etree.fromstring(await ask(vm, lambda d: d.XMLDesc(0)))
    assert xml.xpath(trays) == ""
    await change(backend, vm, Assign("disk.sda.source", str(medium)), when=When.NEXT_BOOT)
    assert (await backend.hardware(vm)).pending == ("disk.sda.source",)
    assert (await backend.vm(vm)).pending


async def test_a_guest_sees_disks_and_cards_come_grow_and_go(
    backend: LibvirtBackend, ask: Callable[..., Any], name: str
) -> None:
    vm = await made(backend, micro_with_disk(name))
    await backend.power(vm, Power.START)
    await prompt(backend, vm)
    before = await backend.hardware(vm)
    outcome = await change(backend, vm, Attach(NewDisk(8 * MIB)), Attach(NicSpec()))
    hardware = await backend.hardware(vm)
    assert hardware.pending == ()
    new = {part.id for part in hardware.parts} - {part.id for part in before.parts}
    assert new == {"disk.vdb", "nic.net1"}
    assert {hardware.part(part).detach for part in new} == {Takes.BOTH}  # type: ignore[union-attr]
    await backend.ask_memory(vm, 128 * MIB)
    sample = (await backend.counters([vm]))[vm]
    assert isinstance(sample, Counters)
    assert sample.memory is None or sample.memory.target_bytes in (None, 128 * MIB)
    entry = (await backend.hardware(vm)).entry("memory.target")
    assert entry is not None
    assert (entry.wanted, entry.takes) == (128 * MIB, Takes.LIVE)
    assert (await change(backend, vm, Assign("disk.vdb.size", 16 * MIB))).undo == ()
    assert (await ask(vm, lambda d: d.blockInfo("vdb")))[0] == 16 * MIB
    with pytest.raises(InputError, match="size"):
        await backend.plan(vm, [Assign("disk.vdb.size", 8 * MIB)])
    assert {one.part for one in outcome.undo if isinstance(one, Detach)} == new
    await change(backend, vm, *outcome.undo)
    assert {part.id for part in (await backend.hardware(vm)).parts} == {
        part.id for part in before.parts
    }
    targets = etree.fromstring(await ask(vm, lambda d: d.XMLDesc(0))).findall("devices/disk")
    assert len(targets) == 1


async def test_live_only_is_gone_with_the_power(
    backend: LibvirtBackend, system_libvirtd: SystemLibvirtd, ask: Callable[..., Any], name: str
) -> None:
    vm = await made(backend, replace(micro_with_disk(name), nics=(NicSpec(),)))
    await backend.power(vm, Power.START)
    stored = await backend.definition(vm)
    outcome = await change(
        backend, vm, Assign("nic.net0.link", False), Assign("notes", "x"), when=When.LIVE
    )
    assert await backend.definition(vm) == stored
    assert set((await backend.hardware(vm)).pending) == {"nic.net0.link", "notes"}
    assert outcome.undo == (Assign("notes", ""), Assign("nic.net0.link", True))
    await change(backend, vm, *outcome.undo, when=When.LIVE)
    assert (await backend.hardware(vm)).pending == ()
    with pytest.raises(UnsupportedError, match="live"):
        await backend.plan(vm, [Assign("firmware", "uefi")], When.LIVE)
    # Someone else's text: what it does live is done, the rest waits.
    text = stored.text.replace(
        "<boot dev='hd'/>", "<boot dev='hd'/><!-- why --><bootmenu enable='yes'/>"
    )
    text = text.replace("<memory ", "<description>by hand</description><memory ", 1)
    plan = await backend.plan_text(vm, replace(stored, text=text))
    assert {step.change: step.takes for step in plan.steps} == {
        Assign("description", "by hand"): Takes.BOTH,
        Assign("boot.menu", True): Takes.NEXT_BOOT,
    }
    done = await backend.change(plan)
    assert [one.problem for one in done.done] == ["", ""]
    assert (await backend.hardware(vm)).pending == ("boot.menu",)
    for wrong, line in (
        (text.replace(vm, "6b1c6f0e-7d1f-4f52-9d8c-5a0f6ce2b2f1"), "line 3: its uuid"),
        (text.replace("<features>", "<features><colour/>"), "line "),
    ):
        now = await backend.definition(vm)
        with pytest.raises(InputError) as refused:
            await backend.plan_text(vm, replace(now, text=wrong))
        assert refused.value.why.startswith(line)
    # What was never stored has no next boot.
    xml = await ask(vm, lambda d: d.XMLDesc(STORED))
    other = xml.replace(name, f"{name}-passing").replace(f"<uuid>{vm}</uuid>", "")

    def run() -> str:
        with system_libvirtd.client() as connection:
            bare = etree.fromstring(other)
            for path in (
                "devices/disk",
                "devices/interface",
                "devices/serial/log",
                "devices/console",
            ):
                for one in bare.findall(path):
                    one.getparent().remove(one)  # type: ignore[union-attr]
            flags = libvirt.VIR_DOMAIN_START_PAUSED
            text = etree.tostring(bare, encoding="unicode")
            return str(connection.createXML(text, flags).UUIDString())

    passing = VMId(await asyncio.to_thread(run))
    with pytest.raises(UnsupportedError, match="next boot"):
        await backend.plan(passing, [Assign("notes", "x")])
    await change(backend, passing, Assign("notes", "x"), when=When.LIVE)
    assert (await backend.vm(passing)).notes == "x"


async def test_what_can_not_be_plugged_in_leaves_no_file(
    backend: LibvirtBackend, system_libvirtd: SystemLibvirtd, name: str
) -> None:
    def images() -> int:
        return len(list((system_libvirtd.root / "lib/images").glob(f"{name}*")))

    vm = await made(backend, VMSpec(name, boot=BLANK, memory_bytes=64 * MIB))
    await backend.power(vm, Power.START)
    outcome = await change(backend, vm, Attach(NewDisk(MIB)), when=When.LIVE)
    assert (await backend.hardware(vm)).pending == ("disk.vda",)
    assert (images(), outcome.undo) == (1, (Detach("disk.vda"),))
    crowd = [Attach(NewDisk(MIB)) for _ in range(12)]
    done = (await backend.change(await backend.plan(vm, crowd, When.LIVE))).done
    failed = [one for one in done if one.problem]
    assert 0 < len(failed) < len(crowd)
    assert images() == 1 + len(crowd) - len(failed)
    with pytest.raises(VmtuiError):
        await backend.change(await backend.plan(vm, crowd[:1], When.LIVE))
    assert images() == 1 + len(crowd) - len(failed)
    for left in (system_libvirtd.root / "lib/images").glob(f"{name}*"):
        left.unlink()


async def test_a_change_that_was_killed_leaves_no_file(
    backend: LibvirtBackend, system_libvirtd: SystemLibvirtd, name: str
) -> None:
    vm = await made(backend, VMSpec(name, boot=BLANK, memory_bytes=64 * MIB, disk_bytes=MIB))
    before = await backend.hardware(vm)
    disk = (await backend.vm(vm)).disks[0].source or ""
    with suppress(ZeroDivisionError), marked(vm) as mark:
        raise ZeroDivisionError  # its maker is gone

    def interrupted() -> None:
        with system_libvirtd.client() as connection:
            names = [f"{name}-1.qcow2", Path(disk).name]
            coming.note(connection, vm, names, mark)
            pool = connection.storagePoolLookupByName("default")
            pool.createXML(volume_xml(names[0], MIB, "qcow2"), 0)

    await asyncio.to_thread(interrupted)
    images = system_libvirtd.root / "lib/images"
    assert (images / f"{name}-1.qcow2").exists()

    async def cleaned() -> bool:
        await backend.vms()
        return not (images / f"{name}-1.qcow2").exists()

    await until(cleaned)
    assert Path(system_libvirtd.outside(disk)).exists(), "a disk of the VM is no leftover"

    async def forgotten() -> bool:
        return "coming" not in (await backend.definition(vm)).text

    await until(forgotten)
    assert await backend.hardware(vm) == before


async def test_what_is_stored_keeps_passwords_keys_and_variables(
    backend: LibvirtBackend, system_libvirtd: SystemLibvirtd, ask: Callable[..., Any], name: str
) -> None:
    spec = VMSpec(
        name, boot=BLANK, firmware=Firmware.UEFI, tpm=True, memory_bytes=64 * MIB, disk_bytes=MIB
    )
    vm = await made(backend, spec)
    stored = await backend.definition(vm)
    text = stored.text.replace("<graphics type='vnc'", "<graphics type='vnc' passwd='s3cret'")
    text = system_libvirtd.seen_by_both(text)
    plan = await backend.plan_text(vm, replace(stored, text=text))
    assert "s3cret" not in plan.diff
    await backend.change(plan)
    await backend.power(vm, Power.START)
    await backend.power(vm, Power.STOP)
    state = system_libvirtd.root / "lib/swtpm" / vm / "tpm2/tpm2-00.permall"
    keys = state.read_bytes()
    variables = system_libvirtd.root / f"lib/qemu/nvram/{name}_VARS.fd"
    kept = variables.read_bytes()
    await change(backend, vm, Assign("memory", 96 * MIB), Assign("watchdog", "i6300esb"))
    await change(backend, vm, Assign("watchdog.action", "pause"))
    await change(backend, vm, Assign("name", f"{name}-renamed"))
    assert (await backend.vm(vm)).name == f"{name}-renamed"
    await backend.power(vm, Power.START)
    await backend.power(vm, Power.STOP)
    assert [path.name for path in variables.parent.iterdir() if name in path.name] == [
        variables.name
    ]
    assert (state.read_bytes(), len(variables.read_bytes())) == (keys, len(kept))
    assert "s3cret" in await ask(vm, lambda d: d.XMLDesc(STORED | libvirt.VIR_DOMAIN_XML_SECURE))
    # Secure Boot is another firmware of the same kind; BIOS is not.
    plan = await backend.plan(vm, [Assign("firmware", "secure-boot")])
    assert plan.loses
    await backend.change(plan)
    assert not variables.exists(), "its keys come from the template of the other firmware"
    await backend.power(vm, Power.START)
    await backend.power(vm, Power.STOP)
    assert variables.exists()
    with pytest.raises(UnsupportedError, match="firmware"):
        await backend.plan(vm, [Assign("firmware", "bios")])
    gone = await backend.plan(vm, [Assign("tpm", "off")])
    assert "disk keys sealed in it are lost" in gone.loses[0]


async def test_a_tpm_is_encrypted_by_a_secret_of_its_own(
    backend: LibvirtBackend, ask: Callable[..., Any], name: str
) -> None:
    vm = await made(backend, VMSpec(name, boot=BLANK, memory_bytes=64 * MIB))
    await change(backend, vm, Assign("tpm", "crb"), Assign("tpm.encrypted", True))
    xml = etree.fromstring(await ask(vm, lambda d: d.XMLDesc(STORED)))
    uuid = xml.find("devices/tpm/backend/encryption").get("secret")  # type: ignore[union-attr]
    usage = await ask(vm, lambda d: d.connect().secretLookupByUUIDString(uuid).usageType())
    assert usage == libvirt.VIR_SECRET_USAGE_TYPE_VTPM
    await backend.power(vm, Power.START)
    await backend.power(vm, Power.STOP)
    with pytest.raises(UnsupportedError, match="before the TPM has a state"):
        await backend.plan(vm, [Assign("tpm.encrypted", False)])


async def test_a_guest_without_a_driver_is_told_as_such(backend: LibvirtBackend, name: str) -> None:
    vm = await made(backend, VMSpec(name, boot=BLANK, memory_bytes=64 * MIB))
    await backend.power(vm, Power.START)  # it finds nothing to boot
    await backend.ask_memory(vm, 48 * MIB)
    balloon = await backend.balloon(vm)
    assert (balloon.target_bytes, balloon.actual_bytes) == (48 * MIB, 64 * MIB)
    assert balloon.answers is False
    await backend.power(vm, Power.STOP)
    await change(backend, vm, Assign("balloon", False))
    await backend.power(vm, Power.START)
    with pytest.raises(UnsupportedError, match="no balloon"):
        await backend.balloon(vm)


async def test_another_boot_device_is_for_one_start(
    backend: LibvirtBackend, ask: Callable[..., Any], name: str
) -> None:
    spec = VMSpec(name, boot=BLANK, memory_bytes=64 * MIB, disk_bytes=8 * MIB, nics=(NicSpec(),))
    vm = await made(backend, spec)
    await change(backend, vm, Assign("boot.order", ("disk",)))
    before = await backend.hardware(vm)
    await change(backend, vm, Assign("boot.once", "network"))
    await backend.power(vm, Power.START)
    live = etree.fromstring(await ask(vm, lambda d: d.XMLDesc(0)))
    orders = {
        one.tag: one.find("boot").get("order")  # type: ignore[union-attr]
        for one in live.findall("devices/*")
        if one.find("boot") is not None
    }
    first = [boot.get("dev") for boot in live.findall("os/boot")][:1]
    assert orders.get("interface") == "1" or first == ["network"]
    assert (await backend.vm(vm)).persistent
    await backend.power(vm, Power.STOP)
    assert await backend.hardware(vm) == before


async def test_what_the_host_has_not_is_refused(backend: LibvirtBackend, name: str) -> None:
    vm = await made(backend, VMSpec(name, boot=BLANK, memory_bytes=64 * MIB, disk_bytes=8 * MIB))
    stored = await backend.definition(vm)
    for changes in (
        [Assign("memory.pages", "1G")],
        [Assign("cpu.topology", "3x3x3")],
        [Assign("cpu.model", "i386-of-dreams")],
        [Assign("nic.net0.network", "isolated")],
        [Assign("disk.vda.bus", "nvme")],
        [Attach(NewDisk(path=Path("/nowhere.qcow2"), bus=DiskBus.SCSI))],
    ):
        with pytest.raises((InputError, UnsupportedError)) as refused:
            await backend.plan(vm, changes)
        assert refused.value.why or refused.value.hint, changes
    assert await backend.definition(vm) == stored
