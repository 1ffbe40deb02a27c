"""What surrounds a domain, with real daemons: its TPM's state, its firmware's variables, the rest.

No guest runs: where libvirt has to start a VM, it starts it paused.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

pytest.importorskip("libvirt")

import libvirt

from tests.contract.cases import until
from tests.contract.daemon import PrivateLibvirtd
from vmtui.backends.kvm import tpm_making, tpm_state
from vmtui.backends.kvm.swtpm import Chip
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.metadata import tpm_secret
from vmtui.deletion import sparing
from vmtui.errors import InputError, OperationError, RefusedError, StateError, UnsupportedError
from vmtui.hardware.around import Barrier, FirmwareFacts, Mark, TpmFacts
from vmtui.hardware.cores import CoreMap
from vmtui.hardware.devices import HostBus
from vmtui.hardware.settings import PartKind
from vmtui.model import Power, State, VMId

pytestmark = pytest.mark.slow

TPM = "<backend type='emulator' version='2.0'/>"
DEVICES = """<interface type='user'/><graphics type='vnc'/>
<serial type='tcp'><source mode='bind' host='0.0.0.0' service='0'/></serial>"""
XML = """
<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os firmware='efi'><type machine='q35'>hvm</type><firmware>
<feature enabled='yes' name='secure-boot'/><feature enabled='yes' name='enrolled-keys'/>
</firmware></os><features><acpi/><smm state='on'/></features>
<devices><tpm model='tpm-crb'>{tpm}</tpm>{devices}</devices></domain>
"""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Ran:
    """A VM that was started once, and what was told of it before and then."""

    vm: VMId
    name: str
    before: tuple[TpmFacts, FirmwareFacts, dict[str, Barrier]]
    running: tuple[TpmFacts, FirmwareFacts, dict[str, Barrier]]
    crippled: TpmFacts  # without its swtpm
    cores: CoreMap
    refused: list[BaseException | None]  # what needs a VM that is off


@pytest.fixture(scope="module", params=["libvirtd", "system_libvirtd"])
def daemon(request: pytest.FixtureRequest) -> Iterator[PrivateLibvirtd]:
    """That of a user, and that of the system."""
    found: PrivateLibvirtd = request.getfixturevalue(request.param)
    yield found
    found.clear()


@pytest.fixture
async def backend(daemon: PrivateLibvirtd) -> AsyncIterator[LibvirtBackend]:
    """Open."""
    opened = LibvirtBackend(daemon.uri, places=daemon.places)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def far(daemon: PrivateLibvirtd) -> AsyncIterator[LibvirtBackend]:
    """A client that has none of the daemon's files."""
    opened = LibvirtBackend(daemon.uri, places=replace(daemon.places, local=False))
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def ran(daemon: PrivateLibvirtd) -> Ran:
    """One for all tests; what they change of it is not what others look at."""
    return asyncio.run(_run(daemon))


async def _run(daemon: PrivateLibvirtd) -> Ran:
    vm = defined(daemon, devices=DEVICES)
    backend = LibvirtBackend(daemon.uri, places=daemon.places)
    await backend.open()
    try:
        before = await told(backend, vm)
        await asyncio.to_thread(start_paused, daemon, vm)
        running, cores = await told(backend, vm), await backend.cores()
        calls = (
            backend.back_up_tpm(vm, Path("/nowhere")),
            backend.clear_tpm(vm),
            backend.back_up_variables(vm, Path("/nowhere")),
            backend.reset_variables(vm),
        )
        refused = [(await asyncio.gather(call, return_exceptions=True))[0] for call in calls]
        swtpm = swtpm_of(vm)
        swtpm.kill()
        await until(lambda: has_ended(swtpm))
        crippled = await backend.tpm(vm)
        await backend.power(vm, Power.STOP)
        return Ran(vm, (await backend.vm(vm)).name, before, running, crippled, cores, refused)
    finally:
        await backend.close()


async def told(
    backend: LibvirtBackend, vm: VMId
) -> tuple[TpmFacts, FirmwareFacts, dict[str, Barrier]]:
    barriers = {one.topic: one for one in await backend.isolation(vm)}
    return await backend.tpm(vm), await backend.firmware(vm), barriers


def defined(daemon: PrivateLibvirtd, tpm: str = TPM, devices: str = "") -> VMId:
    """A domain with UEFI and a TPM that was never started."""
    xml = XML.format(name=f"around-{next(_numbers)}", tpm=tpm, devices=devices)
    with daemon.client() as connection:
        stored = connection.defineXML(xml).XMLDesc(0)
        return VMId(connection.defineXML(daemon.seen_by_both(stored)).UUIDString())


def start_paused(daemon: PrivateLibvirtd, vm: VMId) -> None:
    with daemon.client() as connection:
        connection.lookupByUUIDString(vm).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)


def swtpm_of(vm: VMId) -> psutil.Process:
    [found] = [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "swtpm"
        and any(vm in word for word in process.info["cmdline"] or ())
    ]
    return found


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def state_of(daemon: PrivateLibvirtd, vm: VMId) -> Path:
    """The file of its TPM's state."""
    assert daemon.places.tpms is not None
    return daemon.places.tpms / vm / "tpm2/tpm2-00.permall"


def make_sealed(folder: Path, phrase: Path) -> None:
    """A new state, encrypted the way that libvirt has it."""
    subprocess.run(
        [
            *("swtpm_setup", "--tpm2", "--createek", "--tpmstate", str(folder)),
            *("--pcr-banks", "sha256", "--cipher", "aes-256-cbc", "--pwdfile", str(phrase)),
        ],
        check=True,
        capture_output=True,
    )


def variables_of(daemon: PrivateLibvirtd, name: str) -> Path:
    assert daemon.places.variables is not None
    return daemon.places.variables / f"{name}_VARS.fd"


def test_what_needs_a_vm_that_is_off_is_refused_while_it_runs(ran: Ran) -> None:
    assert [type(error) for error in ran.refused] == [StateError] * 4


# -- TPM -----------------------------------------------------------------------------------------


async def test_a_tpm_is_told_backed_up_cleared_and_restored(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, ran: Ran, tmp_path: Path
) -> None:
    vm, state = ran.vm, state_of(daemon, ran.vm)
    before, running = ran.before[0], ran.running[0]
    assert (before.model, before.version, before.state) == ("crb", "2.0", state.parent)
    assert (before.size_bytes, before.encrypted) == (None, False)
    assert before.health == "off; its state is made at the first start"
    assert (running.health, running.banks) == ("running", ("sha256",))
    assert running.size_bytes
    assert "Ending vTPM manufacturing" in running.log
    assert "until the VM was off" in ran.crippled.health
    assert (await backend.tpm(vm)).health == "off"

    content, owner = state.read_bytes(), (state.stat().st_uid, state.stat().st_mode)
    kept = tmp_path / "kept"
    await backend.back_up_tpm(vm, kept)
    assert kept.stat().st_mode & 0o077 == 0
    await backend.clear_tpm(vm)
    assert list(state.parent.parent.iterdir()) == []
    await backend.restore_tpm(vm, kept)
    assert state.read_bytes() == content
    assert (state.stat().st_uid, state.stat().st_mode) == owner
    assert (await backend.tpm(vm)).banks == ("sha256",)


async def test_a_tpm_moves_between_the_backends(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, tmp_path: Path
) -> None:
    vm = defined(daemon)
    direct = Chip(tmp_path / "direct/tpm")
    direct.folder.parent.mkdir()
    await tpm_making.prepare("direct", direct)
    await tpm_state.back_up("direct", "id", direct, tmp_path / "from-direct")
    await backend.restore_tpm(vm, tmp_path / "from-direct")
    assert state_of(daemon, vm).read_bytes() == direct.state.read_bytes()
    await backend.back_up_tpm(vm, tmp_path / "from-libvirt")
    other = Chip(tmp_path / "other/tpm")
    other.folder.parent.mkdir()
    await tpm_state.restore("other", other, tmp_path / "from-libvirt", tmp_path)
    assert other.state.read_bytes() == direct.state.read_bytes()


async def test_what_is_no_backup_replaces_nothing(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, tmp_path: Path
) -> None:
    vm = defined(daemon)
    (tmp_path / "junk").write_bytes(b"junk" * 1000)
    with pytest.raises(InputError):
        await backend.restore_tpm(vm, tmp_path / "junk")
    assert not state_of(daemon, vm).parent.parent.exists()  # libvirt would take it for one made
    reader = LibvirtBackend(daemon.uri, places=daemon.places, read_only=True)
    await reader.open()
    try:
        for refused in (reader.clear_tpm(vm), reader.restore_tpm(vm, tmp_path / "junk")):
            with pytest.raises(RefusedError):
                await refused
    finally:
        await reader.close()


async def test_encrypted_state_needs_its_secret(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, tmp_path: Path
) -> None:
    with daemon.client() as connection:
        # As vmtui makes them: even who may do all with libvirt is not told what it is.
        secret = connection.secretDefineXML("<secret ephemeral='no' private='yes'/>")
        secret.setValue("open sesame")
        sealed = f"<encryption secret='{secret.UUIDString()}'/>"
        vm = defined(daemon, f"<backend type='emulator' version='2.0'>{sealed}</backend>")
        state = state_of(daemon, vm)
        state.parent.mkdir(parents=True)
        (tmp_path / "phrase").write_text("open sesame")
        await asyncio.to_thread(make_sealed, state.parent, tmp_path / "phrase")
        facts = await backend.tpm(vm)
        assert (facts.encrypted, facts.banks, facts.health) == (True, ("sha256",), "off")
        await backend.back_up_tpm(vm, tmp_path / "kept")
        await backend.clear_tpm(vm)
        secret.setValue("another")
        with pytest.raises(InputError, match="can't be restored"):
            await backend.restore_tpm(vm, tmp_path / "kept")
        assert not state.exists()
        with pytest.raises(InputError, match="can't be restored"):
            await backend.restore_tpm(defined(daemon), tmp_path / "kept")
        secret.setValue("open sesame")
        await backend.restore_tpm(vm, tmp_path / "kept")
        # And libvirt's own swtpm takes it, as the user that it runs as.
        await asyncio.to_thread(start_paused, daemon, vm)
        assert swtpm_of(vm).is_running()
        await backend.power(vm, Power.STOP)
        secret.undefine()


async def test_a_state_that_is_not_at_hand_is_told_with_the_way_by_hand(
    daemon: PrivateLibvirtd, far: LibvirtBackend, tmp_path: Path
) -> None:
    vm = defined(daemon)
    facts = await far.tpm(vm)
    assert facts.state == state_of(daemon, vm).parent
    with pytest.raises(UnsupportedError) as refused:
        await far.back_up_tpm(vm, tmp_path / "kept")
    assert str(facts.state) in refused.value.hint


# -- firmware ------------------------------------------------------------------------------------


async def test_variables_are_told_backed_up_and_begun_anew(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, far: LibvirtBackend, ran: Ran, tmp_path: Path
) -> None:
    vm, path = ran.vm, variables_of(daemon, ran.name)
    before, running = ran.before[1], ran.running[1]
    assert (before.variables, before.size_bytes, before.enrolled_keys) == (None, None, True)
    assert before.secure_boot
    # What libvirt chose is what was foretold.
    for name in ("code", "template", "descriptor"):
        assert getattr(running, name) == getattr(before, name)
    facts = await backend.firmware(vm)
    assert facts.template is not None
    template = facts.template.read_bytes()
    assert (facts.variables, facts.size_bytes, facts.enrolled_keys) == (path, len(template), True)

    owner, own = path.stat().st_uid, tmp_path / "own.fd"
    own.write_bytes(Path(str(facts.template).replace(".ms", "")).read_bytes())
    await backend.reset_variables(vm, own)
    assert path.read_bytes() == own.read_bytes() != template
    assert path.stat().st_uid == owner
    assert (await backend.firmware(vm)).enrolled_keys is False
    await backend.back_up_variables(vm, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == own.read_bytes()
    own.write_bytes(b"no store" * (len(template) // 8))
    with pytest.raises(InputError, match="can't be the variables"):
        await backend.reset_variables(vm, own)
    assert path.read_bytes() == (tmp_path / "kept").read_bytes()
    await backend.reset_variables(vm)
    assert not path.exists()  # libvirt makes them when it starts
    with pytest.raises(OperationError, match="can't be read"):
        await backend.back_up_variables(vm, tmp_path / "none")

    # Where the file is not at hand, libvirt does it itself.
    path.write_bytes((tmp_path / "kept").read_bytes())
    await far.reset_variables(vm)
    assert path.read_bytes() == template
    assert (await far.vm(vm)).state is State.OFF
    with pytest.raises(UnsupportedError):
        await far.back_up_variables(vm, tmp_path / "far")


# -- deleting ------------------------------------------------------------------------------------


def with_files(daemon: PrivateLibvirtd, vm: VMId, name: str) -> tuple[Path, Path]:
    """Something in place of its TPM's state and its variables."""
    state, variables = state_of(daemon, vm), variables_of(daemon, name)
    state.parent.mkdir(parents=True)
    for path in (state, variables):
        path.write_bytes(b"precious")
    return state, variables


async def test_a_deletion_spares_what_was_chosen(
    daemon: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    disk = daemon.images / "around.img"
    disk.parent.mkdir(parents=True, exist_ok=True)
    disk.write_bytes(b"\0" * 4096)
    inside = disk if daemon.places.session else Path("/var/lib/libvirt/images") / disk.name
    drive = f"<disk type='file'><source file='{inside}'/><target dev='vda'/></disk>"
    vm = defined(daemon, devices=drive)
    state, variables = with_files(daemon, vm, (await backend.vm(vm)).name)
    plan = await backend.delete_plan(vm)
    doomed = {item.what: item for item in plan.doomed}
    assert doomed["TPM state"].name == str(state.parent.parent)
    assert doomed["TPM state"].warning == "disk keys sealed in it are lost"
    assert {item.size_bytes for what, item in doomed.items() if what != "disk"} == {8}
    kinds = {"TPM state", "UEFI variables", *(["disk"] if "disk" in doomed else [])}
    assert {what for what, item in doomed.items() if item.sparable} == kinds
    await backend.delete(vm, sparing(plan, sorted(kinds)))
    assert [path.read_bytes() for path in (state, variables)] == [b"precious"] * 2
    assert disk.exists()
    disk.unlink()
    variables.unlink()


async def test_a_deletion_takes_all_that_is_its_own(
    daemon: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    vm = defined(daemon)
    state, variables = with_files(daemon, vm, (await backend.vm(vm)).name)
    with daemon.client() as connection:
        xml = connection.lookupByUUIDString(vm).XMLDesc(0)
        connection.defineXML(re.sub("<tpm.*?</tpm>", "", xml, flags=re.DOTALL))
        # A TPM that is taken out keeps its state, and a deletion does not take it along.
        plan = await backend.delete_plan(vm)
        assert [kept.name for kept in plan.kept] == [str(state.parent.parent)]
        assert (await backend.tpm(vm)).health.startswith("taken out")
        connection.defineXML(xml)
    assert state.read_bytes() == b"precious"
    await backend.delete(vm, await backend.delete_plan(vm))
    assert not state.exists()
    assert not variables.exists()


async def test_a_deletion_leaves_a_file_that_somebody_else_put_elsewhere(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.raw"
    foreign.write_bytes(b"precious")
    drive = f"<disk type='file'><source file='{foreign}'/><target dev='vda'/></disk>"
    vm = defined(daemon, devices=drive)
    plan = await backend.delete_plan(vm)
    assert (str(foreign), "in no storage pool; delete it by hand") in {
        (kept.name, kept.why) for kept in plan.kept
    }
    await backend.delete(vm, plan)
    assert foreign.read_bytes() == b"precious"


async def test_the_key_of_a_tpm_stays_as_long_as_its_state(
    daemon: PrivateLibvirtd, backend: LibvirtBackend
) -> None:
    with daemon.client() as connection:

        def encrypted() -> tuple[VMId, libvirt.virSecret]:
            vm = defined(daemon)
            uuid = tpm_secret(vm)
            made = connection.secretDefineXML(f"<secret private='yes'><uuid>{uuid}</uuid></secret>")
            sealed = f"version='2.0'><encryption secret='{uuid}'/></backend>"
            xml = connection.lookupByUUIDString(vm).XMLDesc(0)
            connection.defineXML(xml.replace("version='2.0'/>", sealed))
            return vm, made

        vm, secret = encrypted()
        plan = await backend.delete_plan(vm)
        assert secret.UUIDString() in {one.name for one in plan.doomed if one.what == "TPM key"}
        await backend.delete(vm, sparing(plan, ["TPM state"]))
        secret.undefine()  # it is still there
        vm, secret = encrypted()
        await backend.delete(vm, await backend.delete_plan(vm))
        with pytest.raises(libvirt.libvirtError):
            secret.undefine()


# -- isolation, devices --------------------------------------------------------------------------


async def test_what_keeps_a_guest_in_is_told_and_tightened(
    daemon: PrivateLibvirtd, backend: LibvirtBackend, ran: Ran
) -> None:
    expected = {
        "system calls": ("filtered by seccomp", Mark.GOOD),
        "network": ("user", Mark.OPEN),
        "shared folders": ("none", Mark.GOOD),
        "passthrough": ("none", Mark.GOOD),
        "graphics": ("127.0.0.1", Mark.OPEN),
        "consoles": ("0.0.0.0", Mark.WEAK),
        "TPM": ("a process of its own", Mark.OPEN),
    }
    before, running = ran.before[2], ran.running[2]
    for found in (before, running):
        assert {t: (found[t].value, found[t].mark) for t in expected} == expected
    if not daemon.places.session:  # the tests' session is that of a user of its own namespace
        assert running["process user"] == before["process user"]
        assert running["process user"].mark is Mark.GOOD
    changes = [change for one in running.values() for change in one.changes]
    await backend.change(await backend.plan(ran.vm, changes))
    after = {one.topic: one for one in await backend.isolation(ran.vm)}
    assert (after["network"].value, after["page sharing"].mark) == ("none", Mark.GOOD)
    assert [one.topic for one in after.values() if one.changes] == []


async def test_the_hosts_devices_are_listed(backend: LibvirtBackend) -> None:
    for device in await backend.host_devices():
        assert device.label
        assert device.unavailable or device.group is not None or device.bus is HostBus.USB


async def test_where_threads_may_run_is_told(backend: LibvirtBackend, ran: Ran) -> None:
    mine = [placed for placed in ran.cores.placed if placed.vm == ran.vm]
    assert [placed.what for placed in mine] == ["vCPU 0", "emulator"]
    assert all(placed.cpus == ran.cores.numbers for placed in mine)
    assert mine[0].last in ran.cores.numbers
    assert ran.vm not in {placed.vm for placed in (await backend.cores()).placed}


async def test_what_could_guard_its_memory_is_told(backend: LibvirtBackend, ran: Ran) -> None:
    hardware = await backend.hardware(ran.vm)
    [notes] = [part.notes for part in hardware.parts if part.kind is PartKind.FIRMWARE]
    assert [note.partition(": ")[0] for note in notes[-3:]] == ["SEV", "SEV-SNP", "TDX"]
    assert all("absent, " in note or "offered" in note for note in notes[-3:])
