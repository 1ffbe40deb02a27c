"""What a domain's XML says, whoever wrote it: nothing in it is taken for granted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from vmtui.backends.libvirt import metadata
from vmtui.backends.libvirt.metadata import Own
from vmtui.model import VM, Accel, Disk, DiskKind, Firmware, Nic, SshAccess, State, VMId

SSH_PORT = 22
HERE = "127.0.0.1"

_OPENABLE = ("pty", "nmdm")
"""Host's sides of a console that libvirt lets a client have."""

_UNITS = {
    "b": 1,
    "bytes": 1,
    "kb": 1000,
    "k": 1024,
    "kib": 1024,
    "mb": 1000**2,
    "m": 1024**2,
    "mib": 1024**2,
    "gb": 1000**3,
    "g": 1024**3,
    "gib": 1024**3,
    "tb": 1000**4,
    "t": 1024**4,
    "tib": 1024**4,
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A VM as defined, and what only this backend needs to know about it."""

    vm: VM
    nvram: str | None = None
    tpm_emulated: bool = False
    tpm_secret: str = ""  # the UUID of libvirt's that its state is encrypted with
    console_logs: tuple[tuple[str, str], ...] = ()  # the files of those consoles that have one
    agent_connected: bool = False
    backing: tuple[str, ...] = ()  # all files below the disks
    boot_files: tuple[str, ...] = ()  # a kernel and its initrd, if no firmware looks for them
    has_balloon: bool = False
    stats_period_s: int | None = None  # how often the guest reports its memory
    own: Own = metadata.NOTHING

    @property
    def console_log(self) -> str | None:
        """The file that keeps what the usual console prints."""
        return dict(self.console_logs).get(self.vm.consoles[0]) if self.vm.consoles else None


def parse(xml: str) -> ET.Element | None:
    """The root element, or None for what is no XML."""
    try:
        return ET.fromstring(xml)  # noqa: S314 (libvirt wrote it anew: no DTD, no entities)
    except ET.ParseError:
        return None


def read(vm_id: VMId, name: str, xml: str) -> Definition:
    """The facts; `id` and `name` are known without the XML."""
    root = parse(xml)
    if root is None:
        problem = "libvirt's description of it can't be read"
        return Definition(VM(vm_id, name, State.OFF, 0, 0, problem=problem))
    consoles = _consoles(root)
    own = metadata.read(root)
    balloon, stats = root.find("devices/memballoon"), root.find("devices/memballoon/stats")
    return Definition(
        _vm(vm_id, name, root, own, tuple(consoles)),
        nvram=_words(root, "os/nvram") or _attribute(root, "os/nvram/source", "file") or None,
        tpm_emulated=any(
            backend.get("type") == "emulator" for backend in root.iterfind("devices/tpm/backend")
        ),
        tpm_secret=_attribute(root, "devices/tpm/backend/encryption", "secret"),
        console_logs=tuple((name, log) for name, log in consoles.items() if log),
        agent_connected=any(
            target.get("name") == "org.qemu.guest_agent.0" and target.get("state") == "connected"
            for target in root.iterfind("devices/channel/target")
        ),
        backing=tuple(
            source
            for disk in root.iterfind("devices/disk")
            for source in _sources(disk.iter("backingStore"))
        ),
        boot_files=tuple(
            path for tag in ("kernel", "initrd") if (path := root.findtext(f"os/{tag}"))
        ),
        has_balloon=balloon is not None and balloon.get("model") != "none",
        stats_period_s=(_integer(stats.get("period")) or None) if stats is not None else None,
        own=own,
    )


def _vm(
    vm_id: VMId, name: str, root: ET.Element, own: metadata.Own, consoles: tuple[str, ...]
) -> VM:
    """What it says of the VM itself, which is off as far as it knows."""
    return VM(
        id=vm_id,
        name=name,
        state=State.OFF,
        vcpus=_vcpus(root),
        memory_bytes=_size(root.find("memory")) or _size(root.find("currentMemory")) or 0,
        accel={"kvm": Accel.KVM, "qemu": Accel.TCG}.get(root.get("type", "")),
        firmware=_firmware(root),
        tpm=root.find("devices/tpm") is not None,
        disks=tuple(_disk(element) for element in root.iterfind("devices/disk")),
        nics=tuple(_nic(element) for element in root.iterfind("devices/interface")),
        image=own.image,
        description=_words(root, "description") or _words(root, "title"),
        ssh=_ssh(root, own),
        displays=sum(model.get("type") != "none" for model in root.iterfind("devices/video/model")),
        consoles=consoles,
        tags=own.tags,
        throwaway=own.throwaway,
        notes=own.notes,
        protected=own.protected,
        restart=_words(root, "on_crash").endswith("restart"),
        balance=own.balance,
    )


def _words(root: ET.Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def _attribute(root: ET.Element, path: str, name: str) -> str:
    found = root.find(path)
    return found.get(name, "") if found is not None else ""


def _integer(text: str | None) -> int | None:
    try:
        return int((text or "").strip())
    except ValueError:
        return None


def _vcpus(root: ET.Element) -> int:
    element = root.find("vcpu")
    if element is None:
        return 1
    current = _integer(element.get("current"))
    return max(0, current if current is not None else _integer(element.text) or 1)


def _size(element: ET.Element | None) -> int | None:
    if element is None:
        return None
    return size_bytes(element.text, element.get("unit"))


def size_bytes(text: str | None, unit: str | None) -> int | None:
    """A size as libvirt writes it; KiB without a unit."""
    number, factor = _integer(text), _UNITS.get((unit or "KiB").lower())
    return number * factor if number is not None and number >= 0 and factor else None


def _firmware(root: ET.Element) -> Firmware | None:
    os = root.find("os")
    if os is None or (os.findtext("type") or "").strip() != "hvm":
        return None
    loader = os.find("loader")
    features = {f.get("name"): f.get("enabled") for f in os.iterfind("firmware/feature")}
    pflash = loader is not None and loader.get("type") == "pflash"
    if os.get("firmware") != "efi" and not pflash:
        return Firmware.BIOS
    # `secure` only says that the loader can; the keys make it enforce. Where the definition does
    # not tell of features, a secure loader is all there is to go by.
    if features:
        on = features.get("secure-boot") == "yes" and features.get("enrolled-keys") != "no"
    else:
        on = loader is not None and loader.get("secure") == "yes"
    return Firmware.SECURE_BOOT if on else Firmware.UEFI


def source_of(element: ET.Element) -> str | None:
    """What a disk, or a backing store of one, is made of: a path, a volume or a network name."""
    source = element.find("source")
    if source is None:
        return None
    for attribute in ("file", "dev", "dir"):
        if value := source.get(attribute):
            return value
    if source.get("volume"):
        return f"{source.get('pool', '')}/{source.get('volume')}"
    if source.get("name"):
        return f"{source.get('protocol', '')}:{source.get('name')}"
    return None


def _sources(elements: Iterator[ET.Element]) -> Iterator[str]:
    for element in elements:
        if source := source_of(element):
            yield source


def _disk(element: ET.Element) -> Disk:
    target, driver = element.find("target"), element.find("driver")
    device = element.get("device", "disk")
    return Disk(
        target=(target.get("dev") if target is not None else None) or "?",
        kind=DiskKind.CDROM if device in ("cdrom", "floppy") else DiskKind.DISK,
        source=source_of(element),
        format=driver.get("type") if driver is not None else None,
        read_only=device == "cdrom" or element.find("readonly") is not None,
        shared=element.find("shareable") is not None,
        backing=next(_sources(element.iterfind("backingStore")), None),
    )


def _nic(element: ET.Element) -> Nic:
    kind = element.get("type", "?")
    mac, source, model = (element.find(tag) for tag in ("mac", "source", "model"))
    where = ""
    if source is not None:
        where = source.get(kind) or source.get("dev") or source.get("name") or ""
    return Nic(
        mac=mac.get("address") if mac is not None else None,
        network=f"{kind} {where}".strip(),
        model=model.get("type") if model is not None else None,
    )


def _ssh(root: ET.Element, own: Own) -> SshAccess:
    """By the forwarded port, where there is one."""
    port = own.ssh_port or SSH_PORT
    for forward in root.iterfind("devices/interface/portForward"):
        for ports in forward.iterfind("range"):
            host_port = _integer(ports.get("start"))
            if forward.get("proto") == "tcp" and _integer(ports.get("to")) == port and host_port:
                return SshAccess(own.ssh_user, host_port, forward.get("address") or HERE)
    return SshAccess(own.ssh_user, port)


def _consoles(root: ET.Element) -> dict[str, str]:
    """The text consoles that libvirt opens, each with the file that keeps what it prints, or ""."""
    serials = root.findall("devices/serial")
    found: dict[str, str] = {}
    for kind, elements in (("serial", serials), ("console", root.findall("devices/console"))):
        for number, element in enumerate(elements):
            target, alias, log = (element.find(tag) for tag in ("target", "alias", "log"))
            on_serial = target is None or target.get("type", "serial") == "serial"
            if kind == "console" and serials and on_serial:
                continue  # the first serial port once more, under its older name
            if element.get("type") in _OPENABLE:
                name = alias.get("name") if alias is not None else None
                file = log.get("file") if log is not None else None
                found[name or f"{kind}{number}"] = file or ""
    return found
