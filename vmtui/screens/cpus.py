"""`K`: a VM's vCPUs, how much of the host they may have, and where on it they run."""

from __future__ import annotations

from collections.abc import Sequence

from vmtui import configuring
from vmtui.backends.abilities import MapsCores
from vmtui.hardware.cores import CoreMap, Placed, cpus_text
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Hardware, is_pending
from vmtui.screens.panel import Command, Seen
from vmtui.screens.vm_panel import VMPanel
from vmtui.units import plain
from vmtui.widgets.listing import Row

KEYS = (
    ("cpus", "c"),
    ("cpu.profile", "p"),
    ("cpu.weight", "w"),
    ("cpu.quota", "u"),
    ("cpu.pin", "i"),
    ("cpu.emulator", "e"),
)
"""Settings that are changed here, each with its key."""

CHOSEN = {"cpu.profile"}


class CpuPanel(VMPanel):
    """Settings, and the map of the host's CPUs."""

    heading = "CPUs"
    label_cells = 18

    async def look(self) -> Seen:
        """Both as they are now."""
        fleet = self.shared.fleet
        hardware = await configuring.hardware(fleet, self.ref)
        rows: list[Row] = []
        commands: list[Command] = []
        for key, letter in KEYS:
            entry = hardware.entry(key)
            if entry is None:
                continue
            known = setting(key)
            commands.append(self.command(letter, known.label, self._set, key, hardware))
            text = known.form.shown(entry.now if hardware.active else entry.next)
            ink = "text"
            if hardware.active and is_pending(entry):
                text, ink = f"{text} → ◆ {known.form.shown(entry.next)} at next boot", "warn"
            rows.append(((known.label, "quiet"), (text, ink)))
        backend = fleet.backend(self.ref)
        rows.append((("", "text"),))
        if isinstance(backend, MapsCores):
            rows += self._map(await backend.cores())
        else:
            rows.append((("This connection does not tell what runs where.", "quiet"),))
        return Seen(rows, commands)

    async def _set(self, key: str, hardware: Hardware) -> None:
        if key in CHOSEN:
            await self.choose(key, hardware)
        else:
            await self.write(key, hardware)

    def _map(self, cores: CoreMap) -> list[Row]:
        """A line for each stretch of CPUs on which the same threads may run."""
        rows: list[Row] = []
        for node in cores.nodes:
            numbers = [cpu.number for cpu in cores.cpus if cpu.node == node]
            rows.append(((f"node {node} · CPUs {cpus_text(numbers)}", "accent"),))
            for stretch, placed in _stretches(cores, numbers):
                own = any(each.vm == self.ref.id for each in placed)
                text = ", ".join(_threads(placed)) or "nothing is pinned here"
                ink = "strong" if own else "text" if placed else "quiet"
                rows.append(((f"  {cpus_text(stretch)}", "quiet"), (text, ink)))
        everywhere = [p for p in cores.placed if p.cpus >= cores.numbers]
        names = sorted({plain(each.name) for each in everywhere})
        rows.append((("anywhere", "quiet"), (", ".join(names) or "–", "text")))
        return rows


def _stretches(
    cores: CoreMap, numbers: Sequence[int]
) -> list[tuple[list[int], tuple[Placed, ...]]]:
    found: list[tuple[list[int], tuple[Placed, ...]]] = []
    for number in numbers:
        placed = cores.pinned_to(number)
        if found and found[-1][1] == placed:
            found[-1][0].append(number)
        else:
            found.append(([number], placed))
    return found


def _threads(placed: Sequence[Placed]) -> list[str]:
    """By VM, which of its threads."""
    by_vm: dict[str, list[str]] = {}
    for each in placed:
        by_vm.setdefault(plain(each.name), []).append(plain(each.what))
    return [f"{name} ({', '.join(threads)})" for name, threads in by_vm.items()]
