"""What the micro guest boots into: busybox, drivers and the files of `guest/` in one archive."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vmtui.errors import MissingError, VmtuiError
from vmtui.images.distro import Kernel

GUEST_FILES = Path(__file__).parent / "guest"

DRIVERS = (
    "button",
    "evdev",
    "af_packet",
    "virtio_console",
    "virtio_blk",
    "virtio_net",
    "virtio_balloon",
    "virtio_rng",
    "virtio_pci",
)
APPLETS = frozenset({"acpid", "getty", "init", "ip", "login", "modprobe", "mount", "sh", "udhcpc"})
FOLDERS = (
    *("dev", "etc", "lib", "lib/modules", "mnt", "proc", "root", "run", "sys", "tmp"),
    *("var", "var/log"),
)
FOLDER_MODES = {"root": 0o700, "tmp": 0o1777}

_DEPENDS = re.compile(rb"(?:^|\0)depends=([^\0]*)\0")


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of the archive; `device` is (major, minor) for a device node."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Module:
    """A driver, and all that it needs loaded before it: the last to load first, as modules.dep."""

    content: bytes
    needs: tuple[str, ...]


def build(kernel: Kernel, busybox: Path) -> bytes:
    """The compressed initramfs for `kernel`."""
    entries = [*_folders(), *_busybox(busybox), *_drivers(kernel), *_guest_files()]
    return gzip.compress(cpio(entries), compresslevel=9, mtime=0)


def cpio(entries: Iterable[Entry]) -> bytes:
    """An archive in the `newc` format, the one Linux unpacks at boot; owned by root, undated."""
    archive = bytearray()
    folders = {"."}
    trailer = Entry("TRAILER!!!", 0)
    for inode, entry in enumerate((*entries, trailer), start=1):
        if str(PurePosixPath(entry.path).parent) not in folders:
            # Linux would leave it out without a word.
            raise ValueError(f"{entry.path} comes before its folder")
        if stat.S_ISDIR(entry.mode):
            folders.add(entry.path)
        name = entry.path.encode() + b"\0"
        major, minor = entry.device
        links = 2 if stat.S_ISDIR(entry.mode) else 1
        fields = (
            inode,
            entry.mode,
            0,
            0,
            links,
            0,
            len(entry.data),
            0,
            0,
            major,
            minor,
            len(name),
            0,
        )
        archive += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        archive += bytes(-len(archive) % 4)
        archive += entry.data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


def _folders() -> Iterator[Entry]:
    for path in FOLDERS:
        yield Entry(path, stat.S_IFDIR | FOLDER_MODES.get(path, 0o755))
    # What the first process writes to before it has mounted /dev.
    yield Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))


def _busybox(program: Path) -> Iterator[Entry]:
    listed = subprocess.run([program, "--list-full"], capture_output=True, text=True, check=True)
    applets = listed.stdout.split()
    missing = APPLETS - {PurePosixPath(path).name for path in applets}
    if missing:
        raise MissingError(
            f"{program} lacks {', '.join(sorted(missing))}",
            hint="Install busybox-static (Debian, Ubuntu) or a fuller busybox.",
        )
    folders = {str(PurePosixPath(path).parent) for path in applets} | {"bin", "usr"}
    for folder in sorted(folders):
        yield Entry(folder, stat.S_IFDIR | 0o755)
    yield Entry("bin/busybox", stat.S_IFREG | 0o755, program.read_bytes())
    for path in applets:
        if path != "bin/busybox":
            yield Entry(path, stat.S_IFLNK | 0o777, b"/bin/busybox")


def _guest_files() -> Iterator[Entry]:
    for path in sorted(GUEST_FILES.rglob("*")):
        name = path.relative_to(GUEST_FILES).as_posix()
        if path.is_dir():
            yield Entry(name, stat.S_IFDIR | 0o755)
        else:
            # Modes do not survive every way of packaging, so they are derived.
            content = path.read_bytes()
            mode = 0o600 if name == "etc/shadow" else 0o755 if content.startswith(b"#!") else 0o644
            yield Entry(name, stat.S_IFREG | mode, content)


def _file(path: str, content: bytes) -> Entry:
    return Entry(path, stat.S_IFREG | 0o644, content)


def _drivers(kernel: Kernel) -> Iterator[Entry]:
    """The modules, what modprobe has to know about them, and the list of those to load."""
    folder = f"lib/modules/{kernel.release}"
    modules = find_modules(kernel.modules, DRIVERS)
    yield Entry(folder, stat.S_IFDIR | 0o755)
    for name, module in modules.items():
        yield _file(f"{folder}/{name}.ko", module.content)
    needs = "".join(
        f"{name}.ko:{''.join(f' {need}.ko' for need in module.needs)}\n"
        for name, module in modules.items()
    )
    yield _file(f"{folder}/modules.dep", needs.encode())
    loadable = " ".join(name for name in DRIVERS if name in modules)
    yield _file("etc/modules", f"{loadable}\n".encode())


def find_modules(folder: Path, wanted: Iterable[str]) -> dict[str, Module]:
    """`wanted` and all that they need, by name; what the kernel has built in is left out.

    The needs are read from the modules themselves: a kernel package that was never installed has
    no modules.dep.
    """
    builtin = {_module_name(line) for line in (folder / "modules.builtin").read_text().split()}
    files = {
        _module_name(name): Path(parent, name)
        for parent, _, names in os.walk(folder / "kernel")
        for name in names
        if ".ko" in name
    }
    found: dict[str, Module] = {}

    def find(name: str) -> None:
        if name in found or name in builtin:
            return
        if name not in files:
            raise VmtuiError(f"the kernel {folder.name} has no driver {name}")
        content = _decompressed(files[name])
        direct = set(_needs(content)) - builtin
        for need in sorted(direct):
            find(need)
        needs = direct.union(*(found[need].needs for need in direct))
        found[name] = Module(content, tuple(other for other in reversed(found) if other in needs))

    for name in wanted:
        find(name)
    return found


def _module_name(path: str) -> str:
    """`kernel/drivers/char/hw_random/virtio-rng.ko.xz` -> `virtio_rng`, as the kernel names it."""
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def _needs(module: bytes) -> list[str]:
    match = _DEPENDS.search(module)
    return [_module_name(name) for name in match[1].decode().split(",") if name] if match else []


def _decompressed(path: Path) -> bytes:
    match path.suffix:
        case ".xz":
            return lzma.decompress(path.read_bytes())
        case ".gz":
            return gzip.decompress(path.read_bytes())
        case ".zst":
            if shutil.which("zstd") is None:
                raise MissingError("the kernel's modules need zstd to unpack", hint="Install zstd.")
            return subprocess.run(
                ["zstd", "-dc", path], stdin=subprocess.DEVNULL, capture_output=True, check=True
            ).stdout
        case _:
            return path.read_bytes()
