"""The dashboard: rows, cursor, filter, marks, order, panes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.strip import Strip
from textual.widgets._toast import Toast

from tests.tui.support import (
    Emulated,
    Leased,
    Renamed,
    Stalling,
    Unreachable,
    names,
    point,
    press,
    running,
    said,
    shown,
    until,
    whole,
)
from vmtui.app import FleetChanged
from vmtui.backends.demo import DemoBackend
from vmtui.config import Config
from vmtui.figures import BY_ID
from vmtui.model import Host
from vmtui.screens.host import HostScreen
from vmtui.screens.vm import VMScreen
from vmtui.views import FleetView
from vmtui.widgets.columns import Cell
from vmtui.widgets.listing import Listing
from vmtui.widgets.row_strips import Columns, row_strip


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60), (60, 12), (20, 5)])
async def test_it_opens_at_every_size(size: tuple[int, int]) -> None:
    async with running(size=size) as (app, pilot):
        await pilot.pause()
        table = app.dashboard.table
        width = table.scrollable_content_region.width
        assert all(table.render_line(y).cell_length == width for y in range(table.size.height))


async def test_a_resize_lays_everything_out_anew() -> None:
    async with running(size=(200, 60)) as (app, pilot):
        assert "ADDRESS" in shown(app.dashboard.table)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "ADDRESS" not in shown(app.dashboard.table))
        assert "LAT ms" in shown(app.dashboard.table)


async def test_what_is_unknown_is_a_dash_and_what_stands_still_has_no_bars() -> None:
    async with running() as (app, pilot):
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        lines = shown(app.dashboard.table).splitlines()
        paused = next(line for line in lines if " build " in line)
        off = next(line for line in lines if " old-db " in line)
        for line in (paused, off):
            assert "▰" not in line
            assert "▱" not in line
            assert "–" in line
            assert "0.0" not in line


async def test_keys_of_vim_and_less_move_the_cursor() -> None:
    async with running(size=(80, 24)) as (app, pilot):
        rows = app.dashboard.table.rows
        await press(pilot, "j", "j", "down")
        assert rows.index == 3
        await press(pilot, "k", "up")
        assert rows.index == 1
        await press(pilot, "G")
        assert rows.index == len(rows.shown) - 1
        await press(pilot, "g")
        assert rows.index == 0
        await press(pilot, "ctrl+d", "ctrl+d", "ctrl+u")
        assert 0 < rows.index < len(rows.shown)
        await press(pilot, "pagedown", "pageup", "end", "home")
        assert rows.index == 0


async def test_a_long_list_scrolls_with_the_cursor() -> None:
    async with running(DemoBackend("demo:?vms=1000"), size=(80, 24)) as (app, pilot):
        await press(pilot, "G")
        last = names(app)[-1]
        await until(pilot, lambda: last in shown(app.dashboard.table))
        await press(pilot, "g")
        await until(pilot, lambda: names(app)[0] in shown(app.dashboard.table))


async def test_only_lines_that_changed_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as (app, pilot):
        table = app.dashboard.table
        await pilot.pause()
        app.context.suspended = True  # nothing changes by itself
        drawn: list[str] = []

        def draw(columns: Columns, cell: Cell, **how: Any) -> Strip:
            drawn.append(cell.row.vm.name)
            return row_strip(columns, cell, **how)

        monkeypatch.setattr("vmtui.widgets.drawn_rows.row_strip", draw)
        table.refresh_lines_that_changed()
        assert not drawn
        view = app.fleet.view()
        table.show(replace(view, at_s=view.at_s + 1))
        assert not drawn
        await press(pilot, "j")
        assert sorted(drawn) == sorted(names(app)[:2])
        drawn.clear()
        connection = view.connections[0]
        rows = list(connection.vms)
        rows[3] = replace(rows[3], stalled="no answer")
        table.show(replace(view, connections=(replace(connection, vms=tuple(rows)),)))
        assert drawn == [rows[3].vm.name]


async def test_the_filter_is_live_and_escape_clears_it() -> None:
    async with running() as (app, pilot):
        await press(pilot, "slash", *"web")
        await until(pilot, lambda: names(app) == ["web-01"])
        assert "1 of 12" in shown(app.dashboard.status._words)
        await press(pilot, "enter")
        assert app.focused is app.dashboard.table
        assert "filter web" in shown(app.dashboard.status._words)
        await press(pilot, "escape")
        await until(pilot, lambda: len(names(app)) == 12)
        await press(pilot, "slash", *"zzz")
        await until(pilot, lambda: names(app) == [])
        assert "No VM matches 'zzz'" in shown(app.dashboard.table)
        await press(pilot, "escape")
        await until(pilot, lambda: len(names(app)) == 12)


async def test_tags_are_found_and_shown_with_where_the_address_is_from() -> None:
    async with running(Leased()) as (app, pilot):
        await press(pilot, "slash", *"shop", "enter")
        await until(pilot, lambda: names(app) == ["web-01"])
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        await press(pilot, "shift+tab")
        await until(pilot, lambda: "10.0.0.7, by its lease" in whole(app))
        await until(pilot, lambda: "shop" in whole(app))


async def test_letters_typed_into_the_filter_are_no_commands() -> None:
    async with running() as (app, pilot):
        await press(pilot, "slash", *"nsdq?")
        assert app.is_running
        assert app.screen is app.dashboard
        assert app.dashboard.table.rows.filter_text == "nsdq?"


async def test_marks_stay_with_their_vms_over_filter_and_order() -> None:
    async with running() as (app, pilot):
        rows = app.dashboard.table.rows
        await point(pilot, app, "web-01")
        await press(pilot, "space", "exclamation_mark")
        assert [row.vm.name for row in rows.marked] == ["web-01"]
        await press(pilot, "slash", *"pihole", "enter")
        await until(pilot, lambda: names(app) == ["pihole"])
        assert "1 marked (1 hidden)" in shown(app.dashboard.status._words)
        assert app.dashboard.hidden_targets() == 1
        await press(pilot, "escape", "escape")
        assert not rows.marks


async def test_the_cursor_stays_with_its_vm_when_the_order_changes() -> None:
    async with running() as (app, pilot):
        await point(pilot, app, "postgres")
        await press(pilot, "greater_than_sign", "greater_than_sign", "exclamation_mark")
        current = app.dashboard.table.current
        assert current is not None
        assert current.vm.name == "postgres"


async def test_sorting_by_keys_and_by_a_click_on_the_header() -> None:
    async with running() as (app, pilot):
        rows = app.dashboard.table.rows
        await press(pilot, "greater_than_sign")
        assert rows.column.id == "state"
        assert "STATE ▲" in shown(app.dashboard.table)
        await press(pilot, "less_than_sign", "exclamation_mark")
        assert names(app) == sorted(names(app), reverse=True)
        header = shown(app.dashboard.table).splitlines()[0]
        await pilot.click(app.dashboard.table, offset=(header.index("MEMORY"), 0))
        await pilot.pause()
        assert rows.column.id == "memory_use"
        assert rows.descending
        used = [BY_ID["guest_used"].of(row) for row in rows.shown]
        known = [value for value in used if value is not None]
        assert used == sorted(known, reverse=True) + [None] * (len(used) - len(known))


async def test_unknown_figures_come_last_in_both_directions() -> None:
    async with running() as (app, pilot):
        table = app.dashboard.table
        cpu = next(column for column, _ in table._columns if column.id == "cpu")
        await until(pilot, lambda: all(r.rates for r in table.rows.all if r.vm.state == "running"))
        for descending in (True, False):
            table.sort(cpu, descending=descending)
            assert table.rows.shown[-1].vm.state != "running"
            assert table.rows.shown[0].vm.state == "running"


async def test_the_mouse_selects_and_opens() -> None:
    async with running() as (app, pilot):
        await pilot.click(app.dashboard.table, offset=(10, 4))
        assert app.dashboard.table.rows.index == 3
        await pilot.click(app.dashboard.table, offset=(10, 5), times=2)
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_enter_opens_a_vm_with_all_its_facts_and_its_log() -> None:
    async with running(size=(120, 40)) as (app, pilot):
        await point(pilot, app, "win11")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, VMScreen))
        screen = app.screen
        assert isinstance(screen, VMScreen)
        await press(pilot, "tab", "tab", "tab", "tab")
        await until(pilot, lambda: "win11 login:" in shown(screen.detail))
        await press(pilot, "tab")
        for text in ("UEFI, Secure Boot", "52:54:00", "debian-12", "UUID", "on the host"):
            assert text in shown(screen.detail)
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_the_log_tab_follows_the_cursor() -> None:
    async with running() as (app, pilot):
        await press(pilot, "tab", "tab", "tab", "tab")
        detail = app.dashboard.detail
        await until(pilot, lambda: "build login:" in shown(detail))
        await press(pilot, "j")
        await until(pilot, lambda: "ci-runner login:" in shown(detail))
        await press(pilot, "left_square_bracket")
        assert "login:" not in shown(detail)


async def test_names_from_outside_are_shown_as_they_are() -> None:
    bad = ["[red]x[/red]", "\x1b[31mred\x1b[0m", "日本語の仮想マシン", "n" * 300]
    async with running(Renamed(bad), size=(120, 40)) as (app, pilot):
        text = shown(app.dashboard.table)
        assert "[red]x[/red]" in text
        assert "\x1b" not in text
        assert "…" in text
        width = app.dashboard.table.scrollable_content_region.width
        table = app.dashboard.table
        assert all(table.render_line(y).cell_length == width for y in range(table.size.height))
        await point(pilot, app, "[red]x[/red]")
        assert "[red]x[/red]" in shown(app.dashboard.detail)
        await press(pilot, "D")
        await until(pilot, lambda: "[red]x[/red]" in whole(app))
        await press(pilot, "escape")
        for key in ("u", "s"):  # one of them is refused, whatever state it is in
            await press(pilot, key)
        await until(
            pilot,
            lambda: any("[red]x[/red]" in str(toast.render()) for toast in app.screen.query(Toast)),
        )


@pytest.mark.parametrize("name", ["n" * 70, "仮想マシン" * 12])
async def test_a_long_name_leaves_the_tabs_whole_and_no_text_is_lost(name: str) -> None:
    async with running(Renamed([name]), size=(80, 24)) as (app, pilot):
        await point(pilot, app, name)
        border = app.dashboard.detail.render_line(0).text
        assert "… " in border
        assert "Facts" in border
        await press(pilot, "K")
        await until(pilot, lambda: "anywhere" in whole(app))
        rows = [shown(listing) for listing in app.screen.query(Listing)]
        assert name in "".join(rows).replace(" ", "").replace("\n", "")


async def test_a_connection_that_is_down_says_why_and_when_it_tries_again() -> None:
    async with running(DemoBackend(), Unreachable("demo:?host=lab2")) as (app, pilot):
        await until(pilot, lambda: "retrying in" in shown(app.dashboard.top_bar))
        assert "lab2 can't be reached" in shown(app.dashboard.hosts)
        assert len(names(app)) == 12
        await press(pilot, "at")
        await pilot.pause()
        body = str(app.screen.query_one("#connections").render())
        assert "Is libvirtd running there?" in body
        await press(pilot, "escape")


async def test_all_connections_down_explains_itself() -> None:
    async with running(Unreachable("demo:"), rows=False) as (app, pilot):
        await until(pilot, lambda: "retrying" in shown(app.dashboard.top_bar))
        text = shown(app.dashboard.table)
        assert "connection refused" in text
        assert "ctrl+r" in text
        app.dashboard.table.empty = ()
        app.dashboard.tick()
        assert "retrying" in shown(app.dashboard.table)  # it counts down like all others
        await press(pilot, "n")
        assert "No connection is up." in said(app)


async def test_an_empty_start_explains_itself() -> None:
    async with running(DemoBackend("demo:?vms=0"), rows=False) as (app, pilot):
        await until(pilot, lambda: "No VMs yet." in shown(app.dashboard.table))
        text = shown(app.dashboard.table)
        assert "Connected: demo" in text
        assert "Press n for a first VM" in text
        assert "vmtui --demo" in text


class Unequipped(DemoBackend):
    """A host on which no VM can run."""

    async def host(self) -> Host:
        return replace(await super().host(), problem="QEMU is not installed")


async def test_where_no_vm_can_run_none_is_offered() -> None:
    async with running(Unequipped("demo:?vms=0"), rows=False, size=(80, 24)) as (app, pilot):
        why = "No VM can run: QEMU is not installed; see vmtui doctor."
        await until(pilot, lambda: why in shown(app.dashboard.table))
        assert "H shows it here." in shown(app.dashboard.table)
        assert "for a first VM" not in shown(app.dashboard.table)
        await press(pilot, "n")
        assert why in said(app)
        assert app.screen is app.dashboard


async def test_emulation_is_a_visible_warning() -> None:
    async with running(Emulated()) as (app, pilot):
        await until(pilot, lambda: "TCG" in shown(app.dashboard.hosts))
        assert "guests hang" in shown(app.dashboard.hosts)
        assert "TCG" in shown(app.dashboard.table)


async def test_several_connections_get_a_column_and_a_line_each() -> None:
    async with running(DemoBackend(), DemoBackend("demo:?host=vega&vms=2")) as (app, pilot):
        await until(pilot, lambda: "vega" in shown(app.dashboard.hosts))
        await until(pilot, lambda: len(names(app)) == 14)
        assert "CONNECTION" in shown(app.dashboard.table)
        assert "14 VMs" in shown(app.dashboard.top_bar)


@pytest.mark.parametrize("width", [80, 120, 200])
async def test_the_footer_fits_and_never_loses_help(width: int) -> None:
    async with running(size=(width, 30)) as (app, _):
        text = shown(app.dashboard.actions)
        assert "? help" in text
        assert text.rstrip() != text  # a blank at the end: nothing is cut


async def test_an_unknown_theme_is_told_and_the_default_is_used() -> None:
    async with running(config=Config(theme="nope")) as (app, _):
        assert app.theme == "vmtui-dark"
        assert "there is no theme 'nope'" in said(app)


async def test_a_stalled_vm_keeps_its_figures_greyed_and_says_how_old_they_are() -> None:
    backend = Stalling()
    async with running(backend) as (app, pilot):
        await until(pilot, lambda: all(r.rates for r in app.dashboard.table.rows.all if r.rates))
        await until(pilot, lambda: "▰" in shown(app.dashboard.table))
        backend.stalled = frozenset({"web-01"})
        await until(pilot, lambda: "▲ stalled" in shown(app.dashboard.table))
        line = next(x for x in shown(app.dashboard.table).splitlines() if "web-01" in x)
        assert " s " in line.split("stalled")[1][:6]
        assert any(character.isdigit() for character in line.split("KVM")[0].split("stalled")[1])
        await point(pilot, app, "web-01")
        assert "stalled: no answer for 3 s" in shown(app.dashboard.status._words)
        await press(pilot, "enter")
        assert isinstance(app.screen, VMScreen)
        assert "▲ stalled: no answer for 3 s" in shown(app.screen.detail)
        await press(pilot, "escape")
        backend.stalled = frozenset()
        await until(pilot, lambda: "stalled" not in shown(app.dashboard.table))


async def test_a_burst_of_views_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as (app, pilot):
        drawn: list[FleetView] = []
        monkeypatch.setattr(app.dashboard, "show", drawn.append)
        views = [app.fleet.view() for _ in range(50)]
        for view in views:
            app.post_message(FleetChanged(view))
        await until(pilot, lambda: views[-1] in drawn)
        assert len(drawn) < 5


async def test_the_users_themes_are_loaded_and_a_bad_one_costs_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text('primary = "#ff8800"\nbackground = "#101010"')
    (tmp_path / "bad.toml").write_text('primary = "no colour"')
    monkeypatch.setattr("vmtui.app.themes_path", lambda: tmp_path)
    async with running(config=Config(theme="mine")) as (app, _):
        assert app.theme == "mine"
        assert "bad.toml" in said(app)
        assert "not a colour" in said(app)


async def test_what_is_typed_ahead_of_the_filter_reaches_it() -> None:
    async with running() as (app, pilot):
        for key, character in (("slash", "/"), ("d", "d"), ("b", "b"), ("enter", "\r")):
            app.post_message(events.Key(key, character))
        await until(pilot, lambda: names(app) == ["old-db"])
        await until(pilot, lambda: app.focused is app.dashboard.table)
        assert app.screen is app.dashboard


async def test_the_host_in_full_and_back_to_the_table() -> None:
    async with running() as (app, pilot):
        await press(pilot, "o")
        await until(pilot, lambda: isinstance(app.screen, HostScreen))
        await press(pilot, "escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await pilot.click(app.dashboard.hosts)
        assert app.dashboard.hosts.has_focus
        await press(pilot, "escape")
        assert app.dashboard.table.has_focus
