"""What a host offers a new VM: refused in time is what would fail on it later."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from vmtui.backends.libvirt.devices_xml import Card, Share
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.domain_xml import cpu_mode, machine_of
from vmtui.backends.libvirt.listing import attempt_all
from vmtui.backends.libvirt.places import Places
from vmtui.errors import InputError, MissingError, OperationError, UnsupportedError
from vmtui.model import Accel, Firmware
from vmtui.parts import DiskBus, Forward, NetworkKind, NicSpec, SharedFolder
from vmtui.spec import VMSpec, name_problem

DEFAULT_NETWORK = "default"
FORWARD_HINT = (
    "Take one of libvirt's networks, where guests have an address, or make the VM on kvm:."
)
SHOWN_MODELS = 12
VIRTIOFSD = ("/usr/share/qemu/vhost-user", "/etc/qemu/vhost-user")

FIRMWARE_HINT = "Install ovmf (Debian) or edk2-ovmf there."
SWTPM_HINT = "Install swtpm there."

# libvirt's own numbers: what came with which version.
PASST_SINCE = 9_000_000
VIRTIOFS_IN_SESSIONS_SINCE = 10_000_000
VIRTIOFS_READ_ONLY_SINCE = 11_000_000


@dataclass(frozen=True, slots=True)
class Host:
    """What a new VM's definition has to know of it."""

    arch: str
    test_driver: bool
    version: int
    places: Places
    root: ET.Element | None = None  # of its capabilities for domains

    def offers(self, path: str, name: str, value: str) -> bool:
        """Whether they list it."""
        return self.root is None or any(
            v.text == value for v in self.root.iterfind(f"{path}/enum[@name='{name}']/value")
        )


def look(connection: libvirt.virConnect, places: Places, accel: Accel) -> Host:
    """Ask it. libvirt may have to probe QEMU first."""
    version = int(connection.getLibVersion())
    if str(connection.getType()).upper() == "TEST":
        return Host("i686", True, version, places)
    info: Any = connection.getInfo()
    arch = str(info[0])
    kind = "kvm" if accel is Accel.KVM else "qemu"
    capabilities = connection.getDomainCapabilities(None, arch, machine_of(arch), kind)
    return Host(arch, False, version, places, parse(str(capabilities)))


def check_name(connection: libvirt.virConnect, name: str) -> None:
    """Raise InputError unless a new VM can be called that."""
    taken = [str(domain.name()) for domain in connection.listAllDomains()]
    problem = name_problem(name, taken)
    if problem:
        raise InputError(f"{name or 'the VM'} can't be made", why=problem)


def check(host: Host, spec: VMSpec) -> None:
    """Raise MissingError or UnsupportedError for what it lacks."""
    if spec.firmware is not Firmware.BIOS and not host.offers("os", "firmware", "efi"):
        raise MissingError("the host has no UEFI firmware", hint=FIRMWARE_HINT)
    if spec.firmware is Firmware.SECURE_BOOT and not host.offers("os/loader", "secure", "yes"):
        raise MissingError("the host has no firmware with Secure Boot", hint=FIRMWARE_HINT)
    if spec.tpm and not host.offers("devices/tpm", "backendModel", "emulator"):
        raise MissingError("the host can't emulate a TPM", hint=SWTPM_HINT)
    for disk in spec.disks:
        known = disk.bus is not DiskBus.NVME and host.offers("devices/disk", "bus", disk.bus.value)
        if not known:
            raise UnsupportedError(
                f"{spec.name} can't have a disk on {disk.bus.value}",
                why="libvirt has none there for this type of machine",
                hint="Take virtio, scsi or sata.",
            )
    _check_cpu(host, spec)


def _check_cpu(host: Host, spec: VMSpec) -> None:
    model = spec.cpu_model
    if not model or host.root is None:
        return
    mode = host.root.find(f"cpu/mode[@name='{cpu_mode(model)}']")
    known = [m.text or "" for m in mode.iterfind("model")] if mode is not None else []
    if mode is None or mode.get("supported") != "yes":
        raise InputError(f"the CPU {model} can't be had there", hint="Take max, or leave it out.")
    if cpu_mode(model) == "custom" and model not in known:
        raise InputError(
            f"the host has no CPU model {model}",
            hint=f"It knows: {', '.join(known[:SHOWN_MODELS])} and others.",
        )


def missing(host: Host) -> dict[str, str]:
    """By a part of `Limits.missing`, what it would take."""
    found = {}
    if not host.offers("os", "firmware", "efi"):
        found["uefi"] = FIRMWARE_HINT
    if not host.offers("os/loader", "secure", "yes"):
        found["secure-boot"] = FIRMWARE_HINT
    if not host.offers("devices/tpm", "backendModel", "emulator"):
        found["tpm"] = SWTPM_HINT
    why = _no_virtiofs(host, read_only=False)
    if why:
        found["virtiofs"] = _sentence(why)
    if why := _no_forwarding(host):
        found["forward"] = f"{_sentence(why)} {FORWARD_HINT}"
    return found


def _sentence(why: str) -> str:
    return f"{why[0].upper()}{why[1:]}."


# -- network -------------------------------------------------------------------------------------


def cards(
    connection: libvirt.virConnect, host: Host, spec: VMSpec, *, start: bool
) -> tuple[Card, ...]:
    """The VM's network cards. `start`: a network of libvirt's that is off is turned on."""
    if spec.nics is None:
        on_network = _network_problem(connection, DEFAULT_NETWORK, start=start) == ""
        return (Card("network", DEFAULT_NETWORK) if on_network else Card("user"),)
    return tuple(card(connection, host, nic, start=start) for nic in spec.nics)


def card(connection: libvirt.virConnect, host: Host, nic: NicSpec, *, start: bool) -> Card:
    """One of them. Raises InputError or UnsupportedError."""
    if nic.network is NetworkKind.USER:
        return Card("user", "", nic.mac, nic.model, _forwards(host, nic))
    if nic.forwards:
        raise UnsupportedError(
            f"ports can't be forwarded on a card of the kind {nic.network.value}",
            why="libvirt forwards them to user-mode networks only",
            hint="Make it a user-mode network, or reach the guest by its address.",
        )
    if nic.network is NetworkKind.ISOLATED:
        # libvirt's user mode can't be shut in; a card whose cable is pulled is.
        return Card("user", "", nic.mac, nic.model, connected=False)
    if nic.network is NetworkKind.BRIDGE:
        _check_bridge(host, nic.source)
        return Card("bridge", nic.source, nic.mac, nic.model)
    name = nic.source or DEFAULT_NETWORK
    problem = _network_problem(connection, name, start=start)
    if problem:
        known = [str(one.name()) for one in attempt_all(connection.listAllNetworks)]
        raise InputError(
            f"the network {name} can't be used",
            why=problem,
            hint=f"There is: {', '.join(known)}." if known else "There are no networks of libvirt.",
        )
    return Card("network", name, nic.mac, nic.model)


def _network_problem(connection: libvirt.virConnect, name: str, *, start: bool) -> str:
    """Why a network of libvirt's can't be used; empty: it runs, or could be started."""
    try:
        network = connection.networkLookupByName(name)
        if start and not network.isActive():
            network.create()
    except libvirt.libvirtError as error:
        return error.get_error_message() or str(error)
    return ""


def _check_bridge(host: Host, name: str) -> None:
    if not name:
        raise InputError("the bridge has no name", hint="Say which: its name as `ip link` has it.")
    if host.places.local and not Path("/sys/class/net", name, "bridge").exists():
        raise InputError(
            f"there is no bridge {name}",
            hint=f"Make it: ip link add {name} type bridge, as root.",
        )


def _forwards(host: Host, nic: NicSpec) -> tuple[Forward, ...]:
    if not nic.forwards:
        return ()
    if why := _no_forwarding(host):
        raise no_forwards(why)
    return tuple(_settled(host, forward) for forward in nic.forwards)


def _no_forwarding(host: Host) -> str:
    """Why no ports can be forwarded there; empty: they can, as far as is known."""
    if host.version < PASST_SINCE:
        return "libvirt forwards ports by passt, which it can do from 9.0 on"
    if host.places.local and shutil.which("passt") is None:
        return "libvirt forwards ports by passt, and that is not installed"
    return ""


def no_forwards(why: str) -> UnsupportedError:
    """For a libvirt that can't forward ports."""
    return UnsupportedError(
        "ports can't be forwarded by this libvirt",
        why=why,
        hint=FORWARD_HINT,
    )


def _settled(host: Host, forward: Forward) -> Forward:
    if forward.host_port:
        return forward
    if not host.places.local:
        raise InputError(
            f"which port of the host leads to {forward.guest_port}?",
            why="which are free on another machine is not known here",
            hint="Say the host's port as well.",
        )
    return Forward(forward.guest_port, free_port(forward.host_address), forward.host_address)


def free_port(address: str) -> int:
    """A TCP port of this machine that nobody listens on now. Raises OperationError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as found:
            found.bind((address, 0))
            return int(found.getsockname()[1])
    except OSError as error:
        raise OperationError(f"there is no free port on {address}", why=str(error)) from error


# -- shared folders ------------------------------------------------------------------------------


def shares(host: Host, spec: VMSpec) -> tuple[Share, ...]:
    """The VM's shared folders, each by virtiofs where that goes and was not ruled out."""
    return tuple(share(host, folder) for folder in spec.shares)


def share(host: Host, folder: SharedFolder) -> Share:
    """One of them. Raises InputError or UnsupportedError."""
    if host.places.local and not folder.path.is_dir():
        raise InputError(f"{folder.path} can't be shared", why="there is no such folder")
    why = _no_virtiofs(host, read_only=folder.read_only)
    if why and folder.protocol == "virtiofs":
        raise UnsupportedError(
            f"{folder.path} can't be shared by virtiofs", why=why, hint="Share it by 9p."
        )
    virtiofs = not why and folder.protocol != "9p"
    return Share(str(folder.path.absolute()), folder.tag, virtiofs, folder.read_only)


def _no_virtiofs(host: Host, *, read_only: bool) -> str:
    if host.places.session and host.version < VIRTIOFS_IN_SESSIONS_SINCE:
        return "before 10.0 libvirt has it for system connections only"
    if read_only and host.version < VIRTIOFS_READ_ONLY_SINCE:
        return "before 11.0 libvirt can't make it read-only"
    if not host.offers("devices/filesystem", "driverType", "virtiofs"):
        return "the host's QEMU has no virtiofs"
    if host.places.local and not any(
        list(Path(place).glob("*virtiofsd*.json")) for place in VIRTIOFSD
    ):
        return "virtiofsd is not installed"
    return ""
