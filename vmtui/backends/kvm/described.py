"""The frozen picture of a direct VM, from all that is known of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmtui.backends.kvm import procfs, swtpm
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.disks import capacity_bytes
from vmtui.backends.kvm.identity import drive_names
from vmtui.model import VM, Accel, Balance, Disk, Nic, State
from vmtui.units import parse_size_bytes

if TYPE_CHECKING:
    from vmtui.backends.kvm.machine import Machine

_PROBLEMS = {
    "io-error": "paused by QEMU: a disk can't be read or written (is the host's disk full?)",
    "internal-error": "paused by QEMU after an internal error; see the log",
    "guest-panicked": "the guest's kernel panicked",
    "shutdown": "the guest has shut down, and waits for a reset",
    "watchdog": "paused by the guest's watchdog",
}


def vm(machine: Machine) -> VM:
    """As it is now; what QEMU knows nothing of, as it is stored."""
    stored, current, state = machine.definition, machine.current, machine.state
    problem = _problem(machine, state)
    if stored is None or current is None:
        found = VM(machine.id, machine.name, state, 0, 0, consoles=("serial0",), problem=problem)
    else:
        found = _described(machine, stored, current, problem)
    record, process = machine.record, machine.process
    if not (state.active and record and process):
        return found
    started_at_s = procfs.started_at_s(process.pid)
    return replace(found, accel=Accel(record.accel), started_at_s=started_at_s)


def _problem(machine: Machine, state: State) -> str:
    if state.active:
        told = machine.problem or _PROBLEMS.get(machine.run_state, "")
        return told or (swtpm.LOST if machine.tpm_lost else "")
    if state is State.CRASHED:
        return "QEMU ended without being asked; see the log"
    return machine.problem


def _described(machine: Machine, stored: Definition, current: Definition, problem: str) -> VM:
    ssh, state, known = current.ssh_access, machine.state, machine.running
    forwarded = state.active and bool(ssh.host)
    return VM(
        id=machine.id,
        name=machine.name,
        state=state,
        vcpus=current.vcpus,
        memory_bytes=current.memory_bytes + current.plugged_bytes,
        firmware=current.firmware,
        tpm=bool(current.tpm),
        disks=machine.disks,
        nics=tuple(Nic(nic.mac, nic.label, nic.model) for nic in current.nic),
        image=stored.image or stored.boot.value,
        description=stored.description,
        consoles=current.consoles,
        displays=current.displays,
        ssh=ssh,
        addresses=(f"{ssh.host}:{ssh.port}",) if forwarded else (),
        address_origin="forward" if forwarded else "",
        tags=stored.tags,
        throwaway=stored.throwaway,
        notes=stored.notes,
        protected=stored.protected,
        autostart=stored.autostart,
        restart=stored.restart == "on-crash",
        pending=known is not None and known.differs(stored),
        balance=_balance(stored),
        problem=problem,
    )


def _balance(stored: Definition) -> Balance | None:
    said = stored.balance
    if not said.on:
        return None
    least, most, reserve = (
        parse_size_bytes(text) if text else None for text in (said.least, said.most, said.reserve)
    )
    return Balance(least, most, said.weight or Balance().weight, reserve)


def disks(machine: Machine) -> tuple[Disk, ...]:
    """Its drives, with what their files say."""
    current, known = machine.current, machine.running
    if current is None:
        return ()
    names = [slot.name for slot in known.disks] if known else drive_names(current)
    found = []
    for disk, target in zip(current.disk, names, strict=True):
        path = machine.folder / disk.file
        found.append(
            Disk(
                target=target,
                kind=disk.kind,
                source=str(path) if disk.file else None,
                format=disk.format,
                capacity_bytes=capacity_bytes(path, disk.format) if disk.file else None,
                read_only=disk.read_only,
                backing=disk.base[0].file if disk.base else None,
            )
        )
    return tuple(found)
