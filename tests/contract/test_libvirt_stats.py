"""All that libvirt tells of real guests, in the right units, and how often it is asked for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("libvirt")

import libvirt

from tests.contract.cases import BOOT_LIMIT_S, made, opened, until
from tests.contract.conftest import micro_with_disk
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.places import Places
from vmtui.counters import GUEST_PERIOD_S, Counters, CpuCounters, Measure, MemoryCounters
from vmtui.errors import UnsupportedError
from vmtui.ksm import Switch
from vmtui.model import Power, VMId
from vmtui.units import KIB, MIB

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_stalls", "micro_image")]

# As another machine's daemon is seen: none of its files, none of its processes.
ELSEWHERE = Places(local=False, session=True)


@pytest.fixture
async def backend(libvirtd: PrivateLibvirtd) -> AsyncIterator[LibvirtBackend]:
    async with opened(LibvirtBackend(libvirtd.uri, places=libvirtd.places)) as backend:
        yield backend


@pytest.fixture
async def guest(backend: LibvirtBackend, name: str) -> VMId:
    """The micro image, on."""
    vm = await made(backend, micro_with_disk(name))
    await backend.power(vm, Power.START)
    return vm


async def whole(backend: LibvirtBackend, vm: VMId, *, with_guest: bool = False) -> Counters:
    """A sample in which QEMU, and the guest if asked for, have said something."""
    found: list[Counters] = []

    async def told() -> bool:
        sample = (await backend.counters([vm])).get(vm)
        if not isinstance(sample, Counters) or sample.memory is None:
            return False
        found.append(sample)
        return sample.memory.guest is not None or not with_guest

    await until(told, BOOT_LIMIT_S)
    return found[-1]


def cpu_of(sample: Counters) -> CpuCounters:
    assert sample.cpu is not None
    return sample.cpu


def memory_of(sample: Counters) -> MemoryCounters:
    assert sample.memory is not None
    return sample.memory


async def asked(daemon: PrivateLibvirtd, vm: VMId) -> dict[str, int]:
    """What another client of the same daemon is told."""

    def ask() -> dict[str, int]:
        with daemon.client() as connection:
            domain = connection.lookupByUUIDString(vm)
            return dict(connection.domainListGetStats([domain])[0][1])

    return await asyncio.to_thread(ask)


async def live_xml(daemon: PrivateLibvirtd, vm: VMId) -> str:
    def read() -> str:
        with daemon.client() as connection:
            return str(connection.lookupByUUIDString(vm).XMLDesc())

    return await asyncio.to_thread(read)


async def test_every_group_of_a_real_guest(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend, guest: VMId
) -> None:
    sample = await whole(backend, guest, with_guest=True)
    told = await asked(libvirtd, guest)

    cpu = cpu_of(sample)
    assert cpu.time_ns is not None
    assert cpu.user_ns is not None
    assert cpu.system_ns is not None
    assert cpu.time_ns == cpu.user_ns + cpu.system_ns
    assert 0 < cpu.time_ns <= told["cpu.time"]
    [vcpu] = cpu.vcpus
    assert (vcpu.index, vcpu.ready_ns is not None) == (0, True)
    # A second is 10^9 in both: booting is the vCPU's work, and the rest is QEMU's own.
    assert vcpu.time_ns is not None
    assert told["cpu.time"] / 4 < vcpu.time_ns <= told["cpu.time"]
    assert (cpu.halt_poll_ns, cpu.exits) == (None, None)

    memory = memory_of(sample)
    assert memory.maximum_bytes == 160 * MIB == told["balloon.maximum"] * KIB
    assert memory.actual_bytes == told["balloon.current"] * KIB
    assert memory.rss_bytes is not None
    assert 0.5 < memory.rss_bytes / (told["balloon.rss"] * KIB) < 2
    assert memory.swapped_bytes is not None
    inside = memory.guest
    assert inside is not None
    assert inside.total_bytes is not None
    assert inside.available_bytes is not None
    assert 100 * MIB < inside.total_bytes < 160 * MIB
    assert 0 < inside.available_bytes < inside.total_bytes
    assert inside.period_s == GUEST_PERIOD_S, "it was set when the VM was made"
    assert inside.age_s is not None
    assert inside.age_s < BOOT_LIMIT_S

    disk = {disk.target: disk for disk in sample.disks}["vda"]
    assert disk.capacity_bytes == 8 * MIB
    assert None not in (disk.reads, disk.read_ns, disk.writes, disk.write_ns, disk.flushes)

    [nic] = sample.nics
    assert (nic.rx_bytes, nic.tx_bytes) == (None, None)
    assert "user-mode" in nic.why_missing
    assert set(sample.missing) - {Measure.MERGED} == {
        Measure.EXITS,
        Measure.HALT_POLL,
        Measure.NICS,
    }


async def test_what_needs_qemu_is_the_same_object_until_it_is_asked_again(
    backend: LibvirtBackend, guest: VMId
) -> None:
    first = await whole(backend, guest)
    second = (await backend.counters([guest]))[guest]
    assert isinstance(second, Counters)
    assert memory_of(second) is memory_of(first)
    assert second.disks is first.disks
    assert cpu_of(second).vcpus is cpu_of(first).vcpus
    assert cpu_of(second).vcpus_at_s == cpu_of(first).vcpus_at_s
    assert cpu_of(second).at_s > cpu_of(first).at_s
    assert second.nics[0].at_s > first.nics[0].at_s
    later: list[Counters] = []

    async def renewed() -> bool:
        later[:] = [await whole(backend, guest)]
        return later[0].memory is not first.memory

    await until(renewed)
    assert memory_of(later[0]).at_s > memory_of(first).at_s
    before_s, after_s = cpu_of(first).vcpus_at_s, cpu_of(later[0]).vcpus_at_s
    assert before_s is not None
    assert after_s is not None
    assert after_s > before_s


async def test_a_daemon_elsewhere_tells_the_rest_by_itself(
    libvirtd: PrivateLibvirtd,
    backend: LibvirtBackend,
    guest: VMId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vmtui.ksm.ROOT", tmp_path)  # this machine's is not to be switched
    remote = LibvirtBackend(libvirtd.uri, places=ELSEWHERE)
    await remote.open()
    try:
        sample = await whole(remote, guest, with_guest=True)
        host = await remote.host_counters()
        with pytest.raises(UnsupportedError, match="another machine"):
            await remote.page_sharing()
        with pytest.raises(UnsupportedError, match="another machine"):
            await remote.share_pages(Switch.OFF)
    finally:
        await remote.close()
    cpu, memory = cpu_of(sample), memory_of(sample)
    assert cpu.time_ns
    assert cpu.at_s == cpu.vcpus_at_s == memory.at_s
    assert (memory.swapped_bytes, memory.merged_bytes) == (None, None)
    assert "this machine" in sample.missing[Measure.SWAPPED]
    assert memory.guest is not None
    assert memory.guest.age_s is None, "its clock is not known"

    assert host.cpu is not None
    assert host.cpu.steal_s is None
    assert host.cpus
    assert host.memory_total_bytes
    assert host.memory_available_bytes
    for measure in (Measure.LOAD, Measure.PRESSURE, Measure.KSM, Measure.SWAP, Measure.CPU_DETAIL):
        assert host.missing[measure] == "libvirt does not tell it of a remote host"
    near = await backend.host_counters()
    assert near.load is not None
    assert len(near.cpus) == len(host.cpus)
    assert near.memory_total_bytes == pytest.approx(host.memory_total_bytes, rel=0.01)


async def test_the_guests_report_is_asked_for_once_and_never_when_read_only(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend, name: str
) -> None:
    def start() -> str:
        xml = f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>
          <os><type arch='x86_64' machine='q35'>hvm</type></os>
          <devices><memballoon model='virtio'/></devices></domain>"""
        with libvirtd.client() as connection:
            return str(connection.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED).UUIDString())

    vm = VMId(await asyncio.to_thread(start))
    watcher = LibvirtBackend(libvirtd.uri, read_only=True, places=libvirtd.places)
    await watcher.open()
    try:
        sample = await whole(watcher, vm)
        assert sample.missing[Measure.GUEST_MEMORY].startswith("read-only")
        assert "<stats" not in await live_xml(libvirtd, vm)
    finally:
        await watcher.close()

    sample = await whole(backend, vm)
    assert f"<stats period='{GUEST_PERIOD_S}'/>" in await live_xml(libvirtd, vm)
    assert "no balloon driver" in sample.missing[Measure.GUEST_MEMORY]


async def test_somebody_elses_period_is_kept(
    libvirtd: PrivateLibvirtd, backend: LibvirtBackend, guest: VMId
) -> None:
    def choose() -> None:
        with libvirtd.client() as connection:
            domain = connection.lookupByUUIDString(guest)
            domain.setMemoryStatsPeriod(3, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    await asyncio.to_thread(choose)
    await whole(backend, guest)
    periods = re.findall(r"<stats period='(\d+)'/>", await live_xml(libvirtd, guest))
    assert periods == ["3"]


async def test_a_new_run_is_a_new_epoch(backend: LibvirtBackend, guest: VMId) -> None:
    first = await whole(backend, guest)
    await backend.power(guest, Power.STOP)

    async def none() -> bool:
        return await backend.counters([guest]) == {}

    await until(none)
    await backend.power(guest, Power.START)
    second = await whole(backend, guest)
    assert second.epoch != first.epoch
    assert memory_of(second).at_s > memory_of(first).at_s
