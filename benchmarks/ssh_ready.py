"""From a cached cloud image to its ssh server: vmtui, and bare QEMU with disk and seed made.

Boots differ by a tenth and more, and so does the machine from minute to minute. So each boot by
vmtui is held against one by hand right beside it, which of the two comes first alternates, and the
median of these ratios counts: what disturbs one boot spoils one pair, and no more.
"""

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
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.result import Result
from tests.guest import debian
from vmtui.backends.kvm.process import Record
from vmtui.readiness import ssh_banner

PAIRS = 7
BAR = 1.05
IMAGE, VM, BY_HAND = "debian", "bench", "by-hand"
_OPTIONS = ("--image", IMAGE, "--memory", "512M", "--user", debian.USER, "--forward", "22")
_FORWARD = re.compile(r"hostfwd=tcp:([\d.]+):(\d+)-:22\b")


def run(pairs: int = PAIRS) -> Result:
    """The median of the pairs' ratios."""
    ratios = []
    with tempfile.TemporaryDirectory(prefix="vmtui-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        _vmtui(folder, "images", "import", str(debian.ensure()), "--name", IMAGE)
        bare = BareQemu.prepared(folder)
        for number in range(pairs):
            bare_s = bare.ready_s() if number % 2 else None
            ours_s = _ready_s(folder)
            bare_s = bare_s or bare.ready_s()
            print(f"time to ssh: vmtui {ours_s:.2f} s, bare QEMU {bare_s:.2f} s", flush=True)
            ratios.append(ours_s / bare_s)
        _vmtui(folder, "delete", BY_HAND, "--yes")
    return Result("create to ssh / bare QEMU", statistics.median(ratios), BAR)


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


def _ready_s(folder: Path) -> float:
    """By one command of vmtui, from nothing."""
    started_s = time.perf_counter()
    try:
        _vmtui(folder, "create", VM, *_OPTIONS, "--start", "--wait")
        return time.perf_counter() - started_s
    finally:
        _vmtui(folder, "delete", VM, "--yes")


@dataclass(frozen=True)
class BareQemu:
    """The command line that vmtui had for such a VM, without vmtui."""

    argv: list[str]
    disk: Path
    fresh: Path
    """The disk as it was before the first boot."""
    runtime: Path

    @classmethod
    def prepared(cls, folder: Path) -> BareQemu:
        """With the disk and the seed of a VM that vmtui made, which is off."""
        _vmtui(folder, "create", BY_HAND, *_OPTIONS)
        disk, fresh = folder / "vmtui/vms" / BY_HAND / "disk.qcow2", folder / "fresh.qcow2"
        shutil.copyfile(disk, fresh)
        _vmtui(folder, "start", BY_HAND)
        runtime = folder / "run/vmtui" / BY_HAND
        argv = msgspec.json.decode((runtime / "process.json").read_bytes(), type=Record).argv
        _vmtui(folder, "stop", BY_HAND, "--yes")
        return cls(argv, disk, fresh, runtime)

    def ready_s(self) -> float:
        """From its start to the greeting of the ssh server in it."""
        shutil.copyfile(self.fresh, self.disk)
        self.runtime.mkdir(parents=True, exist_ok=True)
        found = _FORWARD.search(" ".join(self.argv))
        assert found is not None
        started_s = time.perf_counter()
        qemu = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL)
        try:
            asyncio.run(ssh_banner(found[1], int(found[2])))
            return time.perf_counter() - started_s
        finally:
            qemu.kill()
            qemu.wait()
