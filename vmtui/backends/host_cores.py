"""The CPUs of this machine, as the kernel tells of them in /sys."""

from __future__ import annotations

from pathlib import Path

from vmtui.hardware.cores import HostCpu, parse_cpus

SYSTEM = Path("/sys/devices/system")


def read(system: Path = SYSTEM) -> tuple[HostCpu, ...]:
    """All that are online; what the kernel does not tell is 0."""
    nodes = {
        number: int(folder.name.removeprefix("node"))
        for folder in sorted(system.glob("node/node[0-9]*"))
        for number in _cpus(folder / "cpulist")
    }
    return tuple(
        HostCpu(
            number,
            nodes.get(number, 0),
            _number(system / f"cpu/cpu{number}/topology/physical_package_id"),
            _number(system / f"cpu/cpu{number}/topology/core_id"),
        )
        for number in _cpus(system / "cpu/online")
    )


def _cpus(path: Path) -> tuple[int, ...]:
    try:
        return parse_cpus(path.read_text("ascii"))
    except (OSError, ValueError):
        return ()


def _number(path: Path) -> int:
    try:
        return max(0, int(path.read_text("ascii")))
    except (OSError, ValueError):
        return 0
