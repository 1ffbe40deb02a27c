"""The definition of a clone: a pure function of that of the other domain."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import ascii_lowercase
from xml.etree import ElementTree as ET

from vmtui.backends.libvirt import metadata
from vmtui.backends.libvirt.devices_xml import Medium, backing_element
from vmtui.backends.libvirt.domain_facts import source_of
from vmtui.backends.libvirt.domain_xml import HOSTNAME
from vmtui.backends.libvirt.metadata import SEED_SUFFIX, Own
from vmtui.backends.libvirt.places import is_like
from vmtui.errors import UnsupportedError
from vmtui.parts import CloudInit


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the clone."""

    name: str
    linked: bool
    cloud_init: CloudInit | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A volume to make of a file of the other one's."""

    name: str
    source: Medium
    linked: bool  # it leans on the source


@dataclass
class Design:
    """The clone's definition, and what is in its volumes."""

    domain: ET.Element
    copies: list[Copy] = field(default_factory=list)
    seed: str = ""  # the volume that is filled with a new seed
    cloud_init: CloudInit | None = None

    @property
    def own(self) -> list[str]:
        """The names of its volumes."""
        return [copy.name for copy in self.copies] + ([self.seed] if self.seed else [])


def designed(
    source: ET.Element,
    wish: Wish,
    vm: str,
    folder: Path,
    *,
    console_log: str | None,
    free_port: Callable[[str], int] | None,
) -> Design:
    """The clone of `source`, with volumes in `folder`, and what its console prints in that file."""
    design = Design(deepcopy(source))
    domain = design.domain
    own = metadata.read(domain)
    _give_key(domain, vm)
    _identify(domain, wish.name, vm)
    for disk in domain.iterfind("devices/disk"):
        _give_disk(design, disk, wish, own, folder)
    if wish.cloud_init is not None:
        _give_seed(design, wish, own, folder)
    for card in domain.iterfind("devices/interface"):
        _give_card(card, free_port)
    for log in domain.iterfind("devices/*/log"):
        if console_log and is_like(log.get("file") or "", console_log):
            log.set("file", console_log)
    metadata.write(domain, _own(design, own, folder))
    return design


def _give_key(domain: ET.Element, vm: str) -> None:
    """Its TPM is a new one, and so is the key that vmtui made for the other one's."""
    own = metadata.tpm_secret((domain.findtext("uuid") or "").strip())
    for encryption in domain.iterfind("devices/tpm/backend/encryption"):
        if encryption.get("secret") == own:
            encryption.set("secret", metadata.tpm_secret(vm))


def _identify(domain: ET.Element, name: str, vm: str) -> None:
    for tag, text in (("name", name), ("uuid", vm)):
        element = domain.find(tag)
        if element is None:
            element = ET.SubElement(domain, tag)
        element.text = text
    cmdline = domain.find("os/cmdline")
    if cmdline is not None and cmdline.text:
        words = cmdline.text.split(" ")
        cmdline.text = " ".join(HOSTNAME + name if w.startswith(HOSTNAME) else w for w in words)
    generation = domain.find("genid")
    if generation is not None:
        generation.text = None  # libvirt makes one
    os = domain.find("os")
    nvram = domain.find("os/nvram")
    if os is not None and nvram is not None:
        # Its own are made from the firmware's template: what is in the other one's may be tied to
        # that, and nobody but QEMU may be able to read them.
        template = nvram.get("template")
        os.remove(nvram)
        if template:
            ET.SubElement(os, "nvram", template=template)


def _give_disk(design: Design, disk: ET.Element, wish: Wish, own: Own, folder: Path) -> None:
    path, source = source_of(disk), disk.find("source")
    if path is None or source is None:
        return
    if own.seed and path == own.seed:
        name = f"{wish.name}{SEED_SUFFIX}"
        source.set("file", str(folder / name))
        if wish.cloud_init is None:
            design.copies.append(Copy(name, Medium(path, "raw"), linked=False))
        return
    lent = disk.find("readonly") is not None or disk.find("shareable") is not None
    if disk.get("device", "disk") != "disk" or lent:
        return
    if disk.get("type") != "file":
        raise UnsupportedError(
            f"the disk {path} can't be cloned", why="only disks that are files can"
        )
    driver = disk.find("driver")
    if driver is None:
        driver = ET.SubElement(disk, "driver", name="qemu")
    medium = Medium(path, driver.get("type", "raw"))
    number = len(design.copies)
    name = f"{wish.name}{f'-{number}' if number else ''}.qcow2"
    design.copies.append(Copy(name, medium, wish.linked))
    source.set("file", str(folder / name))
    driver.set("type", "qcow2")
    _lean(disk, medium if wish.linked else None)


def _lean(disk: ET.Element, on: Medium | None) -> None:
    """Say what the disk leans on now: on the other one's with all below that, or on nothing."""
    below = disk.find("backingStore")
    if below is not None:
        disk.remove(below)
    if on is None:
        ET.SubElement(disk, "backingStore")
        return
    chain = backing_element(disk, on)
    if below is not None:
        chain.append(below)


def _give_seed(design: Design, wish: Wish, own: Own, folder: Path) -> None:
    design.seed = f"{wish.name}{SEED_SUFFIX}"
    design.cloud_init = _merged(wish.cloud_init, own.cloud_init)
    devices = design.domain.find("devices")
    if own.seed or devices is None:
        return
    used = {target.get("dev") for target in design.domain.iterfind("devices/disk/target")}
    target = next(name for c in ascii_lowercase if (name := f"sd{c}") not in used)
    disk = ET.SubElement(devices, "disk", type="file", device="cdrom")
    ET.SubElement(disk, "driver", name="qemu", type="raw")
    ET.SubElement(disk, "source", file=str(folder / design.seed))
    ET.SubElement(disk, "target", dev=target, bus="sata")
    ET.SubElement(disk, "readonly")


def _merged(given: CloudInit | None, known: CloudInit | None) -> CloudInit | None:
    """What is asked for, and of what it leaves open what the other one was made with."""
    if given is None or known is None or given.user_data:
        return given
    return replace(
        given,
        user=given.user or known.user,
        ssh_keys=given.ssh_keys or known.ssh_keys,
        network_config=given.network_config or known.network_config,
    )


def _own(design: Design, own: Own, folder: Path) -> Own:
    has_seed = bool(own.seed or design.seed)
    name = design.domain.findtext("name")
    cloud = design.cloud_init
    return replace(
        own,
        making="",
        started=False,
        protected=False,
        boot_once="",
        coming=(),
        coming_by="",
        seed=str(folder / f"{name}{SEED_SUFFIX}") if has_seed else "",
        cloud_init=metadata.kept(cloud) if cloud else own.cloud_init,
    )


def _give_card(card: ET.Element, free_port: Callable[[str], int] | None) -> None:
    mac = card.find("mac")
    if mac is not None:
        card.remove(mac)  # libvirt makes one
    if free_port is None:
        return  # which ports are free on another machine is told when it starts
    for forward in card.iterfind("portForward"):
        for ports in forward.iterfind("range"):
            if ports.get("start") and not ports.get("end"):
                ports.set("start", str(free_port(forward.get("address", "127.0.0.1"))))
