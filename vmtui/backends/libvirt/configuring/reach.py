"""When a change takes effect: whether libvirt makes it while the VM runs, and why not."""

from __future__ import annotations

from vmtui.backends.libvirt.configuring.boot_knobs import is_uefi
from vmtui.backends.libvirt.configuring.cpu_knobs import most_cpus
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.errors import InputError
from vmtui.hardware.changes import Assign
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Takes

_OWN = (
    *("notes", "tags", "protected", "memory.floor", "balance"),
    *("balance.least", "balance.most", "balance.weight", "balance.reserve"),
)
SHARES = ("cpu.profile", "cpu.weight", "cpu.quota", "cpu.period")
LIVE = frozenset(
    {*_OWN, *SHARES, "description", "autostart", "cpus", "cpu.pin", "cpu.emulator"}
    | {"memory.plugged", "disk.*.source", "disk.*.size", "disk.*.iops", "disk.*.iops-burst"}
    | {"disk.*.rate", "disk.*.rate-burst", "nic.*.link", "nic.*.network", "nic.*.rate"}
)
"""Settings that libvirt changes while the VM runs."""

_NEVER_SESSION = "libvirt shares out CPUs for system connections only"
OFF, RUNS = "it is off", "it runs: shut it down first"
ANEW = ("firmware", "firmware.keys")
"""With another of these UEFI variables begin anew, and what runs writes to them."""

_WHY_NOT_LIVE = {
    "cpus.max": "the firmware tells the guest at its start how many there can be",
    "memory": "the ceiling is set when QEMU starts; below it the balloon moves",
    "memory.merge": "QEMU marks its memory when it starts",
    "firmware": "the firmware runs before the guest",
    "tpm": "the guest looks for it at its start",
    "restart": "libvirt reads it when it starts",
}


def takes(here: Situation, key: str) -> tuple[Takes, str]:
    """When a change of a setting takes effect at the best, and why not before."""
    if why := _stuck(here, key):
        return Takes.NEVER, why
    if key == "memory.target":
        return (Takes.LIVE, "") if here.active else (Takes.NEVER, OFF)
    if not here.active:
        return Takes.NEXT_BOOT, ""
    if key == "cpus" and here.now is not None and most_cpus(here.now) == 1:
        return Takes.NEXT_BOOT, "it was started with a maximum of 1 (cpus.max)"
    if setting(key).key in LIVE:
        return Takes.BOTH, ""
    return Takes.NEXT_BOOT, _WHY_NOT_LIVE.get(key, "it is set when QEMU starts")


def _stuck(here: Situation, key: str) -> str:
    """Why it can't be set at all."""
    if why := _forbidden(here, key):
        return why
    if not here.table.has_in_xml(Assign(key, None)):
        return ""
    try:
        part, knob = here.table.knob(here.next, key)
    except InputError:
        return "it is gone at the next boot"
    return knob.stuck(part)


def _forbidden(here: Situation, key: str) -> str:
    if here.active and (key == "name" or (key in ANEW and is_uefi(here.next))):
        return RUNS
    if key == "tpm.encrypted" and here.tpm_state is not False:
        known = "" if here.tpm_state else ", and from here it can't be told whether it has one"
        return f"it is chosen before the TPM has a state{known}: clear that first"
    if here.session and key in SHARES:
        return _NEVER_SESSION
    limited = key.startswith("nic.") and key.endswith(".rate")
    if here.session and limited and here.value(here.next, key) is None:
        return "libvirt limits cards on system connections only"
    if key.endswith(".size") and not here.sizes.get(key.split(".")[1]):
        return "how large it is can't be told"
    return ""
