"""All other devices as QEMU is told of them: ports, watchdog, sound, a screen, the host's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.hardware import PORTS, HostDeviceDefinition
from vmtui.backends.kvm.options import Options, escaped, options, written

USB = "usb"
_PORTS_SLOT = "1c"
"""Where the chipset that QEMU imitates has them: devices without a port keep their own slots."""


def ports() -> Iterator[str]:
    """PCIe ports: what is in one can come and go while the guest runs.

    There are always all of them, so that the guest finds each at the same place, whatever is in
    the others. They reserve no I/O ports, of which a PC has too few for many bridges.
    """
    for number in range(1, PORTS + 1):
        found: Options = {
            "driver": "pcie-root-port",
            "id": f"port{number}",
            "chassis": number,
            "addr": f"{_PORTS_SLOT}.{number - 1}",
            "io-reserve": 0,
        }
        yield from ("-device", written(found | ({"multifunction": "on"} if number == 1 else {})))


def iothreads(definition: Definition) -> Iterator[str]:
    """Threads that serve disks, beside QEMU's main one."""
    for number in range(definition.tuning.iothreads):
        yield from ("-object", f"iothread,id=iothread{number}")


def others(definition: Definition, vnc: Path) -> Iterator[str]:
    """Watchdog, sound, vsock, a screen, and what is passed through."""
    if definition.watchdog != "off":
        yield from ("-device", f"{definition.watchdog},id=watchdog0")
        yield from ("-action", f"watchdog={definition.watchdog_action}")
    if definition.sound != "off":
        yield from ("-audiodev", "none,id=audio0")
        if definition.sound == "virtio":
            yield from ("-device", "virtio-sound-pci,audiodev=audio0")
        else:
            yield from ("-device", "ich9-intel-hda", "-device", "hda-duplex,audiodev=audio0")
    if definition.vsock:
        yield from ("-device", f"vhost-vsock-pci,guest-cid={definition.vsock}")
    if definition.displays:
        yield from ("-vnc", f"unix:{escaped(vnc)}")
        yield from ("-device", "VGA")
    if definition.displays or any(device.bus == "usb" for device in definition.host_device):
        yield from ("-device", options("qemu-xhci", id=USB))
    if definition.displays:
        yield from ("-device", "usb-tablet")
    for device in definition.host_device:
        yield from ("-device", written(host_device(device)))


def host_id(device: HostDeviceDefinition) -> str:
    """What QEMU calls a device of the host."""
    return "host-" + device.address.replace(":", "-")


def host_device(device: HostDeviceDefinition) -> Options:
    """A device of the host as the guest gets it."""
    if device.bus == "pci":
        return {"driver": "vfio-pci", "host": device.address, "id": host_id(device)}
    vendor, product = (int(part, 16) for part in device.address.split(":"))
    return {
        "driver": "usb-host",
        "vendorid": vendor,
        "productid": product,
        "id": host_id(device),
        "bus": f"{USB}.0",
    }
