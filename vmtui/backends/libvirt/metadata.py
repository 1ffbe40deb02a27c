"""vmtui's own element in a domain's metadata: what libvirt has no place for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5
from xml.etree import ElementTree as ET

from vmtui.model import Balance
from vmtui.parts import CloudInit
from vmtui.spec import VMSpec
from vmtui.units import KIB, whole_number

NAMESPACE = "urn:vmtui:domain:1"
PREFIX = "vmtui"
SEED_SUFFIX = "-seed.iso"
"""How the medium for cloud-init is called, after the VM."""

SEPARATOR = "/"
"""Between names of volumes: none of them has it."""

ET.register_namespace(PREFIX, NAMESPACE)

_PATH = f"metadata/{{{NAMESPACE}}}vm"


@dataclass(frozen=True, slots=True)
class Own:
    """What vmtui notes of a VM. Anyone who may look at the domain can read it."""

    image: str | None = None
    ssh_user: str = ""
    ssh_port: int | None = None
    tags: tuple[str, ...] = ()
    balloon_floor_bytes: int | None = None
    throwaway: bool = False
    started: bool = False  # a throwaway one that has run: once it is off, it goes
    making: str = ""  # who is making it; empty: it is whole
    seed: str = ""  # the path of the medium for cloud-init
    coming: tuple[str, ...] = ()  # volumes that are made for a change
    coming_by: str = ""  # who makes them
    notes: str = ""
    protected: bool = False
    boot_once: str = ""
    balance: Balance | None = None
    cloud_init: CloudInit | None = None
    """What a clone's seed is made with as well: no passwords, and nothing that is done once."""


NOTHING = Own()


def tpm_secret(vm: str) -> str:
    """The UUID of the secret of libvirt's that vmtui encrypts that VM's TPM with."""
    return str(uuid5(UUID(vm), "urn:vmtui:tpm"))


def of_spec(spec: VMSpec, seed: str = "") -> Own:
    """For a new VM."""
    cloud = spec.cloud_init
    return Own(
        image=spec.boot.label,
        ssh_user=spec.ssh_user or (cloud.user if cloud else "") or spec.boot.user,
        tags=spec.tags,
        balloon_floor_bytes=spec.balloon_floor_bytes,
        throwaway=spec.throwaway,
        seed=seed,
        cloud_init=kept(cloud) if cloud else None,
    )


def kept(cloud: CloudInit) -> CloudInit:
    """What of it may be read by everyone, and is of use to a VM that was set up once already."""
    return CloudInit(user=cloud.user, ssh_keys=cloud.ssh_keys, network_config=cloud.network_config)


def element(own: Own) -> ET.Element:
    """It as XML."""
    attributes = {
        "image": own.image or "",
        "ssh-user": own.ssh_user,
        "ssh-port": str(own.ssh_port or ""),
        "balloon-floor-kib": str((own.balloon_floor_bytes or 0) // KIB or ""),
        "throwaway": "yes" if own.throwaway else "",
        "started": "yes" if own.started else "",
        "making": own.making,
        "seed": own.seed,
        "coming": SEPARATOR.join(own.coming),
        "coming-by": own.coming_by,
        "protected": "yes" if own.protected else "",
        "boot-once": own.boot_once,
    }
    found = ET.Element(_tag("vm"), {name: text for name, text in attributes.items() if text})
    _texts(found, "tag", own.tags)
    _texts(found, "notes", [own.notes] if own.notes else [])
    if own.balance is not None:
        _balance(found, own.balance)
    if own.cloud_init is not None:
        cloud = ET.SubElement(found, _tag("cloud-init"))
        if own.cloud_init.user:
            cloud.set("user", own.cloud_init.user)
        _texts(cloud, "ssh-key", own.cloud_init.ssh_keys)
        if own.cloud_init.network_config:
            _texts(cloud, "network-config", [own.cloud_init.network_config])
    return found


def text(own: Own) -> str:
    """It as libvirt takes it alone: the names are bare, and it adds the namespace itself."""
    found = element(own)
    for one in found.iter():
        one.tag = one.tag.rpartition("}")[2]
    return ET.tostring(found, encoding="unicode")


def read(domain: ET.Element) -> Own:
    """What the definition of a domain says, whoever wrote it."""
    found = domain.find(_PATH)
    if found is None:
        return NOTHING
    floor_kib = whole_number(found.get("balloon-floor-kib"))
    port = whole_number(found.get("ssh-port"))
    return Own(
        image=found.get("image"),
        ssh_user=found.get("ssh-user", ""),
        ssh_port=port if port and port <= 65535 else None,
        tags=_read_texts(found, "tag"),
        balloon_floor_bytes=floor_kib * KIB if floor_kib else None,
        throwaway=found.get("throwaway") == "yes",
        started=found.get("started") == "yes",
        making=found.get("making", ""),
        seed=found.get("seed", ""),
        coming=tuple(name for name in found.get("coming", "").split(SEPARATOR) if name),
        coming_by=found.get("coming-by", ""),
        notes=(found.findtext(_tag("notes")) or "").strip(),
        protected=found.get("protected") == "yes",
        boot_once=found.get("boot-once", ""),
        balance=_read_balance(found),
        cloud_init=_read_cloud(found),
    )


def write(domain: ET.Element, own: Own) -> None:
    """Put it into a domain's definition, in place of what was there."""
    metadata = domain.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(domain, "metadata")
    for old in metadata.findall(_tag("vm")):
        metadata.remove(old)
    metadata.append(element(own))


def _balance(parent: ET.Element, balance: Balance) -> None:
    sizes = {
        "least-kib": balance.least_bytes,
        "most-kib": balance.most_bytes,
        "reserve-kib": balance.reserve_bytes,
    }
    attributes = {name: str(size // KIB) for name, size in sizes.items() if size}
    ET.SubElement(
        parent, _tag("balance"), {"on": "yes", "weight": str(balance.weight)} | attributes
    )


def _read_balance(found: ET.Element) -> Balance | None:
    element = found.find(_tag("balance"))
    if element is None or element.get("on") != "yes":
        return None
    least, most, reserve = (
        whole_number(element.get(f"{name}-kib")) for name in ("least", "most", "reserve")
    )
    return Balance(
        least * KIB if least else None,
        most * KIB if most else None,
        whole_number(element.get("weight")) or Balance().weight,
        reserve * KIB if reserve else None,
    )


def _read_cloud(found: ET.Element) -> CloudInit | None:
    cloud = found.find(_tag("cloud-init"))
    if cloud is None:
        return None
    return CloudInit(
        user=cloud.get("user", ""),
        ssh_keys=_read_texts(cloud, "ssh-key"),
        network_config=cloud.findtext(_tag("network-config")) or "",
    )


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _texts(parent: ET.Element, name: str, texts: Sequence[str]) -> None:
    for text in texts:
        ET.SubElement(parent, _tag(name)).text = text


def _read_texts(parent: ET.Element, name: str) -> tuple[str, ...]:
    return tuple(text for one in parent.iterfind(_tag(name)) if (text := one.text))
