"""`vmtui exporter`: names and values as Prometheus expects them, and nothing that is not known."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from vmtui.alarms import Thresholds
from vmtui.backends.base import Endpoint
from vmtui.backends.demo import DemoBackend
from vmtui.counters import ALL_EXITS
from vmtui.errors import OperationError, UsageError
from vmtui.exporter import FleetCollector, parse_listen, serving
from vmtui.fleet import Fleet
from vmtui.views import Breach, FleetView, VMView

OTHER_UNITS = re.compile(r"(_|^)(ms|milliseconds|minutes|kib|mib|percent|ns|kilobytes)(_|$)")


async def sampled() -> FleetView:
    """A demo fleet of which all is known."""
    now_s = time.monotonic()
    backend = DemoBackend("demo:?vms=12", clock=lambda: now_s)
    fleet = Fleet([Endpoint(backend, 'a"b\\c')])
    await fleet.connect()
    await fleet.connections[0].load_host()
    for _ in range(3):
        now_s += 1
        await fleet.connections[0].sample()
    await fleet.close()
    return fleet.view()


def scraped(view: FleetView, thresholds: Thresholds | None = None) -> dict[str, Metric]:
    """What a scrape gives, read by the library's own parser."""
    registry = CollectorRegistry()
    registry.register(FleetCollector(view, thresholds or Thresholds()))
    text = generate_latest(registry).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(families: dict[str, Metric], name: str, **labels: str) -> list[float]:
    """The values of a metric that have those labels."""
    return [
        sample.value for sample in families[name].samples if labels.items() <= sample.labels.items()
    ]


def with_row(view: FleetView, name: str, **changes: object) -> FleetView:
    """The view with one row changed."""
    [connection] = view.connections
    rows = tuple(
        replace(row, **changes) if row.vm.name == name else row  # type: ignore[arg-type]
        for row in connection.vms
    )
    return replace(view, connections=(replace(connection, vms=rows),))


def row_of(view: FleetView, name: str) -> VMView:
    return next(row for row in view.vms if row.vm.name == name)


async def test_names_follow_the_conventions() -> None:
    families = scraped(await sampled())
    assert len(families) > 60
    for family in families.values():
        assert re.fullmatch(r"vmtui_[a-z0-9_]+", family.name)
        assert family.documentation.endswith(".")
        assert not OTHER_UNITS.search(family.name), family.name
        assert family.samples
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert "connection" in sample.labels
            assert ("vm" in sample.labels) == sample.name.startswith("vmtui_vm_")
            assert ("vm" in sample.labels) == ("uuid" in sample.labels)
        labels = [tuple(sorted(sample.labels.items())) for sample in family.samples]
        assert len(set(labels)) == len(labels)
    assert not any("per_second" in name or name.endswith("_rate") for name in families)


async def test_values_are_the_counters_in_base_units() -> None:
    view = await sampled()
    families = scraped(view)
    counters = row_of(view, "web-01").counters
    assert counters
    assert counters.cpu
    assert counters.cpu.time_ns
    [cpu_s] = values(families, "vmtui_vm_cpu_seconds", vm="web-01")
    assert cpu_s == pytest.approx(counters.cpu.time_ns / 1e9)
    assert len(values(families, "vmtui_vm_vcpu_ready_seconds", vm="web-01")) == 4
    [reads] = values(families, "vmtui_vm_disk_reads", vm="web-01", disk="vda")
    assert reads == counters.disks[0].reads
    [received] = values(families, "vmtui_vm_network_receive_bytes", vm="web-01")
    assert received == counters.nics[0].rx_bytes
    assert values(families, "vmtui_vm_info", vm="web-01", accel="kvm") == [1]
    assert values(families, "vmtui_vm_state", vm="build", state="paused") == [1]
    assert sum(values(families, "vmtui_vm_state", vm="build")) == 1
    assert values(families, "vmtui_up", connection='a"b\\c') == [1]
    for some in values(families, "vmtui_host_pressure_ratio"):
        assert 0 <= some <= 1


async def test_what_is_not_known_is_left_out() -> None:
    view = await sampled()
    families = scraped(view)
    assert values(families, "vmtui_vm_cpu_seconds", vm="old-db") == []  # it is off
    assert values(families, "vmtui_vm_memory_target_bytes", vm="win11") == []
    stalled = scraped(with_row(view, "web-01", stalled="no answer for 3 s"))
    assert values(stalled, "vmtui_vm_stalled", vm="web-01") == [1]
    assert values(stalled, "vmtui_vm_cpu_seconds", vm="web-01") == []
    assert values(stalled, "vmtui_vm_alarm", vm="web-01") == []
    rates = row_of(view, "web-01").rates
    assert rates
    assert rates.guest
    stale = with_row(view, "web-01", rates=replace(rates, guest=replace(rates.guest, fresh=False)))
    assert values(families, "vmtui_vm_guest_memory_total_bytes", vm="web-01")
    assert values(scraped(stale), "vmtui_vm_guest_memory_total_bytes", vm="web-01") == []


async def test_all_exits_are_told_beside_their_kinds() -> None:
    view = await sampled()
    counters = row_of(view, "web-01").counters
    assert counters
    assert counters.cpu
    cpu = replace(counters.cpu, exits={ALL_EXITS: 100, "io": 30, "halt": 50})
    families = scraped(with_row(view, "web-01", counters=replace(counters, cpu=cpu)))
    assert values(families, "vmtui_vm_all_exits", vm="web-01") == [100]
    assert sorted(values(families, "vmtui_vm_exits", vm="web-01")) == [30, 50]


async def test_alarms_are_0_or_1_for_every_threshold() -> None:
    view = await sampled()
    breach = Breach("balloon", 1.0, 0.0, 0.0)
    families = scraped(with_row(view, "web-01", breaches=(breach,)))
    assert values(families, "vmtui_vm_alarm", vm="web-01", figure="balloon") == [1]
    assert values(families, "vmtui_vm_alarm", vm="win11", figure="balloon") == [0]


async def test_names_from_outside_do_not_break_a_scrape() -> None:
    view = await sampled()
    vm = replace(row_of(view, "web-01").vm, name='x"\\\n\x1b[31m\ud800{}')
    families = scraped(with_row(view, "web-01", vm=vm))
    assert values(families, "vmtui_vm_vcpus", uuid=vm.uuid) == [4]


async def test_a_connection_that_is_not_up_is_only_that() -> None:
    fleet = Fleet([Endpoint(DemoBackend(), "demo")])
    families = scraped(fleet.view())
    assert families.keys() == {"vmtui_up"}
    assert values(families, "vmtui_up", connection="demo") == [0]


# -- serving -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:9177", ("127.0.0.1", 9177)),
        ("[::1]:9177", ("::1", 9177)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses(text: str, parsed: tuple[str, int]) -> None:
    assert parse_listen(text) == parsed


@pytest.mark.parametrize(
    "text", ["", "9177", ":9177", "127.0.0.1", "::1:9177", "a:b", "a:-1", "a:65536", "[]:1"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(UsageError):
        parse_listen(text)


@contextmanager
def running(tmp_path: Path, listen: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The exporter, once it says where it listens."""
    command = [sys.executable, "-m", "vmtui", "--demo", "exporter", "--listen", listen]
    command += ["--interval", "0.2"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        try:
            yield process, told.split()[-1]
        finally:
            if process.poll() is None:
                process.kill()


def fetched(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal(tmp_path: Path, listen: str, number: int) -> None:
    with running(tmp_path, listen) as (process, url):
        deadline_s = time.monotonic() + 30
        while 'vm="web-01"' not in (text := fetched(url)):
            assert time.monotonic() < deadline_s, text
        assert list(text_string_to_metric_families(text))
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read() + process.stderr.read() == ""


def test_an_open_address_is_warned_of(tmp_path: Path) -> None:
    with running(tmp_path, "0.0.0.0:0") as (process, _):
        assert process.stderr is not None
        assert "whoever reaches this address" in process.stderr.readline()


async def test_a_port_in_use_is_told() -> None:
    collector = FleetCollector(await sampled(), Thresholds())
    async with serving(collector, "127.0.0.1", 0) as port:
        with pytest.raises(OperationError) as caught:
            async with serving(collector, "127.0.0.1", port):
                pass
    assert "in use" in caught.value.why
    assert "--listen" in caught.value.hint
