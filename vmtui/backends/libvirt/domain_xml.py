"""The XML of a domain that vmtui makes: a pure function of the spec and of what the host offers."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from vmtui.backends.libvirt import metadata
from vmtui.backends.libvirt.devices_xml import Card, Drive, Share, add_devices
from vmtui.model import SLOW_EMULATED, Accel, Firmware
from vmtui.spec import VMSpec
from vmtui.units import KIB

HOSTNAME = "vmtui.hostname="
"""On the kernel's command line: what the micro image calls itself."""

_MACHINES = {"x86_64": "q35", "i686": "q35", "aarch64": "virt", "riscv64": "virt"}
_PC = ("x86_64", "i686")

# What Microsoft asks hypervisors for, and libvirt's tools turn on for Windows. QEMU has it with
# KVM only.
_HYPERV = ("relaxed", "vapic", "vpindex", "runtime", "synic", "stimer", "frequencies")
_SPINLOCK_RETRIES = 8191

# CPUs that libvirt has a mode for, also by QEMU's names; any other is a model's.
_CPU_MODES = {
    "host": "host-passthrough",
    "host-passthrough": "host-passthrough",
    "host-model": "host-model",
    "max": "maximum",
    "maximum": "maximum",
}


@dataclass(frozen=True, slots=True)
class Kernel:
    """What is booted without any firmware's help."""

    kernel: str
    initrd: str | None
    cmdline: str


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a spec leaves to the host."""

    uuid: str
    accel: Accel
    arch: str = "x86_64"
    test_driver: bool = False
    drives: tuple[Drive, ...] = ()
    cards: tuple[Card, ...] = (Card("user"),)
    shares: tuple[Share, ...] = ()
    kernel: Kernel | None = None
    console_log: str | None = None
    screen: bool = False
    seed: str = ""  # which of the drives cloud-init reads


def cpu_mode(model: str) -> str:
    """libvirt's mode for a CPU of that name; `custom` for a model."""
    return _CPU_MODES.get(model, "custom")


def machine_of(arch: str) -> str | None:
    """The machine type's short name; None leaves it to libvirt."""
    return _MACHINES.get(arch)


def text_of(domain: ET.Element) -> str:
    """What is given to libvirt to define, in lines."""
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode")


def domain_element(spec: VMSpec, parts: Parts) -> ET.Element:
    """The root element."""
    domain = ET.Element("domain", type=_type(parts))
    _text(domain, "name", spec.name)
    _text(domain, "uuid", parts.uuid)
    if spec.description:
        _text(domain, "description", spec.description)
    metadata.write(domain, metadata.of_spec(spec, parts.seed))
    _text(domain, "memory", str(spec.memory_bytes // KIB), unit="KiB")
    if any(share.virtiofs for share in parts.shares):
        # Another process serves the folder out of the guest's memory.
        backing = ET.SubElement(domain, "memoryBacking")
        ET.SubElement(backing, "source", type="memfd")
        ET.SubElement(backing, "access", mode="shared")
    _text(domain, "vcpu", str(spec.vcpus))
    _os(domain, spec, parts)
    _features(domain, spec, parts)
    _cpu(domain, spec, parts)
    _clock(domain, spec, parts)
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    add_devices(
        ET.SubElement(domain, "devices"),
        drives=parts.drives,
        cards=parts.cards,
        shares=parts.shares,
        console_log=parts.console_log,
        screen=parts.screen,
        tpm=spec.tpm,
        pcie=not parts.test_driver and machine_of(parts.arch) is not None,
        bare=parts.test_driver,
    )
    return domain


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
        if parts.kernel.initrd:
            _text(os, "initrd", parts.kernel.initrd)
        if parts.kernel.cmdline:
            _text(os, "cmdline", parts.kernel.cmdline)


def _features(domain: ET.Element, spec: VMSpec, parts: Parts) -> None:
    features = ET.SubElement(domain, "features")
    ET.SubElement(features, "acpi")
    if parts.arch in _PC:
        ET.SubElement(features, "apic")
    if _enlightened(spec, parts):
        hyperv = ET.SubElement(features, "hyperv", mode="custom")
        for name in _HYPERV:
            ET.SubElement(hyperv, name, state="on")
        ET.SubElement(hyperv, "spinlocks", state="on", retries=str(_SPINLOCK_RETRIES))
    if spec.firmware is Firmware.SECURE_BOOT and not parts.test_driver:
        ET.SubElement(features, "smm", state="on")


def _enlightened(spec: VMSpec, parts: Parts) -> bool:
    return spec.hyperv and parts.accel is Accel.KVM and parts.arch in _PC and not parts.test_driver


def _cpu(domain: ET.Element, spec: VMSpec, parts: Parts) -> None:
    if parts.test_driver:
        return
    default = "host-passthrough" if parts.accel is Accel.KVM else "maximum"
    mode = cpu_mode(spec.cpu_model or default)
    if mode == "custom":
        cpu = ET.SubElement(domain, "cpu", mode=mode, match="exact", check="none")
        _text(cpu, "model", spec.cpu_model, fallback="forbid")
    else:
        cpu = ET.SubElement(domain, "cpu", mode=mode)
    if spec.topology is not None:
        ET.SubElement(
            cpu,
            "topology",
            sockets=str(spec.topology.sockets),
            cores=str(spec.topology.cores),
            threads=str(spec.topology.threads),
        )
    if not spec.cpu_model and parts.accel is Accel.TCG and parts.arch in _PC:
        for name in SLOW_EMULATED:
            ET.SubElement(cpu, "feature", policy="disable", name=name)


def _clock(domain: ET.Element, spec: VMSpec, parts: Parts) -> None:
    # Windows takes the machine's clock for local time.
    clock = ET.SubElement(domain, "clock", offset="localtime" if spec.hyperv else "utc")
    if not spec.hyperv or parts.arch not in _PC or parts.test_driver:
        return
    ET.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    ET.SubElement(clock, "timer", name="pit", tickpolicy="delay")
    ET.SubElement(clock, "timer", name="hpet", present="no")
    if _enlightened(spec, parts):
        ET.SubElement(clock, "timer", name="hypervclock", present="yes")
