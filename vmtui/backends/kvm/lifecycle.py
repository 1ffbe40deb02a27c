"""Starting and stopping QEMU: what each operation does, waits for and tells when it fails."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from vmtui.backends.kvm import disks, firmware, held, kernel, ports, running, virtiofsd
from vmtui.backends.kvm.accel import prove
from vmtui.backends.kvm.argv import Place, argv
from vmtui.backends.kvm.companions import Companions, companions
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.machine import Machine, gone, last_run_ended
from vmtui.backends.kvm.monitor import Monitor
from vmtui.backends.kvm.process import Process, Record, boot_id, write_record
from vmtui.backends.kvm.procfs import start_ticks
from vmtui.backends.kvm.program import QEMU, installed
from vmtui.backends.kvm.running import Running
from vmtui.backends.kvm.tuning import Tuned
from vmtui.command import missing
from vmtui.deferred import deferred
from vmtui.errors import BusyError, InputError, OperationError, StateError, VmtuiError
from vmtui.files import tail, write_whole
from vmtui.model import ACTIVE_STATES, INACTIVE_STATES, Accel, Power, State
from vmtui.whole import whole_in_thread

if TYPE_CHECKING:
    from vmtui.backends.kvm import placing
else:
    (placing,) = deferred("vmtui.backends.kvm", "placing")

READY_TIMEOUT_S = 30.0
QUIT_TIMEOUT_S = 2.0
REBOOT_TIMEOUT_S = 180.0
SOCKET_PATH_LIMIT = 107  # unix(7): sun_path, less its final zero

ALLOWED: dict[Power, frozenset[State]] = {
    Power.START: INACTIVE_STATES,
    Power.SHUTDOWN: frozenset({State.RUNNING, State.STOPPING}),
    Power.STOP: ACTIVE_STATES,
    Power.REBOOT: frozenset({State.RUNNING}),
    Power.RESET: ACTIVE_STATES,
    Power.PAUSE: frozenset({State.RUNNING, State.STOPPING}),
    Power.RESUME: frozenset({State.PAUSED, State.SUSPENDED}),
}


def check_state(machine: Machine, op: Power) -> None:
    """Raise StateError if the VM's state does not allow `op`."""
    if machine.state not in ALLOWED[op]:
        raise StateError(
            f"can't {op.value} {machine.name}",
            why=machine.problem or f"it is {machine.state.value}",
        )


async def start(machine: Machine, taken: set[int], cpus: Tuned) -> list[str]:
    """Run QEMU for it; what had to be changed for that, such as a port that was taken.

    `taken` are the ports that other VMs have, `cpus` what of the host's CPUs it is to get. Raises
    OperationError with the end of QEMU's log.
    """
    definition = machine.definition
    if definition is None:
        raise InputError(f"{machine.name} can't be started", why=machine.problem)
    if not installed():
        raise missing(QEMU)
    await asyncio.to_thread(disks.check_bases, machine.name, definition.disk, "started")
    await last_run_ended(machine)
    definition, told = await _with_free_ports(machine, definition, taken)
    firmware.prepare(definition.firmware, machine.folder, keys=definition.firmware_keys)
    place = await outfitted(machine.name, definition, machine.place)
    _check_sockets(machine.name, definition, place)
    record = Record(argv(machine.name, definition, place), boot_id(), place.accel.value)
    _clear(place)
    # The intent is on disk before the process: a vmtui that is killed in between leaves a QEMU
    # that the next one recognises by its command line.
    await whole_in_thread(write_record, machine.record_path, record)
    await asyncio.to_thread(running.write, place.runtime, Running.begun(definition))
    first_words = "".join(f"{line}\n" for line in ["started with: " + " ".join(record.argv), *told])
    await asyncio.to_thread(write_whole, place.runtime / "qemu.log", first_words.encode())
    try:
        async with companions(machine.name, definition, place) as beside:
            await _run(machine, place, record, beside)
    except BaseException:
        machine.record_path.unlink(missing_ok=True)
        place.pidfile.unlink(missing_ok=True)
        raise
    await _used_up(machine)
    if cpus.pins or cpus.shares:
        told += await placing.apply(machine, cpus)
    return told


async def _used_up(machine: Machine) -> None:
    """What was for one start is not for the next; all else may have been edited meanwhile."""
    machine.reload()
    stored = machine.definition
    if stored is not None and stored.boot_once:
        done = msgspec.structs.replace(stored, boot_once="")
        await machine.store.write(machine.folder, done)
        machine.reload()


async def _run(machine: Machine, place: Place, record: Record, beside: Companions) -> None:
    """Run QEMU and wait until it answers; if it does not, it is gone."""
    log = place.runtime / "qemu.log"
    process = Process.start(record.argv, log=log, descriptors=beside.inherited)
    try:
        started = msgspec.structs.replace(
            record, pid=process.pid, start_ticks=start_ticks(process.pid) or 0
        )
        await whole_in_thread(write_record, machine.record_path, started)
        machine.took_process(process, started)
        await _ready(machine, place)
        beside.check(machine.name, place)
        machine.reload()
        if machine.run_state == held.RUN_STATE:
            await held.let_go(machine)
    except BaseException:
        await process.kill_and_wait(machine.name)
        machine.forget_process()
        raise


async def _with_free_ports(
    machine: Machine, definition: Definition, taken: set[int]
) -> tuple[Definition, list[str]]:
    """The definition with other ports for those that were found and are taken by now; and which."""
    moved = [ports.moved(machine.name, nic, taken) for nic in definition.nic]
    told = [line for _, lines in moved for line in lines]
    if told:
        definition = msgspec.structs.replace(definition, nic=tuple(nic for nic, _ in moved))
        await machine.store.write(machine.folder, definition)
        machine.reload()
    return definition, told


async def outfitted(name: str, definition: Definition, place: Place) -> Place:
    """`place` with what this machine has for the VM. Raises MissingError."""
    proof = await prove() if definition.accel is Accel.AUTO else None
    accel = proof.accel if proof else definition.accel
    return replace(
        place,
        accel=accel,
        firmware=firmware.files(definition.firmware, place.folder, keys=definition.firmware_keys),
        kernel=await kernel.files(name, definition, accel),
        virtiofs=await virtiofsd.served(definition),
    )


def _check_sockets(name: str, definition: Definition, place: Place) -> None:
    sockets = [place.monitor(0), *(place.console(name).socket for name in definition.consoles)]
    longest = max(len(os.fsencode(socket)) for socket in sockets)
    if longest > SOCKET_PATH_LIMIT:
        raise OperationError(
            f"{name} can't be started",
            why=f"its socket's path would have {longest} bytes; {SOCKET_PATH_LIMIT} is the limit",
            hint="Set XDG_RUNTIME_DIR to a shorter folder, or use a shorter name.",
        )


def _clear(place: Place) -> None:
    # Stale sockets would be taken for ready ones. Locks stay: others may be waiting on them.
    for path in place.runtime.iterdir():
        if path.suffix != ".lock":
            path.unlink(missing_ok=True)


async def _ready(machine: Machine, place: Place) -> None:
    """Wait until QEMU answers. Raises OperationError if it ended instead."""
    process = machine.process
    assert process is not None
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if place.monitor(0).exists():
            with suppress(VmtuiError):
                async with Monitor.brief(machine.name, place) as monitor:
                    answer = await monitor.execute("query-status")
                machine.run_state = str(answer["status"])
                return
        if not process.alive:
            raise OperationError(
                f"QEMU did not start {machine.name}", why=_last_words(place), hint=_advice(place)
            )
        await asyncio.sleep(0.01)
    raise OperationError(
        f"QEMU of {machine.name} did not answer within {READY_TIMEOUT_S:.0f} s",
        why=_last_words(place),
    )


def _last_words(place: Place) -> str:
    lines = tail(place.runtime / "qemu.log", 4000).decode(errors="replace").splitlines()
    said = [line for line in lines if not line.startswith("started with: ")]
    return "\n".join(said[-8:]) or "it said nothing"


def _advice(place: Place) -> str:
    words = _last_words(place)
    if "Failed to get" in words and "lock" in words:
        return "Another program uses that disk."
    if place.accel is Accel.KVM:
        return 'If KVM is the reason: vmtui doctor --recheck, or accel = "tcg" in vm.toml.'
    return ""


async def stop(machine: Machine) -> None:
    """Power off at once: by QEMU's own quit, which flushes disks, if it answers; else a kill."""
    process = machine.process
    if process is None or not process.alive:
        return
    with suppress(VmtuiError, TimeoutError):
        async with asyncio.timeout(QUIT_TIMEOUT_S), machine.asked() as monitor:
            await monitor.execute("quit")
    if not await gone(machine, QUIT_TIMEOUT_S):
        await process.kill_and_wait(machine.name)
    machine.place.pidfile.unlink(missing_ok=True)


async def ask(machine: Machine, op: Power) -> None:
    """The operations that are one QMP command."""
    if op is Power.RESUME and machine.run_state == held.RUN_STATE:
        await held.let_go(machine)  # whoever started it was killed before that
        return
    command = {
        Power.SHUTDOWN: "system_powerdown",
        Power.RESET: "system_reset",
        Power.PAUSE: "stop",
        Power.RESUME: "system_wakeup" if machine.state is State.SUSPENDED else "cont",
    }[op]
    async with machine.asked() as monitor:
        await monitor.execute(command)
    if op is Power.SHUTDOWN:
        machine.stopping_since_s = time.monotonic()
    await machine.refresh_state()


async def reboot(machine: Machine) -> None:
    """Ask the guest by ACPI to shut down, and start it again in the same QEMU once it has.

    There is no ACPI request to reboot; this is what libvirt does without a guest agent too.
    Raises OperationError when the guest does not react.
    """
    await _told(machine, "set-action", {"shutdown": "pause"})
    try:
        await _told(machine, "system_powerdown")
        async with asyncio.timeout(REBOOT_TIMEOUT_S):
            while not await _has_shut_down(machine):
                await asyncio.sleep(0.1)
        await _told(machine, "system_reset")
        await _told(machine, "cont")
    except TimeoutError as error:
        raise OperationError(
            f"{machine.name} did not reboot",
            why=f"the guest did not react within {REBOOT_TIMEOUT_S:.0f} s",
            hint=f"Reset it (what is not saved is lost): vmtui reset {machine.name}",
        ) from error
    finally:
        with suppress(VmtuiError):
            await _told(machine, "set-action", {"shutdown": "poweroff"})
    machine.stopping_since_s = None
    await machine.refresh_state()


async def _told(machine: Machine, command: str, arguments: dict[str, object] | None = None) -> Any:
    # A monitor for each: others need it too while the guest takes its time.
    async with machine.asked() as monitor:
        return await monitor.execute(command, arguments)


async def _has_shut_down(machine: Machine) -> bool:
    with suppress(BusyError):
        return bool((await _told(machine, "query-status"))["status"] == "shutdown")
    return False
