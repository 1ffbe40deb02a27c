"""`i`: every column and pane explains itself."""

from __future__ import annotations

import pytest

from tests.tui.support import point, press, running, shown, until, whole
from tests.tui.test_alarms import BALLOON, alarmed
from tests.tui.test_columns import UserNetwork
from vmtui.app import VmtuiApp
from vmtui.column_sets import DEFAULTS, ColumnSet
from vmtui.figures import BY_ID, FIGURES
from vmtui.screens.explain import ExplainScreen
from vmtui.screens.vm import VMScreen
from vmtui.widgets.all_columns import COLUMNS
from vmtui.widgets.explanation import source_of
from vmtui.widgets.listing import Listing


def told(app: VmtuiApp) -> str:
    """All that the screen says, also what has to be scrolled to."""
    return " ".join(shown(app.screen.query_one(Listing)).split())


@pytest.mark.parametrize("column_set", ColumnSet)
async def test_every_column_of_every_set_is_explained(column_set: ColumnSet) -> None:
    async with running(size=(80, 24)) as (app, pilot):
        await press(pilot, str(list(ColumnSet).index(column_set) + 1), "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        await until(pilot, lambda: f"{column_set.label} columns" in whole(app))
        for column in DEFAULTS[column_set]:
            if column in BY_ID:
                assert BY_ID[column].title in told(app)
                assert BY_ID[column].meaning in told(app)
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_the_column_that_rows_are_sorted_by_comes_first_with_its_value() -> None:
    async with running() as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        app.dashboard.table.sort(COLUMNS["ready"], descending=True)
        await point(pilot, app, "web-01")
        await press(pilot, "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        first = app.screen.query_one(Listing).render_line(0).text
        assert first.startswith("RDY %")
        assert first.rstrip().endswith(" %")
        assert "direct: /proc/PID/task/TID/schedstat" in told(app)
        assert "libvirt: vcpu.N.delay" in told(app)
        assert "alarm when RDY MAX is above 10.0 % for 10 s" in told(app)
        await press(pilot, "i")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_it_says_why_a_figure_is_not_there() -> None:
    async with running(UserNetwork()) as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        await point(pilot, app, "web-01")
        await press(pilot, "5", "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        assert "n/a: a user-mode network has no counters" in told(app)
        await press(pilot, "escape")
        await point(pilot, app, "old-db")
        await press(pilot, "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        assert "n/a: it is off" in told(app)


async def test_it_tells_the_alarm() -> None:
    async with running(config=BALLOON) as (app, pilot):
        await until(pilot, lambda: alarmed(app) == ["web-01"])
        await press(pilot, "a", "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        assert "▲ BALLOON 1 GiB is above 0 B for" in told(app)
        assert "alarm when BALLOON is above 0 B for 0 s" in told(app)


async def test_values_go_on_moving_and_it_scrolls() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        await point(pilot, app, "postgres")
        await press(pilot, "4", "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        before = told(app)
        await until(pilot, lambda: told(app) != before)
        body = app.screen.query_one("#body")
        await press(pilot, "G")
        await until(pilot, lambda: body.scroll_offset.y > 10)
        await until(pilot, lambda: "COUNTERS" not in whole(app))


async def test_panes_are_topics_of_their_own() -> None:
    async with running() as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        await point(pilot, app, "web-01")
        await press(pilot, "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        await press(pilot, "tab")
        await until(pilot, lambda: "What is shown: sirius" in whole(app))
        await press(pilot, "tab")
        await until(pilot, lambda: "What is shown: web-01" in whole(app))
        await press(pilot, "tab")
        await until(pilot, lambda: "What is shown: summary columns" in whole(app))


async def test_a_vm_in_full_explains_its_figures() -> None:
    async with running() as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        await point(pilot, app, "web-01")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        await press(pilot, "i")
        await until(pilot, lambda: isinstance(app.screen, ExplainScreen))
        await until(pilot, lambda: "What is shown: web-01" in whole(app))
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))


def test_sources_are_those_of_the_connection() -> None:
    for figure in FIGURES:
        source = figure.source
        assert source_of(source, "kvm:") == source.direct
        assert source_of(source, "qemu+ssh://lab/system") == source.libvirt
        assert source.direct in source_of(source, "demo:")
        assert source.libvirt in source_of(source, "demo:")
