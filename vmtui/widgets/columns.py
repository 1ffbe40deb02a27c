"""The columns of the VM table: what each shows, how wide it is, and how rows sort by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from vmtui.figures import BY_ID
from vmtui.model import Firmware, State
from vmtui.theming import Ink
from vmtui.units import percent, plain, size
from vmtui.views import VMView
from vmtui.widgets.clock import Clock, short_duration
from vmtui.widgets.graph import meter
from vmtui.widgets.lines import Line, fit
from vmtui.widgets.states import accel_badge, vm_state

GAP = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """All that a cell is drawn from."""

    row: VMView
    connection: str  # its label
    ink: Ink
    clock: Clock

    @property
    def live(self) -> bool:
        """Whether figures of this moment may be shown: nothing moves in a VM that stands still."""
        return self.row.vm.state in (State.RUNNING, State.STOPPING)


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Those of the highest `priority` number go first where room is short.

    It is `least` cells wide at least; all columns get `good` before any grows to `most`.
    """

    id: str
    title: str
    least: int
    good: int
    most: int
    priority: int
    draw: Callable[[Cell, int], Line]
    value: Callable[[Cell], float | str | None]  # what rows sort by; None comes last
    right: bool = False
    descending: bool = False  # the direction that one wants first

    def sort_key(self, cell: Cell) -> tuple[float, str] | None:
        """What rows sort by, in a comparable form; None: not known."""
        value = self.value(cell)
        if value is None:
            return None
        return (0.0, value.lower()) if isinstance(value, str) else (value, "")


def _name(cell: Cell, width: int) -> Line:
    style = cell.ink.quiet if not cell.row.vm.state.active else cell.ink.strong
    return [Segment(fit(plain(cell.row.vm.name), width), style)]


def _state(cell: Cell, width: int) -> Line:
    text, style = vm_state(cell.row, cell.ink, cell.clock.monotonic_s())
    return [Segment(fit(text, width), style)]


def _cpu_value(cell: Cell) -> float | None:
    return BY_ID["cpu"].of(cell.row)


def _cpu(cell: Cell, width: int) -> Line:
    value = _cpu_value(cell)
    number = Segment(fit(percent(value), 5, right=True), _figure(cell, value))
    colour = "faint" if cell.row.stalled else "cpu"
    share = None if value is None else value / 100
    return [*meter(share, width - 6, cell.ink, colour), Segment(" "), number]


def _memory_value(cell: Cell) -> float:
    return cell.row.vm.memory_bytes


def _memory(cell: Cell, width: int) -> Line:
    row = cell.row
    given = row.memory_actual_bytes or row.vm.memory_bytes
    style = cell.ink.text if row.vm.state.active and not row.stalled else cell.ink.quiet
    number = Segment(fit(size(given), 9, right=True), style)
    bar = width - 10
    if bar < 4:
        return [Segment(" " * (width - 9)), number]
    used = row.memory_rss_bytes if cell.live and row.memory_actual_bytes else None
    colour = "faint" if row.stalled else "memory"
    return [
        *meter(None if used is None else used / given, bar, cell.ink, colour),
        Segment(" "),
        number,
    ]


def _figure(cell: Cell, value: float | None) -> Style:
    return cell.ink.quiet if value is None or cell.row.stalled else cell.ink.text


def _vcpus(cell: Cell, width: int) -> Line:
    style = cell.ink.text if cell.row.vm.state.active else cell.ink.quiet
    return [Segment(fit(str(cell.row.vm.vcpus), width, right=True), style)]


def uptime_s(row: VMView, clock: Clock) -> float | None:
    """Seconds since the hypervisor process of the VM started; None: off, or not known."""
    started_at_s = row.vm.started_at_s
    if started_at_s is None or not row.vm.state.active:
        return None
    return max(0.0, clock.unix_s() - started_at_s)


def _uptime(cell: Cell, width: int) -> Line:
    value = uptime_s(cell.row, cell.clock)
    return [Segment(fit(short_duration(value), width, right=True), cell.ink.quiet)]


def _address(cell: Cell, width: int) -> Line:
    addresses = cell.row.vm.addresses
    text = plain(addresses[0]) if addresses else "–"
    return [Segment(fit(text, width), cell.ink.text if addresses else cell.ink.quiet)]


def _accel(cell: Cell, width: int) -> Line:
    text, style = accel_badge(cell.row.vm.accel, cell.ink)
    return [Segment(fit(text, width), style)]


def flags(row: VMView) -> str:
    """What is special about a VM, in badges."""
    secure = row.vm.firmware is Firmware.SECURE_BOOT
    return " ".join(["TPM"] * row.vm.tpm + ["SB"] * secure)


def _flags(cell: Cell, width: int) -> Line:
    return [Segment(fit(flags(cell.row), width), cell.ink.note)]


def _connection(cell: Cell, width: int) -> Line:
    return [Segment(fit(plain(cell.connection), width), cell.ink.quiet)]


def _vcpus_value(cell: Cell) -> float:
    return cell.row.vm.vcpus


def _uptime_value(cell: Cell) -> float | None:
    return uptime_s(cell.row, cell.clock)


def _address_value(cell: Cell) -> str | None:
    return cell.row.vm.addresses[0] if cell.row.vm.addresses else None


def _accel_value(cell: Cell) -> str | None:
    return cell.row.vm.accel.value if cell.row.vm.accel else None


_STATE_ORDER = {state: float(order) for order, state in enumerate(State)}

SUMMARY = (
    Column("name", "NAME", 11, 14, 34, 0, _name, lambda c: c.row.vm.name),
    Column("state", "STATE", 12, 14, 22, 0, _state, lambda c: _STATE_ORDER[c.row.vm.state]),
    Column("cpu", "CPU %", 12, 14, 26, 1, _cpu, _cpu_value, right=True, descending=True),
    Column("memory", "MEMORY", 10, 18, 30, 1, _memory, _memory_value, right=True, descending=True),
    Column("vcpus", "vCPU", 4, 4, 6, 3, _vcpus, _vcpus_value, right=True, descending=True),
    Column("uptime", "UPTIME", 10, 10, 10, 5, _uptime, _uptime_value, right=True, descending=True),
    Column("address", "ADDRESS", 15, 15, 26, 6, _address, _address_value),
    Column("accel", "ACCEL", 5, 5, 6, 4, _accel, _accel_value),
    Column("connection", "CONNECTION", 10, 14, 24, 2, _connection, lambda c: c.connection),
    Column("flags", "", 6, 6, 8, 7, _flags, lambda c: flags(c.row) or None),
)


def laid_out(columns: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that fit, each with its width; together they fill `width` exactly."""
    shown = list(columns)
    while len(shown) > 1 and sum(c.least for c in shown) + GAP * (len(shown) - 1) > width:
        shown.remove(max(shown, key=lambda c: (c.priority, columns.index(c))))
    widths = [column.least for column in shown]
    spare = width - sum(widths) - GAP * (len(shown) - 1)
    for limits in ([c.good for c in shown], [c.most for c in shown]):
        while spare > 0 and (room := [i for i, w in enumerate(widths) if w < limits[i]]):
            for i in room[:spare]:
                widths[i] += 1
            spare -= min(spare, len(room))
    # What is left goes to the name; what is missing is taken from it.
    widths[0] = max(1, widths[0] + spare)
    return list(zip(shown, widths, strict=True))
