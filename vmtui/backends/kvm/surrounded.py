"""What the backend answers about what surrounds QEMU: TPMs' states, variables, host CPUs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmtui.backends.abilities import Trashed
from vmtui.backends.kvm import swtpm
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import TuningDefinition
from vmtui.backends.kvm.machine import Machine, last_run_ended
from vmtui.backends.kvm.machines import Machines
from vmtui.backends.kvm.store import Store
from vmtui.backends.kvm.swtpm import Chip
from vmtui.backends.kvm.trash import TrashBin
from vmtui.deferred import deferred
from vmtui.errors import InputError, StateError, UnsupportedError, VmtuiError, read_only
from vmtui.model import Event, EventKind, VMId
from vmtui.units import plain

if TYPE_CHECKING:
    from vmtui.backends import host_devices, local_host
    from vmtui.backends.kvm import (
        autostart,
        confidential,
        isolation,
        placing,
        tpm_state,
        tuning,
        variables,
    )
    from vmtui.backends.kvm.configuring import planning
    from vmtui.hardware import changes, settings
    from vmtui.hardware.around import Barrier, FirmwareFacts, TpmFacts
    from vmtui.hardware.changes import Done, Outcome
    from vmtui.hardware.cores import CoreMap
    from vmtui.hardware.devices import HostDevice
    from vmtui.ksm import KsmState, Switch
else:
    autostart, confidential, isolation, placing, tpm_state, tuning, variables = deferred(
        "vmtui.backends.kvm",
        *("autostart", "confidential", "isolation", "placing", "tpm_state", "tuning", "variables"),
    )
    host_devices, local_host = deferred("vmtui.backends", "host_devices", "local_host")
    (planning,) = deferred("vmtui.backends.kvm.configuring", "planning")
    changes, settings = deferred("vmtui.hardware", "changes", "settings")


class Surrounded:
    """The part of the backend that is about what surrounds QEMU."""

    def __init__(self, store: Store, *, read_only: bool, trash_days: float) -> None:
        self._read_only = read_only
        self._store = store
        self._machines = Machines(store, read_only=read_only)
        self._trash = TrashBin(store, trash_days)

    # -- Tpms --------------------------------------------------------------------------------

    async def tpm(self, vm: VMId) -> TpmFacts:
        """What it is, and where its state."""
        machine = self._machines.find(vm)
        return await tpm_state.facts(
            *(_chip(machine), machine.place, machine.tpm),
            active=machine.active,
            lost=machine.tpm_lost,
        )

    async def back_up_tpm(self, vm: VMId, to: Path) -> None:
        """Its state as one file, private to the user."""
        async with self._off(vm, "back up the TPM of", changes=False) as machine:
            await tpm_state.back_up(machine.name, machine.id, _chip(machine), to)

    async def restore_tpm(self, vm: VMId, source: Path) -> None:
        """Replace its state by that of a backup, whole or not at all."""
        async with self._off(vm, "restore the TPM of") as machine:
            scratch = machine.store.runtime_root
            await tpm_state.restore(machine.name, _chip(machine), source, scratch)

    async def clear_tpm(self, vm: VMId) -> None:
        """Begin anew with an empty state: disk keys sealed in it are lost."""
        async with self._off(vm, "clear the TPM of") as machine:
            await tpm_state.clear(machine.name, _chip(machine))

    # -- FirmwareVariables -------------------------------------------------------------------

    async def firmware(self, vm: VMId) -> FirmwareFacts:
        """Which files it is, and where its variables began."""
        machine = self._machines.find(vm)
        return await variables.facts(_definition(machine), machine.folder)

    async def reset_variables(self, vm: VMId, template: Path | None = None) -> None:
        """Begin anew, from the firmware's own or from a file with keys of one's own."""
        async with self._off(vm, "reset the UEFI variables of") as machine:
            await variables.reset(machine.name, _definition(machine), machine.folder, template)

    async def back_up_variables(self, vm: VMId, to: Path) -> None:
        """A copy of them, private to the user."""
        async with self._off(vm, "back up the UEFI variables of", changes=False) as machine:
            await variables.back_up(_definition(machine), machine.folder, to)

    async def _settled(self, machine: Machine, before: Definition, outcome: Outcome) -> Outcome:
        """Give a VM that runs and was changed its CPUs; what could not be is told of the steps."""
        machine.reload()
        now = machine.current or before
        untuned = before.tuning == now.tuning == TuningDefinition()
        if untuned or (before.tuning, before.vcpus) == (now.tuning, now.vcpus):
            return outcome
        try:
            problems = await placing.apply(machine, await self._tuned(machine))
        except InputError as error:  # such as that others have taken its CPUs
            problems = [f"{error.what}: {error.why}"]
        if not problems:
            return outcome
        return replace(outcome, done=tuple(_with(done, problems) for done in outcome.done))

    async def _notes(self, machine: Machine) -> tuple[tuple[settings.PartKind, str], ...]:
        """Facts that can't be set, for the parts of its hardware that they are about."""
        found: list[str] = []
        try:
            files = await variables.facts(_definition(machine), machine.folder)
        except UnsupportedError:
            pass  # a BIOS is QEMU's own
        except VmtuiError as error:
            found.append(error.what)
        else:
            found = [f"code {files.code}", f"chosen by {files.descriptor}"]
        found += await asyncio.to_thread(confidential.notes)
        return tuple((settings.PartKind.FIRMWARE, plain(line)) for line in found)

    # -- Isolates, HostDevices ---------------------------------------------------------------

    async def isolation(self, vm: VMId) -> Sequence[Barrier]:
        """Each barrier, and what would tighten it."""
        machine = self._machines.find(vm)
        pid = machine.process.pid if machine.process and machine.active else None
        return await asyncio.to_thread(
            isolation.barriers, planning.situation(machine), machine.place, pid
        )

    async def host_devices(self) -> Sequence[HostDevice]:
        """Those of the host, with what uses them and why one can't be passed through."""
        held = {
            (device.bus, device.address): machine.name
            for machine in self._machines
            if machine.active and machine.current
            for device in machine.current.host_device
        }
        found = await asyncio.to_thread(host_devices.read)
        return tuple(
            _held(device, held.get((device.bus.value, device.address))) for device in found
        )

    # -- Trash -------------------------------------------------------------------------------

    async def trashed(self) -> Sequence[Trashed]:
        """The last deleted first."""
        return await asyncio.to_thread(self._trash.content)

    async def restore(self, vm: VMId) -> None:
        """Bring it back, as it was. Raises InputError when its name was taken meanwhile."""
        if self._read_only:
            raise read_only("to bring back a deleted VM")
        name = await self._trash.restore(vm)
        self._machines.tell_changes()
        found = (machine.definition for machine in self._machines if machine.name == name)
        definition = next(found, None)  # also None where it was broken before
        if definition and definition.autostart and not autostart.obstacle():
            restart = definition.restart == "on-crash"
            await asyncio.to_thread(autostart.follow, name, autostart=True, restart=restart)

    async def purge(self, vm: VMId) -> None:
        """Remove it for good."""
        if self._read_only:
            raise read_only("to empty the trash")
        await self._trash.purge(vm)

    @property
    def _known(self) -> list[Machine]:
        """All VMs, those in the trash too: they lean on what they lean on."""
        return [*self._machines, *self._trash.machines()]

    # -- MapsCores ---------------------------------------------------------------------------

    async def cores(self) -> CoreMap:
        """The host's CPUs, and where the threads of its VMs may run."""
        return await placing.core_map(self._machines)

    # -- MergesPages -------------------------------------------------------------------------

    async def page_sharing(self) -> KsmState:
        """What the kernel tells of KSM."""
        return await local_host.page_sharing()

    async def share_pages(self, to: Switch) -> None:
        """Switch it, which only root may."""
        if self._read_only:
            raise read_only("switching KSM")
        await local_host.share_pages(to)

    async def _tuned(self, machine: Machine) -> tuning.Tuned:
        """What it is to get of the host's CPUs. Raises InputError with what can't be."""
        definition = machine.current or _definition(machine)
        if definition.tuning == TuningDefinition():
            return tuning.Tuned()
        # Only CPUs that others have for themselves are worth asking all of them.
        others = self._machines if definition.tuning.profile == "dedicated" else ()
        cores = await placing.core_map(others, but=machine)
        try:
            return tuning.tuned(definition.tuning, definition.vcpus_limit, cores)
        except ValueError as error:
            raise InputError(f"{machine.name} can't have its CPUs", why=str(error)) from error

    @asynccontextmanager
    async def _off(self, vm: VMId, verb: str, *, changes: bool = True) -> AsyncIterator[Machine]:
        """The VM, which is off and stays so in the block; then it is told as changed.

        Raises StateError, BusyError, and RefusedError of a read-only connection for `changes`.
        """
        name = self._machines.find(vm).name
        if self._read_only and changes:
            raise read_only(f"to {verb} {name}")
        async with self._store.locked(name):
            machine = self._machines.find(vm)
            if machine.active:
                raise StateError(
                    f"can't {verb} {name}",
                    why=f"it is {machine.state.value}",
                    hint=f"Shut it down first: vmtui shutdown {name}",
                )
            if changes:
                await last_run_ended(machine)
            yield machine
        if changes:
            self._machines.tell(Event(EventKind.CHANGED, vm))


def _with(done: Done, problems: list[str]) -> Done:
    """A step, with what came of it if it is about CPUs."""
    change = done.step.change
    about_cpus = isinstance(change, changes.Assign) and change.key.startswith("cpu.")
    return replace(done, problem="; ".join(problems)) if about_cpus else done


def _held(device: HostDevice, by: str | None) -> HostDevice:
    return replace(device, used_by=by, unavailable=f"{by} has it") if by else device


def _definition(machine: Machine) -> Definition:
    if machine.definition is None:
        raise InputError(f"{machine.name} can't be looked into", why=machine.problem)
    return machine.definition


def _chip(machine: Machine) -> Chip:
    """Its TPM, also one that was taken out and whose state is still kept."""
    definition = _definition(machine)
    chip = swtpm.chip_of(definition, machine.folder) or swtpm.removed_chip(
        definition, machine.folder
    )
    if chip is None:
        raise UnsupportedError(
            f"{machine.name} has no TPM", hint=f"Give it one: vmtui set {machine.name} tpm=crb"
        )
    return chip
