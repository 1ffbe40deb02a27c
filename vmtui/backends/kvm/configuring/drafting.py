"""Changes put together: what they make of a VM, when each takes effect, what has to be done.

Nothing is changed here. What can't be is refused, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from vmtui.backends.kvm.checked import convert
from vmtui.backends.kvm.configuring import live, live_cards, live_drives, reach
from vmtui.backends.kvm.configuring.bindings import DISK, NIC, VM, Effect
from vmtui.backends.kvm.configuring.situation import Named, Situation
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import DiskDefinition, NicDefinition
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import InputError, StateError, UnsupportedError
from vmtui.hardware.changes import SEALED, Assign, Change, Step, When
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Takes
from vmtui.hardware.values import Value
from vmtui.hardware.wording import assigned
from vmtui.model import DiskKind

_AT = re.compile(r"^(.*) - at `\$\.(.*)`$")

Live = Callable[[Machine], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Work:
    """One change: what is told of it, and what has to be done beside storing the definition.

    `make` comes before that, and `unmake` takes it back; `live` is told to QEMU after it.
    """

    step: Step
    undo: Change | None = None
    live: Live | None = None
    make: Callable[[], Awaitable[None]] | None = None
    unmake: Callable[[], None] | None = None


@dataclass
class Draft:
    """What becomes of one VM by a list of changes, taken one after the other."""

    here: Situation
    when: When
    machine: Machine
    known: Sequence[Machine]  # all VMs, this one too
    then: Definition = field(init=False)
    now: Definition = field(init=False)
    disks: dict[str, DiskDefinition | None] = field(init=False)  # at the next boot, by their names
    nics: dict[str, NicDefinition | None] = field(init=False)
    disks_now: dict[str, DiskDefinition | None] = field(init=False)
    nics_now: dict[str, NicDefinition | None] = field(init=False)
    rename: str = ""
    works: list[Work] = field(default_factory=list)

    def __post_init__(self) -> None:
        here = self.here
        if self.when is When.LIVE and not here.active:
            raise StateError(
                f"nothing of {here.name} can be changed live",
                why="it is off",
                hint=f"Start it (vmtui start {here.name}), or leave out --live.",
            )
        self.then, self.now = here.stored, here.now
        self.disks_now = {one.name: here.disk_now(one) for one in here.drives}
        self.nics_now = {one.name: here.nic_now(one) for one in here.cards}
        # In the order of what is stored, which stays.
        self.disks = {one.name: here.disk_then(one) for one in sorted(here.drives, key=_place)}
        self.nics = {one.name: here.nic_then(one) for one in sorted(here.cards, key=_place)}

    @property
    def ports(self) -> set[int]:
        """The ports of this machine that VMs have, also those that are off."""
        return {port for machine in self.known for port in machine.host_ports}

    # -- settings ----------------------------------------------------------------------------

    def assign(self, change: Assign) -> None:
        """A setting of the VM as a whole, or of one of its drives or cards."""
        one = setting(change.key)
        part = one.part_of(change.key)
        if not part and change.key in VM:
            self._assign_vm(change)
        elif one.key.startswith("disk.*."):
            self._assign_disk(change, part, one.key.removeprefix("disk.*."))
        elif one.key.startswith("nic.*."):
            self._assign_nic(change, part, one.key.removeprefix("nic.*."))
        else:
            raise UnsupportedError(f"the direct backend has no setting {change.key}")

    def _assign_vm(self, change: Assign) -> None:
        here, key, value = self.here, change.key, change.value
        binding = VM[key]
        before = binding.read(self.then)
        takes, why = reach.of_vm(here, key, value)
        if binding.effect is Effect.AT_ONCE:
            self._refuse_live_only(key)
        if self._stored(takes):
            self.then = self._put(binding.put, self.then, value, key)
        work: Live | None = None
        if self._goes_live(key, takes, why) and binding.effect is Effect.LIVE:
            has = binding.read(self.now)
            before = before if self._stored(takes) else has
            self.now = self._put(binding.put, self.now, value, key)
            if has != value:
                of_qemu = _LIVE_OF_VM.get(key)
                work = of_qemu(value) if of_qemu else partial(_tuning, key, value)
        loses = ""
        if key == "tpm" and value == "off" != before:
            loses = f"{SEALED}, unless it gets a TPM again: its state stays until the VM is deleted"
        self.add(change, before, takes, why, Assign(key, before), live=work, loses=loses)

    def _assign_disk(self, change: Assign, name: str, key: str) -> None:
        binding = DISK.get(key)
        self.here.drive(name)
        then, now = self.disks[name], self.disks_now[name]
        shown = then or now
        if binding is None or shown is None:
            raise UnsupportedError(f"{change.key} can't be set")
        if key == "source" and shown.kind is not DiskKind.CDROM:
            raise InputError(
                f"{change.key} can't be set",
                why="a disk's file stays; only a tray's medium is changed",
                hint="Detach the disk, and attach the other one.",
            )
        wanted: DiskDefinition = self._put(binding.put, now or shown, change.value, change.key)
        takes, why = reach.of_disk(self.here, name, key, wanted)
        if then is not None and self._stored(takes):
            self.disks[name] = self._put(binding.put, then, change.value, change.key)
        work: Live | None = None
        if self._goes_live(change.key, takes, why):
            self.disks_now[name] = wanted
            work = partial(_disk_live(key), name=name, disk=wanted)
        before = binding.read(shown)
        self.add(change, before, takes, why, Assign(change.key, before), live=work)

    def _assign_nic(self, change: Assign, name: str, key: str) -> None:
        binding = NIC.get(key)
        self.here.card(name)
        then, now = self.nics[name], self.nics_now[name]
        shown = then or now
        if binding is None or shown is None:
            raise UnsupportedError(
                f"{change.key} can't be set", why="QEMU has no limit for a user's network"
            )
        takes, why = reach.of_nic(self.here, name, key)
        if then is not None and self._stored(takes):
            self.nics[name] = self._put(binding.put, then, change.value, change.key)
        work: Live | None = None
        if self._goes_live(change.key, takes, why):
            wanted = self.nics_now[name] = self._put(binding.put, now, change.value, change.key)
            work = partial(live_cards.plug_cable, name=name, nic=wanted)
        before = binding.read(shown)
        self.add(change, before, takes, why, Assign(change.key, before), live=work)

    # -- what all changes have in common -----------------------------------------------------

    def add(
        self,
        change: Change,
        before: Value,
        takes: Takes,
        why: str,
        undo: Change | None,
        *,
        live: Live | None = None,
        text: str = "",
        loses: str = "",
        **rest: Any,
    ) -> None:
        """Note a change that was found possible."""
        if not text:
            assert isinstance(change, Assign)
            text = assigned(change.key, before, change.value)
        step = Step(change, text, self.taken(takes), why, loses)
        self.works.append(Work(step, undo, live, **rest))

    def taken(self, takes: Takes) -> Takes:
        """When it takes effect, as it was asked for."""
        if takes is not Takes.BOTH or self.when is When.AUTO:
            return takes
        return Takes.LIVE if self.when is When.LIVE else Takes.NEXT_BOOT

    def _stored(self, takes: Takes) -> bool:
        return self.when is not When.LIVE and takes is not Takes.LIVE

    def _goes_live(self, key: str, takes: Takes, why: str) -> bool:
        """Whether QEMU is told. Raises UnsupportedError where it was to be and can't be."""
        possible = takes in (Takes.LIVE, Takes.BOTH)
        if self.when is When.LIVE and not possible:
            raise UnsupportedError(
                f"{key} can't be changed live", why=why, hint="Leave out --live: it is stored."
            )
        return possible and self.here.active and self.when is not When.NEXT_BOOT

    def _refuse_live_only(self, key: str) -> None:
        if self.when is When.LIVE:
            raise UnsupportedError(
                f"{key} can't be changed live only",
                why="it is not QEMU's: it is stored, and counts at once",
                hint="Leave out --live.",
            )

    def _put(self, put: Callable[[Any, Value], Any], part: Any, value: Value, key: str) -> Any:
        try:
            return put(part, value)
        except ValueError as error:
            raise InputError(f"{key} can't be that", why=str(error)) from error

    def done(self) -> Definition:
        """The definition that all of it makes. Raises InputError where it makes no sense."""
        if self.here.running is not None:
            checked(self.here.name, _with_parts(self.now, self.disks_now, self.nics_now))
        return checked(self.here.name, _with_parts(self.then, self.disks, self.nics))


def _place(one: Named) -> tuple[bool, int]:
    return one.then is None, one.then or 0


def _with_parts(
    definition: Definition,
    disks: dict[str, DiskDefinition | None],
    nics: dict[str, NicDefinition | None],
) -> Definition:
    return msgspec.structs.replace(
        definition,
        disk=tuple(disk for disk in disks.values() if disk is not None),
        nic=tuple(nic for nic in nics.values() if nic is not None),
    )


def checked(name: str, definition: Definition) -> Definition:
    """A definition that makes sense. Raises InputError."""
    try:
        return convert(msgspec.to_builtins(definition))
    except ValueError as error:  # msgspec's are of this kind too
        why = _AT.sub(r"\2: \1", str(error))
        hint = "Set cpu.topology with it, or empty that." if why.startswith("topology") else ""
        raise InputError(f"{name} can't be made that", why=why, hint=hint) from error


# -- how settings are told to QEMU -------------------------------------------------------------


def _vcpus(value: Value) -> Live:
    assert isinstance(value, int)
    return partial(live.set_vcpus, wanted=value)


def _plugged(value: Value) -> Live:
    return partial(live.plug_memory, wanted_bytes=value if isinstance(value, int) else 0)


def _action(value: Value) -> Live:
    return partial(live.set_watchdog_action, action=str(value))


_LIVE_OF_VM: dict[str, Callable[[Value], Live]] = {
    "cpus": _vcpus,
    "memory.plugged": _plugged,
    "watchdog.action": _action,
}


async def _tuning(key: str, value: Value, machine: Machine) -> str:
    """The kernel is told, not QEMU: by whoever asked, once it is noted."""
    now = live.known(machine)
    said = VM[key].put(now.definition, value)
    await live.note(machine, msgspec.structs.replace(now, definition=said))
    return ""


def _disk_live(key: str) -> Callable[..., Awaitable[str]]:
    if key == "source":
        return live_drives.change_medium
    return live_drives.reopen_disk if key in ("cache", "discard") else live_drives.limit_disk
