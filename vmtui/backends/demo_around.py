"""What surrounds the VMs of the demo fleet: balloons, TPM states, variables, barriers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vmtui.backends.demo_hardware import DemoHardware
from vmtui.backends.demo_load import Load
from vmtui.backends.demo_machine import UNWILLING, firmware_files
from vmtui.backends.demo_refusals import pinned
from vmtui.errors import InputError, OperationError, StateError, UnsupportedError, read_only
from vmtui.files import not_writable, write_whole
from vmtui.hardware.around import Balloon, Barrier, FirmwareFacts, Mark, TpmFacts, TpmHealth
from vmtui.hardware.changes import Assign, Detach
from vmtui.hardware.cores import CoreMap, HostCpu, Placed, parse_cpus
from vmtui.hardware.settings import PartKind
from vmtui.model import VM, EventKind, Firmware, VMId
from vmtui.units import MIB, size

PACE_BYTES_PER_S = 256 * MIB
"""How fast a demo guest's balloon moves."""

KEPT_SHARE = 1.12
"""Of what it uses, a guest keeps at least that much, whatever it is asked for."""

TPM_STATE_BYTES = 7_412
VARIABLES_BYTES = 540_672
TPM_BACKUP = b"vmtui demo TPM state\n"


@dataclass(frozen=True, slots=True)
class Motion:
    """A balloon that was asked to move."""

    start_bytes: int
    target_bytes: int
    end_bytes: int  # as far as the guest goes along
    since_s: float

    def at(self, now_s: float) -> int:
        """What it leaves the guest then."""
        moved = int(max(0.0, now_s - self.since_s) * PACE_BYTES_PER_S)
        way = self.end_bytes - self.start_bytes
        return self.end_bytes if moved >= abs(way) else self.start_bytes + moved * (way > 0 or -1)


class DemoAround(DemoHardware):
    """What the demo's backend answers beside the hardware itself."""

    _clock: Callable[[], float]
    _loads: dict[VMId, Load]

    def __init__(self) -> None:
        super().__init__()
        self._motions: dict[VMId, Motion] = {}
        self._tpm_states: dict[VMId, bytes] = {}

    # -- Balloons ----------------------------------------------------------------------------

    def balloon_target(self, vm: VM) -> tuple[int, int | None]:
        """What the balloon leaves the guest, and what it was asked to leave it."""
        motion = self._motions.get(vm.id)
        if motion is not None:
            return min(vm.memory_bytes, motion.at(self._clock())), motion.target_bytes
        held = self._loads[vm.id].balloon_bytes
        actual = vm.memory_bytes - held
        return actual, actual if held else None

    def deflate(self, vm: VMId) -> None:
        """Its power went: the next guest begins with all of its memory."""
        self._motions.pop(vm, None)
        self._loads[vm] = replace(self._loads[vm], balloon_bytes=0)

    async def balloon(self, vm: VMId) -> Balloon:
        """What it was asked for, and has."""
        found = await self._with_balloon(vm)
        actual, target = self.balloon_target(found)
        return Balloon(found.memory_bytes, actual, target, answers=found.name != UNWILLING)

    async def ask_memory(self, vm: VMId, target_bytes: int) -> None:
        """The guest goes along as far as it can, where it has a driver."""
        found = await self._with_balloon(vm)
        if self._read_only:
            raise read_only(f"asking {found.name} for memory")
        if not 0 < target_bytes <= found.memory_bytes:
            raise InputError(
                f"{found.name} can't have {size(target_bytes)}",
                why=f"its ceiling is {size(found.memory_bytes)}",
            )
        actual, _ = self.balloon_target(found)
        used = int(found.memory_bytes * self._loads[vm].used * KEPT_SHARE)
        end = actual if found.name == UNWILLING else max(target_bytes, min(used, actual))
        self._motions[vm] = Motion(actual, target_bytes, end, self._clock())
        self._tell(EventKind.CHANGED, vm)

    async def _with_balloon(self, vm: VMId) -> VM:
        found = await self.vm(vm)
        now = self.machine(found).now
        if now is None:
            raise StateError(f"{found.name} has no memory now", why=f"it is {found.state.value}")
        if not now.values["balloon"]:
            raise UnsupportedError(f"{found.name} has no balloon", hint="Set balloon=on.")
        return found

    # -- Tpms --------------------------------------------------------------------------------

    async def tpm(self, vm: VMId) -> TpmFacts:
        """A TPM like swtpm's."""
        found = await self._with_tpm(vm)
        values = self.machine(found).stored.values
        return TpmFacts(
            model=str(values["tpm"]),
            version=str(values["tpm.version"]),
            banks=("sha256", "sha384"),
            state=Path(f"/vms/{found.name}/tpm"),
            size_bytes=TPM_STATE_BYTES,
            encrypted=bool(values["tpm.encrypted"]),
            health=TpmHealth.RUNNING if found.state.active else TpmHealth.OFF,
            log="swtpm: listening on its private socket\nswtpm: the guest took ownership\n",
        )

    async def back_up_tpm(self, vm: VMId, to: Path) -> None:
        """A file that stands for the state."""
        found = await self._off_with_tpm(vm, "back up", changes=False)
        await asyncio.to_thread(write_whole, to, TPM_BACKUP + self._state(found))

    async def restore_tpm(self, vm: VMId, source: Path) -> None:
        """Take over such a file."""
        found = await self._off_with_tpm(vm, "restore")
        try:
            content = await asyncio.to_thread(source.read_bytes)
        except OSError as error:
            raise OperationError(f"{source} can't be read", why=error.strerror or "") from error
        if not content.startswith(TPM_BACKUP):
            raise InputError(f"{source} is no TPM state", hint="Take a file of `tpm backup`.")
        self._tpm_states[found.id] = content.removeprefix(TPM_BACKUP)

    async def clear_tpm(self, vm: VMId) -> None:
        """Another state."""
        found = await self._off_with_tpm(vm, "clear")
        self._tpm_states[vm] = self._state(found) + b"'"

    def _state(self, vm: VM) -> bytes:
        return self._tpm_states.setdefault(vm.id, vm.id.encode())

    async def _with_tpm(self, vm: VMId) -> VM:
        found = await self.vm(vm)
        if self.machine(found).stored.values["tpm"] == "off":
            raise UnsupportedError(f"{found.name} has no TPM", hint="Add one: tpm=crb.")
        return found

    async def _off_with_tpm(self, vm: VMId, verb: str, *, changes: bool = True) -> VM:
        found = await self._with_tpm(vm)
        self._refuse(found, f"{verb} the TPM of", changes=changes)
        return found

    def _refuse(self, vm: VM, verb: str, *, changes: bool = True) -> None:
        if self._read_only and changes:
            raise read_only(f"{verb} {vm.name}")
        if vm.state.active:
            raise StateError(
                f"can't {verb} {vm.name}", why=f"it is {vm.state.value}", hint="Shut it down first."
            )

    # -- FirmwareVariables -------------------------------------------------------------------

    async def firmware(self, vm: VMId) -> FirmwareFacts:
        """Files as Debian's OVMF has them."""
        found = await self.vm(vm)
        values = self.machine(found).stored.values
        firmware = Firmware(str(values["firmware"]))
        if firmware is Firmware.BIOS:
            raise _no_variables(found)
        code, template = firmware_files(firmware)
        secure = firmware is Firmware.SECURE_BOOT
        return FirmwareFacts(
            code=Path(code),
            variables=Path(f"/vms/{found.name}/efivars.fd"),
            template=Path(template),
            secure_boot=secure,
            enrolled_keys=bool(values["firmware.keys"]) if secure else None,
            descriptor="40-edk2-x86_64-secure-enrolled.json" if secure else "",
            size_bytes=VARIABLES_BYTES,
        )

    async def reset_variables(self, vm: VMId, template: Path | None = None) -> None:
        """Nothing is there to be reset, but what is refused is."""
        found = await self._off_with_variables(vm, "reset the variables of")
        if template is not None and not await asyncio.to_thread(template.is_file):
            raise InputError(f"{found.name} can't begin with {template}", why="it is no file")

    async def back_up_variables(self, vm: VMId, to: Path) -> None:
        """A file that stands for them."""
        found = await self._off_with_variables(vm, "back up the variables of", changes=False)
        if not await asyncio.to_thread(to.parent.is_dir):
            raise not_writable(to.parent, FileNotFoundError(2, "there is no such folder"))
        await asyncio.to_thread(write_whole, to, f"variables of {found.id}\n".encode())

    async def _off_with_variables(self, vm: VMId, verb: str, *, changes: bool = True) -> VM:
        found = await self.vm(vm)
        if self.machine(found).stored.values["firmware"] == Firmware.BIOS.value:
            raise _no_variables(found)
        self._refuse(found, verb, changes=changes)
        return found

    # -- MapsCores ---------------------------------------------------------------------------

    async def cores(self) -> CoreMap:
        """A host of two NUMA nodes, where vCPUs run anywhere unless they are pinned."""
        count, _ = self.host_room()
        cpus = tuple(
            HostCpu(number, node=2 * number // count, package=2 * number // count, core=number // 2)
            for number in range(count)
        )
        everywhere = frozenset(range(count))
        placed = []
        async for vm in self.in_turns(list(self._vms)):
            now = self.machine(vm).now
            if now is None:
                continue
            pins = pinned(str(now.values["cpu.pin"]))
            for vcpu in range(vm.vcpus):
                where = pins.get(str(vcpu)) or pins.get("all") or everywhere
                placed.append(Placed(vm.id, vm.name, f"vCPU {vcpu}", where, last=min(where)))
            emulator = frozenset(parse_cpus(str(now.values["cpu.emulator"]))) or everywhere
            placed.append(Placed(vm.id, vm.name, "emulator", emulator))
        return CoreMap(cpus, tuple(placed))

    # -- Isolates ----------------------------------------------------------------------------

    async def isolation(self, vm: VMId) -> Sequence[Barrier]:
        """As a VM of the direct backend would be, with what can be tightened."""
        found = await self.vm(vm)
        stored = self.machine(found).stored
        values, devices = stored.values, stored.devices
        merged = bool(values["memory.merge"])
        links = [part for part in devices if part.startswith("nic.")]
        up = [part for part in links if values[f"{part}.link"]]
        shares = [part for part, d in devices.items() if d.kind is PartKind.SHARE]
        passed = [part for part, d in devices.items() if d.kind is PartKind.HOST_DEVICE]
        networks = ", ".join(str(values[f"{part}.network"]) for part in up)
        return (
            Barrier("process user", "a user of its own", Mark.GOOD),
            Barrier("system calls", "seccomp, spawning denied", Mark.GOOD),
            Barrier("security label", "none", Mark.OPEN, "AppArmor or SELinux would confine it."),
            Barrier(
                "network",
                networks or "none",
                Mark.OPEN if up else Mark.GOOD,
                "Unplug its cards." if up else "",
                tuple(Assign(f"{part}.link", value=False) for part in up),
            ),
            Barrier(
                "shared folders",
                ", ".join(devices[part].label for part in shares) or "none",
                Mark.WEAK if shares else Mark.GOOD,
                "Detach them." if shares else "",
                tuple(Detach(part) for part in shares),
            ),
            Barrier(
                "passthrough",
                ", ".join(devices[part].label for part in passed) or "none",
                Mark.WEAK if passed else Mark.GOOD,
                "Detach them: a device reaches memory and buses." if passed else "",
                tuple(Detach(part) for part in passed),
            ),
            Barrier(
                "page sharing",
                "on" if merged else "off",
                Mark.WEAK if merged else Mark.GOOD,
                "Another VM can tell by timing which pages they share." if merged else "",
                (Assign("memory.merge", value=False),) if merged else (),
            ),
            Barrier("graphics", "a socket of this user's", Mark.GOOD),
            Barrier("consoles", "sockets of this user's", Mark.GOOD),
            Barrier("TPM", "a process of its own" if found.tpm else "none", Mark.GOOD),
        )


def _no_variables(vm: VM) -> UnsupportedError:
    return UnsupportedError(f"{vm.name} has no variables", why="it starts with BIOS")
