"""One disk or tray in a domain's definition."""

from __future__ import annotations

import re

from vmtui.backends.libvirt.configuring.elements import (
    Element,
    give,
    got,
    have,
    made,
    put,
    said,
    say,
    take_out,
    take_out_if_bare,
)
from vmtui.backends.libvirt.configuring.knobs import Knob, text_attribute, words
from vmtui.backends.libvirt.devices_xml import target_name
from vmtui.errors import UnsupportedError
from vmtui.hardware.values import Value
from vmtui.units import whole_number

_SOURCES = ("file", "dev", "name", "dir", "volume")
_PREFIX = re.compile(r"^(xvd|vd|sd|hd|fd)")
_APART = ("read", "write")
_CACHE = text_attribute("driver", "cache")


def _letters(target: Element) -> str:
    return _PREFIX.sub("", target.get("dev", ""))


def is_tray(disk: Element) -> bool:
    """Whether its medium can be changed."""
    return disk.get("device", "disk") in ("cdrom", "floppy")


def source(disk: Element) -> str:
    """The path or the volume in it; empty where it is empty."""
    found = disk.find("source")
    if found is None:
        return ""
    return next((found.get(name, "") for name in _SOURCES if found.get(name)), "")


def _write_source(disk: Element, value: Value) -> None:
    found = disk.find("source")
    if not value:
        take_out(found)
        disk.set("type", "file")
        return
    if found is None or disk.get("type") != "file":
        take_out(found)
        disk.set("type", "file")
        found = put(disk, made("source"))
    found.set("file", words(value))
    give(found, "index", None)


def _no_tray(disk: Element) -> str:
    return "" if is_tray(disk) else "only a tray's medium can be changed"


def _write_bus(disk: Element, value: Value) -> None:
    bus, devices = words(value), disk.getparent()
    if bus == "nvme":
        raise UnsupportedError("libvirt has no disks on nvme", hint="Take virtio, scsi or sata.")
    target = have(disk, "target")
    others = devices.findall("disk/target") if devices is not None else []
    target.set("bus", bus)
    alike = [one for one in others if one is not target and one.get("bus") == bus]
    if _letters(target) in {_letters(one) for one in alike}:
        # Its name says where on the bus it is; to others it is but a name, and stays.
        target.set("dev", target_name(bus, {one.get("dev", "") for one in others}))
    take_out(disk.find("address"))
    scsi = devices is not None and devices.find("controller[@type='scsi']") is None
    if bus == "scsi" and devices is not None and scsi:
        put(devices, made("controller", {"type": "scsi", "model": "virtio-scsi"}))


def _write_discard(disk: Element, value: Value) -> None:
    driver = have(disk, "driver") if value else disk.find("driver")
    if driver is not None:
        give(driver, "discard", "unmap" if value else None)
        take_out_if_bare(driver)


def _limit(unit: str, ending: str = "") -> Knob:
    tag = f"total_{unit}_sec{ending}"

    def read(disk: Element) -> Value:
        return whole_number(said(disk, f"iotune/{tag}")) or None

    def write(disk: Element, value: Value) -> None:
        say(have(disk, "iotune"), tag, str(value) if value is not None else "")
        if value is None and not ending:
            # libvirt takes no burst over nothing.
            for more in ("_max", "_max_length"):
                take_out(disk.find(f"iotune/{tag}{more}"))
        take_out_if_bare(disk.find("iotune"))

    def apart(disk: Element) -> str:
        tags = (f"iotune/{way}_{unit}_sec" for way in _APART)
        found = any(disk.find(tag) is not None for tag in tags)
        return "it limits reads and writes apart: edit the definition" if found else ""

    return Knob(read, write, apart)


DISK_KNOBS = {
    "source": Knob(source, _write_source, _no_tray),
    "bus": Knob(lambda disk: got(disk, "target", "bus"), _write_bus),
    "cache": Knob(lambda disk: _CACHE.read(disk) or None, _CACHE.write),
    "discard": Knob(lambda disk: got(disk, "driver", "discard") == "unmap", _write_discard),
    "iops": _limit("iops"),
    "iops-burst": _limit("iops", "_max"),
    "rate": _limit("bytes"),
    "rate-burst": _limit("bytes", "_max"),
}
