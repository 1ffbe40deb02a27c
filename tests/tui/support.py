"""The app on a demo fleet, backends that misbehave, and what is on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

from textual.pilot import Pilot
from textual.widget import Widget

from vmtui.alarms import Thresholds
from vmtui.app import VmtuiApp
from vmtui.backends.base import Backend, Endpoint, Feature
from vmtui.backends.demo import DemoBackend
from vmtui.backends.demo_console import DemoConsole, DemoGuest
from vmtui.backends.registry import label
from vmtui.config import Config
from vmtui.counters import Counters, Stalled
from vmtui.errors import OperationError, UnreachableError
from vmtui.fleet import Fleet
from vmtui.model import VM, Accel, Host, Power, VMId
from vmtui.screens.base import Check
from vmtui.widgets.clock import Clock
from vmtui.widgets.lines import Lines
from vmtui.widgets.vm_table import VMTable

PATIENCE_S = 10.0

FIXED_CLOCK = Clock(
    unix_s=lambda: 1_800_000_000.0,
    monotonic_s=lambda: 5_000.0,
    local=lambda: datetime(2026, 3, 14, 10, 42, 7),
)


class Unreachable(DemoBackend):
    """A connection that never comes up."""

    async def open(self) -> None:
        raise UnreachableError(
            "lab2 can't be reached", why="connection refused", hint="Is libvirtd running there?"
        )


class Stubborn(DemoBackend):
    """Refuses every operation on VMs of the given names."""

    stubborn: frozenset[str] = frozenset()

    async def power(self, vm: VMId, op: Power) -> None:
        name = (await self.vm(vm)).name
        if name in self.stubborn:
            raise OperationError(f"{name} does not {op.value}", why="it is stubborn")
        await super().power(vm, op)


class Renamed(DemoBackend):
    """Its first VMs have names from outside."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        for vm, name in zip(list(self._vms.values()), names, strict=False):
            self._vms[vm.id] = replace(vm, name=name)


class Leased(DemoBackend):
    """Its web-01 has a tag, and an address from a lease."""

    async def vms(self) -> Sequence[VM]:
        return [
            replace(vm, tags=("shop",), addresses=("10.0.0.7",), address_origin="lease")
            if vm.name == "web-01"
            else vm
            for vm in await super().vms()
        ]


class Slow(DemoBackend):
    """Operations wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def power(self, vm: VMId, op: Power) -> None:
        await self.gate.wait()
        await super().power(vm, op)


class Stalling(DemoBackend):
    """VMs of the given names stop answering when told so."""

    stalled: frozenset[str] = frozenset()

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        found = dict(await super().counters(vms))
        for vm_id in found:
            if (await self.vm(vm_id)).name in self.stalled:
                found[vm_id] = Stalled("no answer for 3 s")
        return found


class Held(DemoBackend):
    """Somebody else is attached to every console; `opened` are those that were taken from him."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[VMId] = []

    async def console(
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> DemoConsole:
        guest = await self.guest(vm, name)
        if guest.holder is None and vm not in self.opened:
            await super().console(vm, name)
        console = await super().console(vm, name, force=force, history_bytes=history_bytes)
        self.opened.append(vm)
        return console


class Silent(DemoBackend):
    """Its guests print nothing, on consoles that have no past."""

    async def guest(self, vm_id: VMId, name: str = "") -> DemoGuest:
        guest = await super().guest(vm_id, name)
        guest.forget()
        return guest


class Consoleless(DemoBackend):
    """A connection without consoles."""

    features = DemoBackend.features & ~Feature.CONSOLE


class Emulated(DemoBackend):
    """A host where KVM does not work."""

    async def host(self) -> Host:
        return replace(
            await super().host(), accel=Accel.TCG, accel_reason="/dev/kvm opens, but guests hang"
        )

    async def vms(self) -> Sequence[VM]:
        return [replace(vm, accel=Accel.TCG) for vm in await super().vms()]


class Still(Fleet):
    """A fleet that only changes when a test says so."""

    def supervise(self) -> None:
        """Nothing happens by itself."""


async def nothing_missing() -> tuple[Check, ...]:
    """A doctor that is content."""
    return ()


def fleet_of(
    *backends: Backend,
    read_only: bool = False,
    still: bool = False,
    thresholds: Thresholds | None = None,
) -> Fleet:
    """A fleet of backends, or of the demo."""
    kind = Still if still else Fleet
    chosen = backends or (DemoBackend(read_only=read_only),)
    endpoints = [Endpoint(backend, label(backend.uri)) for backend in chosen]
    return kind(endpoints, interval_s=0.2, read_only=read_only, thresholds=thresholds)


@asynccontextmanager
async def running(
    *backends: Backend,
    size: tuple[int, int] = (120, 40),
    config: Config | None = None,
    read_only: bool = False,
    rows: bool = True,
) -> AsyncIterator[tuple[VmtuiApp, Pilot[None]]]:
    """The app, once it shows VMs."""
    config = config or Config()
    fleet = fleet_of(*backends, read_only=read_only, thresholds=config.thresholds())
    app = VmtuiApp(fleet, config, examine=nothing_missing)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            if rows:
                await until(pilot, lambda: bool(app.dashboard.table.rows.shown))
            yield app, pilot
    finally:
        await fleet.close()


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a limit."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await pilot.pause(0.01)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and let all that follows at once happen."""
    await pilot.press(*keys)
    await pilot.pause()


def shown(widget: Widget) -> str:
    """The text of a widget that draws lines."""
    assert isinstance(widget, Lines | VMTable)
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


def whole(app: VmtuiApp) -> str:
    """The text of the whole screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


def said(app: VmtuiApp) -> str:
    """All notifications that are on the screen."""
    return "\n".join(f"{note.title}\n{note.message}" for note in app._notifications)


def names(app: VmtuiApp) -> list[str]:
    """The rows in their order."""
    return [row.vm.name for row in app.dashboard.table.rows.shown]


def state_of(app: VmtuiApp, name: str) -> str:
    """The state of a VM."""
    return next(row.vm.state.value for row in app.fleet.view().vms if row.vm.name == name)


async def point(pilot: Pilot[None], app: VmtuiApp, name: str) -> None:
    """Put the cursor on a VM."""
    app.dashboard.table.action_cursor_to(names(app).index(name))
    await pilot.pause()
