"""One VM of the store as this process sees it: its definition, its QEMU, its state."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from vmtui.backends.kvm import described, running, swtpm
from vmtui.backends.kvm.argv import Place
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.drives import node_name
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.process import Process, Record, boot_id, ended, read_record
from vmtui.backends.kvm.program import QEMU
from vmtui.backends.kvm.running import Running
from vmtui.backends.kvm.store import Store
from vmtui.errors import VmtuiError
from vmtui.model import VM, Accel, Disk, State, VMId

STOPPING_SHOWN_S = 180.0
"""A guest that has not reacted to a shutdown after this long is just running."""

# QEMU's RunState (qapi/run-state.json) in the words of the model; the rest is paused.
_STATES = {"running": State.RUNNING, "suspended": State.SUSPENDED}


class Machine:
    """Mutable; changed by the backend that owns it, never by two coroutines at a time."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.definition: Definition | None = None
        self.problem = ""
        self.process: Process | None = None
        self.tpm: Process | None = None  # the swtpm beside it
        self.record: Record | None = None
        self.monitor: Monitor | None = None  # kept open for events
        self.run_state = ""
        self.stopping_since_s: float | None = None
        self.drawing = asyncio.Lock()  # held while QEMU draws its screen for somebody
        self._stamp = (-1, -1, -1)
        self._record_stamp: tuple[int, int] | None = None
        self._had_tpm = False
        self._running: Running | None = None
        self._running_stamp = (0, 0)
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
    def tpm_lost(self) -> bool:
        """Whether swtpm has ended although QEMU, which it was started for, has not."""
        return self.active and self._had_tpm and not (self.tpm and self.tpm.alive)

    @property
    def running(self) -> Running | None:
        """What its QEMU has; None while it is off, or if that was started by an older vmtui."""
        return self._running if self.process is not None else None

    @property
    def current(self) -> Definition | None:
        """What it is made of now: as it runs, or as it would be started."""
        return self.running.definition if self.running else self.definition

    @property
    def definitions(self) -> tuple[Definition, ...]:
        """What it will be made of, and what it is made of where that is something else."""
        both = (self.definition, self.running.definition if self.running else None)
        return tuple(definition for definition in both if definition is not None)

    @property
    def over(self) -> bool:
        """Whether it is a throwaway VM that has been on, or whose machine was booted since."""
        definition = self.definition
        if definition is None or not definition.throwaway or self.active:
            return False
        return self.record is not None or definition.boot_id != boot_id()

    @property
    def host_ports(self) -> frozenset[int]:
        """The ports of this machine that lead to it while it runs, or will."""
        nics = (nic for definition in self.definitions for nic in definition.nic)
        return frozenset(forward.host_port for nic in nics for forward in nic.forwards)

    # -- reading the disk --------------------------------------------------------------------

    def reload(self) -> bool:
        """Read the definition and look for a process if they changed; whether anything did."""
        changed = self._reload_definition() | self._reload_process()
        changed |= self._reload_running()
        if changed:
            self._disks = described.disks(self)
        return changed

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
        return True

    def _reload_running(self) -> bool:
        runtime = self.store.runtime(self.name)
        stamp = running.stamp(runtime) if self.process is not None else running.NONE
        if stamp == self._running_stamp:
            return False
        self._running_stamp = stamp
        self._running = running.read(runtime) if stamp != running.NONE else None
        return True

    def _reload_process(self) -> bool:
        if self.active:
            return False
        was_known = self.process is not None
        stamp = self._stamp_of_record()
        # An intent tells of a process that may come at any moment, without a word more.
        intended = self.record is not None and not self.record.pid
        if stamp == self._record_stamp and not was_known and not intended:
            return False
        self.forget_process()
        self._record_stamp = stamp
        self.record = read_record(self.record_path) if stamp else None
        if self.record:
            self.process = Process.adopt(self.record, self._pid_from_file())
            if self.process is not None:
                self.run_state = "running"  # until it is asked
                self._take_tpm()
        return was_known or self.process is not None

    def _stamp_of_record(self) -> tuple[int, int] | None:
        try:
            status = self.record_path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _pid_from_file(self) -> int:
        try:
            return int(self.place.pidfile.read_text("ascii"))
        except (OSError, ValueError):
            return 0

    def took_process(self, process: Process, record: Record) -> None:
        """Remember the QEMU that this process has just started."""
        if self.process is not None and self.process.pid == process.pid:
            process.release()  # a look at the store was quicker, and its end is waited for by now
        else:
            self.forget_process()
            self.process = process
        self._take_tpm()
        self.record = record
        self._record_stamp = self._stamp_of_record()
        self.run_state = "running"

    def _take_tpm(self) -> None:
        self.tpm = swtpm.adopt(self.place)
        self._had_tpm = swtpm.record_path(self.place).exists()

    def forget_process(self) -> None:
        """Let go of it, dead or alive."""
        for process in (self.process, self.tpm):
            if process is not None:
                process.release()
        self.process = self.tpm = None
        self.run_state = ""
        self.stopping_since_s = None

    @property
    def disks(self) -> tuple[Disk, ...]:
        """Its drives, in the order of what it is made of now."""
        return self._disks

    @property
    def drives(self) -> Mapping[str, Disk]:
        """Its drives, by the names that QEMU has for their content."""
        known = self.running
        numbers = [slot.number for slot in known.disks] if known else range(len(self._disks))
        return {node_name(n): disk for n, disk in zip(numbers, self._disks, strict=False)}

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
        return described.vm(self)

    async def close(self) -> None:
        """Let go of monitor and process; the VM goes on."""
        if self.monitor is not None:
            await self.monitor.close()
            self.monitor = None
        self.forget_process()


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


async def last_run_ended(machine: Machine) -> None:
    """Wait for the end of what ran for it: until then its files are locked, and written to.

    Raises OperationError if the kernel can't end one.
    """
    await ended(machine.record, machine.name)
    tpm = read_record(swtpm.record_path(machine.place))
    await ended(tpm, f"the TPM of {machine.name}", kill_after_s=swtpm.END_TIMEOUT_S)
