"""Round trips through real qemu-img: what comes into the library is what went out, by hash."""

import asyncio
import dataclasses
import gzip
import hashlib
import lzma
import platform
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

import psutil
import pytest

from vmtui.errors import BusyError, InputError, OperationError
from vmtui.images.export import export_disk, export_ova
from vmtui.images.image import ImageKind
from vmtui.images.imports.foreign import Foreign, ForeignDisk, ForeignNic
from vmtui.images.imports.importing import import_file, plan
from vmtui.images.library import Library
from vmtui.images.qemu_img import Source
from vmtui.model import Firmware
from vmtui.parts import DiskBus
from vmtui.progress import Progress
from vmtui.units import MIB

DISK_BYTES = 24 * MIB

FORMATS = {
    "qcow2": ("qcow2", ""),
    "raw": ("raw", ""),
    "vmdk": ("vmdk", ""),
    "split.vmdk": ("vmdk", "subformat=twoGbMaxExtentSparse"),
    "flat.vmdk": ("vmdk", "subformat=twoGbMaxExtentFlat"),
    "stream.vmdk": ("vmdk", "subformat=streamOptimized"),
    "vdi": ("vdi", ""),
    "vhd": ("vpc", "force_size"),
    "fixed.vhd": ("vpc", "subformat=fixed,force_size"),
    "vhdx": ("vhdx", ""),
}


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with a boot signature, data here and there, and holes."""
    path = tmp_path_factory.mktemp("content") / "content.raw"
    with path.open("wb") as file:
        file.write(bytes(510) + b"\x55\xaa")
        for index in range(6):
            file.seek(index * 4 * MIB + 12_345 * index + 512)
            file.write(hashlib.shake_256(bytes([index])).digest(300_000))
        file.truncate(DISK_BYTES)
    return path


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "images")


def made(content: Path, folder: Path, name: str) -> Path:
    kind, options = FORMATS[name]
    path = folder / f"disk.{name}"
    said = ("-o", options) if options else ()
    qemu_img("convert", "-f", "raw", "-O", kind, *said, content, path)
    return path


def guest_sum(path: Path, image_format: str) -> str:
    raw = path.with_name(f"{path.name}.guest")
    qemu_img("convert", "-f", image_format, "-O", "raw", path, raw)
    with raw.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def left(library: Library) -> list[str]:
    return sorted(p.name for p in library.root.iterdir() if not p.name.endswith(".lock"))


@pytest.mark.parametrize("name", FORMATS)
async def test_a_disk_comes_in_as_it_is(
    content: Path, tmp_path: Path, library: Library, name: str
) -> None:
    path = made(content, tmp_path, name)
    told: list[Progress] = []
    imported = await import_file(path, "web", library, told.append)
    [image] = imported.images
    assert (image.kind, image.format) == (ImageKind.DISK, "qcow2")
    assert image.virtual_size_bytes == DISK_BYTES
    assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")
    assert Progress("converting disk 100 %", 1.0) in told
    assert left(library) == ["web"]


async def test_what_is_packed_is_unpacked_first(
    content: Path, tmp_path: Path, library: Library
) -> None:
    disk = made(content, tmp_path, "qcow2").read_bytes()
    (tmp_path / "a.qcow2.gz").write_bytes(gzip.compress(disk, 1))
    (tmp_path / "a.qcow2.xz").write_bytes(lzma.compress(disk, preset=0))
    zstd = ["zstd", "-q", "-1", str(tmp_path / "disk.qcow2"), "-o", str(tmp_path / "a.qcow2.zst")]
    await asyncio.to_thread(subprocess.run, zstd, check=True)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(content, "disk.raw")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("Virtual Hard Disks/disk.qcow2", disk)
    for ending in ("qcow2.gz", "qcow2.xz", "qcow2.zst", "tar.gz", "zip"):
        path = tmp_path / f"a.{ending}"
        planned = await plan(path)
        assert planned.disks == ()
        assert "once it is unpacked" in planned.notes[0]
        [image] = (await import_file(path, ending, library)).images
        assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")
    assert len(left(library)) == 5


MACHINE = Foreign(
    origin="vmtui",
    name="web <1>",
    vcpus=3,
    memory_bytes=1536 * MIB,
    firmware=Firmware.SECURE_BOOT,
    description='says "hello" & more',
    disks=(ForeignDisk("a", DiskBus.VIRTIO), ForeignDisk("b", DiskBus.VIRTIO)),
    nics=(ForeignNic("user", "virtio"),),
)


async def exported(content: Path, folder: Path) -> Path:
    """An OVA with two disks, the first an overlay on another file."""
    base, overlay = made(content, folder, "qcow2"), folder / "overlay.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "qcow2", overlay)
    second = Source(made(content, folder, "raw"), "raw")
    ova = folder / "web.ova"
    await export_ova(MACHINE, [Source(overlay, "qcow2", ours=True), second], ova)
    assert not list(folder.glob(".*"))
    return ova


async def test_an_ova_of_ours_comes_in_again(
    content: Path, tmp_path: Path, library: Library
) -> None:
    ova = await exported(content, tmp_path)
    with tarfile.open(ova) as archive:
        names = archive.getnames()
    assert names == ["web.ovf", "web.mf", "web-disk1.vmdk", "web-disk2.vmdk"]
    planned = await plan(ova)
    assert not library.root.exists()
    assert [disk.info.virtual_size_bytes for disk in planned.disks] == [DISK_BYTES, DISK_BYTES]
    imported = await import_file(ova, "web", library)
    assert [image.name for image in imported.images] == ["web", "web-2"]
    for image in imported.images:
        assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")
    foreign = imported.foreign
    for field in ("name", "vcpus", "memory_bytes", "firmware", "description"):
        assert getattr(foreign, field) == getattr(MACHINE, field)
    assert [disk.bus for disk in foreign.disks] == [DiskBus.SATA, DiskBus.SATA]
    assert [nic.model for nic in foreign.nics] == ["e1000"]
    assert any("virtio-blk" in note for note in imported.notes)


async def test_an_ova_whose_disk_is_not_what_its_manifest_says_is_refused(
    content: Path, tmp_path: Path, library: Library
) -> None:
    ova = await exported(content, tmp_path)
    with tarfile.open(ova) as archive:
        at = archive.getmember("web-disk2.vmdk").offset_data
    damaged = bytearray(ova.read_bytes())
    damaged[at + 200_000] ^= 1
    ova.write_bytes(damaged)
    with pytest.raises(InputError, match=r"web-disk2\.vmdk is not what its manifest says"):
        await import_file(ova, "web", library)
    assert left(library) == []


def unpacked(archive: Path, folder: Path) -> Path:
    # Not by tarfile: what it takes differs from Python 3.11.2 to 3.14.
    folder.mkdir()
    subprocess.run(("tar", "-xf", archive, "-C", folder), check=True)
    return folder


async def test_an_ovf_beside_its_disks(content: Path, tmp_path: Path, library: Library) -> None:
    folder = unpacked(await exported(content, tmp_path), tmp_path / "unpacked")
    imported = await import_file(folder / "web.ovf", "web", library)
    assert len(imported.images) == 2
    (folder / "web-disk2.vmdk").unlink()
    (folder / "web-disk2.vmdk").symlink_to(content)
    with pytest.raises(InputError, match="leads elsewhere"):
        await plan(folder / "web.ovf")
    (folder / "web-disk2.vmdk").unlink()
    with pytest.raises(InputError, match=r"'web-disk2\.vmdk' is not there"):
        await plan(folder / "web.ovf")


def pack(archive: Path, folder: Path, what: str) -> None:
    subprocess.run(("tar", "-czf", archive, "-C", folder, what), check=True)


@pytest.mark.parametrize("where", [".", "vm"])
async def test_a_packed_folder_with_a_vm(
    content: Path, tmp_path: Path, library: Library, where: str
) -> None:
    folder = unpacked(await exported(content, tmp_path), tmp_path / "vm")
    again = tmp_path / "again.tgz"
    pack(again, folder if where == "." else tmp_path, f"./{where}")
    imported = await import_file(again, "web", library)
    for image in imported.images:
        assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")


async def test_a_vm_with_a_long_name_goes_out_and_comes_in_again(
    content: Path, tmp_path: Path, library: Library
) -> None:
    ova = tmp_path / f"{'長' * 40}.ova"
    await export_ova(
        dataclasses.replace(MACHINE, disks=MACHINE.disks[:1]), [Source(content, "raw")], ova
    )
    [image] = (await import_file(ova, "web", library)).images
    assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")


async def test_a_disk_that_somebody_writes_to_is_refused(
    content: Path, tmp_path: Path, library: Library
) -> None:
    disk = made(content, tmp_path, "qcow2")
    pid_file = tmp_path / "pid"
    serves = ("qemu-nbd", "--fork", f"--pid-file={pid_file}", f"--socket={tmp_path / 's'}")
    writer = await asyncio.create_subprocess_exec(*serves, "--format=qcow2", disk)
    assert await writer.wait() == 0  # it goes on in the background, with the disk open
    try:
        with pytest.raises(OperationError, match=r"disk\.qcow2 is in use"):
            await import_file(disk, "web", library)
    finally:
        process = psutil.Process(int(pid_file.read_text()))
        process.terminate()
        process.wait(10)
    assert left(library) == []
    await import_file(disk, "web", library)


async def test_disks_that_are_packed_within_an_ova(
    content: Path, tmp_path: Path, library: Library
) -> None:
    folder = unpacked(await exported(content, tmp_path), tmp_path / "packed")
    envelope = folder / "web.ovf"
    text = envelope.read_text()
    for disk in ("web-disk1.vmdk", "web-disk2.vmdk"):
        (folder / f"{disk}.gz").write_bytes(gzip.compress((folder / disk).read_bytes(), 1))
        text = text.replace(f'"{disk}"', f'"{disk}.gz" ovf:compression="gzip"')
    envelope.write_text(text)
    (folder / "web.mf").unlink()
    again = tmp_path / "again.ova"
    with tarfile.open(again, "w") as archive:
        for name in ("web.ovf", "web-disk1.vmdk.gz", "web-disk2.vmdk.gz"):
            archive.add(folder / name, name)
    for number, path in enumerate((envelope, again)):
        planned = await plan(path)
        assert "web-disk1.vmdk.gz is packed" in planned.notes[0]
        imported = await import_file(path, f"web{number}", library)
        for image in imported.images:
            assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")
    with tarfile.open(again) as archive:
        at = archive.getmember("web-disk2.vmdk.gz").offset_data
    damaged = bytearray(again.read_bytes())
    damaged[at + 100_000] ^= 1
    again.write_bytes(damaged)
    with pytest.raises(InputError, match="is damaged"):
        await import_file(again, "web", library)
    assert sorted({name.partition("-")[0] for name in left(library)}) == ["web0", "web1"]


async def test_the_second_name_that_is_taken_leaves_nothing(
    content: Path, tmp_path: Path, library: Library
) -> None:
    ova = await exported(content, tmp_path)
    await import_file(made(content, tmp_path, "vdi"), "web-2", library)
    with pytest.raises(InputError, match="has an image web-2 already"):
        await import_file(ova, "web", library)
    assert left(library) == ["web-2"]


async def test_cancelled_while_it_converts_it_leaves_nothing(
    content: Path, tmp_path: Path, library: Library
) -> None:
    began = asyncio.Event()

    def progress(told: Progress) -> None:
        if told.text.startswith("converting"):
            began.set()

    path = made(content, tmp_path, "stream.vmdk")
    work = asyncio.create_task(import_file(path, "web", library, progress))
    await began.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert left(library) == []


async def test_an_iso_stays_one(tmp_path: Path, library: Library) -> None:
    iso = tmp_path / "cd.iso"
    iso.write_bytes(bytes(0x8001) + b"CD001" + bytes(4096))
    [image] = (await import_file(iso, "cd", library)).images
    assert image.kind is ImageKind.ISO
    assert image.path.read_bytes() == iso.read_bytes()


async def test_an_export_is_new_and_whole(content: Path, tmp_path: Path) -> None:
    disk, target = Source(content, "raw"), tmp_path / "a, b:c.qcow2"
    await export_disk(disk, target)
    assert guest_sum(target, "qcow2") == guest_sum(content, "raw")
    with pytest.raises(InputError, match="is there already"):
        await export_disk(disk, target)
    # What a killed export left is in nobody's way; one that runs is.
    partial = tmp_path / ".again.qcow2.part"
    partial.mkdir()
    (partial / "disk").write_bytes(b"left")
    one, other = (asyncio.create_task(export_disk(disk, tmp_path / "again.qcow2")) for _ in "12")
    results = await asyncio.gather(one, other, return_exceptions=True)
    [refused] = filter(None, results)
    assert isinstance(refused, BusyError | InputError)  # it is being written, or there already
    with pytest.raises(OperationError):
        await export_disk(Source(content, "qcow2"), tmp_path / "bad.qcow2")
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".guest") == [
        "a, b:c.qcow2",
        "again.qcow2",
    ]


@pytest.mark.parametrize(
    ("definition", "disk"),
    [
        ("vmware.vmx", "mail.vmdk"),
        ("libvirt.xml", "disks/files.qcow2"),
        ("quickemu.conf", "ubuntu-24.04/disk.qcow2"),
        ("lima.yaml", "images/debian-12.qcow2"),
    ],
)
async def test_a_definition_and_its_disk(
    content: Path, tmp_path: Path, library: Library, definition: str, disk: str
) -> None:
    path = tmp_path / definition
    text = Path(__file__).with_name("foreign").joinpath(definition).read_text()
    path.write_text(text.replace("x86_64", platform.machine()))
    with pytest.raises(InputError, match=f"{re.escape(repr(disk))} is not there"):
        await plan(path)
    (tmp_path / disk).parent.mkdir(exist_ok=True)
    made(content, tmp_path, disk.rpartition(".")[2]).rename(tmp_path / disk)
    imported = await import_file(path, "web", library)
    [image] = imported.images
    assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")
    assert (image.title, image.firmware) == (imported.foreign.name, imported.foreign.firmware)
    assert any(note.startswith("not carried over: ") for note in imported.notes)


async def test_a_zipped_vm_may_name_only_what_is_beside_it(
    content: Path, tmp_path: Path, library: Library
) -> None:
    disk = made(content, tmp_path, "flat.vmdk")
    parts = {path.name: path for path in tmp_path.glob("disk.flat*.vmdk")}
    text = Path(__file__).with_name("foreign").joinpath("vmware.vmx").read_text()

    def zipped(named: str) -> Path:
        with zipfile.ZipFile(tmp_path / "vm.zip", "w") as archive:
            archive.writestr("vm/mail.vmx", text.replace("mail.vmdk", named))
            for name, part in parts.items():
                archive.write(part, f"vm/{name}")
        return tmp_path / "vm.zip"

    [image] = (await import_file(zipped(disk.name), "web", library)).images
    assert guest_sum(image.path, "qcow2") == guest_sum(content, "raw")
    with pytest.raises(InputError, match="would lie outside"):
        await import_file(zipped(str(disk)), "other", library)
    assert left(library) == ["web"]
