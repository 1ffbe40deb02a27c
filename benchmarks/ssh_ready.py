"""From a cached cloud image to its ssh server: vmtui, and bare QEMU with disk and seed made."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.result import Result
from tests.guest import debian
from vmtui.backends.kvm.process import Record
from vmtui.readiness import ssh_banner

RUNS = 3
BAR = 1.05
IMAGE, VM = "debian", "bench"
_FORWARD = re.compile(r"hostfwd=tcp:([\d.]+):(\d+)-:22\b")


def run(runs: int = RUNS) -> Result:
    """Alternate both, so that neither gets the quieter machine; medians."""
    ours, bare = [], []
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        _vmtui(folder, "images", "import", str(debian.ensure()), "--name", IMAGE)
        for _ in range(runs):
            try:
                ours_s, argv = _made_by_vmtui(folder)
                ours.append(ours_s)
                bare.append(_by_hand(folder, argv))
            finally:
                _vmtui(folder, "delete", VM, "--yes")
    ratio = statistics.median(ours) / statistics.median(bare)
    for whose, times_s in (("vmtui", ours), ("bare QEMU", bare)):
        print(f"time to ssh, {whose}: " + " ".join(f"{time_s:.2f}" for time_s in times_s))
    return Result("create to ssh / bare QEMU", ratio, BAR)


def _vmtui(folder: Path, *arguments: str) -> None:
    environment = {
        **os.environ,
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder / "run"),
    }
    subprocess.run(
        [sys.executable, "-m", "vmtui", "-c", "kvm:", *arguments],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _made_by_vmtui(folder: Path) -> tuple[float, list[str]]:
    """The seconds, and QEMU's command line; the VM is off in the end, its disk as it was made."""
    started_s = time.perf_counter()
    way_in = ("--user", debian.USER, "--forward", "22")
    _vmtui(folder, "create", VM, "--image", IMAGE, "--memory", "512M", *way_in)
    made_s = time.perf_counter() - started_s
    disk = folder / "vmtui/vms" / VM / "disk.qcow2"
    shutil.copyfile(disk, folder / "fresh.qcow2")
    started_s = time.perf_counter()
    _vmtui(folder, "start", VM)
    _vmtui(folder, "wait", VM)
    took_s = made_s + time.perf_counter() - started_s
    record = (folder / "run/vmtui" / VM / "process.json").read_bytes()
    _vmtui(folder, "stop", VM, "--yes")
    shutil.copyfile(folder / "fresh.qcow2", disk)
    return took_s, msgspec.json.decode(record, type=Record).argv


def _by_hand(folder: Path, argv: list[str]) -> float:
    (folder / "run/vmtui" / VM).mkdir(parents=True, exist_ok=True)
    found = _FORWARD.search(" ".join(argv))
    assert found is not None
    started_s = time.perf_counter()
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        asyncio.run(ssh_banner(found[1], int(found[2])))
        return time.perf_counter() - started_s
    finally:
        qemu.kill()
        qemu.wait()
