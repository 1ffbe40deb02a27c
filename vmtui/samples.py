"""One sample of the fleet as text: a line of JSON, rows of CSV, or a table."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from vmtui.figures import BY_ID, FIGURES
from vmtui.host_figures import HOST_BY_ID, HOST_FIGURES
from vmtui.model import State
from vmtui.units import plain
from vmtui.views import ConnectionStatus, ConnectionView, FleetView, VMView

WORDS: Mapping[str, Callable[[VMView], str]] = {
    "name": lambda row: row.vm.name.lower(),
    "state": lambda row: row.vm.state.value,
}
"""What is no figure, and rows can be sorted by all the same."""

COLUMNS = (
    "cpu",
    "ready",
    "guest_used",
    "memory_actual",
    "rss",
    "read_iops",
    "write_iops",
    "latency",
    "rx_bytes",
    "tx_bytes",
)
"""The figures of the table."""


def now() -> str:
    """The time of a sample, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- JSON ----------------------------------------------------------------------------------------


def as_json(view: FleetView, rows: Sequence[VMView]) -> str:
    """An object in one line; every figure by its id, null where there is none."""
    labels = {connection.uri: connection.label for connection in view.connections}
    sample = {
        "time": now(),
        "interval_s": max((c.interval_s for c in view.connections), default=0.0),
        "hosts": [_host(connection) for connection in view.connections],
        "vms": [_vm(labels[row.ref.uri], row, view.at_s) for row in rows],
    }
    return msgspec.json.encode(sample).decode()


def _host(connection: ConnectionView) -> dict[str, Any]:
    rates = connection.host_rates
    return {
        "connection": connection.label,
        "status": connection.status.value,
        "problem": str(connection.problem) if connection.problem else None,
        "name": connection.host.name if connection.host else None,
        "cpus": connection.host.cpus if connection.host else None,
        "interval_s": connection.interval_s,
        **{figure.id: figure.of(connection) for figure in HOST_FIGURES},
        "disks": rates.disks if rates else (),
        "nics": rates.nics if rates else (),
    }


def _vm(label: str, row: VMView, at_s: float) -> dict[str, Any]:
    rates = row.rates
    return {
        "name": row.vm.name,
        "connection": label,
        "uuid": row.vm.uuid,
        "state": row.vm.state.value,
        "vcpus": row.vm.vcpus,
        "age_s": None if row.sampled_at_s is None else round(at_s - row.sampled_at_s, 3),
        "stalled": row.stalled or None,
        **{figure.id: figure.of(row) for figure in FIGURES},
        "each_vcpu": rates.cpu.vcpus if rates and rates.cpu else (),
        "exits_by_kind": rates.cpu.exits_per_s if rates and rates.cpu else None,
        "disks": rates.disks if rates else (),
        "nics": rates.nics if rates else (),
        "alarms": [breach.figure for breach in row.breaches],
    }


# -- CSV -----------------------------------------------------------------------------------------


class Csv:
    """A header, then a row for each VM and sample; an empty field where there is no value."""

    def __init__(self, out: TextIO) -> None:
        self._writer = csv.writer(out, lineterminator="\n")
        self._headed = False

    def write(self, view: FleetView, rows: Sequence[VMView]) -> None:
        """The rows of one sample."""
        if not self._headed:
            self._headed = True
            words = ("time", "connection", "name", "uuid", "state", "vcpus", "stalled", "alarms")
            self._writer.writerow((*words, *BY_ID))
        time = now()
        labels = {connection.uri: connection.label for connection in view.connections}
        for row in rows:
            self._writer.writerow(
                (
                    time,
                    plain(labels[row.ref.uri]),
                    plain(row.vm.name),
                    row.vm.uuid,
                    row.vm.state.value,
                    row.vm.vcpus,
                    plain(row.stalled),
                    " ".join(breach.figure for breach in row.breaches),
                    *(figure.of(row) for figure in FIGURES),
                )
            )


# -- tables --------------------------------------------------------------------------------------


def as_table(view: FleetView, rows: Sequence[VMView]) -> list[str]:
    """A line for each host, a header, and a line for each VM."""
    several = len(view.connections) > 1
    labels = {connection.uri: plain(connection.label) for connection in view.connections}
    figures = [BY_ID[name] for name in COLUMNS]
    header = ["NAME", "STATE", *(figure.title for figure in figures)]
    cells = [
        [plain(row.vm.name), _state(row, view.at_s), *(figure.text(row) for figure in figures)]
        for row in rows
    ]
    for row, line in zip(rows, cells, strict=True):
        alarms = {breach.figure for breach in row.breaches}
        for place, name in enumerate(COLUMNS):
            if name in alarms:
                line[2 + place] += "!"
    if several:
        header.append("CONNECTION")
        for row, line in zip(rows, cells, strict=True):
            line.append(labels[row.ref.uri])
    widths = [max(map(width, column)) for column in zip(header, *cells, strict=True)]
    numbers = range(2, 2 + len(figures))
    return [
        *(_host_line(connection) for connection in view.connections),
        *(
            "  ".join(
                padded(cell, size, right=place in numbers)
                for place, (cell, size) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in (header, *cells)
        ),
    ]


def _state(row: VMView, at_s: float) -> str:
    if row.stalled:
        age_s = f" {at_s - row.sampled_at_s:.0f} s" if row.sampled_at_s is not None else ""
        return f"stalled{age_s}"
    return row.vm.state.value


def _host_line(connection: ConnectionView) -> str:
    label = plain(connection.label)
    if connection.status is not ConnectionStatus.UP:
        why = f": {connection.problem.what}" if connection.problem else ""
        return f"{label} is {connection.status.value}{why}"
    running = sum(row.vm.state is State.RUNNING for row in connection.vms)
    told = [
        f"{name} {text}{unit}"
        for name, figure, unit in (
            ("CPU", "cpu", " %"),
            ("psi", "psi_cpu_some", " %"),
            ("memory", "memory_used", ""),
            ("of", "memory_total", ""),
            ("read", "read_bytes", ""),
            ("write", "write_bytes", ""),
            ("rx", "rx_bytes", ""),
            ("tx", "tx_bytes", ""),
        )
        if (text := HOST_BY_ID[figure].text(connection)) != "–"
    ]
    host = f" · {plain(connection.host.name)}" if connection.host else ""
    return f"{label}{host} · {running} running · " + "  ".join(told)


def width(text: str) -> int:
    """The cells that a terminal gives `text`."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def padded(text: str, cells: int, *, right: bool = False) -> str:
    """`text` filled up with spaces."""
    space = " " * (cells - width(text))
    return space + text if right else text + space


def fitted(lines: Sequence[str], columns: int, height: int) -> list[str]:
    """As many lines as there is room for, none wider than that; the last counts what is left."""
    if len(lines) > height:
        left = len(lines) - max(0, height - 1)
        lines = [*lines[: height - 1], f"… and {left} more"]
    return [_cut(line, columns) for line in lines]


def _cut(line: str, columns: int) -> str:
    if width(line) <= columns:
        return line
    room = columns - 1
    for place, character in enumerate(line):
        room -= _cells(character)
        if room < 0:
            return line[:place] + "…"
    return line
