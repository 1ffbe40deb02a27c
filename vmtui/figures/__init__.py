"""Every figure of a VM, declared once: what it is, its unit, where it comes from, how to get it.

Tables, graphs, alarms, `vmtui top` and the explanations of the interface are made from this.
"""

from __future__ import annotations

from collections.abc import Mapping

from vmtui.figures.cpu import CPU_FIGURES
from vmtui.figures.disks import DISK_FIGURES
from vmtui.figures.figure import MOVING, Figure, Source, Unit, written
from vmtui.figures.memory import MEMORY_FIGURES
from vmtui.figures.nics import NIC_FIGURES
from vmtui.views import VMView

__all__ = ["BY_ID", "FIGURES", "KEPT", "MOVING", "Figure", "Source", "Unit", "kept", "written"]

FIGURES: tuple[Figure, ...] = (*CPU_FIGURES, *MEMORY_FIGURES, *DISK_FIGURES, *NIC_FIGURES)

BY_ID: Mapping[str, Figure] = {figure.id: figure for figure in FIGURES}

KEPT: tuple[str, ...] = (
    "cpu",
    "ready",
    "guest_used",
    "memory_actual",
    "rss",
    "read_bytes",
    "write_bytes",
    "latency",
    "rx_bytes",
    "tx_bytes",
)
"""The figures of each VM that have a history."""

_KEPT = tuple(BY_ID[name] for name in KEPT)


def kept(row: VMView) -> list[float | None]:
    """The values of `KEPT`, in that order."""
    return [figure.of(row) for figure in _KEPT]
