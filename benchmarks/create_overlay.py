"""Making a VM, off, from a cached 2 GiB image: its seconds and what it writes to the disk."""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result import Result
from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.images.library import Image, ImageKind, Library
from vmtui.parts import CloudInit
from vmtui.spec import Boot, BootKind, VMSpec
from vmtui.units import GIB, MIB

RUNS = 9
IMAGE_BYTES = 2 * GIB
ALLOWED_S = 0.5
ALLOWED_BYTES = 5_000_000
SECTOR_BYTES = 512


def run() -> Sequence[Result]:
    """Medians of whole creations, with a cloud-init seed, beside those of the bare `qemu-img`."""
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-", dir="/var/tmp") as folder:
        return asyncio.run(_measured(Path(folder)))


async def _measured(folder: Path) -> Sequence[Result]:
    library = Library(folder / "images")
    boot = await _image(library, folder)
    backend = KvmBackend(store=Store(folder / "vms", folder / "run"), library=library)
    await backend.open()
    times_s, bare_s, written = [], [], []
    for number in range(RUNS):
        started_s = time.perf_counter()
        await asyncio.to_thread(_qemu_img, boot, folder / f"{number}.qcow2")
        bare_s.append(time.perf_counter() - started_s)
        spec = VMSpec(f"vm{number}", boot, disk_bytes=20 * GIB, cloud_init=CloudInit(user="me"))
        before = _written_bytes()
        started_s = time.perf_counter()
        await backend.create(spec, no_progress)
        times_s.append(time.perf_counter() - started_s)
        written.append(_written_bytes() - before)
    await backend.close()
    median_s, most_bytes = statistics.median(times_s), max(written)
    own_s = statistics.median(bare_s)
    print(f"create from {IMAGE_BYTES // MIB} MiB: median {median_s:.3f} s of {RUNS}", end="; ")
    print(f"qemu-img create alone {own_s:.3f} s; at most {most_bytes / 1e6:.2f} MB written")
    return [
        Result(f"create / {ALLOWED_S} s", median_s / ALLOWED_S, 1.0),
        Result("create: bytes written / 5 MB", most_bytes / ALLOWED_BYTES, 1.0),
    ]


async def _image(library: Library, folder: Path) -> Boot:
    path = folder / "image.raw"
    with path.open("wb") as file:
        for _ in range(IMAGE_BYTES // MIB):
            file.write(b"\xa5" * MIB)
    image = await library.add(Image("base", ImageKind.DISK, path, "raw", IMAGE_BYTES, ""))
    path.unlink()
    return Boot(BootKind.DISK, image.path, image.format, IMAGE_BYTES, image=image.name)


def _qemu_img(boot: Boot, target: Path) -> None:
    base = ("-b", str(boot.path), "-F", str(boot.format))
    command = ["qemu-img", "create", "-q", "-f", "qcow2", *base, str(target), str(20 * GIB)]
    subprocess.run(command, check=True)


def _written_bytes() -> int:
    """By this process and by those of its children that have ended."""
    own = dict(line.split(": ") for line in Path("/proc/self/io").read_text("ascii").splitlines())
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int(own["write_bytes"]) + children.ru_oublock * SECTOR_BYTES
