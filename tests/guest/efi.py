"""Disks that UEFI starts: one whose every step is signed, and one that nobody has signed."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import platformdirs

from vmtui.images import distro, initramfs, micro
from vmtui.images.initramfs import Entry

PACKAGES = ("shim-signed", "grub-efi-amd64-signed")
"""Unpacked only: installed, they would make this machine itself start by them."""

UNSIGNED_SAYS = "unsigned, and it runs"
REFUSED = "Access Denied"
"""What the firmware says of it while Secure Boot is on."""
SECURE_BOOT = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The vendor of the variables that UEFI itself defines."""

TELL = (
    "insmod /lib/modules/efivarfs.ko; mount -t efivarfs none /sys/firmware/efi/efivars; "
    f"tail -c 1 /sys/firmware/efi/efivars/SecureBoot-{SECURE_BOOT} | od -An -tu1"
)
"""By this the guest of the signed disk tells whether Secure Boot is on."""

_UNSIGNED = Path(__file__).with_name("unsigned.s")
_DISK = "64M"
_GRUB = f"linux /vmlinuz {micro.CMDLINE}\ninitrd /initrd\nboot\n"


def missing() -> str:
    """Why this machine can't make the signed disk; empty: it can."""
    return "" if shutil.which("apt-get") else "signed boot loaders come from Debian's packages"


def signed() -> Path:
    """The distribution's shim, GRUB and kernel, and the micro guest: from the cache or made now."""
    package = distro.packaged()
    assert package is not None
    key = hashlib.sha256(Path(__file__).read_bytes() + package.release.encode()).hexdigest()[:16]
    cache = platformdirs.user_cache_path("vmtui") / "tests"
    cache.mkdir(parents=True, exist_ok=True)
    disk = cache / f"signed-{key}.raw"
    with (cache / ".signed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not disk.exists():
            for old in cache.glob("signed-*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            with tempfile.TemporaryDirectory(prefix="signed-", dir=cache) as scratch:
                _signed(package, Path(scratch)).rename(disk)
    return disk


def _signed(package: distro.KernelPackage, scratch: Path) -> Path:
    _run("apt-get", "download", *PACKAGES, folder=scratch)
    for archive in scratch.glob("*.deb"):
        _run("dpkg-deb", "-x", archive.name, "loaders", folder=scratch)
        archive.unlink()
    kernel = distro.fetch_kernel(package, scratch)
    loaders = scratch / "loaders/usr/lib"
    (scratch / "grub.cfg").write_text(_GRUB, "ascii")
    (scratch / "initrd").write_bytes(_initrd(kernel, scratch))
    return _fat(
        scratch / "disk.raw",
        {
            "EFI/BOOT/BOOTX64.EFI": loaders / "shim/shimx64.efi.signed",
            "EFI/BOOT/grubx64.efi": loaders / "grub/x86_64-efi-signed/grubx64.efi.signed",
            "EFI/debian/grub.cfg": scratch / "grub.cfg",
            "vmlinuz": kernel.image,
            "initrd": scratch / "initrd",
        },
    )


def _initrd(kernel: distro.Kernel, scratch: Path) -> bytes:
    """The micro guest's, and the driver of the file system that variables are read from."""
    busybox = distro.find_busybox() or distro.fetch_busybox(scratch)
    content = initramfs.build(kernel, busybox)
    driver = initramfs.find_modules(kernel.modules, ["efivarfs"])["efivarfs"].content
    folders = [Entry(path, stat.S_IFDIR | 0o755) for path in ("lib", "lib/modules")]
    more = initramfs.cpio([*folders, Entry("lib/modules/efivarfs.ko", stat.S_IFREG, driver)])
    return content + gzip.compress(more)


def unsigned(folder: Path) -> Path:
    """A program of its own, assembled now."""
    code, program = folder / "unsigned.o", folder / "unsigned.efi"
    _run("as", "--64", "-o", code.name, str(_UNSIGNED), folder=folder)
    application = ("--subsystem", "10", "--image-base", "0", "-e", "_start")
    _run("ld", "-m", "i386pep", *application, "-o", program.name, code.name, folder=folder)
    return _fat(folder / "unsigned.raw", {"EFI/BOOT/BOOTX64.EFI": program})


def _fat(disk: Path, files: dict[str, Path]) -> Path:
    """A file system with these in it, made without mounting anything."""
    _run("truncate", "-s", _DISK, disk.name, folder=disk.parent)
    _run("mkfs.vfat", disk.name, folder=disk.parent)
    folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
    _run("mmd", "-i", disk.name, *(f"::{folder}" for folder in folders), folder=disk.parent)
    for name, source in files.items():
        _run("mcopy", "-i", disk.name, str(source), f"::{name}", folder=disk.parent)
    return disk


def _run(*argv: str, folder: Path) -> None:
    program = shutil.which(argv[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program is not None, f"{argv[0]} is not installed: scripts/setup dev"
    done = subprocess.run(
        [program, *argv[1:]],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {(done.stdout + done.stderr)[-4000:]}")
