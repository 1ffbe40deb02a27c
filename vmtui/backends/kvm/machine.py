"""One VM of the store as this process sees it: its definition, its QEMU, its state."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.disks import capacity_bytes
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.process import Process, Record, boot_id, read_record
from vmtui.backends.kvm.program import QEMU
from vmtui.backends.kvm.store import Store
from vmtui.errors import VmtuiError
from vmtui.model import VM, Accel, Disk, DiskKind, Nic, SshAccess, State, VMId
from vmtui.parts import DiskBus

STOPPING_SHOWN_S = 180.0
"""A guest that has not reacted to a shutdown after this long is just running."""

# QEMU's RunState (qapi/run-state.json) in the words of the model; the rest is paused.
_STATES = {"running": State.RUNNING, "suspended": State.SUSPENDED}
_PROBLEMS = {
    "io-error": "paused by QEMU: a disk can't be read or written (is the host's disk full?)",
    "internal-error": "paused by QEMU after an internal error; see the log",
    "guest-panicked": "the guest's kernel panicked",
    "shutdown": "the guest has shut down, and waits for a reset",
    "watchdog": "paused by the guest's watchdog",
}

_PREFIXES = {
    DiskBus.VIRTIO: "vd",
    DiskBus.SCSI: "sd",
    DiskBus.SATA: "sd",
    DiskBus.IDE: "sd",
    DiskBus.NVME: "nvme",
}


class Machine:
    """Mutable; changed by the backend that owns it, never by two coroutines at a time."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.definition: Definition | None = None
        self.problem = ""
        self.process: Process | None = None
        self.record: Record | None = None
        self.monitor: Monitor | None = None  # kept open for events
        self.run_state = ""
        self.stopping_since_s: float | None = None
        self.drawing = asyncio.Lock()  # held while QEMU draws its screen for somebody
        self._stamp = (-1, -1, -1)
        self._record_stamp = 0
        self._disks: tuple[Disk, ...] = ()

    @property
    def id(self) -> VMId:
        """The UUID; a broken definition has none, so its name has to do."""
        return VMId(self.definition.uuid if self.definition else f"broken:{self.name}")

    @property
    def folder(self) -> Path:
        """Where its definition and disks are."""
        return self.store.folder(self.name)

    @property
    def place(self) -> Place:
        """Where its sockets are, with the acceleration that it runs with."""
        accel = Accel(self.record.accel) if self.record else Accel.TCG
        return Place(shutil.which(QEMU) or QEMU, self.folder, self.store.runtime(self.name), accel)

    @property
    def record_path(self) -> Path:
        """Where its QEMU's pid and command line are kept."""
        return self.store.runtime(self.name) / "process.json"

    @property
    def active(self) -> bool:
        """Whether its QEMU runs."""
        return self.process is not None and self.process.alive

    @property
    def over(self) -> bool:
        """Whether it is a throwaway VM that has been on, or whose machine was booted since."""
        definition = self.definition
        if definition is None or not definition.throwaway or self.active:
            return False
        return self.record is not None or definition.boot_id != boot_id()

    @property
    def host_ports(self) -> frozenset[int]:
        """The ports of this machine that lead to it while it runs."""
        nics = self.definition.nic if self.definition else ()
        return frozenset(forward.host_port for nic in nics for forward in nic.forwards)

    # -- reading the disk --------------------------------------------------------------------

    def reload(self) -> bool:
        """Read the definition and look for a process if they changed; whether anything did."""
        return self._reload_definition() | self._reload_process()

    def _reload_definition(self) -> bool:
        stamp = self.store.stamp(self.name)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            self.definition = self.store.read(self.name)
            self.problem = ""
        except VmtuiError as error:
            self.definition = None
            self.problem = f"{error.what}: {error.why}"
        self._disks = self._read_disks()
        return True

    def _reload_process(self) -> bool:
        if self.active:
            return False
        was_known = self.process is not None
        try:
            stamp = self.record_path.stat().st_mtime_ns
        except OSError:
            stamp = 0
        if stamp == self._record_stamp and not was_known:
            return False
        self.forget_process()
        self._record_stamp = stamp
        self.record = read_record(self.record_path) if stamp else None
        if self.record:
            self.process = Process.adopt(self.record, self._pid_from_file())
            if self.process is not None:
                self.run_state = "running"  # until it is asked
        return was_known or self.process is not None

    def _pid_from_file(self) -> int:
        try:
            return int(self.place.pidfile.read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def took_process(self, process: Process, record: Record) -> None:
        """Remember the QEMU that this process has just started."""
        self.forget_process()
        self.process = process
        self.record = record
        self._record_stamp = self.record_path.stat().st_mtime_ns
        self.run_state = "running"

    def forget_process(self) -> None:
        """Let go of it, dead or alive."""
        if self.process is not None:
            self.process.release()
        self.process = None
        self.run_state = ""
        self.stopping_since_s = None

    @property
    def disks(self) -> tuple[Disk, ...]:
        """Its drives, in the order of the definition."""
        return self._disks

    # -- asking QEMU -------------------------------------------------------------------------

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[Monitor]:
        """A monitor to ask: the kept one, else the shared one for short."""
        if self.monitor is not None and self.monitor.connected:
            yield self.monitor
            return
        async with Monitor.brief(self.name, self.place) as monitor:
            yield monitor

    async def refresh_state(self) -> bool:
        """Ask for the run state; whether it changed. A QEMU that does not answer keeps the last."""
        if not self.active:
            return False
        before = self.run_state
        try:
            async with self.asked() as monitor:
                answer = await monitor.execute("query-status")
        except VmtuiError:
            return False
        self.run_state = str(answer["status"])
        return self.run_state != before

    # -- telling -----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What it is doing, as far as known."""
        if self.active:
            if self.run_state == "running" and self.stopping_since_s is not None:
                waited_s = time.monotonic() - self.stopping_since_s
                return State.STOPPING if waited_s < STOPPING_SHOWN_S else State.RUNNING
            return _STATES.get(self.run_state, State.PAUSED)
        if self.definition is None:
            return State.BROKEN
        # QEMU removes its pidfile when it ends well; one that is left tells of a sudden end.
        record = self.record
        sudden = record and record.boot_id == boot_id() and self.place.pidfile.exists()
        return State.CRASHED if sudden else State.OFF

    def vm(self) -> VM:
        """The frozen picture of it."""
        definition = self.definition
        state = self.state
        problem = self.problem
        ssh = definition.ssh_access if definition else SshAccess()
        forwarded = state.active and bool(ssh.host)
        if state.active:
            problem = problem or _PROBLEMS.get(self.run_state, "")
        elif state is State.CRASHED:
            problem = "QEMU ended without being asked; see the log"
        return VM(
            id=self.id,
            name=self.name,
            state=state,
            vcpus=definition.vcpus if definition else 0,
            memory_bytes=definition.memory_bytes if definition else 0,
            accel=Accel(self.record.accel) if self.record and state.active else None,
            firmware=definition.firmware if definition else None,
            tpm=bool(definition and definition.tpm),
            started_at_s=self.record.started_at_s if self.record and state.active else None,
            disks=self._disks,
            nics=tuple(Nic(nic.mac, nic.label, nic.model) for nic in definition.nic)
            if definition
            else (),
            image=(definition.image or definition.boot.value) if definition else None,
            description=definition.description if definition else "",
            consoles=definition.consoles if definition else ("serial0",),
            displays=definition.displays if definition else 0,
            ssh=ssh,
            addresses=(f"{ssh.host}:{ssh.port}",) if forwarded else (),
            address_origin="forward" if forwarded else "",
            tags=definition.tags if definition else (),
            throwaway=bool(definition and definition.throwaway),
            problem=problem,
        )

    def _read_disks(self) -> tuple[Disk, ...]:
        if self.definition is None:
            return ()
        disks = []
        for disk, target in zip(self.definition.disk, _targets(self.definition), strict=True):
            path = self.folder / disk.file
            disks.append(
                Disk(
                    target=target,
                    kind=disk.kind,
                    source=str(path),
                    format=disk.format,
                    capacity_bytes=capacity_bytes(path, disk.format),
                    read_only=disk.read_only,
                    backing=disk.base[0].file if disk.base else None,
                )
            )
        return tuple(disks)

    async def close(self) -> None:
        """Let go of monitor and process; the VM goes on."""
        if self.monitor is not None:
            await self.monitor.close()
            self.monitor = None
        self.forget_process()


def _targets(definition: Definition) -> Iterator[str]:
    """What Linux in the guest calls the drives, as far as that can be told from here."""
    used: Counter[str] = Counter()
    for disk in definition.disk:
        prefix = "sr" if disk.kind is DiskKind.CDROM else _PREFIXES[disk.bus]
        number = used[prefix]
        used[prefix] += 1
        if prefix == "nvme":
            yield f"nvme{number}n1"
        else:
            letter = chr(ord("a") + number) if number < 26 else "?"
            yield prefix + (str(number) if prefix == "sr" else letter)


async def gone(machine: Machine, timeout_s: float) -> bool:
    """Whether its QEMU ended in time."""
    if machine.process is None:
        return True
    try:
        async with asyncio.timeout(timeout_s):
            await machine.process.exited()
    except TimeoutError:
        return not machine.active
    return True
