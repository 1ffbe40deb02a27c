"""Sets of columns: what is in them, order over switching, widths, what the fleet is told to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from rich.cells import cell_len

from tests.tui.support import names, point, press, running, shown, until
from vmtui.app import VmtuiApp
from vmtui.backends.demo import DemoBackend
from vmtui.column_sets import DEFAULTS, OTHERS, PARTS, ColumnSet, known
from vmtui.config import Columns, Config
from vmtui.counters import Counters, Measure, NicCounters, Stalled
from vmtui.figures import BY_ID
from vmtui.model import VMId
from vmtui.screens.vm import VMScreen
from vmtui.units import GIB, MIB
from vmtui.widgets.all_columns import COLUMNS
from vmtui.widgets.columns import laid_out, shortened
from vmtui.widgets.other_columns import of_whole


class UserNetwork(DemoBackend):
    """The first of its VMs has a network card without counters."""

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        found = dict(await super().counters(vms))
        for vm_id, counters in found.items():
            if (await self.vm(vm_id)).name == "web-01" and isinstance(counters, Counters):
                why = "a user-mode network has no counters"
                nic = NicCounters(counters.at_s, "net0", why_missing=why)
                found[vm_id] = replace(counters, nics=(nic,), missing={Measure.NICS: why})
        return found


def header(app: VmtuiApp) -> str:
    return shown(app.dashboard.table).splitlines()[0]


def line_of(app: VmtuiApp, name: str) -> str:
    return next(x for x in shown(app.dashboard.table).splitlines() if f" {name} " in x)


def test_every_known_column_can_be_drawn_and_no_other() -> None:
    assert COLUMNS.keys() == known()
    assert not OTHERS.keys() & BY_ID.keys()
    assert PARTS.keys() <= OTHERS.keys()
    assert all(set(columns) <= known() for columns in DEFAULTS.values())


@pytest.mark.parametrize("width", [20, 75, 115, 195, 400])
@pytest.mark.parametrize("column_set", ColumnSet)
def test_the_column_of_the_order_is_always_there(column_set: ColumnSet, width: int) -> None:
    columns = [COLUMNS[column] for column in DEFAULTS[column_set]]
    for keep in columns:
        assert keep in [column for column, _ in laid_out(columns, width, keep)]


def test_numbers_too_long_for_their_column_lose_what_is_minor() -> None:
    assert shortened("12.4 MB/s", 9) == "12.4 MB/s"
    assert shortened("12.4 MB/s", 8) == "12.4MB/s"
    assert shortened("1016.4 MiB", 8) == "1016 MiB"
    assert shortened("1600.0", 5) == "1600"
    assert shortened("123456789", 5) == "1234…"


def test_a_part_is_written_in_the_unit_of_its_whole() -> None:
    assert of_whole(1.6 * GIB, 4 * GIB) == "1.6/4.0 GiB"
    assert of_whole(150 * MIB, 512 * MIB) == "150/512 MiB"
    assert of_whole(None, 4 * GIB) == "–/4.0 GiB"
    assert of_whole(100 * GIB, 256 * GIB) == "100/256 GiB"


@pytest.mark.parametrize(
    ("key", "titles"),
    [
        ("1", "CPU % RDY % MEMORY BALLOON LAT"),
        ("2", "CORE HOST USER SYS RDY STEAL POLL EXITS/s vCPU"),
        ("3", "MEMORY TARGET ACTUAL TOTAL USED AVAIL SWAP FAULTS/s HOST SWAPPED MERGED"),
        ("4", "READ/s WRITE/s READ WRITE R W F FLUSH/s ACTV CAPACITY ALLOC DISK"),
        ("5", "RX TX RX PKT/s TX PKT/s ERR/s DROP ADDRESS"),
    ],
)
async def test_the_five_sets(key: str, titles: str) -> None:
    async with running(size=(200, 60)) as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        await press(pilot, key)
        assert all(title in header(app).split() for title in titles.split())
        table = app.dashboard.table
        width = table.scrollable_content_region.width
        assert all(cell_len(line) == width for line in shown(table).splitlines())
        assert f" {key} {list(ColumnSet)[int(key) - 1].label} " in shown(
            app.dashboard.status._words
        )


async def test_widths_do_not_depend_on_what_is_in_the_cells() -> None:
    async with running() as (app, pilot):
        table = app.dashboard.table
        before = [cells for _, cells in table._columns]
        await until(pilot, lambda: "▰" in shown(table))
        assert [cells for _, cells in table._columns] == before


async def test_the_order_comes_back_with_the_set_that_has_its_column() -> None:
    async with running(size=(200, 60)) as (app, pilot):
        table = app.dashboard.table
        await press(pilot, "4")
        table.sort(COLUMNS["capacity"], descending=False)
        await press(pilot, "2")
        assert table.rows.column.id == "name"
        assert not table.rows.descending
        await press(pilot, "4")
        assert table.rows.column.id == "capacity"
        assert not table.rows.descending
        table.sort(COLUMNS["name"], descending=True)
        await press(pilot, "3")
        assert (table.rows.column.id, table.rows.descending) == ("name", True)


async def test_every_column_of_a_set_can_be_sorted_by_where_it_does_not_fit() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        table = app.dashboard.table
        await press(pilot, "3")
        for column in DEFAULTS[ColumnSet.MEMORY][1:]:
            if column != "connection":
                await press(pilot, "greater_than_sign")
                assert table.rows.column.id == column
                title = COLUMNS[column].title
                assert f"▼{title}" in header(app) or f"{title} ▲" in header(app)
        await press(pilot, "greater_than_sign")
        assert table.rows.column.id == "name"
        await press(pilot, "less_than_sign", "exclamation_mark")
        assert table.rows.column.id == "merged"
        assert "▲MERGED" in header(app)


async def test_a_click_on_a_set_shows_it() -> None:
    async with running() as (app, pilot):
        words = app.dashboard.status._words
        await pilot.click(words, offset=(shown(words).index("3 memory"), 0))
        await until(pilot, lambda: "TARGET" in header(app))


async def test_a_long_notice_leaves_room_for_the_sets_in_brief() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        app.dashboard.set_notice("x" * 200, "H")
        await press(pilot, "4")
        text = shown(app.dashboard.status._words)
        assert cell_len(text) == 80
        assert "… – H for details" in text
        assert text.endswith(" 1  2  3  4 disk  5 ")


async def test_chosen_columns() -> None:
    config = Config(columns=Columns(cpu=("exits", "name", "rss")))
    async with running(config=config) as (app, pilot):
        await press(pilot, "2")
        assert header(app).split() == ["EXITS/s", "NAME", "▲", "ON", "HOST"]
        table = app.dashboard.table
        table.sort(COLUMNS["rss"], descending=True)
        await press(pilot, "1")
        assert table.rows.column.id == "name"
        await press(pilot, "5", "2")
        assert table.rows.column.id == "rss"


async def test_a_network_without_counters_says_so() -> None:
    async with running(UserNetwork()) as (app, pilot):
        await press(pilot, "5")
        await until(pilot, lambda: "B/s" in line_of(app, "postgres"))
        assert "n/a" in line_of(app, "web-01")
        assert " 0 " not in line_of(app, "web-01")
        assert "n/a" not in line_of(app, "old-db")
        assert "–" in line_of(app, "old-db")


async def test_the_history_is_there_where_it_is_wide_enough() -> None:
    async with running(size=(200, 60)) as (app, pilot):
        assert "CPU HISTORY" in header(app)
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "CPU HISTORY" not in header(app))


async def test_the_fleet_is_told_what_is_in_view() -> None:
    async with running(DemoBackend("demo:?vms=200"), size=(80, 24)) as (app, pilot):
        table, connection = app.dashboard.table, app.fleet.connections[0]

        def seen() -> set[str]:
            visible = connection.visible or frozenset()
            return {row.vm.name for row in table.rows.all if row.ref.id in visible}

        def on_screen() -> set[str]:
            return {row.vm.name for row in table.rows.shown if f" {row.vm.name} " in shown(table)}

        await until(pilot, lambda: len(seen()) > 5 and seen() == on_screen())
        await press(pilot, "G")
        await until(pilot, lambda: names(app)[-1] in seen() and seen() == on_screen())
        table.scroll_to(y=0, animate=False)
        last = names(app)[-1]
        await until(pilot, lambda: seen() == on_screen() | {last})  # its pane is in view
        await press(pilot, "slash", *"router", "enter")
        await until(pilot, lambda: seen() == on_screen() and "router-010" in seen())
        few = len(seen())
        await pilot.resize_terminal(80, 60)
        await until(pilot, lambda: len(seen()) > few and seen() == on_screen())


async def test_what_another_screen_looked_at_is_put_right_afterwards() -> None:
    async with running() as (app, pilot):
        connection = app.fleet.connections[0]
        await until(pilot, lambda: connection.visible is not None)
        before = connection.visible
        await point(pilot, app, "web-01")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        app.fleet.look_at([])
        await press(pilot, "escape")
        await until(pilot, lambda: connection.visible == before)
