"""Import of a sparse VMDK of 4 GiB against `qemu-img convert` of the same file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.result import Result
from vmtui.images.imports.importing import import_file
from vmtui.images.library import Library
from vmtui.units import GIB, MIB

RUNS = 7
DISK_BYTES = 4 * GIB
DATA_BYTES = 1 * GIB
PIECE_BYTES = 16 * MIB
BAR = 1.1


def run(runs: int = RUNS) -> Result:
    """The least of each, in turn: what else the machine does only adds to them.

    Both ways end with the result on the disk.
    """
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-", dir="/var/tmp") as folder:
        source = _source(Path(folder))
        peers_s, ours_s = [], []
        for turn in range(runs):
            peers_s.append(_peer_s(source, Path(folder)))
            ours_s.append(_ours_s(source, Path(folder) / f"images-{turn}"))
    peer_s, our_s = min(peers_s), min(ours_s)
    print(f"import of a VMDK: {our_s:.2f} s; qemu-img convert and sync: {peer_s:.2f} s")
    return Result("import of a VMDK / qemu-img convert", our_s / peer_s, BAR)


def _source(folder: Path) -> Path:
    raw, source = folder / "disk.raw", folder / "disk.vmdk"
    pieces = DATA_BYTES // PIECE_BYTES
    with raw.open("wb") as file:
        for piece in range(pieces):
            file.seek(piece * (DISK_BYTES // pieces))
            file.write(os.urandom(PIECE_BYTES))
        file.truncate(DISK_BYTES)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw, source], check=True)
    raw.unlink()
    return source


def _peer_s(source: Path, folder: Path) -> float:
    target = folder / "peer.qcow2"
    os.sync()  # what was written before is not measured
    started_s = time.perf_counter()
    argv = ["qemu-img", "convert", "-f", "vmdk", "-O", "qcow2", str(source), str(target)]
    subprocess.run(argv, check=True)
    subprocess.run(["sync", str(target)], check=True)
    taken_s = time.perf_counter() - started_s
    target.unlink()
    return taken_s


def _ours_s(source: Path, root: Path) -> float:
    library = Library(root)
    os.sync()
    started_s = time.perf_counter()
    asyncio.run(import_file(source, "disk", library))
    taken_s = time.perf_counter() - started_s
    asyncio.run(library.remove("disk"))
    return taken_s
