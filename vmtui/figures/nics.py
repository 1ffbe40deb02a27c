"""The figures of a VM's network cards, over all of them."""

from __future__ import annotations

from collections.abc import Callable

from vmtui.counters import Measure
from vmtui.figures.figure import Figure, Source, Unit, total
from vmtui.rates import NicRates
from vmtui.views import VMView


def _over_nics(get: Callable[[NicRates], float | None]) -> Callable[[VMView], float | None]:
    def value(row: VMView) -> float | None:
        return total(map(get, row.rates.nics)) if row.rates else None

    return value


def _drops(row: VMView) -> float | None:
    percents = [nic.drop_percent for nic in row.rates.nics] if row.rates else []
    return max((percent for percent in percents if percent is not None), default=None)


NIC_FIGURES = (
    Figure(
        "rx_bytes",
        "RX",
        Unit.BYTES_PER_S,
        "Bytes per second that the guest received, over all cards.",
        Source("the tap's tx_bytes", "net.N.rx.bytes"),
        Measure.NICS,
        _over_nics(lambda nic: nic.rx_bytes_per_s),
    ),
    Figure(
        "tx_bytes",
        "TX",
        Unit.BYTES_PER_S,
        "Bytes per second that the guest sent, over all cards.",
        Source("the tap's rx_bytes", "net.N.tx.bytes"),
        Measure.NICS,
        _over_nics(lambda nic: nic.tx_bytes_per_s),
    ),
    Figure(
        "rx_packets",
        "RX PKT/s",
        Unit.PER_S,
        "Packets per second that the guest received.",
        Source("the tap's tx_packets", "net.N.rx.pkts"),
        Measure.NICS,
        _over_nics(lambda nic: nic.rx_packets_per_s),
    ),
    Figure(
        "tx_packets",
        "TX PKT/s",
        Unit.PER_S,
        "Packets per second that the guest sent.",
        Source("the tap's rx_packets", "net.N.tx.pkts"),
        Measure.NICS,
        _over_nics(lambda nic: nic.tx_packets_per_s),
    ),
    Figure(
        "errors",
        "ERR/s",
        Unit.PER_S,
        "Packets per second that were damaged, both ways.",
        Source("the tap's *_errors", "net.N.{rx,tx}.errs"),
        Measure.NICS,
        _over_nics(lambda nic: nic.errors_per_s),
    ),
    Figure(
        "drops",
        "DROP %",
        Unit.PERCENT,
        "Packets that were dropped instead of delivered, both ways, in percent of all; the worst "
        "card.",
        Source("the tap's *_dropped", "net.N.{rx,tx}.drop"),
        Measure.NICS,
        _drops,
    ),
)
