"""Alarms in the interface: in the row, in the header, and the way to them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from textual.strip import Strip

from tests.tui.support import Stalling, names, point, press, running, said, shown, until
from vmtui.alarms import DEFAULT_THRESHOLDS
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.config import OFF, SUSTAINED, Config
from vmtui.theming import ink_of
from vmtui.widgets.states import ALARM

QUIET: dict[str, float | str] = dict.fromkeys(DEFAULT_THRESHOLDS, OFF)
BALLOON = Config(alarms={**QUIET, "balloon": 0.0, SUSTAINED: 0.0})
NEVER = Config(alarms={**QUIET, SUSTAINED: 0.0})


def strip_of(app: VmtuiApp, name: str) -> Strip:
    table = app.dashboard.table
    return table.render_line(names(app).index(name) + 1)


def alarmed(app: VmtuiApp) -> list[str]:
    return [name for name in names(app) if strip_of(app, name).text[2] == ALARM]


def loud(app: VmtuiApp, name: str) -> Iterator[str]:
    """What stands in the row in the colour of alarms."""
    bad = ink_of(app).bad.color
    for segment in strip_of(app, name):
        if segment.style is not None and segment.style.color == bad and segment.text.strip():
            yield segment.text.strip()


async def test_a_breach_is_a_symbol_and_a_colour_in_row_and_cell() -> None:
    async with running(config=BALLOON) as (app, pilot):
        await until(pilot, lambda: alarmed(app) == ["web-01"])
        await until(pilot, lambda: [*loud(app, "web-01")] == [ALARM, f"{ALARM}1 GiB"])
        assert [*loud(app, "postgres")] == []
        for key in "2345":  # the row says it where no column does
            await press(pilot, key)
            assert [*loud(app, "web-01")] == [ALARM]


async def test_the_header_counts_alarms() -> None:
    two = Config(alarms={**QUIET, "balloon": 0.0, "memory": "4G", SUSTAINED: 0.0})
    async with running(config=two) as (app, pilot):
        # The balloon of web-01, and what has more than 4 GiB.
        await until(pilot, lambda: f"{ALARM} 5 alarms" in shown(app.dashboard.top_bar))
    async with running(config=BALLOON) as (app, pilot):
        await until(pilot, lambda: f"{ALARM} 1 alarm " in shown(app.dashboard.top_bar))
    async with running(config=NEVER) as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        assert "alarm" not in shown(app.dashboard.top_bar)


async def test_a_goes_round_the_alarms_and_says_when_there_is_none() -> None:
    config = Config(alarms={**QUIET, "memory": "4G", SUSTAINED: 0.0})
    async with running(config=config) as (app, pilot):
        await until(pilot, lambda: len(alarmed(app)) == 4)
        table, visited = app.dashboard.table, []
        await point(pilot, app, "router")
        for _ in range(5):
            await press(pilot, "a")
            assert table.current is not None
            visited.append(table.current.vm.name)
        assert sorted(visited[:4]) == alarmed(app)
        assert visited[4] == visited[0]
        places = [names(app).index(name) for name in visited]
        assert sum(later < earlier for earlier, later in pairwise(places)) == 1
    async with running(config=NEVER) as (app, pilot):
        before = app.dashboard.table.rows.index
        await press(pilot, "a")
        assert "No VM has an alarm." in said(app)
        assert app.dashboard.table.rows.index == before


async def test_the_alarm_of_the_row_under_the_cursor_is_told() -> None:
    async with running(config=BALLOON) as (app, pilot):
        words = app.dashboard.status._words
        await until(pilot, lambda: alarmed(app) == ["web-01"])
        assert "BALLOON" not in shown(words)
        await press(pilot, "a")
        assert f"  {ALARM} BALLOON 1 GiB is above 0 B for " in shown(words)


async def test_one_spike_is_no_alarm() -> None:
    config = Config(alarms={**QUIET, "balloon": 0.0, SUSTAINED: 3600.0})
    async with running(config=config) as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        await until(pilot, lambda: "1 GiB" in strip_of(app, "web-01").text)
        assert alarmed(app) == []


async def test_what_does_not_answer_raises_no_alarm() -> None:
    backend = Stalling()
    async with running(backend, config=BALLOON) as (app, pilot):
        await until(pilot, lambda: alarmed(app) == ["web-01"])
        backend.stalled = frozenset({"web-01"})
        await until(pilot, lambda: alarmed(app) == [])
        assert "alarm" not in shown(app.dashboard.top_bar)
        backend.stalled = frozenset()
        await until(pilot, lambda: alarmed(app) == ["web-01"])


async def test_a_vm_that_is_switched_off_has_no_alarm() -> None:
    backend = DemoBackend()
    async with running(backend, config=BALLOON) as (app, pilot):
        await until(pilot, lambda: alarmed(app) == ["web-01"])
        await point(pilot, app, "web-01")
        await press(pilot, "d")
        await until(pilot, lambda: alarmed(app) == [])
