"""The XML of a domain that vmtui makes: a pure function of the spec and of what the host offers."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from vmtui.counters import GUEST_PERIOD_S
from vmtui.model import Accel, Firmware
from vmtui.spec import VMSpec
from vmtui.units import KIB

METADATA_NAMESPACE = "urn:vmtui:domain:1"
_MACHINES = {"x86_64": "q35", "i686": "q35", "aarch64": "virt", "riscv64": "virt"}

ET.register_namespace("vmtui", METADATA_NAMESPACE)


@dataclass(frozen=True, slots=True)
class Medium:
    """A drive's content: the path on the host of the hypervisor."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is booted without any firmware's help."""

    kernel: str
    initrd: str
    cmdline: str


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a spec leaves to the host."""

    uuid: str
    accel: Accel
    arch: str = "x86_64"
    test_driver: bool = False
    disk: Medium | None = None
    cdrom: Medium | None = None
    kernel: Kernel | None = None
    network: str | None = None  # a libvirt network; None is user-mode
    console_log: str | None = None
    screen: bool = False


def machine_of(arch: str) -> str | None:
    """The machine type's short name; None leaves it to libvirt."""
    return _MACHINES.get(arch)


def domain_xml(spec: VMSpec, parts: Parts) -> str:
    """What is given to libvirt to define."""
    domain = ET.Element("domain", type=_type(parts))
    _text(domain, "name", spec.name)
    _text(domain, "uuid", parts.uuid)
    if spec.description:
        _text(domain, "description", spec.description)
    metadata = ET.SubElement(domain, "metadata")
    ET.SubElement(metadata, f"{{{METADATA_NAMESPACE}}}vm", image=spec.boot.label)
    _text(domain, "memory", str(spec.memory_bytes // KIB), unit="KiB")
    _text(domain, "vcpu", str(spec.vcpus))
    _os(domain, spec, parts)
    _machine_details(domain, spec, parts)
    _devices(domain, spec, parts)
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode")


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _type(parts: Parts) -> str:
    if parts.test_driver:
        return "test"
    return "kvm" if parts.accel is Accel.KVM else "qemu"


def _os(domain: ET.Element, spec: VMSpec, parts: Parts) -> None:
    uefi = spec.firmware is not Firmware.BIOS and not parts.test_driver
    os = ET.SubElement(domain, "os", {"firmware": "efi"} if uefi else {})
    machine = None if parts.test_driver else machine_of(parts.arch)
    _text(os, "type", "hvm", arch=parts.arch, **({"machine": machine} if machine else {}))
    if uefi:
        # Both are said: Secure Boot without enrolled keys enforces nothing.
        secure = "yes" if spec.firmware is Firmware.SECURE_BOOT else "no"
        firmware = ET.SubElement(os, "firmware")
        ET.SubElement(firmware, "feature", enabled=secure, name="secure-boot")
        ET.SubElement(firmware, "feature", enabled=secure, name="enrolled-keys")
    if parts.kernel:
        _text(os, "kernel", parts.kernel.kernel)
        _text(os, "initrd", parts.kernel.initrd)
        _text(os, "cmdline", parts.kernel.cmdline)
    else:
        # An empty disk does not boot, so the installer does; once there is a system, that boots.
        ET.SubElement(os, "boot", dev="hd")
        ET.SubElement(os, "boot", dev="cdrom")


def _machine_details(domain: ET.Element, spec: VMSpec, parts: Parts) -> None:
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    if parts.arch in ("x86_64", "i686"):
        ET.SubElement(features, "apic")
    if spec.firmware is Firmware.SECURE_BOOT and not parts.test_driver:
        ET.SubElement(features, "smm", state="on")
    if not parts.test_driver:
        kvm = parts.accel is Accel.KVM
        ET.SubElement(domain, "cpu", mode="host-passthrough" if kvm else "maximum")
    ET.SubElement(domain, "clock", offset="utc")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")


def _devices(domain: ET.Element, spec: VMSpec, parts: Parts) -> None:
    devices = ET.SubElement(domain, "devices")
    if parts.disk:
        _drive(devices, parts.disk, "disk", "vda", "virtio")
    if parts.cdrom:
        _drive(devices, parts.cdrom, "cdrom", "sda", "sata")
    _nic(devices, parts.network)
    if parts.test_driver:
        if parts.screen:
            _screen(devices)
        return
    _console(devices, parts)
    channel = ET.SubElement(devices, "channel", type="unix")
    ET.SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
    balloon = ET.SubElement(devices, "memballoon", model="virtio", freePageReporting="on")
    # Without a period the guest tells its memory once and then never again.
    ET.SubElement(balloon, "stats", period=str(GUEST_PERIOD_S))
    if spec.tpm:
        tpm = ET.SubElement(devices, "tpm", model="tpm-crb")
        ET.SubElement(tpm, "backend", type="emulator", version="2.0")
    if parts.screen:
        _screen(devices)


def _drive(devices: ET.Element, medium: Medium, device: str, target: str, bus: str) -> None:
    drive = ET.SubElement(devices, "disk", type="file", device=device)
    driver = {"name": "qemu", "type": medium.format}
    if device == "disk":
        driver["discard"] = "unmap"
    ET.SubElement(drive, "driver", driver)
    ET.SubElement(drive, "source", file=medium.path)
    # Ends the chain here: a backing file that an image names by itself is never followed.
    ET.SubElement(drive, "backingStore")
    ET.SubElement(drive, "target", dev=target, bus=bus)
    if device == "cdrom":
        ET.SubElement(drive, "readonly")


def _nic(devices: ET.Element, network: str | None) -> None:
    nic = ET.SubElement(devices, "interface", type="network" if network else "user")
    if network:
        ET.SubElement(nic, "source", network=network)
    ET.SubElement(nic, "model", type="virtio")


def _console(devices: ET.Element, parts: Parts) -> None:
    serial = ET.SubElement(devices, "serial", type="pty")
    if parts.console_log:
        # Starts anew with every start, as what is kept is "since the start".
        ET.SubElement(serial, "log", file=parts.console_log, append="off")
    ET.SubElement(serial, "target", port="0")
    console = ET.SubElement(devices, "console", type="pty")
    if parts.console_log:
        ET.SubElement(console, "log", file=parts.console_log, append="off")
    ET.SubElement(console, "target", type="serial", port="0")


def _screen(devices: ET.Element) -> None:
    ET.SubElement(devices, "input", type="tablet", bus="usb")
    graphics = ET.SubElement(devices, "graphics", type="vnc")
    ET.SubElement(graphics, "listen", type="socket")
    video = ET.SubElement(devices, "video")
    ET.SubElement(video, "model", type="vga")
