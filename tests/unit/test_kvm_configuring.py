"""Changes of direct VMs planned, refused and stored; what guests see of it is in tests/guest."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from vmtui.backends.base import no_progress
from vmtui.backends.kvm import ballooning
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.configuring import refusals
from vmtui.backends.kvm.configuring.bindings import DISK, NIC, VM
from vmtui.backends.kvm.configuring.reach import disk_goes, nic_goes, of_disk, of_vm
from vmtui.backends.kvm.configuring.situation import Situation
from vmtui.backends.kvm.configuring.special import SPECIAL
from vmtui.backends.kvm.configuring.tree import Seen, hardware
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import BaseDefinition, DiskDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.running import Running
from vmtui.backends.kvm.store import Store
from vmtui.backends.kvm.written import read
from vmtui.errors import (
    BusyError,
    InputError,
    MissingError,
    OperationError,
    RefusedError,
    StateError,
    UnsupportedError,
    VmtuiError,
)
from vmtui.hardware.changes import Assign, Attach, Change, DefinitionText, Detach, When
from vmtui.hardware.devices import HostBus, HostDevice, NewConsole, NewDisk
from vmtui.hardware.settings import SETTINGS
from vmtui.hardware.tree import Takes
from vmtui.model import DiskKind, Firmware, State, VMId
from vmtui.parts import DiskBus, NetworkKind, NicSpec, SharedFolder
from vmtui.spec import BLANK, VMSpec
from vmtui.units import GIB, MIB

TEXT = """# Ann's
version = 1
uuid = "u-1"
vcpus = 2
memory = "512M"   # enough
boot = "disk"

[[disk]]
file = "disk.qcow2"
format = "qcow2"
port = 1

[[disk]]
file = "old.qcow2"
format = "qcow2"

[[disk]]
kind = "cdrom"
bus = "scsi"

[[nic]]
mac = "52:54:00:00:00:01"
port = 2
"""
DEFINITION = read(TEXT)
WEB = VMId("u-1")


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[KvmBackend]:
    store = Store(tmp_path / "vms", tmp_path / "run")
    store.prepare()
    (store.root / "web").mkdir()
    (store.root / "web" / "vm.toml").write_text(TEXT)
    backend = KvmBackend(store=store)
    await backend.open()
    yield backend
    await backend.close()


def toml(tmp_path: Path, name: str = "web") -> str:
    return (tmp_path / "vms" / name / "vm.toml").read_text()


def here(running: Running | None, *, active: bool = True, emulated: bool = False) -> Situation:
    return Situation(WEB, "web", Path("/vms/web"), active, emulated, running, DEFINITION)


# -- the tree ----------------------------------------------------------------------------------


def test_every_setting_is_told_and_bound() -> None:
    bound = {*VM, *(f"disk.*.{key}" for key in DISK), *(f"nic.*.{key}" for key in NIC), *SPECIAL}
    assert {one.key for one in SETTINGS} - bound == {"nic.*.rate"}
    made = hardware(here(Running.begun(DEFINITION)), Seen())
    assert made.pending == ()
    told = {entry.key for part in made.parts for entry in part.entries}
    untold = [one.key for one in SETTINGS if not any(one.matches(key) for key in told)]
    assert untold == ["firmware.keys"], "only Secure Boot asks for keys"
    secure = msgspec.structs.replace(DEFINITION, firmware=Firmware.SECURE_BOOT)
    keys = hardware(here(Running.begun(secure)), Seen()).entry("firmware.keys")
    assert keys is not None
    assert keys.now is True
    rate = made.entry("nic.net0.rate")
    assert rate is not None
    assert rate.takes is Takes.NEVER
    assert "root" in rate.why


def test_what_is_put_is_read() -> None:
    disk, nic = DEFINITION.disk[0], DEFINITION.nic[0]
    tray = DiskDefinition(kind=DiskKind.CDROM)
    assert DISK["bus"].read(tray) == "sata", "where QEMU has it"
    for part, bindings in ((DEFINITION, VM), (disk, DISK), (tray, DISK), (nic, NIC)):
        for key, binding in bindings.items():
            value = binding.read(part)
            assert binding.read(binding.put(part, value)) == value, key
            assert binding.put(part, value) == part, key


def test_now_and_next_are_side_by_side() -> None:
    began = msgspec.structs.replace(DEFINITION, memory="256M", notes="other", vcpus_max=4)
    running = Running.begun(began).with_drive("vdb", None)
    made = hardware(here(running), Seen())
    memory, notes = made.entry("memory"), made.entry("notes")
    assert memory is not None
    assert notes is not None
    assert (memory.now, memory.next) == (256 * MIB, 512 * MIB)
    assert notes.now == notes.next == "", "what QEMU does not know is as it is stored"
    assert set(made.pending) == {"memory", "cpus.max", "disk.vdb"}
    part = made.part("disk.vdb")
    assert part is not None
    assert (part.there_now, part.there_next) == (False, True)
    assert running.differs(DEFINITION)
    by_hand = Running.begun(msgspec.structs.replace(DEFINITION, hyperv=True))
    made = hardware(here(by_hand), Seen())
    assert made.pending == ()
    assert made.parts[0].notes == ("vm.toml waits for the next boot: hyperv",)
    assert not Running.begun(began).differs(msgspec.structs.replace(began, tags=("x",)))


def test_names_stay_while_it_runs() -> None:
    running = Running.begun(DEFINITION).with_drive("vda", None)
    assert [one.name for one in here(running).drives] == ["vdb", "sr0", "vda"]
    # The number of one that is gone is not given to another while that is there.
    assert [slot.number for slot in running.with_drive("vdc", DEFINITION.disk[0]).disks] == [
        1,
        2,
        3,
    ]


def test_when_a_change_takes_effect() -> None:
    began = msgspec.structs.replace(DEFINITION, vcpus_max=4, memory_max="1G")
    runs, off = here(Running.begun(began)), here(None, active=False)
    assert of_vm(runs, "cpus", 4) == (Takes.BOTH, "")
    assert "maximum of 4" in of_vm(runs, "cpus", 5)[1]
    assert "taken away" in of_vm(runs, "cpus", 1)[1]
    added = here(Running.begun(began).saying(vcpus=3))
    assert of_vm(added, "cpus", 2) == (Takes.BOTH, "")
    emulated = here(Running.begun(began).saying(vcpus=3), emulated=True)
    assert of_vm(emulated, "cpus", 2)[0] is Takes.NEXT_BOOT
    assert of_vm(runs, "memory.plugged", 512 * MIB)[0] is Takes.BOTH
    assert "room for 512 MiB" in of_vm(runs, "memory.plugged", GIB)[1]
    assert "memory.max" in of_vm(here(Running.begun(DEFINITION)), "memory.plugged")[1]
    assert of_vm(runs, "watchdog.action")[0] is Takes.NEXT_BOOT
    assert of_vm(runs, "sound")[0] is Takes.NEXT_BOOT
    assert of_vm(runs, "notes") == (Takes.BOTH, "")
    assert of_vm(off, "notes") == (Takes.NEXT_BOOT, "")
    assert of_vm(off, "cpus", 4) == (Takes.NEXT_BOOT, "")
    assert "older vmtui" in of_vm(here(None), "cpus", 4)[1]
    assert of_disk(runs, "vda", "iops")[0] is Takes.BOTH
    through = msgspec.structs.replace(DEFINITION.disk[0], cache="writethrough")
    assert of_disk(runs, "vda", "cache", through)[0] is Takes.NEXT_BOOT
    assert of_disk(runs, "vda", "source")[0] is Takes.NEVER
    assert of_disk(runs, "sr0", "source")[0] is Takes.BOTH
    assert disk_goes(runs, "vda") == nic_goes(runs, "net0") == ""
    assert "on the board" in disk_goes(runs, "vdb")
    assert "trays" in disk_goes(runs, "sr0")


# -- plans -------------------------------------------------------------------------------------


async def test_a_plan_changes_nothing_and_what_is_stored_is_what_was_shown(
    backend: KvmBackend, tmp_path: Path
) -> None:
    changes = (Assign("memory", GIB), Assign("tags", ("a",)), Attach(NicSpec()))
    plan = await backend.plan(WEB, changes)
    assert toml(tmp_path) == TEXT
    assert [step.takes for step in plan.steps] == [Takes.NEXT_BOOT] * 3
    assert '-memory = "512M"   # enough\n+memory = "1G"   # enough' in plan.diff
    [mac] = [line.split('"')[1] for line in plan.diff.splitlines() if line.startswith("+mac")]
    outcome = await backend.change(plan)
    assert mac in toml(tmp_path)
    assert toml(tmp_path).startswith("# Ann's\n")
    back = await backend.change(await backend.plan(WEB, outcome.undo))
    assert toml(tmp_path).rstrip() == TEXT.rstrip(), "as if nothing had been"
    assert len(back.done) == 3


async def test_a_plan_is_void_once_somebody_else_has_changed_it(
    backend: KvmBackend, tmp_path: Path
) -> None:
    plan = await backend.plan(WEB, [Assign("notes", "mine")])
    path = tmp_path / "vms" / "web" / "vm.toml"
    path.write_text(TEXT + "# theirs\n")
    with pytest.raises(StateError, match="not changed"):
        await backend.change(plan)
    text = await backend.definition(WEB)
    path.write_text(TEXT)
    with pytest.raises(StateError, match="not changed"):
        await backend.plan_text(WEB, text)


async def test_parts_come_and_go_and_come_back(backend: KvmBackend, tmp_path: Path) -> None:
    changes: list[Change] = [
        Detach("disk.vda"),
        Assign("disk.vdb.cache", "none"),
        Attach(NewConsole()),
        Attach(SharedFolder(tmp_path, "work")),
        Attach(HostDevice(HostBus.USB, "1d6b:0002", "hub")),
        Attach(NewDisk(kind=DiskKind.CDROM)),
    ]
    (tmp_path / "vms" / "web" / "disk.qcow2").write_bytes(b"QFI\xfb" + bytes(28))
    outcome = await backend.change(await backend.plan(WEB, changes))
    hardware = await backend.hardware(WEB)
    parts = {part.id for part in hardware.parts}
    assert {"disk.vda", "console.serial1", "share.work", "host.1d6b:0002", "disk.sr1"} <= parts
    assert "disk.vdb" not in parts
    entry = hardware.entry("disk.vda.cache")
    assert entry is not None
    assert entry.next == "none"
    # What was vdb is vda now, and is called so in what brings it back.
    assert Assign("disk.vda.cache", None) in outcome.undo
    await backend.change(await backend.plan(WEB, outcome.undo[:-1]))
    assert read(toml(tmp_path)) == msgspec.structs.replace(DEFINITION, disk=DEFINITION.disk[1:])
    with pytest.raises(InputError, match="no disk 'vdx'"):
        await backend.plan(WEB, [Detach("disk.vdx")])
    with pytest.raises(InputError, match="can't be detached"):
        await backend.plan(WEB, [Detach("memory")])


def _fails(*_: object, **__: object) -> None:
    raise OperationError("no unit for systemd can be written")


async def test_a_disk_is_made_with_the_plan_and_not_before(
    backend: KvmBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "vms" / "web"
    with monkeypatch.context() as patched:
        patched.setattr("vmtui.backends.kvm.autostart.obstacle", lambda: "")
        patched.setattr("vmtui.backends.kvm.autostart.follow", _fails)
        plan = await backend.plan(WEB, [Attach(NewDisk(MIB)), Assign("autostart", True)])
        assert [path.name for path in folder.iterdir()] == ["vm.toml"]
        with pytest.raises(VmtuiError, match="no unit"):
            await backend.change(plan)
    assert [path.name for path in folder.iterdir()] == ["vm.toml"], "taken back"
    await backend.change(await backend.plan(WEB, [Attach(NewDisk(MIB))]))
    assert (folder / "disk1.qcow2").exists()
    grown = await backend.change(await backend.plan(WEB, [Assign("disk.vdc.size", 2 * MIB)]))
    assert grown.undo == ()
    sizes = {disk.target: disk.capacity_bytes for disk in (await backend.vm(WEB)).disks}
    assert sizes["vdc"] == 2 * MIB
    with pytest.raises(RefusedError, match="not made smaller"):
        await backend.plan(WEB, [Assign("disk.vdc.size", MIB)])


async def test_what_is_cancelled_leaves_nothing(
    backend: KvmBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()

    async def endless(target: Path, _: int) -> None:
        target.touch()
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("vmtui.backends.kvm.disks.blank", endless)
    plan = await backend.plan(WEB, [Attach(NewDisk(MIB)), Assign("notes", "x")])
    task = asyncio.create_task(backend.change(plan))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert toml(tmp_path) == TEXT
    assert [path.name for path in (tmp_path / "vms" / "web").iterdir()] == ["vm.toml"]


async def test_of_two_changes_at_once_the_second_is_told(backend: KvmBackend) -> None:
    other = KvmBackend(store=backend._store)
    plans = [await one.plan(WEB, [Assign("notes", "x")]) for one in (backend, other)]
    results = await asyncio.gather(
        backend.change(plans[0]), other.change(plans[1]), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Outcome", "StateError"]
    await other.close()


async def test_another_name_moves_the_folder(backend: KvmBackend, tmp_path: Path) -> None:
    for wrong in ("a b", "", "-x"):
        with pytest.raises(InputError):
            await backend.plan(WEB, [Assign("name", wrong)])
    await backend.create(VMSpec("db", BLANK), no_progress)
    with pytest.raises(InputError, match="already exists"):
        await backend.plan(WEB, [Assign("name", "db")])
    await backend.change(await backend.plan(WEB, [Assign("name", "www"), Assign("notes", "x")]))
    assert read(toml(tmp_path, "www")).notes == "x"
    assert (await backend.vm(WEB)).name == "www"
    assert not (tmp_path / "vms" / "web").exists()
    assert list((tmp_path / "run").glob("*web*")) == []


@pytest.mark.parametrize(
    ("change", "kind", "told"),
    [
        (Assign("memory", 1 << 50), InputError, "this machine has"),
        (Assign("cpus", 0), InputError, "vcpus"),
        (Assign("cpu.topology", "1x3x1"), InputError, "3 vCPUs, not 2"),
        (Assign("cpu.topology", "lots"), InputError, "sockets x cores x threads"),
        (Assign("cpus.max", 1), InputError, "less than vcpus"),
        (Assign("memory.floor", GIB), InputError, "more than the VM's memory"),
        (Assign("memory.max", 600 * MIB), InputError, "128 MiB at a time"),
        (Assign("memory.plugged", 128 * MIB), InputError, "leaves room for"),
        (Assign("memory.target", 256 * MIB), StateError, "for a VM that runs"),
        (Assign("memory.pages", "1G"), MissingError, "set aside"),
        (Assign("disk.vda.source", "/x"), InputError, "there is no such file"),
        (Assign("disk.sr0.bus", "virtio"), InputError, "a tray is on sata or scsi"),
        (Assign("disk.sr0.bus", "sata"), None, ""),
        (Assign("disk.vda.iops-burst", 7), InputError, "iops_burst without iops"),
        (Assign("nic.net0.rate", MIB), UnsupportedError, "no limit"),
        (Assign("nic.net0.network", "moon"), InputError, "is not a network"),
        (Assign("boot.order", ("floppy",)), InputError, "floppy"),
        (Assign("tpm.version", "1.2"), None, ""),
        (Assign("colour", "red"), InputError, "no setting"),
        (Attach(NicSpec(NetworkKind.BRIDGE, "moon0")), InputError, "no bridge"),
        (Attach(NicSpec(NetworkKind.NETWORK, "x")), UnsupportedError, "no networks by name"),
        (Attach(NicSpec(mac="52:54:00:00:00:01")), InputError, "already"),
        (Attach(NewDisk(path=Path("/nowhere.raw"))), InputError, "no file"),
        (Attach(NewDisk()), InputError, "needs a size"),
        (Attach(SharedFolder(Path("/nowhere"), "x")), InputError, "not a folder"),
        (
            Attach(HostDevice(HostBus.PCI, "0000:00:1f.2", unavailable="the host needs it")),
            UnsupportedError,
            "the host needs it",
        ),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_changed(
    backend: KvmBackend,
    tmp_path: Path,
    change: Change,
    kind: type[VmtuiError] | None,
    told: str,
) -> None:
    if kind is None:
        await backend.plan(WEB, [change])
    else:
        with pytest.raises(kind) as caught:
            await backend.plan(WEB, [change])
        assert told in str(caught.value)
    assert toml(tmp_path) == TEXT
    assert [path.name for path in (tmp_path / "vms" / "web").iterdir()] == ["vm.toml"]


async def test_a_disk_in_use_is_refused(backend: KvmBackend, tmp_path: Path) -> None:
    db = await backend.create(VMSpec("db", BLANK, disk_bytes=MIB), no_progress)
    used = tmp_path / "vms" / "db" / "disk.qcow2"
    with pytest.raises(BusyError, match="in use") as refused:
        await backend.plan(WEB, [Attach(NewDisk(path=used))])
    assert "db has it" in refused.value.why
    with pytest.raises(BusyError, match="has it already"):
        await backend.plan(db, [Attach(NewDisk(path=used))])
    await backend.change(await backend.plan(db, [Detach("disk.vda")]))
    used.chmod(0o400)
    with pytest.raises(InputError, match="can't be written"):
        await backend.plan(WEB, [Attach(NewDisk(path=used))])
    used.chmod(0o600)
    plan = await backend.plan(WEB, [Attach(NewDisk(path=used, bus=DiskBus.SATA))])
    await backend.change(plan)
    assert f'file = "{used}"' in toml(tmp_path)


async def test_a_disk_that_somebody_needs_as_it_is_is_refused(
    backend: KvmBackend, tmp_path: Path
) -> None:
    clone = await backend.create(VMSpec("clone", BLANK, disk_bytes=MIB), no_progress)
    store = Store(tmp_path / "vms", tmp_path / "run")
    base = tmp_path / "base.qcow2"
    base.write_bytes((store.folder("clone") / "disk.qcow2").read_bytes())
    definition = store.read("clone")
    leaning = msgspec.structs.replace(
        definition.disk[0], base=(BaseDefinition(str(base), "qcow2", 1, 1),)
    )
    await store.write(store.folder("clone"), msgspec.structs.replace(definition, disk=(leaning,)))
    with pytest.raises(BusyError) as refused:
        await backend.plan(WEB, [Attach(NewDisk(path=base))])
    assert refused.value.why == "a disk of clone leans on it"
    await backend.delete(clone, await backend.delete_plan(clone))
    with base.open("r+b") as file:
        # As QEMU tells others that it writes: a byte of its own for that permission.
        lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 101, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
        with pytest.raises(BusyError) as refused:
            await backend.plan(WEB, [Attach(NewDisk(path=base))])
        assert refused.value.why == "another program writes to it"
    await backend.plan(WEB, [Attach(NewDisk(path=base))])


async def test_the_balloon_has_a_ceiling_and_a_floor(backend: KvmBackend, tmp_path: Path) -> None:
    path = tmp_path / "vms" / "web" / "vm.toml"
    path.write_text(TEXT.replace("boot =", 'balloon_floor = "200M"\nboot ='))
    machine = Machine(Store(tmp_path / "vms", tmp_path / "run"), "web")
    machine.reload()
    ballooning.check(machine, 512 * MIB)
    with pytest.raises(InputError, match="leave itself 513 MiB"):
        ballooning.check(machine, 513 * MIB)
    ballooning.check_floor(machine, 200 * MIB)
    with pytest.raises(RefusedError) as refused:
        ballooning.check_floor(machine, 199 * MIB)
    assert refused.value.why == "its floor is 200 MiB"
    path.write_text(TEXT.replace("boot =", "balloon = false\nboot ="))
    machine.reload()
    with pytest.raises(UnsupportedError):
        ballooning.check(machine, 256 * MIB)


async def test_without_programs_and_modes_of_the_host(
    backend: KvmBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(MissingError, match="swtpm"):
        await backend.plan(WEB, [Assign("tpm", "crb")])
    monkeypatch.undo()
    monkeypatch.setattr(refusals, "kvm_has_smm", lambda: False)
    forced = TEXT.replace("boot =", 'accel = "kvm"\nfirmware = "uefi"\nboot =')
    (tmp_path / "vms" / "web" / "vm.toml").write_text(forced)
    with pytest.raises(UnsupportedError, match="under KVM"):
        await backend.plan(WEB, [Assign("firmware", "secure-boot")])


async def test_live_is_for_what_runs(backend: KvmBackend) -> None:
    with pytest.raises(StateError, match="it is off"):
        await backend.plan(WEB, [Assign("cpus", 1)], When.LIVE)
    frozen = KvmBackend(store=backend._store, read_only=True)
    plan = await backend.plan(WEB, [Assign("notes", "x")])
    with pytest.raises(RefusedError, match="read-only"):
        await frozen.change(plan)
    await frozen.close()


# -- edited text -------------------------------------------------------------------------------


async def test_an_edited_text_is_checked_shown_and_stored_as_it_is(
    backend: KvmBackend, tmp_path: Path
) -> None:
    text = await backend.definition(WEB)
    assert text.text == TEXT
    wrong = with_text(text, TEXT.replace("vcpus = 2", "vcpus = two"))
    with pytest.raises(InputError) as caught:
        await backend.plan_text(WEB, wrong)
    assert caught.value.why.startswith("line 4: ")
    with pytest.raises(RefusedError, match="keeps its uuid"):
        await backend.plan_text(WEB, with_text(text, TEXT.replace("u-1", "u-2")))
    edited = TEXT.replace("vcpus = 2", "vcpus = 4  # more\nhyperv = true").replace(
        'mac = "52:54:00:00:00:01"\nport = 2\n', 'mac = "52:54:00:00:00:01"\nlink = false\n'
    )
    edited += '\n[[nic]]\nmac = "52:54:00:00:00:02" # second\n'
    plan = await backend.plan_text(WEB, with_text(text, edited))
    assert [step.text for step in plan.steps] == [
        "vCPUs: 2 → 4",
        "net0 link: on → off",
        "+ network card on user (virtio)",
    ]
    assert "+hyperv = true" in plan.diff
    outcome = await backend.change(plan)
    assert toml(tmp_path) == edited
    await backend.change(await backend.plan(WEB, outcome.undo))
    assert "# more" in toml(tmp_path)
    restored: Definition = read(toml(tmp_path))
    assert (restored.vcpus, len(restored.nic), restored.nic[0].link) == (2, 1, True)


async def test_a_broken_definition_is_mended_in_the_editor(
    backend: KvmBackend, tmp_path: Path
) -> None:
    (tmp_path / "vms" / "web" / "vm.toml").write_text(TEXT.replace("vcpus = 2", "vcpus = 0"))
    [broken] = await backend.vms()
    assert broken.state is State.BROKEN
    with pytest.raises(InputError, match="can't be changed") as refused:
        await backend.plan(broken.id, [Assign("notes", "x")])
    assert "vmtui edit web" in refused.value.hint
    text = await backend.definition(broken.id)
    plan = await backend.plan_text(broken.id, with_text(text, TEXT))
    assert plan.steps == ()
    assert "+vcpus = 2" in plan.diff
    await backend.change(plan)
    assert (await backend.vm(WEB)).state is State.OFF


def with_text(definition: DefinitionText, edited: str) -> DefinitionText:
    return replace(definition, text=edited)
