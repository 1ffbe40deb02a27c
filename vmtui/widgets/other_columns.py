"""Columns that are more or less than one figure: names, states, badges, pairs and graphs."""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len
from rich.segment import Segment

from vmtui.figures import BY_ID
from vmtui.model import Firmware, State
from vmtui.units import GIB, MIB, TIB, count, plain
from vmtui.views import VMView
from vmtui.widgets.clock import short_duration
from vmtui.widgets.columns import Cell, Column, numeral, uptime_s
from vmtui.widgets.figure_columns import METER_FROM, absence
from vmtui.widgets.graph import meter
from vmtui.widgets.lines import Line, fit, fit_end
from vmtui.widgets.states import PENDING, accel_badge, vm_state

PAIR = 13
"""Cells of two numbers of which one is a part of the other."""

_MEMORY_ALARMS = frozenset({"guest_used", "guest_swap_in", "guest_swap_out", "swapped"})
_NET_ALARMS = frozenset({"rx_bytes", "tx_bytes", "drops", "errors"})


def _name(cell: Cell, width: int) -> Line:
    style = cell.ink.quiet if not cell.row.vm.state.active else cell.ink.strong
    name = plain(cell.row.vm.name)
    if not cell.row.vm.pending or width < 4:
        return [Segment(fit(name, width), style)]
    name = fit(name, min(cell_len(name), width - 2))
    gap = " " * (width - 2 - cell_len(name))
    return [Segment(name, style), Segment(f" {PENDING}{gap}", cell.ink.warn)]


def _state(cell: Cell, width: int) -> Line:
    text, style = vm_state(cell.row, cell.ink, cell.clock.monotonic_s())
    return [Segment(fit(text, width), style)]


def _history(cell: Cell, width: int) -> Line:
    row = cell.row
    if row.sampled_at_s is None:
        return [Segment(" " * width)]
    style = cell.ink.faint if row.stalled else cell.ink.cpu
    return [Segment(cell.past(row.ref, row.sampled_at_s, width), style)]


def given_bytes(row: VMView) -> int:
    """What the balloon leaves the VM, or else what it was defined with."""
    return row.memory_actual_bytes or row.vm.memory_bytes


def of_whole(part: float | None, whole: float) -> str:
    """A part and its whole in the whole's unit: `1.6/4.0 GiB`."""
    scale, unit = next(
        ((s, u) for s, u in ((TIB, "TiB"), (GIB, "GiB")) if whole >= s), (MIB, "MiB")
    )
    digits = 0 if scale == MIB or whole >= 100 * scale else 1
    written = "–" if part is None else f"{part / scale:.{digits}f}"
    return f"{written}/{whole / scale:.{digits}f} {unit}"


def _memory(cell: Cell, width: int) -> Line:
    row = cell.row
    used, given = BY_ID["guest_used"].of(row), given_bytes(row)
    alarmed = not cell.alarmed.isdisjoint(_MEMORY_ALARMS)
    room = PAIR if width > PAIR + METER_FROM else width
    active = row.vm.state.active
    number = numeral(cell, of_whole(used, given), room, known=active, alarmed=alarmed)
    if room == width:
        return [number]
    colour = "faint" if row.stalled else "memory"
    share = None if used is None else used / given
    return [*meter(share, width - room - 1, cell.ink, colour), Segment(" "), number]


def _disk(cell: Cell, width: int) -> Line:
    row = cell.row
    reads, writes = BY_ID["read_iops"].of(row), BY_ID["write_iops"].of(row)
    if reads is None and writes is None:
        return [numeral(cell, absence(BY_ID["read_iops"], row), width, known=False)]
    text = f"{count(reads)}/{count(writes)}"
    return [numeral(cell, text, width, known=bool(reads or writes))]


def _net(cell: Cell, width: int) -> Line:
    row = cell.row
    rx, tx = BY_ID["rx_bytes"].of(row), BY_ID["tx_bytes"].of(row)
    alarmed = not cell.alarmed.isdisjoint(_NET_ALARMS)
    if rx is None and tx is None:
        text = absence(BY_ID["rx_bytes"], row)
        return [numeral(cell, text, width, known=False, alarmed=alarmed)]
    # Each has half of the room, so that arrows stand below arrows.
    half = (width - 1) // 2
    text = f"↓{count(rx):>{half - 1}} ↑{count(tx):>{half - 1}}"
    return [numeral(cell, text, width, known=bool(rx or tx), alarmed=alarmed)]


def _vcpus(cell: Cell, width: int) -> Line:
    style = cell.ink.text if cell.row.vm.state.active else cell.ink.quiet
    return [Segment(fit(str(cell.row.vm.vcpus), width, right=True), style)]


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
    # URIs differ at their end: qemu:///system, qemu:///session.
    return [Segment(fit(fit_end(plain(cell.connection), width), width), cell.ink.quiet)]


def _sum_of(*figures: str) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        known = [v for v in (BY_ID[figure].of(row) for figure in figures) if v is not None]
        return sum(known) if known else None

    return value


def _uptime_order(row: VMView) -> float | None:
    # What started first is up longest, at any time.
    return -row.vm.started_at_s if row.vm.started_at_s and row.vm.state.active else None


_STATE_ORDER = {state: float(order) for order, state in enumerate(State)}

OTHER_COLUMNS: tuple[Column, ...] = (
    Column("name", "NAME", 11, 14, 34, 0, _name, lambda row: row.vm.name.lower()),
    Column("state", "STATE", 12, 14, 22, 0, _state, lambda row: _STATE_ORDER[row.vm.state]),
    Column("history", "CPU HISTORY", 20, 20, 30, 8, _history, BY_ID["cpu"].of, descending=True),
    Column("memory_use", "MEMORY", PAIR, 21, 32, 1, _memory, BY_ID["guest_used"].of,
           right=True, descending=True, marked_by=_MEMORY_ALARMS),
    Column("disk", "DISK R/W", 9, 11, 13, 3, _disk, _sum_of("read_iops", "write_iops"),
           right=True, descending=True),
    Column("net", "NET ↓↑ B/s", 13, 13, 15, 4, _net, _sum_of("rx_bytes", "tx_bytes"),
           right=True, descending=True, marked_by=_NET_ALARMS),
    Column("vcpus", "vCPU", 4, 4, 6, 7, _vcpus, lambda row: float(row.vm.vcpus),
           right=True, descending=True),
    Column("uptime", "UPTIME", 10, 10, 10, 7, _uptime, _uptime_order, right=True, descending=True),
    Column("address", "ADDRESS", 15, 15, 26, 7, _address,
           lambda row: row.vm.addresses[0] if row.vm.addresses else None),
    Column("accel", "ACCEL", 5, 5, 6, 5, _accel,
           lambda row: row.vm.accel.value if row.vm.accel else None),
    Column("connection", "CONNECTION", 10, 14, 24, 2, _connection, lambda row: row.ref.uri),
    Column("flags", "FLAGS", 6, 6, 8, 7, _flags, lambda row: flags(row) or None),
)  # fmt: skip
