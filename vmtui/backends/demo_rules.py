"""When a change to a VM of the demo fleet takes effect, and what it is called."""

from __future__ import annotations

from vmtui.backends.demo_definition import Definition
from vmtui.backends.demo_refusals import Situation, refuse, refuse_device
from vmtui.errors import InputError, StateError, UnsupportedError
from vmtui.hardware.changes import SEALED, Assign, Change, Detach, Step, When
from vmtui.hardware.devices import NewDisk
from vmtui.hardware.settings import PartKind
from vmtui.hardware.tree import Part, Takes
from vmtui.hardware.values import Value
from vmtui.hardware.wording import assigned, attached, detached

_LIVE = frozenset(
    {"description", "notes", "tags", "autostart", "restart", "protected", "cpus", "cpu.profile"}
    | {"cpu.weight", "cpu.quota", "cpu.period", "cpu.pin", "cpu.emulator", "memory.floor"}
    | {"memory.plugged", "balance", "balance.least", "balance.most", "balance.weight"}
    | {"balance.reserve"}
)
_LIVE_OF_DEVICES = ("source", "size", "iops", "iops-burst", "rate", "rate-burst", "link", "network")

_WHY_NOT_LIVE = {
    "cpus.max": "the firmware tells the guest at its start how many there can be",
    "memory": "the ceiling is set when QEMU starts; below it the balloon moves",
    "memory.merge": "QEMU marks its memory when it starts",
    "firmware": "the firmware runs before the guest",
    "tpm": "the guest looks for it at its start",
}


def takes(key: str, situation: Situation) -> tuple[Takes, str]:
    """When a change of that setting takes effect at the best, and why not before."""
    if key == "memory.target":
        return (Takes.LIVE, "") if situation.active else (Takes.NEVER, "it is off")
    if key == "name" and situation.active:
        return Takes.NEVER, "it runs: shut it down first"
    if key == "tpm.encrypted":
        return Takes.NEVER, "chosen when its state was made: remove the TPM and add another"
    if not situation.active:
        return Takes.NEXT_BOOT, ""
    word = key.rsplit(".", maxsplit=1)[-1]
    if key in _LIVE or (key.startswith(("disk.", "nic.")) and word in _LIVE_OF_DEVICES):
        return Takes.BOTH, ""
    return Takes.NEXT_BOOT, _WHY_NOT_LIVE.get(key, "it is set when QEMU starts")


def detaching(part: str, definition: Definition, *, active: bool) -> tuple[Takes, str]:
    """When that device can go, and why not before."""
    fitted = definition.devices.get(part)
    if fitted is None:
        return Takes.NEVER, "every VM has it"
    if not active:
        return Takes.NEXT_BOOT, ""
    if fitted.kind is PartKind.CONSOLE:
        return Takes.NEXT_BOOT, "a serial port can't be unplugged"
    if isinstance(fitted.device, NewDisk) and definition.values.get(f"{part}.bus") == "sata":
        return Takes.NEXT_BOOT, "SATA can't be unplugged"
    return Takes.BOTH, ""


def step(change: Change, before: Definition, situation: Situation, when: When) -> Step:
    """What a change to `before` would do. Raises what `Configures.plan` does."""
    if isinstance(change, Assign):
        best, why = takes(change.key, situation)
        text, loses = assigned(change.key, before.values.get(change.key), change.value), ""
        if change.key == "cpus" and best is Takes.BOTH:
            best, why = _more_cpus(change.value, situation)
        if change.key == "tpm" and change.value == "off" and before.values["tpm"] != "off":
            loses = SEALED
        refuse(change, before, situation)
        return Step(change, text, _narrowed(best, why, when, text, situation), why, loses)
    if isinstance(change, Detach):
        if change.part not in before.devices and not before.of(change.part):
            raise InputError(f"there is no part {change.part!r}")
        best, why = detaching(change.part, before, active=situation.active)
        label = change.part.replace(".", " ", 1)
        text = detached(Part(change.part, PartKind.OTHER, label))
        note = "its file stays" if change.part.startswith("disk.") else ""
        narrowed = _narrowed(best, why, when, text, situation)
        return Step(change, text, narrowed, why or note)
    refuse_device(change.device, situation)
    best = Takes.BOTH if situation.active else Takes.NEXT_BOOT
    text = attached(change.device)
    return Step(change, text, _narrowed(best, "", when, text, situation))


def _more_cpus(value: Value, situation: Situation) -> tuple[Takes, str]:
    most = situation.now.values["cpus.max"] if situation.now else None
    if isinstance(value, int) and isinstance(most, int) and value > most:
        return Takes.NEXT_BOOT, f"it was started with a maximum of {most}"
    return Takes.BOTH, ""


def _narrowed(best: Takes, why: str, when: When, text: str, situation: Situation) -> Takes:
    """When a change takes effect, as far as it is wanted. Raises StateError where that never is."""
    if best is Takes.NEVER:
        raise StateError(f"{text}: that can't be", why=why)
    if when is When.LIVE:
        if not situation.active:
            raise StateError(f"{text}: that can't be live", why="it is off")
        if best is Takes.NEXT_BOOT:
            raise UnsupportedError(
                f"{text}: that can't be live", why=why, hint="Do it for the next boot."
            )
        return Takes.LIVE
    if when is When.NEXT_BOOT:
        if best is Takes.LIVE:
            raise UnsupportedError(f"{text}: that is live only", why="it is gone with the power")
        return Takes.NEXT_BOOT
    return best
