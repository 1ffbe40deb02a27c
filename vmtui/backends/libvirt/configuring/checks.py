"""What a host and the other VMs on it forbid a domain: told before anything is changed."""

from __future__ import annotations

import re
from pathlib import Path

import libvirt

from vmtui.backends.libvirt import offers
from vmtui.backends.libvirt.around import host_devices
from vmtui.backends.libvirt.configuring.boot_knobs import (
    has_nothing_installed,
    is_uefi,
    read_firmware,
)
from vmtui.backends.libvirt.configuring.device_knobs import has_tpm
from vmtui.backends.libvirt.configuring.elements import (
    Element,
    got,
    parsed,
    said,
    take_out,
    text_of,
)
from vmtui.backends.libvirt.configuring.memory_knobs import ceiling_bytes
from vmtui.backends.libvirt.configuring.situation import Situation, capabilities
from vmtui.backends.libvirt.in_use import key_of, others_of, volume_at
from vmtui.backends.libvirt.listing import attempt, attempt_all, lookup
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.translate import reason
from vmtui.errors import InputError, MissingError, StateError, UnsupportedError
from vmtui.hardware.devices import HostDevice
from vmtui.hardware.settings import setting
from vmtui.hardware.values import Value
from vmtui.model import Firmware
from vmtui.parts import NetworkKind, NicSpec
from vmtui.secure_boot import unchecked_kernel
from vmtui.units import size

_NOT_TRIED = ("devices/interface", "devices/hostdev")
"""Even for a command line libvirt makes taps for the ones, and looks for the others."""

_PASSWORD = re.compile(r"(passwd=)(['\"]).*?\2")


def fits(value: Value, key: str) -> None:
    """Raise InputError for a value that the setting can't have."""
    form = setting(key).form
    try:
        form.parse(form.text(value))
    except ValueError as error:
        raise InputError(f"{key} can't be that", why=str(error)) from error


def check_all(
    connection: libvirt.virConnect, places: Places, here: Situation, root: Element
) -> None:
    """Raise what `Configures.plan` does for a definition that can't be."""
    check_memory(here, root)
    check_firmware(here, root)
    check_offers(connection, places, here, root)
    verdict(connection, here, root)


def check_memory(here: Situation, root: Element) -> None:
    """Raise InputError for sizes that do not go together, or not with the host's."""
    table, ceiling = here.table, ceiling_bytes(root)
    if here.host_bytes and ceiling > max(here.host_bytes, ceiling_bytes(here.next)):
        raise InputError(
            f"{here.name} can't have {size(ceiling, digits=2)}",
            why=f"the host has {size(here.host_bytes, digits=2)}",
        )
    bounds = (
        ("memory.floor", table.value(root, "memory.floor"), "its memory", ceiling),
        (
            "balance.least",
            table.value(root, "balance.least"),
            "balance.most",
            table.value(root, "balance.most") or ceiling,
        ),
    )
    for key, low, name, high in bounds:
        if isinstance(low, int) and isinstance(high, int) and low > high:
            raise InputError(
                f"{key} can't be {size(low, digits=2)}",
                why=f"that is more than {name}, {size(high, digits=2)}",
            )


def check_firmware(here: Situation, root: Element) -> None:
    """Raise UnsupportedError for what would keep an installed system from starting."""
    if is_uefi(here.next) == is_uefi(root) or has_nothing_installed(here.next):
        return
    raise UnsupportedError(
        f"the firmware of {here.name} can't be another",
        why="what is installed on its disk starts with the one that it has only",
        hint="Make a VM with the other firmware, and install it anew.",
    )


def check_offers(
    connection: libvirt.virConnect, places: Places, here: Situation, root: Element
) -> None:
    """Raise MissingError for a TPM or a firmware that the host has not."""
    new_tpm = has_tpm(root) and not has_tpm(here.next)
    firmware = read_firmware(root)
    if not new_tpm and firmware is read_firmware(here.next):
        return
    machine = got(root, "os/type", "machine")
    if firmware is Firmware.SECURE_BOOT and machine and "q35" not in machine:
        raise UnsupportedError(
            "it can't have Secure Boot",
            why=f"its machine type {machine} has no SMM",
            hint="Make a VM of the type q35.",
        )
    if firmware is Firmware.SECURE_BOOT and said(root, "os/kernel"):
        raise unchecked_kernel("it")
    host = capabilities(connection, root, places)
    if new_tpm and not host.offers("devices/tpm", "backendModel", "emulator"):
        raise MissingError("the host can't emulate a TPM", hint=offers.SWTPM_HINT)
    if firmware is not Firmware.BIOS and not host.offers("os", "firmware", "efi"):
        raise MissingError("the host has no UEFI firmware", hint=offers.FIRMWARE_HINT)
    if firmware is Firmware.SECURE_BOOT and not host.offers("os/loader", "secure", "yes"):
        raise MissingError("the host has no firmware with Secure Boot", hint=offers.FIRMWARE_HINT)


def check_file(
    connection: libvirt.virConnect, places: Places, here: Situation, path: Path, *, medium: bool
) -> None:
    """Raise InputError for a file that is not there, or that another VM writes to."""
    known = volume_at(connection, str(path)) is not None
    if not path.is_absolute() or (places.local and not known and not _is_there(path)):
        raise InputError(f"there is no {path}", hint="Give the whole path, on the VM's host.")
    if medium:
        return
    others, key = others_of(connection, places, here.vm), key_of(connection, places, str(path))
    user = others.users.get(key) or others.overlays.get(key)
    if user:
        raise InputError(f"{path} can't be attached", why=f"it is in use by {user}")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # what this user may not look into is left to libvirt


def check_card(
    connection: libvirt.virConnect, places: Places, here: Situation, nic: NicSpec
) -> None:
    """Raise InputError or UnsupportedError for a network that the host has not."""
    if nic.network is not NetworkKind.USER or nic.forwards:
        offers.card(connection, capabilities(connection, here.next, places), nic, start=False)


def check_host_device(connection: libvirt.virConnect, places: Places, device: HostDevice) -> None:
    """Raise InputError or UnsupportedError for one that is not there, or can't be had."""
    known = {(one.bus, one.address): one for one in host_devices.look(connection, places)}
    found = known.get((device.bus, device.address))
    if found is None:
        raise InputError(
            f"the host has no {device.bus.value.upper()} device {device.address}",
            hint="List them: vmtui devices",
        )
    if found.unavailable:
        raise UnsupportedError(
            f"{found.label or found.address} can't be passed through", why=found.unavailable
        )


def check_name(connection: libvirt.virConnect, here: Situation, name: str) -> None:
    """Raise InputError or StateError unless it can be called that."""
    if name == here.name:
        return
    offers.check_name(connection, name)
    domain = lookup(connection, here.vm)
    for what, there in (
        ("snapshots", attempt(lambda: bool(domain.snapshotNum()), False)),
        ("checkpoints", bool(attempt_all(domain.listAllCheckpoints))),
        ("its memory saved", attempt(lambda: bool(domain.hasManagedSaveImage()), False)),
    ):
        if there:
            raise StateError(
                f"{here.name} can't be renamed", why=f"it has {what}, which libvirt keeps by name"
            )


def verdict(connection: libvirt.virConnect, here: Situation, root: Element) -> None:
    """Have libvirt work out QEMU's command line, and raise InputError with what it refuses.

    What it would refuse of the definition that is stored as well is no reason.
    """
    problem = _problem(connection, root)
    if problem and problem != _problem(connection, here.next):
        hint = "Set cpus.max and cpu.topology together." if "topology" in problem else ""
        raise InputError(f"{here.name} can't be changed like that", why=problem, hint=hint)


def _problem(connection: libvirt.virConnect, root: Element) -> str:
    trial = parsed(text_of(root))
    for path in _NOT_TRIED:
        for device in trial.findall(path):
            take_out(device)
    try:
        connection.domainXMLToNative("qemu-argv", text_of(trial), 0)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (
            libvirt.VIR_ERR_NO_SUPPORT,
            libvirt.VIR_ERR_OPERATION_DENIED,
            libvirt.VIR_ERR_OPERATION_UNSUPPORTED,
            libvirt.VIR_ERR_ACCESS_DENIED,
        ):
            return ""  # another driver, or a client that may only read
        return reason(error)
    return ""


def without_passwords(text: str) -> str:
    """A definition that may be shown."""
    return _PASSWORD.sub(r"\1\2(not shown)\2", text)
