"""Making a domain: storage first, then its definition; all of it or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import libvirt

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import parse
from vmtui.backends.libvirt.domain_xml import Kernel, Medium, Parts, domain_xml, machine_of
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import medium_name, readable_in_place
from vmtui.backends.libvirt.volumes import Volumes, whole
from vmtui.command import run
from vmtui.errors import InputError, MissingError, VmtuiError
from vmtui.images import micro
from vmtui.model import Accel, Firmware, VMId
from vmtui.spec import Boot, BootKind, VMSpec, name_problem

PROBING_TIMEOUT_S = 180.0
"""libvirt may have to probe QEMU first. Where /dev/kvm opens but does not work it does so anew for
every look at QEMU, some seconds each: a definition was seen to take 89 s."""
DEFINE_TIMEOUT_S = 3600.0
"""To give up on a definition would leave a VM that appears later; keepalive tells a dead peer."""
CONVERT_TIMEOUT_S = 6 * 3600.0


async def create(
    bridge: Bridge, places: Places, spec: VMSpec, accel: Accel, progress: ProgressSink
) -> VMId:
    """Define the domain, off. Cancelled or failed, nothing of it is left."""
    facts = await bridge.call(
        f"create {spec.name}", _survey, spec, accel, timeout_s=PROBING_TIMEOUT_S
    )
    can_log = await bridge.call("look for the logs", lambda _: places.can_log())
    volumes = Volumes(bridge, places)
    vm = str(uuid.uuid4())
    try:
        media = await _media(volumes, places, spec, progress)
        parts = Parts(
            uuid=vm,
            accel=accel,
            arch=facts.arch,
            test_driver=facts.test_driver,
            disk=media.disk,
            cdrom=media.cdrom,
            kernel=media.kernel,
            network=facts.network,
            console_log=places.console_log(spec.name) if can_log else None,
            screen=spec.boot.kind is not BootKind.MICRO,
        )
        progress(Progress("defining"))
        await whole(
            bridge.call(
                f"create {spec.name}",
                _define,
                domain_xml(spec, parts),
                facts.test_driver,
                timeout_s=DEFINE_TIMEOUT_S,
            )
        )
    except BaseException:
        await whole(_take_back(bridge, volumes, vm))
        raise
    return VMId(vm)


async def _take_back(bridge: Bridge, volumes: Volumes, vm: str) -> None:
    with suppress(VmtuiError):  # that of the failure itself is told, not that of the cleaning
        await bridge.call("clean up", _undefine, vm)
    with suppress(VmtuiError):
        await volumes.take_back()


def _undefine(connection: libvirt.virConnect, vm: str) -> None:
    with suppress(libvirt.libvirtError):
        domain = connection.lookupByUUIDString(vm)
        try:
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
        except libvirt.libvirtError:  # a driver that knows no firmware knows no such flag
            domain.undefine()


def _define(connection: libvirt.virConnect, xml: str, test_driver: bool) -> None:
    flags = 0 if test_driver else libvirt.VIR_DOMAIN_DEFINE_VALIDATE
    connection.defineXMLFlags(xml, flags)


class _Facts:
    """What the host offers."""

    def __init__(self, arch: str, test_driver: bool, network: str | None) -> None:
        self.arch = arch
        self.test_driver = test_driver
        self.network = network


def _survey(connection: libvirt.virConnect, spec: VMSpec, accel: Accel) -> _Facts:
    """Look at the host, and refuse what can't work on it before anything is made."""
    taken = [str(domain.name()) for domain in connection.listAllDomains()]
    problem = name_problem(spec.name, taken)
    if problem:
        raise InputError(f"{spec.name or 'the VM'} can't be made", why=problem)
    network = _network(connection)
    if str(connection.getType()).upper() == "TEST":
        return _Facts("i686", True, network)
    info: Any = connection.getInfo()
    arch = str(info[0])
    _check_offer(connection, spec, arch, accel)
    return _Facts(arch, False, network)


def _check_offer(connection: libvirt.virConnect, spec: VMSpec, arch: str, accel: Accel) -> None:
    kind = "kvm" if accel is Accel.KVM else "qemu"
    root = parse(str(connection.getDomainCapabilities(None, arch, machine_of(arch), kind)))
    if root is None:
        return

    def offers(path: str, name: str, value: str) -> bool:
        return any(v.text == value for v in root.iterfind(f"{path}/enum[@name='{name}']/value"))

    if spec.firmware is not Firmware.BIOS and not offers("os", "firmware", "efi"):
        raise MissingError(
            "the host has no UEFI firmware", hint="Install ovmf (Debian) or edk2-ovmf there."
        )
    if spec.firmware is Firmware.SECURE_BOOT and not offers("os/loader", "secure", "yes"):
        raise MissingError(
            "the host has no firmware with Secure Boot",
            hint="Install ovmf (Debian) or edk2-ovmf there.",
        )
    if spec.tpm and not offers("devices/tpm", "backendModel", "emulator"):
        raise MissingError("the host can't emulate a TPM", hint="Install swtpm there.")


def _network(connection: libvirt.virConnect) -> str | None:
    """libvirt's own network, if it is there and runs or can be started."""
    try:
        network = connection.networkLookupByName("default")
        if not network.isActive():
            network.create()
    except libvirt.libvirtError:
        return None
    return "default"


class _Media:
    def __init__(self) -> None:
        self.disk: Medium | None = None
        self.cdrom: Medium | None = None
        self.kernel: Kernel | None = None


async def _media(volumes: Volumes, places: Places, spec: VMSpec, progress: ProgressSink) -> _Media:
    media, boot = _Media(), spec.boot
    disk_name = f"{spec.name}.qcow2"
    if boot.kind is BootKind.DISK:
        media.disk = Medium(await _copy(volumes, boot, disk_name, spec, progress), "qcow2")
    elif spec.disk_bytes is not None:
        progress(Progress("making the disk"))
        media.disk = Medium(await volumes.blank(disk_name, spec.disk_bytes), "qcow2")
    if boot.kind is BootKind.MICRO:
        media.kernel = await _kernel(volumes, spec.name, progress)
    elif boot.kind is BootKind.ISO:
        media.cdrom = Medium(await _iso(volumes, places, boot, progress), "raw")
    return media


async def _kernel(volumes: Volumes, name: str, progress: ProgressSink) -> Kernel:
    image = await micro.ensure(lambda line: progress(Progress(line)))
    kernel, initrd = [
        await volumes.shared(
            f"vmtui-micro-{image.kernel_version}-{await asyncio.to_thread(_digest, path)}.{kind}",
            path,
            progress,
            "the micro image",
        )
        for kind, path in (("kernel", image.kernel), ("initrd", image.initrd))
    ]
    return Kernel(kernel, initrd, f"{image.cmdline} vmtui.hostname={name}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


async def _iso(volumes: Volumes, places: Places, boot: Boot, progress: ProgressSink) -> str:
    path = _path(boot)
    if await asyncio.to_thread(readable_in_place, path, places):
        return str(path)
    return await volumes.shared(
        await asyncio.to_thread(medium_name, path), path, progress, path.name
    )


def _path(boot: Boot) -> Path:
    if boot.path is None:
        raise InputError("the image has no file")
    return boot.path


async def _copy(
    volumes: Volumes, boot: Boot, name: str, spec: VMSpec, progress: ProgressSink
) -> str:
    path = _path(boot)
    with tempfile.TemporaryDirectory(prefix="vmtui-", dir=_scratch()) as folder:
        if boot.format == "qcow2":
            upload = path
        else:
            upload = Path(folder) / name
            await _convert(boot, path, upload, progress)
        made = await volumes.upload(name, upload, progress, path.name)
    if spec.disk_bytes is not None:
        await volumes.grow(name, spec.disk_bytes)
    return made


def _scratch() -> str | None:
    # /tmp is often memory; an image belongs on a disk.
    return "/var/tmp" if Path("/var/tmp").is_dir() else None  # noqa: S108 (a private folder in it)


async def _convert(boot: Boot, path: Path, target: Path, progress: ProgressSink) -> None:
    progress(Progress("converting the image"))
    source = {"driver": boot.format, "file": {"driver": "file", "filename": str(path)}}
    await run(
        *("qemu-img", "convert", "-O", "qcow2", f"json:{json.dumps(source)}", str(target)),
        timeout_s=CONVERT_TIMEOUT_S,
    )
