"""Which volumes and files a new VM is made of, where they will be, and how they get there."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.libvirt.devices_xml import Drive, Medium
from vmtui.backends.libvirt.domain_xml import HOSTNAME, Kernel
from vmtui.backends.libvirt.metadata import SEED_SUFFIX
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.storage import medium_name, readable_in_place
from vmtui.backends.libvirt.volumes import Volumes
from vmtui.errors import InputError
from vmtui.images import micro
from vmtui.images.library import Image, Library
from vmtui.images.qemu_img import Source, convert
from vmtui.images.seed import seed
from vmtui.parts import DiskBus
from vmtui.spec import Boot, BootKind, VMSpec

IMAGE_PREFIX = "vmtui-image-"
DIGEST_LENGTH = 12

Step = Callable[[Volumes, ProgressSink], Awaitable[object]]


@dataclass
class Layout:
    """The drives in their order, and the steps that make what is in them."""

    folder: Path  # of the pool
    drives: list[Drive] = field(default_factory=list)
    kernel: Kernel | None = None
    seed: str = ""
    own: list[str] = field(default_factory=list)  # volumes that are this VM's alone
    steps: list[Step] = field(default_factory=list)

    def volume(self, name: str) -> str:
        """Where the volume of that name is going to be."""
        return str(self.folder / name)

    def new(self, name: str, step: Step) -> str:
        """The path of a volume of this VM's own that `step` makes."""
        self.own.append(name)
        self.steps.append(step)
        return self.volume(name)

    def shared(self, name: str, source: Path, label: str) -> str:
        """The path of a volume with a file's content that other VMs use as well."""
        self.steps.append(lambda volumes, sink: volumes.shared(name, source, sink, label))
        return self.volume(name)

    async def fill(self, volumes: Volumes, progress: ProgressSink) -> None:
        """Make what is not there yet."""
        for step in self.steps:
            await step(volumes, progress)


async def lay_out(spec: VMSpec, vm: str, places: Places, library: Library, folder: Path) -> Layout:
    """Decide on it; nothing is made but the micro image in the cache."""
    layout = Layout(folder)
    boot = spec.boot
    if boot.kind is BootKind.MICRO:
        layout.kernel = await _micro(layout, spec.name)
    elif boot.kind is BootKind.KERNEL:
        layout.kernel = await _kernel(layout, boot, places, library)
    disk = await _disk(layout, spec, places, library)
    if disk is not None:
        layout.drives.append(disk)
    for number, extra in enumerate(spec.disks, 1):
        medium = _blank(layout, f"{spec.name}-{number}.qcow2", extra.size_bytes)
        layout.drives.append(Drive(medium, False, extra.bus, extra.cache, extra.discard))
    media = [_path(boot)] if boot.kind is BootKind.ISO else []
    for path in (*media, *spec.media):
        layout.drives.append(_cdrom(await _iso(layout, places, path)))
    if spec.cloud_init is not None:
        layout.seed = _seed(layout, spec, vm)
        # Kernels for clouds have no drivers for other trays.
        layout.drives.append(_cdrom(layout.seed, DiskBus.SCSI))
    return layout


def _cdrom(path: str, bus: DiskBus = DiskBus.SATA) -> Drive:
    return Drive(Medium(path, "raw"), cdrom=True, bus=bus)


def _path(boot: Boot) -> Path:
    if boot.path is None:
        raise InputError(f"the image {boot.label} has no file", hint="Get it: vmtui images pull")
    return boot.path


# -- the system's disk ---------------------------------------------------------------------------


async def _disk(layout: Layout, spec: VMSpec, places: Places, library: Library) -> Drive | None:
    boot, name = spec.boot, f"{spec.name}.qcow2"
    if boot.kind is not BootKind.DISK:
        if spec.disk_bytes is None:
            return None
        return Drive(_blank(layout, name, spec.disk_bytes))
    path = _path(boot)
    if not boot.image or spec.full_copy:
        copied = layout.new(name, lambda volumes, sink: _copy(volumes, boot, name, spec, sink))
        return Drive(Medium(copied, "qcow2"))
    base = Medium(await _base(layout, boot, path, places, library), boot.format or "qcow2")
    size_bytes = spec.disk_bytes or boot.virtual_size_bytes

    async def make(volumes: Volumes, progress: ProgressSink) -> None:
        progress(Progress("making the disk", stage="disk"))
        await volumes.overlay(name, base, size_bytes)

    return Drive(Medium(layout.new(name, make), "qcow2"), backing=(base,))


def _blank(layout: Layout, name: str, size_bytes: int) -> Medium:
    async def make(volumes: Volumes, progress: ProgressSink) -> None:
        progress(Progress("making the disk", stage="disk"))
        await volumes.blank(name, size_bytes)

    return Medium(layout.new(name, make), "qcow2")


async def _base(layout: Layout, boot: Boot, path: Path, places: Places, library: Library) -> str:
    image = await asyncio.to_thread(library.image, boot.image)
    return await _there(layout, places, image, path, image.sha256)


def image_volume(image: str, sha256: str, file_format: str) -> str:
    """The name of the volume with an image of the library, which tells its content."""
    return f"{IMAGE_PREFIX}{image}-{sha256[:DIGEST_LENGTH]}.{file_format}"


def image_of(path: str, library: Path) -> str | None:
    """Which image of the library is at `path`, whether in the pool or in `library` itself."""
    name = Path(path).name
    if name.startswith(IMAGE_PREFIX):
        return name.removeprefix(IMAGE_PREFIX).rpartition("-")[0] or None
    folder = Path(path).parent
    return folder.name if folder.parent == library else None


async def _copy(
    volumes: Volumes, boot: Boot, name: str, spec: VMSpec, progress: ProgressSink
) -> None:
    path = _path(boot)
    with tempfile.TemporaryDirectory(prefix="vmtui-", dir=_scratch()) as folder:
        upload = path
        if boot.format != "qcow2":
            upload = Path(folder) / name
            await convert(Source(path, boot.format or "raw"), upload, progress=progress)
        await volumes.upload(name, upload, progress, path.name)
    if spec.disk_bytes is not None:
        await volumes.grow(name, spec.disk_bytes)


def _scratch() -> str | None:
    # /tmp is often memory; an image belongs on a disk.
    return "/var/tmp" if Path("/var/tmp").is_dir() else None  # noqa: S108 (a private folder in it)


# -- the rest ------------------------------------------------------------------------------------


async def _kernel(layout: Layout, boot: Boot, places: Places, library: Library) -> Kernel:
    image = await asyncio.to_thread(library.image, boot.image)
    kernel = await _there(layout, places, image, image.path, image.sha256)
    if image.initrd is None:
        return Kernel(kernel, None, boot.append)
    initrd = await _there(layout, places, image, image.initrd, image.initrd_sha256)
    return Kernel(kernel, initrd, boot.append)


async def _there(layout: Layout, places: Places, image: Image, path: Path, sha256: str) -> str:
    """A file of an image itself, where QEMU runs as this user; else the pool gets it, once."""
    if places.session and await asyncio.to_thread(readable_in_place, path, places):
        return str(path)
    name = image_volume(image.name, sha256, path.suffix[1:] or path.name)
    return layout.shared(name, path, image.name)


async def _micro(layout: Layout, name: str) -> Kernel:
    image = await micro.ensure()
    kernel, initrd = [
        layout.shared(
            f"vmtui-micro-{image.kernel_version}-{await asyncio.to_thread(_digest, path)}.{kind}",
            path,
            "the micro image",
        )
        for kind, path in (("kernel", image.kernel), ("initrd", image.initrd))
    ]
    return Kernel(kernel, initrd, f"{image.cmdline} {HOSTNAME}{name}")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


async def _iso(layout: Layout, places: Places, path: Path) -> str:
    if await asyncio.to_thread(readable_in_place, path, places):
        return str(path)
    return layout.shared(await asyncio.to_thread(medium_name, path), path, path.name)


def _seed(layout: Layout, spec: VMSpec, vm: str) -> str:
    cloud, name = spec.cloud_init, f"{spec.name}{SEED_SUFFIX}"
    assert cloud is not None

    async def make(volumes: Volumes, progress: ProgressSink) -> None:
        progress(Progress("making the seed for cloud-init", stage="seed"))
        data = await asyncio.to_thread(
            seed, cloud, vm_name=spec.name, instance_id=vm, image_user=spec.boot.user
        )
        await volumes.content(name, data)

    return layout.new(name, make)
