"""Where the micro guest's kernel and busybox come from: the distribution's own packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmtui.errors import MissingError, VmtuiError

DOWNLOAD_TIMEOUT_S = 600.0
QUERY_TIMEOUT_S = 30.0

# Small kernels for virtual machines; each is a package that only depends on the newest of its kind.
_META_PACKAGES = ("linux-image-cloud-amd64", "linux-image-virtual", "linux-image-kvm")
_DEPENDS = re.compile(r"^\s*Depends: (linux-(?:image|modules)-(\d\S+))$", re.MULTILINE)

_ELF64_MAGIC = b"\x7fELF\x02"
_PT_INTERP = 3


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel on disk: its release as `uname -r` says it, its file, the folder of its modules."""

    release: str
    image: Path
    modules: Path


@dataclass(frozen=True, slots=True)
class KernelPackage:
    """A kernel that the package manager can fetch: its release and the packages that make it."""

    release: str
    packages: tuple[str, ...]


def packaged() -> KernelPackage | None:
    """The newest cloud kernel that apt knows of, from its own lists (no network)."""
    if not _has_apt():
        return None
    for meta in _META_PACKAGES:
        for image, release in _depends(meta):
            modules = [name for name, of in _depends(image) if of == release]
            return KernelPackage(release, (image, *modules))
    return None


def _has_apt() -> bool:
    return all(map(shutil.which, ("apt-cache", "apt-get", "dpkg-deb")))


def _depends(package: str) -> list[tuple[str, str]]:
    """The kernel packages that `package` depends on, as (name, release)."""
    answer = subprocess.run(
        ["apt-cache", "depends", "--important", package],
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=QUERY_TIMEOUT_S,
        check=False,
    )
    return [(name, release) for name, release in _DEPENDS.findall(answer.stdout)]


def fetch_kernel(package: KernelPackage, folder: Path) -> Kernel:
    """Download `package` into `folder`, and find its kernel there."""
    _fetch(package.packages, folder)
    modules = next(
        (path for path in _module_folders(folder, package.release) if path.is_dir()), None
    )
    image = folder / "boot" / f"vmlinuz-{package.release}"
    if modules is None or not image.is_file():
        raise VmtuiError(
            f"the package {package.packages[0]} holds no kernel",
            why=f"neither boot/{image.name} nor its modules are in it",
        )
    return Kernel(package.release, image, modules)


def _fetch(packages: Sequence[str], folder: Path) -> None:
    """Download `packages` and unpack them in `folder`; nothing is installed in the system."""
    _run(["apt-get", "download", *packages], folder)
    for archive in sorted(folder.glob("*.deb")):
        _run(["dpkg-deb", "-x", archive.name, "."], folder)
        archive.unlink()


def _run(argv: list[str], folder: Path) -> None:
    try:
        subprocess.run(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        # apt warns about a folder that its own user cannot enter; the reason is in the errors.
        lines = [line for line in error.stderr.splitlines() if not line.startswith("W:")]
        raise VmtuiError(
            f"{' '.join(argv[:2])} failed",
            why="\n".join(lines[-4:]),
            hint="Check the network and the package sources: sudo apt-get update",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise VmtuiError(
            f"{' '.join(argv[:2])} did not end within {DOWNLOAD_TIMEOUT_S:.0f} s",
            hint="Check the network and the package sources.",
        ) from error


def installed(root: Path = Path("/")) -> Kernel | None:
    """The newest installed kernel that this user can read, with its modules."""
    folders = [*root.glob("usr/lib/modules/*"), *root.glob("lib/modules/*")]
    found = [
        Kernel(modules.name, image, modules)
        for modules in folders
        for image in (root / "boot" / f"vmlinuz-{modules.name}", modules / "vmlinuz")
        if (modules / "kernel").is_dir() and os.access(image, os.R_OK)
    ]
    return max(found, key=lambda kernel: kernel.image.stat().st_mtime, default=None)


def _module_folders(root: Path, release: str) -> tuple[Path, Path]:
    return root / "usr/lib/modules" / release, root / "lib/modules" / release


def find_busybox() -> Path | None:
    """The busybox of this system, if it can run where there are no libraries."""
    path = shutil.which("busybox", path=f"{os.environ.get('PATH', '')}:/bin:/usr/sbin:/sbin")
    return Path(path) if path and is_static(Path(path).read_bytes()) else None


def fetch_busybox(folder: Path) -> Path:
    """Download the static busybox into `folder`."""
    if not _has_apt():
        raise MissingError(
            "there is no statically linked busybox here, which the micro image is made of",
            hint="Install busybox-static, or the package busybox where that is a static one.",
        )
    _fetch(["busybox-static"], folder)
    return next(path for path in folder.rglob("busybox") if path.parent.name == "bin")


def is_static(program: bytes) -> bool:
    """Whether `program` is a 64-bit ELF file that asks for no dynamic linker."""
    if program[:5] != _ELF64_MAGIC:
        return False
    offset = int.from_bytes(program[32:40], "little")
    size = int.from_bytes(program[54:56], "little")
    count = int.from_bytes(program[56:58], "little")
    headers = (program[offset + size * index :][:4] for index in range(count))
    return all(int.from_bytes(kind, "little") != _PT_INTERP for kind in headers)
