"""The smallest guest that virt-v2v takes for a Debian, imported and converted by the real one."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from vmtui.images.imports.importing import import_file
from vmtui.images.library import Library
from vmtui.images.virt_v2v import VirtV2v
from vmtui.model import Accel
from vmtui.progress import Progress

pytestmark = pytest.mark.slow

RELEASE = "6.1.0-1-amd64"
OPENING = "virt-v2v: Opening the source"  # its own VM has been started then

# An ELF header is all that it looks at in a kernel's module: relocatable, x86-64.
MODULE = struct.pack(
    "<4sBBB9xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 1, 62, 1, 0, 0, 0, 0, 64, 0, 0, 64, 0, 0
)
FILES = {
    "etc/fstab": "/dev/sda / ext4 defaults 0 1\n",
    "etc/debian_version": "12.1\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    "etc/modprobe.d/none.conf": "",
    "etc/initramfs-tools/modules": "",
    "var/lib/dpkg/status": f"Package: linux-image-{RELEASE}\nStatus: install ok installed\n"
    "Architecture: amd64\nVersion: 6.1.1-1\nDescription: a kernel\n\n",
    f"boot/vmlinuz-{RELEASE}": "a kernel",
    f"boot/initrd.img-{RELEASE}": "made elsewhere",
    "boot/grub/grub.cfg": f"linux /boot/vmlinuz-{RELEASE}\n",
}
PROGRAMS = {
    "usr/bin/dpkg": f"echo /boot/vmlinuz-{RELEASE}; echo /lib/modules/{RELEASE}",
    "usr/bin/dpkg-query": f"echo /boot/vmlinuz-{RELEASE}; echo /lib/modules/{RELEASE}",
    "usr/sbin/grub-mkconfig": "true",
    "usr/sbin/update-initramfs": f"echo made by virt-v2v >/boot/initrd.img-{RELEASE}",
}

IMPORT = """
import asyncio, sys, psutil
from pathlib import Path
from vmtui.images.imports.importing import import_file
from vmtui.images.library import Library
from vmtui.images.virt_v2v import VirtV2v
from vmtui.model import Accel

def progress(told):
    if told.text == sys.argv[3]:
        print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)

work = import_file(
    Path(sys.argv[1]), "web", Library(Path(sys.argv[2])), progress,
    virt_v2v=VirtV2v.found(Accel.TCG),
)
asyncio.run(work)
"""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VMware's, with the guest on it."""
    folder = tmp_path_factory.mktemp("guest")
    root, raw, vmdk = folder / "root", folder / "disk.raw", folder / "disk.vmdk"
    for name in ("bin", "dev", "proc", "run", "sys", "tmp", "usr/bin", "usr/sbin", "var/tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", root / "bin/busybox")
    for name in ("sh", "ls", "cp", "mv", "rm", "cat"):
        (root / "bin" / name).symlink_to("busybox")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, line in PROGRAMS.items():
        (root / name).write_text(f"#!/bin/sh\n{line}\n")
        (root / name).chmod(0o755)
    for name in ("virtio_blk", "virtio_net"):
        module = root / f"lib/modules/{RELEASE}/kernel/{name}.ko"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_bytes(MODULE)
    done("mke2fs", "-q", "-t", "ext4", "-d", root, raw, "64M")
    done("qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw, vmdk)
    return vmdk


def done(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def left(library: Library) -> list[str]:
    return sorted(p.name for p in library.root.iterdir() if not p.name.endswith(".lock"))


async def inside(image: Path, *names: str) -> list[str]:
    """What files in the guest say."""
    raw = image.with_name("guest.raw")
    await asyncio.to_thread(done, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, raw)
    return [await asyncio.to_thread(done, "debugfs", "-R", f"cat {name}", raw) for name in names]


async def test_a_guest_gets_its_drivers(disk: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "images")
    told: list[Progress] = []
    virt_v2v = VirtV2v.found(Accel.TCG)
    imported = await import_file(disk, "web", library, told.append, virt_v2v=virt_v2v)
    [image] = imported.images
    fstab, initrd = await inside(image.path, "/etc/fstab", f"/boot/initrd.img-{RELEASE}")
    assert fstab == "/dev/vda / ext4 defaults 0 1\n"
    assert initrd == "made by virt-v2v\n"
    assert OPENING in [progress.text for progress in told]
    assert any(note.startswith("virt-v2v: The QEMU Guest Agent will be") for note in imported.notes)
    assert left(library) == ["web"]


async def test_killed_it_leaves_nothing_and_nobody(disk: Path, tmp_path: Path) -> None:
    library = Library(tmp_path / "images")
    # Not in tmp_path: the path of a socket may have 107 bytes.
    short = tempfile.mkdtemp(prefix="vmtui-")
    importing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", IMPORT, str(disk), str(library.root), OPENING),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": short},
    )
    assert importing.stdout is not None
    converting = [psutil.Process(int(pid)) for pid in (await importing.stdout.readline()).split()]
    assert "qemu-nbd" in [process.name() for process in converting]
    importing.send_signal(signal.SIGKILL)
    await importing.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, converting, timeout=120)
    shutil.rmtree(short)
    assert not alive
    async with library.scratch():  # as any change, it first removes what was left
        assert len(left(library)) == 1
    assert left(library) == []
