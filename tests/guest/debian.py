"""A real Debian in a file: cloud-init, sshd and the guest agent; made once, then from the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import platformdirs

SUITE = "bookworm"
USER = "debian"
"""Whom cloud-init makes."""

PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "iproute2", "sudo", "e2fsprogs"),
    *("linux-image-cloud-amd64", "tiny-initramfs-core", "grub-pc-bin"),
    # debootstrap doesn't find python3-cffi-backend itself, by the names that it only provides.
    *("cloud-init", "python3-cffi-backend", "cloud-guest-utils", "fdisk"),
    *("openssh-server", "qemu-guest-agent", "libnss-myhostname"),
)

DISK_BYTES = 2 << 30
_SECTOR_BYTES = 512
_PARTITION_SECTOR = 2048
_LABEL = "debian"
_LINUX_PARTITION = 0x83

_BEFORE_CONFIGURING = {
    "etc/dpkg/dpkg.cfg.d/image": "force-unsafe-io\n"
    + "".join(f"path-exclude=/usr/share/{it}/*\n" for it in ("doc", "man", "locale", "info")),
    "etc/initramfs-tools/update-initramfs.conf": "update_initramfs=no\n",
    "etc/fstab": f"LABEL={_LABEL} / ext4 errors=remount-ro 0 1\n",
    "etc/hostname": "localhost\n",
    "etc/resolv.conf": "nameserver 10.0.2.3\n",
}

# What Debian's own cloud images have as well, without what takes long under emulation.
_AFTER_CONFIGURING = {
    "etc/modprobe.d/image.conf": "blacklist sg\nblacklist serio_raw\nblacklist qemu_fw_cfg\n",
    "etc/cloud/cloud.cfg": f"""\
datasource_list: [NoCloud, None]
users: [default]
disable_root: true
ssh_deletekeys: true
ssh_genkeytypes: [ed25519]
cloud_init_modules: [bootcmd, write-files, growpart, resizefs, set_hostname, update_etc_hosts,
  users-groups, ssh, set-passwords, runcmd]
cloud_config_modules: []
cloud_final_modules: [package-update-upgrade-install, scripts-user, final-message]
system_info:
  distro: debian
  default_user: {{name: {USER}, lock_passwd: true, shell: /bin/bash,
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]}}
  paths: {{cloud_dir: /var/lib/cloud/, templates_dir: /etc/cloud/templates/}}
""",
}

_IN_CHROOT = """
set -e
apt-get clean
systemctl enable --quiet systemd-networkd ssh
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount systemd-binfmt.service \
    systemd-pstore.service systemd-sysusers.service systemd-journal-flush.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-random-seed.service \
    systemd-modules-load.service systemd-sysctl.service systemd-network-generator.service \
    systemd-remount-fs.service kmod-static-nodes.service cloud-config.service \
    modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service \
    modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service
mkdir /etc/systemd/system-generators
for generator in cryptsetup gpt-auto hibernate-resume integritysetup rc-local run system-update \
    sysv veritysetup; do
    ln -s /dev/null "/etc/systemd/system-generators/systemd-$generator-generator"
done
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/journal /debootstrap
: >/etc/machine-id
# What is for the CPU's own virtualisation and cryptography only takes time to load.
kernel=$(ls /lib/modules)
rm -r "/lib/modules/$kernel/kernel/arch"
depmod "$kernel"
# What initramfs-tools makes takes longer to get to the disk than the kernel to get to it.
mktirfs --auto-modules=no --microcode=no \
    --include-modules=virtio_pci,virtio_blk,crc32c_generic,ext4 -o /boot/initrd.img "$kernel"
"""

_UUID = "76d3bd0a-3f5c-4a3e-9d0c-6e2f0b7c1a55"
_CMDLINE = (
    f"root=UUID={_UUID} rw console=ttyS0 quiet no_timer_check"
    " cryptomgr.notests initcall_blacklist=crypto_kdf108_init mitigations=off"
)
_GRUB = f"""\
linux (hd0,msdos1)/vmlinuz {_CMDLINE}
initrd (hd0,msdos1)/boot/initrd.img
boot
"""
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "boot", "gzio")


def missing() -> str:
    """Why this machine can't make the image; empty: it can."""
    if os.geteuid() != 0:
        return "debootstrap needs root"
    return "" if shutil.which("debootstrap") else "debootstrap is not installed"


def ensure() -> Path:
    """The image as qcow2, from the cache or made now. One process makes it, others wait for it."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    cache = platformdirs.user_cache_path("vmtui") / "tests"
    cache.mkdir(parents=True, exist_ok=True)
    image = cache / f"debian-{key}.qcow2"
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            for old in cache.glob("debian-*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            with tempfile.TemporaryDirectory(prefix="debian-", dir=cache) as scratch:
                _build(Path(scratch)).rename(image)
    return image


def _build(scratch: Path) -> Path:
    root, raw, image = scratch / "root", scratch / "disk.raw", scratch / "disk.qcow2"
    # What debootstrap mounts goes with its own name space, whatever becomes of it.
    alone = ("unshare", "--mount")
    fetch = ("debootstrap", "--foreign", "--variant=minbase", f"--include={','.join(PACKAGES)}")
    _run(*alone, *fetch, SUITE, str(root), *_mirror(), more=_proxy())
    _write(root, _BEFORE_CONFIGURING)
    _run(*alone, "chroot", str(root), "/debootstrap/debootstrap", "--second-stage")
    _write(root, _AFTER_CONFIGURING)
    _run("chroot", str(root), "sh", "-c", _IN_CHROOT)
    _make_disk(root, raw)
    _run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(image))
    return image


def _mirror() -> list[str]:
    """The Debian mirror that apt uses here; empty where it has none of this release."""
    if shutil.which("apt-get") is None:
        return []
    wanted = ("Created-By: Packages", "Origin: Debian", f"Codename: {SUITE}")
    return _run("apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted).split()[:1]


def _proxy() -> Mapping[str, str]:
    """apt's proxy, for what debootstrap downloads with; the environment's own goes before it."""
    if shutil.which("apt-config") is None:
        return {}
    told = _run("apt-config", "dump", "--format", "%v%n", "Acquire::http::Proxy").split()
    return {"http_proxy": told[0]} if told and "http_proxy" not in os.environ else {}


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")


def _make_disk(root: Path, raw: Path) -> None:
    """One partition with a file system; GRUB's core before it, where its boot sector looks."""
    core = root / "core.img"
    (root / "grub.cfg").write_text(_GRUB, "ascii")
    grub = ("grub-mkimage", "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-c", "/grub.cfg")
    _run("chroot", str(root), *grub, "-o", "/core.img", *_GRUB_MODULES)
    boot_code = (root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    core_code = core.read_bytes()
    assert len(core_code) <= (_PARTITION_SECTOR - 1) * _SECTOR_BYTES
    core.unlink()
    (root / "grub.cfg").unlink()

    offset_bytes = _PARTITION_SECTOR * _SECTOR_BYTES
    sectors = DISK_BYTES // _SECTOR_BYTES - _PARTITION_SECTOR
    entry = struct.pack(
        "<B3sB3sII",
        *(0x80, b"\xfe\xff\xff", _LINUX_PARTITION, b"\xfe\xff\xff", _PARTITION_SECTOR, sectors),
    )
    with raw.open("wb") as disk:
        disk.write(boot_code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa" + core_code)
        disk.truncate(DISK_BYTES)
    # Made whole now: a guest that goes on making its file system writes to its disk for minutes.
    options = f"offset={offset_bytes},lazy_itable_init=0,lazy_journal_init=0"
    size = f"{sectors * _SECTOR_BYTES // 1024}k"
    file_system = ("mke2fs", "-q", "-t", "ext4", "-U", _UUID, "-L", _LABEL, "-E", options)
    _run(*file_system, "-d", str(root), str(raw), size)


def _run(*argv: str, more: Mapping[str, str] | None = None) -> str:
    """Standard output; what failed is told with all that it printed."""
    environment = {
        **os.environ,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C",
        **(more or {}),
    }
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.stdout.write(f"{ensure()}\n")
