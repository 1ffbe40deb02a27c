"""What can't be of a VM of the demo fleet, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vmtui.backends.demo_definition import Definition
from vmtui.errors import InputError, RefusedError, UnsupportedError, VmtuiError
from vmtui.hardware.changes import Assign
from vmtui.hardware.cores import parse_cpus
from vmtui.hardware.devices import HostDevice, NewDisk
from vmtui.hardware.settings import setting
from vmtui.hardware.values import Value
from vmtui.part_texts import topology
from vmtui.spec import name_problem
from vmtui.units import size

WITHOUT_SMM = "legacy-xp"
"""The one of the cast whose machine type is `pc`."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a change is judged by: the VM as it is, and what its host has."""

    active: bool
    now: Definition | None
    after: Definition  # as it will be stored
    host_cpus: int
    host_memory_bytes: int
    users: Mapping[str, str]  # by a disk's file or a device's address, who has it
    taken_names: frozenset[str] = frozenset()


def refuse(change: Assign, before: Definition, situation: Situation) -> None:
    """Raise if the value can't be."""
    if change.key not in before.values and change.key != "memory.target":
        raise InputError(f"it has no {change.key}")
    form = setting(change.key).form
    try:
        form.parse(form.text(change.value))
    except ValueError as error:
        raise InputError(f"{change.key} can't be that", why=str(error)) from error
    word = change.key.split(".")[-1] if change.key.startswith("disk.") else ""
    rule = _DISK_RULES.get(word) if word else _RULES.get(change.key)
    problem = rule(change, before, situation) if rule else None
    if problem:
        raise problem


Rule = Callable[[Assign, Definition, Situation], VmtuiError | None]


def _number(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _name(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    problem = name_problem(str(change.value), situation.taken_names)
    return InputError("it can't be called that", why=problem) if problem else None


def _cpus(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    value = change.value
    if _number(value) > _number(situation.after.values["cpus.max"]):
        return InputError(
            f"it can't have {value} vCPUs",
            why=f"its maximum is {situation.after.values['cpus.max']}",
            hint=f"Raise that as well: cpus.max={value}.",
        )
    return _cpus_of_host(change, _, situation)


def _cpus_of_host(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    value = change.value
    if _number(value) <= situation.host_cpus:
        return None
    return InputError(f"{value} vCPUs are too many", why=f"the host has {situation.host_cpus} CPUs")


def _maximum(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    value = change.value
    if _number(value) < _number(situation.after.values["cpus"]):
        return InputError(
            f"the maximum can't be {value}", why=f"it has {situation.after.values['cpus']} vCPUs"
        )
    return _cpus_of_host(change, _, situation)


def _memory(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    value = change.value
    if _number(value) > situation.host_memory_bytes:
        return InputError(
            f"{size(_number(value))} is more than the host has",
            why=f"it has {size(situation.host_memory_bytes)}",
        )
    floor = _number(situation.after.values["memory.floor"])
    if _number(value) < floor:
        return InputError("the ceiling can't be below the floor", why=f"that is {size(floor)}")
    return None


def _floor(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    value = change.value
    ceiling = _number(situation.after.values["memory"])
    if _number(value) > ceiling:
        return InputError(
            f"a floor of {size(_number(value))} can't be", why=f"its ceiling is {size(ceiling)}"
        )
    return None


def _target(change: Assign, before: Definition, situation: Situation) -> VmtuiError | None:
    value = change.value
    current = situation.now or before
    if not current.values["balloon"]:
        return UnsupportedError("it has no balloon", hint="Switch it on: balloon=on.")
    if _number(value) > _number(current.values["memory"]):
        return InputError(
            f"a target of {size(_number(value))} can't be",
            why=f"its ceiling is {size(_number(current.values['memory']))}",
        )
    floor = _number(before.values["memory.floor"])
    if _number(value) < floor:
        return RefusedError(
            f"{size(_number(value))} is less than its floor",
            why=f"that is {size(floor)}",
            hint="Lower the floor first: memory.floor=SIZE.",
        )
    return None


def _plugged(_: Assign, before: Definition, situation: Situation) -> VmtuiError | None:
    current = situation.now or before
    if current.values["memory.max"] is None:
        return UnsupportedError(
            "no memory can be plugged in",
            why="it was made without room for it",
            hint="Set memory.max=SIZE, which takes a power cycle.",
        )
    return None


def _firmware(change: Assign, before: Definition, _: Situation) -> VmtuiError | None:
    value = change.value
    old = before.values["firmware"]
    if value == "secure-boot" and before.values["name"] == WITHOUT_SMM:
        return UnsupportedError(
            "Secure Boot can't be", why="its machine type pc has no SMM", hint="It needs q35."
        )
    if (old == "bios") != (value == "bios"):
        return UnsupportedError(
            f"{old} can't become {value}",
            why="what is installed on its disk starts with the one that it was installed with",
            hint="Install it anew, or convert its disk to GPT with an EFI system partition first.",
        )
    return None


def _tpm_version(change: Assign, before: Definition, _: Situation) -> VmtuiError | None:
    value = change.value
    if value == "1.2" and before.values["tpm"] == "crb":
        return InputError("a TPM 1.2 can't be CRB", why="that interface came with 2.0")
    return None


def pinned(text: str) -> dict[str, frozenset[int]]:
    """By a vCPU, or `all`, its host CPUs. Raises ValueError."""
    pairs = [piece.partition("=") for piece in text.split()]
    if wrong := [vcpu for vcpu, _, _ in pairs if vcpu != "all" and not vcpu.isdecimal()]:
        raise ValueError(f"{wrong[0]!r} is no vCPU")
    return {vcpu: frozenset(parse_cpus(cpus)) for vcpu, _, cpus in pairs}


def _pin(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    try:
        pins = pinned(str(change.value))
    except ValueError as error:
        return InputError("vCPUs can't be pinned like that", why=str(error))
    most = max((max(cpus, default=0) for cpus in pins.values()), default=0)
    if most < situation.host_cpus:
        return None
    return InputError(
        f"vCPUs can't be pinned to CPU {most}", why=f"the host has {situation.host_cpus} CPUs"
    )


def _pages(change: Assign, _: Definition, __: Situation) -> VmtuiError | None:
    value = change.value
    if value is None:
        return None
    return UnsupportedError(
        f"huge pages of {value} can't be",
        why="the host has set none aside",
        hint="Set vm.nr_hugepages on the host.",
    )


def _shrinks(change: Assign, before: Definition, _: Situation) -> VmtuiError | None:
    old = _number(before.values[change.key])
    if _number(change.value) >= old:
        return None
    return InputError(
        f"a disk can't shrink to {size(_number(change.value))}",
        why=f"it has {size(old)}, and the guest's file system may use all of it",
    )


def _in_use(change: Assign, _: Definition, situation: Situation) -> VmtuiError | None:
    value = change.value
    user = situation.users.get(str(value)) if value else None
    return InputError(f"{value} can't be its medium", why=f"{user} has it") if user else None


def _topology(change: Assign, _: Definition, __: Situation) -> VmtuiError | None:
    if change.value:
        try:
            topology(str(change.value))
        except ValueError as error:
            return InputError("it can't be laid out like that", why=str(error))
    return None


_RULES: Mapping[str, Rule] = {
    "name": _name,
    "cpus": _cpus,
    "cpus.max": _maximum,
    "cpu.pin": _pin,
    "cpu.topology": _topology,
    "memory": _memory,
    "memory.floor": _floor,
    "memory.target": _target,
    "memory.plugged": _plugged,
    "memory.pages": _pages,
    "firmware": _firmware,
    "tpm.version": _tpm_version,
}
_DISK_RULES: Mapping[str, Rule] = {"size": _shrinks, "source": _in_use}


def refuse_device(device: object, situation: Situation) -> None:
    """Raise if the device can't be attached."""
    if isinstance(device, NewDisk) and device.path is not None:
        user = situation.users.get(str(device.path))
        if user:
            raise InputError(f"{device.path} can't be attached", why=f"{user} has it")
    if isinstance(device, HostDevice):
        user = situation.users.get(device.address)
        why = device.unavailable or (f"{user} has it" if user else "")
        if why:
            raise InputError(f"{device.label or device.address} can't be attached", why=why)
