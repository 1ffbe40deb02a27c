"""`vmtui top`: the figures of all VMs round by round, on a terminal or into a pipe."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from vmtui.errors import EXIT_DONE, UnreachableError, UsageError
from vmtui.figures import BY_ID
from vmtui.fleet import Fleet
from vmtui.opening import Losses, supervised
from vmtui.output import until_nobody_reads
from vmtui.samples import WORDS, Csv, as_json, as_table, fitted
from vmtui.views import ConnectionStatus, FleetView, VMRef, VMView

CONNECTING_LIMIT_S = 5.0
"""Connections that are not up by then, or have no figures a little later, hold up no others."""

LATE_INTERVALS = 2
"""A connection whose sample takes longer than so many does not hold up a round."""

Writer = Callable[[FleetView, Sequence[VMView]], None]


async def top(options: argparse.Namespace) -> int:
    """`vmtui top`."""
    order = Order.parse(options.sort)
    count = options.count
    if count is not None and count < 1:
        raise UsageError(f"--count {count} can't be used", why="it has to be at least 1")
    losses = Losses()
    in_place = sys.stdout.isatty() and not (options.json or options.csv)
    wanted: set[VMRef] | None = None
    async with until_nobody_reads(), supervised(options) as fleet:
        with _writer(options) as write:
            async with aclosing(rounds(fleet)) as views:
                async for view in views:
                    if options.vm and wanted is None:
                        wanted = {fleet.find(name) for name in options.vm}
                        fleet.look_at(wanted)
                    if not in_place:  # where there is a line for it
                        losses.tell(view)
                    rows = [row for row in view.vms if wanted is None or row.ref in wanted]
                    write(view, order.sorted(rows))
                    count = count and count - 1
                    if count == 0:
                        break
    return EXIT_DONE


# -- rounds ------------------------------------------------------------------------------------


async def rounds(fleet: Fleet) -> AsyncGenerator[FleetView, None]:
    """A view for every round of samples over all connections, once there are rates of all VMs.

    A connection or a VM that is late holds up no round for longer than another interval. Raises
    what is wrong if no connection comes up at all.
    """
    changed = asyncio.Event()
    unwatch = fleet.watch(lambda _: changed.set())
    before: dict[str, float] = {}
    started = False
    first_late_s = CONNECTING_LIMIT_S + LATE_INTERVALS * fleet.interval_s
    late = asyncio.get_running_loop().time() + first_late_s
    try:
        while True:
            changed.clear()
            view = fleet.view()
            up = [c for c in view.connections if c.status is not ConnectionStatus.DOWN]
            if not up and not started:
                raise view.connections[0].problem or UnreachableError("nothing is connected")
            now = _sampled(view)
            complete = bool(now) and all(
                now.get(c.uri) not in (None, before.get(c.uri)) for c in up
            )
            if not started:  # later ones do not wait for a VM that comes up
                complete = complete and all(map(_has_figures, view.vms))
            over = asyncio.get_running_loop().time() >= late and (now or started)
            if complete or over:
                before, started = now, True
                pause_s = max(fleet.interval_s, *(c.interval_s for c in view.connections))
                late = asyncio.get_running_loop().time() + LATE_INTERVALS * pause_s
                yield view
                continue
            try:
                async with asyncio.timeout_at(late if now or started else None):
                    await changed.wait()
            except TimeoutError:
                pass
    finally:
        unwatch()


def _sampled(view: FleetView) -> dict[str, float]:
    """When each connection that has rates was sampled."""
    return {
        c.uri: c.host_counters.at_s
        for c in view.connections
        if c.status is ConnectionStatus.UP and c.host_counters is not None and c.interval_s > 0
    }


def _has_figures(row: VMView) -> bool:
    """Whether there is no more to be known of it than there is."""
    return not row.vm.state.active or row.rates is not None or bool(row.stalled)


@dataclass(frozen=True, slots=True)
class Order:
    """By which figure or word rows are sorted: figures from the highest, words from A."""

    by: str
    turned: bool = False

    @classmethod
    def parse(cls, text: str) -> Order:
        """`COLUMN`, or `-COLUMN` for the other direction. Raises UsageError."""
        name = text.removeprefix("-")
        if name not in BY_ID and name not in WORDS:
            raise UsageError(
                f"--sort {text} can't be used",
                why="there is no such figure",
                hint="There is: " + ", ".join([*WORDS, *BY_ID]) + ".",
            )
        return cls(name, text.startswith("-"))

    def sorted(self, rows: Sequence[VMView]) -> list[VMView]:
        """The rows in this order; those without a value come last."""
        if self.by in WORDS:
            return sorted(rows, key=WORDS[self.by], reverse=self.turned)
        figure = BY_ID[self.by]
        values = {row.ref: figure.of(row) for row in rows}
        known = [row for row in rows if values[row.ref] is not None]
        known.sort(key=lambda row: values[row.ref] or 0.0, reverse=not self.turned)
        return known + [row for row in rows if values[row.ref] is None]


# -- writing -----------------------------------------------------------------------------------


@contextmanager
def _writer(options: argparse.Namespace) -> Iterator[Writer]:
    out = sys.stdout
    if options.json:
        yield lambda view, rows: print(as_json(view, rows), flush=True)
    elif options.csv:
        table = Csv(out)

        def write_csv(view: FleetView, rows: Sequence[VMView]) -> None:
            table.write(view, rows)
            out.flush()

        yield write_csv
    elif not out.isatty():
        first = True

        def write_table(view: FleetView, rows: Sequence[VMView]) -> None:
            nonlocal first
            print(*([] if first else [""]), *as_table(view, rows), sep="\n", flush=True)
            first = False

        yield write_table
    else:
        with _in_place() as draw:
            yield draw


_CLEAR, _HOME, _END_OF_LINE, _REST = "\x1b[H\x1b[2J", "\x1b[H", "\x1b[K", "\x1b[J"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@contextmanager
def _in_place() -> Iterator[Writer]:
    """A table that each round overwrites; the last one stays on the terminal."""
    out = sys.stdout
    start = _HIDE_CURSOR + _CLEAR

    def draw(view: FleetView, rows: Sequence[VMView]) -> None:
        nonlocal start
        columns, lines = os.get_terminal_size(out.fileno())
        shown = fitted(as_table(view, rows), columns, lines - 1)
        out.write(start + _HOME + "".join(f"{line}{_END_OF_LINE}\r\n" for line in shown) + _REST)
        out.flush()
        start = ""

    try:
        yield draw
    finally:
        if not start:
            out.write(_SHOW_CURSOR)
            out.flush()
