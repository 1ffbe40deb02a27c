"""`vmtui exporter`: serves the figures of the fleet to Prometheus over HTTP."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from vmtui.alarms import Thresholds
from vmtui.config import load
from vmtui.errors import EXIT_DONE, OperationError, UsageError
from vmtui.exposition import families
from vmtui.opening import Losses, supervised
from vmtui.units import plain
from vmtui.views import FleetView


async def exporter(options: argparse.Namespace) -> int:
    """`vmtui exporter`: until it is interrupted."""
    address, port = parse_listen(options.listen)
    async with supervised(options) as fleet:
        collector = FleetCollector(fleet.view(), load().thresholds())
        losses = Losses()

        def see(view: FleetView) -> None:
            collector.view = view
            losses.tell(view)

        fleet.watch(see)
        async with serving(collector, address, port):
            await asyncio.Event().wait()
    return EXIT_DONE


def parse_listen(text: str) -> tuple[str, int]:
    """The address and port of `ADDRESS:PORT`, an IPv6 address in brackets. Raises UsageError."""
    address, colon, port = text.rpartition(":")
    bracketed = address.startswith("[") and address.endswith("]")
    bare = address[1:-1] if bracketed else address
    if not colon or not bare or (":" in bare and not bracketed) or not port.isdecimal():
        raise UsageError(
            f"--listen {text} can't be used",
            why="it is not an address and a port",
            hint="Write it like 127.0.0.1:9177 or [::1]:9177.",
        )
    if int(port) > 65535:
        raise UsageError(f"--listen {text} can't be used", why="ports end at 65535")
    return bare, int(port)


class FleetCollector(Collector):
    """Gives Prometheus what the newest view says; a view is never changed, only replaced."""

    def __init__(self, view: FleetView, thresholds: Thresholds) -> None:
        self.view = view
        self._thresholds = thresholds

    def collect(self) -> Iterator[Metric]:
        """Called for every scrape, from the library's threads."""
        return families(self.view, self._thresholds, time.monotonic())

    def describe(self) -> Iterator[Metric]:
        """Nothing is collected to find out what there is."""
        return iter(())


@asynccontextmanager
async def serving(collector: Collector, address: str, port: int) -> AsyncIterator[int]:
    """Answer scrapes in the block; gives the port. Raises OperationError."""
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, thread = await asyncio.to_thread(start_http_server, port, address, registry)
    except (OSError, UnicodeError) as error:  # the latter: of a name that can't be one
        raise OperationError(
            f"can't listen on {address}, port {port}",
            why=getattr(error, "strerror", "") or str(error),
            hint="Choose another address or port with --listen.",
        ) from error
    try:
        host, bound = str(server.server_address[0]), server.server_port
        shown = f"[{host}]" if ":" in host else host
        print(f"vmtui: serving http://{plain(shown)}:{bound}/metrics", file=sys.stderr)
        if not ipaddress.ip_address(host).is_loopback:
            print("vmtui: whoever reaches this address can read it all", file=sys.stderr)
        sys.stderr.flush()
        yield bound
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        await asyncio.to_thread(thread.join)
