"""The micro image: the distribution's kernel and busybox, built once into the user's cache."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from vmtui.deferred import deferred
from vmtui.errors import MissingError, UnsupportedError, VmtuiError

if TYPE_CHECKING:
    from vmtui.images import distro, initramfs, unpacked
else:
    distro, initramfs, unpacked = deferred("vmtui.images", "distro", "initramfs", "unpacked")

# Goes up whenever what is built changes: older builds are then no longer used.
BUILDER = 4

# 2: what stops the guest (panic, oops) is still printed, nothing else disturbs the prompt.
# The kernel's tests of its cryptography take a fifteenth of a boot where it is emulated, as much as
# what prepares events of probes.
CMDLINE = (
    "console=ttyS0 quiet loglevel=2 no_timer_check"
    " cryptomgr.notests initcall_blacklist=crypto_kdf108_init,init_kprobe_trace"
)

FAILED = "the micro image could not be built"
KEPT_BUILDS = 2
_PARTIAL = ".partial-"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class MicroImage:
    """What QEMU's `-kernel`, `-initrd` and `-append` take."""

    kernel: Path
    unpacked: Path | None
    """The same kernel for a BIOS, where unpacking it is emulated too: that takes a fifth of a boot.

    None where nothing on this machine unpacks it.
    """
    initrd: Path
    cmdline: str
    kernel_version: str


def cached() -> MicroImage | None:
    """The newest build in the cache, if there is one."""
    return next((image for folder in _builds() if (image := _load(folder))), None)


async def ensure(progress: Report = lambda _: None) -> MicroImage:
    """The image from the cache, built first if need be; `progress` gets a line for each step.

    The work is done by a process of its own, so that nothing waits for it but the caller.
    """
    image = cached()
    if image is not None:
        return image
    builder = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", __name__, "--report"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert builder.stdout is not None
    assert builder.stderr is not None
    try:
        async for line in builder.stdout:
            _relay(json.loads(line), progress)
        rest = await builder.stderr.read()
        await builder.wait()
    finally:
        if builder.returncode is None:
            # The group: the builder and the package manager that it may be waiting for.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(builder.pid, signal.SIGTERM)
            await builder.wait()
    image = cached()
    if image is None:
        raise VmtuiError(FAILED, why=rest.decode(errors="replace"))
    return image


def _relay(report: dict[str, str], progress: Report) -> None:
    if "progress" in report:
        progress(report["progress"])
    else:
        kind = MissingError if report["kind"] == MissingError.__name__ else VmtuiError
        raise kind(report["what"], why=report["why"], hint=report["hint"])


def build(progress: Report, *, refresh: bool = False) -> MicroImage:
    """The image from the cache, or built now; with `refresh` also when the kernel is a newer one.

    Blocks. One process at a time builds; the others wait and find it done.
    """
    if platform.machine() != "x86_64":
        raise UnsupportedError(
            "the micro image is for x86-64 only",
            why=f"this machine is {platform.machine()}",
            hint="Create the VM from an image of your own: --image FILE",
        )
    with _lock():
        image = cached()
        if image is not None and not refresh:
            return image
        package = distro.packaged()
        if package is not None and (known := _load(_folder(package.release))):
            return known
        try:
            return _build(package, progress)
        except (VmtuiError, OSError) as error:
            if image is None:
                raise
            progress(f"{error}. Going on with kernel {image.kernel_version}.")
            return image


def _build(package: distro.KernelPackage | None, progress: Report) -> MicroImage:
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=_root()) as scratch:
        found = _kernel(package, Path(scratch), progress)
        progress(f"building the micro image with kernel {found.release}")
        build_folder = Path(scratch, "build")
        build_folder.mkdir()
        kernel = found.image.read_bytes()
        _write(build_folder / "vmlinuz", kernel)
        if (whole := unpacked.unpacked(kernel)) is not None:
            _write(build_folder / "vmlinux", whole)
        _write(
            build_folder / "initrd.gz", initramfs.build(found, _busybox(Path(scratch), progress))
        )
        folder = _folder(found.release)
        shutil.rmtree(folder, ignore_errors=True)
        build_folder.rename(folder)
    for old in _builds("*")[KEPT_BUILDS:]:
        shutil.rmtree(old, ignore_errors=True)
    image = _load(folder)
    assert image is not None
    return image


def _kernel(package: distro.KernelPackage | None, scratch: Path, progress: Report) -> distro.Kernel:
    """The packaged kernel, which is small and can always be read; else an installed one."""
    failure: VmtuiError | None = None
    if package is not None:
        progress(f"downloading {' and '.join(package.packages)}")
        try:
            return distro.fetch_kernel(package, scratch)
        except VmtuiError as error:
            failure = error
    found = distro.installed()
    if found is not None:
        return found
    if failure is not None:
        raise failure
    raise MissingError(
        "there is no kernel to build the micro image from",
        why="apt knows no cloud kernel, and no kernel in /boot or /lib/modules can be read",
        hint="On Debian and Ubuntu: sudo apt-get update. Elsewhere install the kernel package.",
    )


def _busybox(scratch: Path, progress: Report) -> Path:
    busybox = distro.find_busybox()
    if busybox is None:
        progress("downloading busybox-static")
        busybox = distro.fetch_busybox(scratch)
    return busybox


def _root() -> Path:
    return platformdirs.user_cache_path("vmtui") / "micro"


def _folder(release: str) -> Path:
    return _root() / f"{release}-b{BUILDER}"


def _builds(builder: str = str(BUILDER)) -> list[Path]:
    """The folders of the images of `builder`, the newest first."""
    return sorted(_root().glob(f"[!.]*-b{builder}"), key=lambda path: -path.stat().st_mtime_ns)


def _load(folder: Path) -> MicroImage | None:
    """The image in `folder`; None unless both files are there."""
    kernel_file, initrd = folder / "vmlinuz", folder / "initrd.gz"
    try:
        if not (kernel_file.stat().st_size and initrd.stat().st_size):
            return None
    except OSError:
        return None
    whole = folder / "vmlinux"
    return MicroImage(
        kernel_file,
        whole if whole.exists() else None,
        initrd,
        CMDLINE,
        folder.name.removesuffix(f"-b{BUILDER}"),
    )


def _write(path: Path, content: bytes) -> None:
    """Write `content` through to the disk: after the rename, a build counts as whole."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Hold the cache for this process alone, and clear what a killed one left half-made."""
    _root().mkdir(parents=True, exist_ok=True)
    with (_root() / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for partial in _root().glob(f"{_PARTIAL}*"):
            shutil.rmtree(partial, ignore_errors=True)
        yield


def _unforeseen(problem: Exception) -> VmtuiError:
    return VmtuiError(
        FAILED, why=str(problem), hint=f"It is made in {_root()}: is there room, and may you write?"
    )


def main() -> int:
    """Build the image, or a newer one; prints its folder."""
    parser = argparse.ArgumentParser(prog="vmtui.images.micro", description=main.__doc__)
    # What ensure() reads: one JSON object a line, and no look for a newer kernel.
    parser.add_argument("--report", action="store_true", help=argparse.SUPPRESS)
    report = parser.parse_args().report

    def progress(line: str) -> None:
        print(json.dumps({"progress": line}) if report else line, flush=True)

    try:
        image = build(progress, refresh=not report)
    except (VmtuiError, OSError, subprocess.SubprocessError) as problem:
        error = problem if isinstance(problem, VmtuiError) else _unforeseen(problem)
        if report:
            kind = type(error).__name__
            print(
                json.dumps({"kind": kind, "what": error.what, "why": error.why, "hint": error.hint})
            )
        else:
            print(error, file=sys.stderr)
        return error.exit_status
    if not report:
        print(image.kernel.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
