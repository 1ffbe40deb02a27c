"""The panes of hosts and VMs in the app, with a clock that the tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from tests.tui.support import (
    FIXED_CLOCK,
    Stalling,
    fleet_of,
    nothing_missing,
    point,
    press,
    shown,
    until,
)
from vmtui.app import FleetChanged, VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.config import Config
from vmtui.counters import Counters, HostCounters, Measure, Stalled
from vmtui.figures import BY_ID
from vmtui.host_figures import HOST_BY_ID
from vmtui.model import VMId
from vmtui.screens.host import HostScreen
from vmtui.screens.vm import VMScreen
from vmtui.views import VMView
from vmtui.widgets.clock import Clock
from vmtui.widgets.lines import Line, Panel


class Hands:
    """The hands of a clock."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class UserMode(DemoBackend):
    """Its network cards have no counters."""

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        found = dict(await super().counters(vms))
        for vm_id, sample in found.items():
            assert isinstance(sample, Counters)
            nics = tuple(
                replace(nic, rx_bytes=None, tx_bytes=None, why_missing="QEMU's own network")
                for nic in sample.nics
            )
            missing = {Measure.EXITS: "only KVM counts exits"}
            cpu = replace(sample.cpu, exits=None) if sample.cpu else None
            found[vm_id] = replace(sample, nics=nics, missing=missing, cpu=cpu)
        return found


class Remote(DemoBackend):
    """A host that tells what libvirt tells of one far away."""

    async def host_counters(self) -> HostCounters:
        whole = await super().host_counters()
        why = "libvirt does not tell it of another machine"
        return HostCounters(
            whole.at_s,
            cpu=whole.cpu,
            memory_total_bytes=whole.memory_total_bytes,
            memory_available_bytes=whole.memory_available_bytes,
            missing=dict.fromkeys(
                (Measure.PRESSURE, Measure.KSM, Measure.DISKS, Measure.NICS), why
            ),
        )


async def pass_time(app: VmtuiApp, hands: Hands, pilot: Pilot[None], seconds: int = 1) -> None:
    """So many samples a second apart, and the view after the last."""
    for _ in range(seconds):
        hands.now_s += 1
        for connection in app.fleet.connections:
            await connection.sample()
    app.post_message(FleetChanged(app.fleet.view()))
    await pilot.pause()


@asynccontextmanager
async def still(
    kind: type[DemoBackend] = DemoBackend, *, size: tuple[int, int] = (120, 40), seconds: int = 70
) -> AsyncIterator[tuple[VmtuiApp, Pilot[None], Hands, DemoBackend]]:
    """The app after so many samples of one backend; nothing moves by itself."""
    hands = Hands()
    backend = kind(clock=hands)
    fleet = fleet_of(backend, still=True)
    clock = Clock(FIXED_CLOCK.unix_s, hands, FIXED_CLOCK.local)
    app = VmtuiApp(fleet, Config(), clock=clock, examine=nothing_missing)
    try:
        async with app.run_test(size=size) as pilot:
            await fleet.connect()
            for connection in fleet.connections:
                await connection.load_host()
            await pass_time(app, hands, pilot, seconds)
            yield app, pilot, hands, backend
    finally:
        await fleet.close()


def row_of(app: VmtuiApp, name: str) -> VMView:
    return next(row for row in app.fleet.view().vms if row.vm.name == name)


def counting(pane: Panel, drawn: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note in `drawn` when a pane is painted."""
    body = pane.body

    def counted(width: int, height: int) -> Sequence[Line]:
        drawn.append(type(pane).__name__)
        return body(width, height)

    monkeypatch.setattr(pane, "body", counted)


async def open_vm(app: VmtuiApp, pilot: Pilot[None], name: str) -> VMScreen:
    await point(pilot, app, name)
    await press(pilot, "enter")
    await until(pilot, lambda: isinstance(app.screen, VMScreen))
    screen = app.screen
    assert isinstance(screen, VMScreen)
    await until(pilot, lambda: "CPU" in shown(screen.detail))
    return screen


# -- VMs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_overview_shows_what_the_figures_say(size: tuple[int, int]) -> None:
    async with still(size=size) as (app, pilot, _, _):
        await point(pilot, app, "web-01")
        text = shown(app.dashboard.detail)
        row = row_of(app, "web-01")
        names = ["cpu", "read_iops", "write_iops"]
        if size[0] >= 120:
            names += ["ready", "cpu_core", "memory_actual", "guest_available", "rss", "capacity"]
        for name in names:
            assert BY_ID[name].text(row) in text, name
        for title in ("CPU", "Memory", "Disk vda", "Net", "running"):
            assert title in text


async def test_a_balloon_that_took_memory_is_an_alarm_below_the_ceiling() -> None:
    async with still() as (app, pilot, _, _):
        await point(pilot, app, "web-01")
        assert "actual    ▲3 GiB" in shown(app.dashboard.detail)
        assert "≤ 4 GiB" in shown(app.dashboard.detail)


async def test_a_network_card_without_counters_says_why() -> None:
    async with still(UserMode) as (app, pilot, _, _):
        await point(pilot, app, "web-01")
        text = shown(app.dashboard.detail)
        assert "Net  n/a" in text
        assert "n/a: QEMU's own" in text
        assert "exit/s n/a" in text
        screen = await open_vm(app, pilot, "web-01")
        assert "n/a: exits: only KVM counts exits" in shown(screen.detail)


async def test_a_stalled_vm_is_grey_and_as_old_as_it_is() -> None:
    async with still(Stalling) as (app, pilot, hands, backend):
        assert isinstance(backend, Stalling)
        await point(pilot, app, "web-01")
        detail = app.dashboard.detail
        before = row_of(app, "web-01")
        backend.stalled = frozenset({"web-01"})
        await pass_time(app, hands, pilot, 12)
        text = shown(detail)
        assert "stalled 12 s" in text
        assert BY_ID["cpu"].text(before) in text  # the last known
        used = {segment.style for segment in detail.render_line(1) if segment.text.strip(" │")}
        inks = detail.ink
        assert not {s.color for s in used if s} & {inks.cpu.color, inks.strong.color}
        backend.stalled = frozenset()
        await pass_time(app, hands, pilot, 2)
        assert "stalled" not in shown(detail)


async def test_figures_that_nobody_renews_say_how_old_they_are() -> None:
    async with still() as (app, pilot, hands, _):
        await point(pilot, app, "web-01")
        detail, hosts = app.dashboard.detail, app.dashboard.hosts
        hands.now_s += 2
        app.dashboard.tick()
        assert "ago" not in shown(detail).splitlines()[0] + shown(hosts).splitlines()[0]
        hands.now_s += 10
        app.dashboard.tick()
        assert "12 s ago" in shown(detail).splitlines()[0]
        assert "12 s ago" in shown(hosts).splitlines()[0]


async def test_what_did_not_change_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with still() as (app, pilot, hands, _):
        await point(pilot, app, "web-01")
        drawn: list[str] = []
        for pane in (app.dashboard.detail, app.dashboard.hosts):
            counting(pane, drawn, monkeypatch)
        app.post_message(FleetChanged(app.fleet.view()))
        await pilot.pause()
        app.dashboard.tick()
        assert drawn == []
        await pass_time(app, hands, pilot)
        app.dashboard.tick()
        assert sorted(drawn) == ["Detail", "HostPane"]


async def test_the_full_view_has_every_graph_above_one_axis() -> None:
    async with still(seconds=400) as (app, pilot, _, _):
        screen = await open_vm(app, pilot, "web-01")
        text = shown(screen.detail)
        for label in ("ready", "guest", "on host", "read", "write", "latency", "in", "out"):
            assert f" {label} " in text
        for kind in ("halt", "mmio"):
            assert kind in text
        axis = text.splitlines()[-2]
        assert "╵-5 min" in axis
        assert "now╵" in axis


async def test_zoom_pan_and_back_to_now() -> None:
    async with still(seconds=400) as (app, pilot, hands, _):
        screen = await open_vm(app, pilot, "web-01")

        def axis() -> str:
            return shown(screen.detail).splitlines()[-2]

        await press(pilot, "plus")
        assert "╵-1 min" in axis()
        await press(pilot, "minus", "minus")
        assert "╵-15 min" in axis()
        await press(pilot, "minus", "minus")
        assert "╵-60 min" in axis()
        await press(pilot, "plus", "plus", "left")
        assert "now╵" not in axis()
        standing = shown(screen.detail).splitlines()[3][:60]
        await pass_time(app, hands, pilot, 3)
        assert shown(screen.detail).splitlines()[3][:60] == standing
        await press(pilot, "0")
        assert "now╵" in axis()
        await press(pilot, "h", "h", "end")
        assert "now╵" in axis()
        await press(pilot, "h", "l")
        assert "now╵" in axis()


async def test_a_low_full_view_scrolls() -> None:
    async with still(size=(80, 24)) as (app, pilot, _, _):
        screen = await open_vm(app, pilot, "web-01")
        assert "Net" not in shown(screen.detail)
        await press(pilot, "G")
        await press(pilot, "pagedown", "pagedown")
        assert "Net" in shown(screen.detail)
        await press(pilot, "home")
        assert "── CPU" in shown(screen.detail)


async def test_facts_stay_a_tab_away() -> None:
    async with still() as (app, pilot, _, _):
        screen = await open_vm(app, pilot, "web-01")
        await press(pilot, "shift+tab")
        for text in ("UUID", "firmware", "52:54:00", "uptime"):
            assert text in shown(screen.detail)


async def test_a_vm_that_is_off_shows_its_facts() -> None:
    async with still() as (app, pilot, _, _):
        await point(pilot, app, "old-db")
        assert "UUID" in shown(app.dashboard.detail)
        assert "⣀" not in shown(app.dashboard.detail)


# -- hosts -----------------------------------------------------------------------------------------


async def test_a_single_host_shows_its_panes_and_opens_in_full() -> None:
    async with still() as (app, pilot, _, _):
        connection = app.fleet.view().connections[0]
        text = shown(app.dashboard.hosts)
        for name in ("cpu", "iops", "held"):
            assert HOST_BY_ID[name].text(connection) in text
        app.dashboard.hosts.focus()
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, HostScreen))
        screen = app.screen
        assert isinstance(screen, HostScreen)
        text = shown(screen.host)
        for word in ("nvme0n1", "eth0", "promised", "KSM", "swap", "iowait", "steal", "load"):
            assert word in text
        assert " 15 ▰" in text  # the last CPU
        await press(pilot, "minus")
        assert "╵-15 min" in shown(screen.host)
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_what_a_remote_host_does_not_tell_is_na_with_the_reason() -> None:
    async with still(Remote) as (app, pilot, _, _):
        assert "n/a" in shown(app.dashboard.hosts)
        app.dashboard.hosts.focus()
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, HostScreen))
        screen = app.screen
        assert isinstance(screen, HostScreen)
        text = " ".join(shown(screen.host).split())
        assert "n/a: pressure: libvirt does not tell" in text
        assert "Disk n/a" in text


async def test_every_pane_explains_its_figures() -> None:
    async with still() as (app, pilot, _, _):
        await point(pilot, app, "web-01")
        for pane in (app.dashboard.detail, app.dashboard.hosts):
            explained = pane.explanations()
            assert all(e.meaning and e.source for e in explained)
            assert {"CPU %", "CPU"} & {e.title for e in explained}
