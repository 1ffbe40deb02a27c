"""Disks that would make QEMU open, allocate or believe what they have no business with."""

import asyncio
import contextlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from vmtui.command import run
from vmtui.errors import InputError, OperationError
from vmtui.images import disks, qemu_img, vmdk
from vmtui.images.imports.importing import plan
from vmtui.images.qemu_img import Source
from vmtui.units import MIB

DESCRIPTOR = """# Disk DescriptorFile
version=1
CID=4c406a97
parentCID={parent}
createType="twoGbMaxExtentFlat"

{extents}
"""


def make(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def descriptor(path: Path, *extents: str, parent: str = "ffffffff") -> Path:
    path.write_text(DESCRIPTOR.format(parent=parent, extents="\n".join(extents)))
    return path


def hidden_descriptor(path: Path, content: bytes) -> Path:
    """A sparse extent without a capacity, for which QEMU obeys the descriptor in it."""
    header = b"KDMV" + (1).to_bytes(4, "little") + bytes(20)
    header += (1).to_bytes(8, "little") + (20).to_bytes(8, "little")
    path.write_bytes(header.ljust(512, b"\0") + content)
    return path


async def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        await disks.look(path)
    assert "\x1b" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret", "nbd://host/x", "json:{}", "a\\b", "file:/etc/passwd"]
)
@pytest.mark.parametrize("end", ['" 0', "", '"'])
async def test_a_part_that_is_elsewhere_is_refused_by_name(
    tmp_path: Path, name: str, end: str
) -> None:
    extent = f'RW 8 FLAT "{name}{end}'
    path = descriptor(tmp_path / "disk.vmdk", extent)
    assert f"its part {name!r} is not a file beside it" in await refused(path)
    hidden_descriptor(path, DESCRIPTOR.format(parent="ffffffff", extents=extent).encode())
    assert f"its part {name!r} is not a file beside it" in await refused(path)


async def test_parts_are_plain_files_that_are_there(tmp_path: Path) -> None:
    path = descriptor(tmp_path / "disk.vmdk", 'RW 8 FLAT "part" 0')
    assert "'part' is not there" in await refused(path)
    (tmp_path / "part").symlink_to("/etc/passwd")
    assert "'part' is not there" in await refused(path)
    (tmp_path / "part").unlink()
    os.mkfifo(tmp_path / "part")
    assert "'part' is not there" in await refused(path)
    (tmp_path / "part").unlink()
    (tmp_path / "part").write_bytes(bytes(8 * 512))
    assert (await disks.look(path)).parts == (tmp_path / "part",)


async def test_a_part_that_names_further_parts_is_refused(tmp_path: Path) -> None:
    inner = DESCRIPTOR.format(parent="ffffffff", extents='RW 8 FLAT "/etc/passwd" 0')
    hidden_descriptor(tmp_path / "part", inner.encode())
    path = descriptor(tmp_path / "disk.vmdk", 'RW 8 SPARSE "part"')
    assert "with parts such as '/etc/passwd'" in await refused(path)


async def test_what_differs_from_a_parent_only_is_refused(tmp_path: Path) -> None:
    path = descriptor(tmp_path / "disk.vmdk", 'RW 8 FLAT "part" 0', parent="12345678")
    assert "leans on another file" in await refused(path)
    path = descriptor(tmp_path / "disk.vmdk", 'x parentFileNameHint="/etc/passwd"')
    assert "leans on another file" in await refused(path)
    base = tmp_path / "base.vmdk"
    make("create", "-f", "vmdk", base, "8M")
    make("create", "-f", "vmdk", "-b", base, "-F", "vmdk", tmp_path / "over.vmdk")
    assert "leans on another file" in await refused(tmp_path / "over.vmdk")
    vhd = tmp_path / "over.vhd"
    make("create", "-f", "vpc", vhd, "8M")
    content = bytearray(vhd.read_bytes())
    content[60:64] = (4).to_bytes(4, "big")
    vhd.write_bytes(content)
    assert "leans on another file" in await refused(vhd)


async def test_a_device_of_the_host_is_no_part(tmp_path: Path) -> None:
    path = descriptor(tmp_path / "disk.vmdk", 'RW 8 VMFSRAW "part"')
    assert "it is made of VMFSRAW" in await refused(path)


async def test_a_split_disk_in_an_archive_is_refused(tmp_path: Path) -> None:
    path = descriptor(tmp_path / "disk.vmdk", 'RW 8 FLAT "part" 0')
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(path, "disk.vmdk")
    with pytest.raises(InputError, match="a disk in it is split"):
        await plan(tmp_path / "a.tar")


async def test_a_size_that_no_disk_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    make("create", "-f", "qcow2", "-o", "cluster_size=2M", path, "4P")
    assert "it says that it has 4096 TiB" in await refused(path)


async def test_qemu_img_gets_no_more_memory_than_it_should(tmp_path: Path) -> None:
    path = tmp_path / "disk.vdi"
    make("create", "-f", "vdi", path, "8M")
    argv = qemu_img.limited("qemu-img", "info", str(path), memory_bytes=16 * MIB)
    with pytest.raises(OperationError):
        await run(*argv, timeout_s=20)
    assert (await disks.look(path)).info.virtual_size_bytes == 8 * MIB


@pytest.mark.parametrize(
    "name", ["json:{}.raw", "nbd:a.raw", "a,b=c.raw", "-n.raw", "a\x1b[2J.raw"]
)
async def test_a_name_is_nothing_but_a_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(MIB))
    assert (await disks.look(path)).info.virtual_size_bytes == MIB
    target = tmp_path / f"{name}.qcow2"
    await qemu_img.convert(Source(path, "raw"), target)
    await qemu_img.check(Source(target, "qcow2"))


async def test_a_damaged_disk_is_told(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    make("create", "-f", "qcow2", path, "8M")
    with path.open("r+b") as file:
        file.seek(0x30000)
        file.write(b"\xff" * 8)
    with pytest.raises(InputError, match=r"disk\.qcow2 is not a usable qcow2 image"):
        await qemu_img.check(Source(path, "qcow2"))


def test_no_descriptor_at_all(tmp_path: Path) -> None:
    path = tmp_path / "disk.vmdk"
    path.write_bytes(b"COWD" + bytes(1000))
    assert vmdk.check(path) == ()


async def test_a_disk_that_changes_into_another_is_not_followed(tmp_path: Path) -> None:
    """What was found is what is converted: a backing file that comes later is cut off."""
    path = tmp_path / "disk.qcow2"
    make("create", "-f", "qcow2", path, "1M")
    disk = await disks.look(path)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 1000)
    await asyncio.to_thread(make, "rebase", "-u", "-f", "qcow2", "-b", secret, "-F", "raw", path)
    target = tmp_path / "out.raw"
    await qemu_img.convert(disk.source, target, target_format="raw")
    assert target.read_bytes() == bytes(MIB)


def test_a_descriptor_of_blanks_is_read_at_once(tmp_path: Path) -> None:
    for blanks in (b"\n", b" ", b"RW ", b"RW\n", b"parentCID ", b"RW 1 "):
        path = tmp_path / "disk.vmdk"
        path.write_bytes(b"# Disk DescriptorFile\n" + blanks * (MIB // len(blanks) - 100))
        with contextlib.suppress(InputError):
            vmdk.check(path)
