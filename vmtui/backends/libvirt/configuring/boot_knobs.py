"""Firmware and boot order in a domain's definition."""

from __future__ import annotations

from collections.abc import Iterator

from vmtui.backends.libvirt.configuring.elements import (
    Element,
    give,
    got,
    have,
    made,
    put,
    said,
    take_out,
    take_out_if_bare,
)
from vmtui.backends.libvirt.configuring.knobs import Knob, listed
from vmtui.errors import InputError
from vmtui.hardware.values import Value
from vmtui.model import Firmware
from vmtui.units import whole_number

KEYS, SECURE = "enrolled-keys", "secure-boot"

_DEVICES = {"disk": "hd", "cdrom": "cdrom", "network": "network"}


def is_uefi(root: Element) -> bool:
    """Whether UEFI starts the guest."""
    return got(root, "os", "firmware") == "efi" or (
        got(root, "os/loader", "type") == "pflash" or root.find("os/nvram") is not None
    )


def _feature(root: Element, name: str) -> bool:
    return got(root, f"os/firmware/feature[@name='{name}']", "enabled") == "yes"


def read_firmware(root: Element) -> Firmware:
    """What starts the guest."""
    if not is_uefi(root):
        return Firmware.BIOS
    secure = _feature(root, SECURE) or got(root, "os/loader", "secure") == "yes"
    return Firmware.SECURE_BOOT if secure else Firmware.UEFI


def _write_firmware(root: Element, value: Value) -> None:
    os, wanted = have(root, "os"), Firmware(str(value))
    # Which files those are is libvirt's choice; the variables stay where they are.
    take_out(os.find("loader"))
    if wanted is Firmware.BIOS:
        for tag in ("firmware", "nvram"):
            take_out(os.find(tag))
        give(os, "firmware", None)
        return
    os.set("firmware", "efi")
    nvram = os.find("nvram")
    if nvram is not None:
        give(nvram, "template", None)
        give(nvram, "templateFormat", None)
        take_out_if_bare(nvram if not nvram.text else None)
    secure = wanted is Firmware.SECURE_BOOT
    _set_feature(root, SECURE, enabled=secure)
    # Secure Boot without keys enforces nothing.
    _set_feature(root, KEYS, enabled=secure)
    if secure:
        have(root, "features/smm").set("state", "on")


def _set_feature(root: Element, name: str, *, enabled: bool) -> None:
    firmware = have(root, "os/firmware")
    found = firmware.find(f"feature[@name='{name}']")
    if found is None:
        found = put(firmware, made("feature", {"enabled": "", "name": name}))
    found.set("enabled", "yes" if enabled else "no")


def _write_keys(root: Element, value: Value) -> None:
    if read_firmware(root) is not Firmware.SECURE_BOOT:
        raise InputError("keys can be enrolled with Secure Boot only", hint="Set firmware first.")
    _set_feature(root, KEYS, enabled=bool(value))


def _by_hand(root: Element) -> str:
    if root.find("os/kernel") is not None and not is_uefi(root):
        return ""
    chosen = got(root, "os", "firmware") or root.find("os/loader") is None
    return "" if chosen else "its files were chosen by hand: edit the definition"


# -- boot order ----------------------------------------------------------------------------------


def _kind(device: Element) -> str:
    if device.tag == "interface":
        return "network"
    return {"cdrom": "cdrom", "disk": "disk", "lun": "disk"}.get(device.get("device", "disk"), "")


def _bootable(root: Element) -> Iterator[Element]:
    for tag in ("disk", "interface"):
        yield from root.iterfind(f"devices/{tag}")


def _ordered(root: Element) -> list[Element]:
    """Devices that have a place of their own in the boot order, the first first."""
    devices = [one for one in root.iterfind("devices/*") if one.find("boot") is not None]
    return sorted(devices, key=lambda one: whole_number(got(one, "boot", "order")) or 0)


def _read_order(root: Element) -> Value:
    by_device = _ordered(root)
    if by_device:
        return tuple(dict.fromkeys(kind for one in by_device if (kind := _kind(one))))
    words = {device: word for word, device in _DEVICES.items()}
    return tuple(
        words[boot.get("dev", "")]
        for boot in root.iterfind("os/boot")
        if boot.get("dev", "") in words
    )


def _write_order(root: Element, value: Value) -> None:
    wanted = listed(value)
    wrong = next((word for word in wanted if word not in _DEVICES), None)
    if wrong is not None:
        raise InputError(f"nothing boots from {wrong!r}", hint="Write disk, cdrom and network.")
    if _ordered(root):
        _order_devices(root, wanted)
        return
    os, known = have(root, "os"), {}
    for boot in root.findall("os/boot"):
        if boot.get("dev") in _DEVICES.values():
            known[boot.get("dev")] = boot
            take_out(boot)
    for word in wanted:
        put(os, made("boot", {"dev": _DEVICES[word]}))


def _order_devices(root: Element, wanted: tuple[str, ...]) -> None:
    before = _ordered(root)
    order = [one for word in wanted for one in _of_kind(root, before, word)]
    others = [one for one in before if not _kind(one)]  # such as a USB stick passed through
    for one in before:
        if one not in order and one not in others:
            take_out(one.find("boot"))
    for number, one in enumerate([*order, *others], start=1):
        have(one, "boot").set("order", str(number))


def _of_kind(root: Element, before: list[Element], kind: str) -> list[Element]:
    """Those that were in the order; else the first that there is."""
    known = [one for one in before if _kind(one) == kind]
    found = known or [one for one in _bootable(root) if _kind(one) == kind][:1]
    if not found:
        raise InputError(f"it can't boot from {kind}", why="it has none")
    return found


def _write_menu(root: Element, value: Value) -> None:
    menu = have(root, "os/bootmenu") if value else root.find("os/bootmenu")
    if menu is not None and (value or len(menu.attrib) > 1):
        menu.set("enable", "yes" if value else "no")
    else:
        take_out(menu)


def has_nothing_installed(root: Element) -> bool:
    """Whether there is no disk that a system could be on."""
    return not any(_kind(one) == "disk" for one in root.iterfind("devices/disk"))


def _kernel(root: Element) -> str:
    return "it boots a kernel without firmware" if said(root, "os/kernel") else ""


BOOT_KNOBS = {
    "firmware": Knob(lambda root: read_firmware(root).value, _write_firmware, _by_hand),
    "firmware.keys": Knob(lambda root: _feature(root, KEYS), _write_keys, _by_hand),
    "boot.order": Knob(_read_order, _write_order, _kernel),
    "boot.menu": Knob(lambda root: got(root, "os/bootmenu", "enable") == "yes", _write_menu),
}
