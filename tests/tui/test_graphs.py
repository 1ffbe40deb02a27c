"""Scales, time axes and the layout of panes, without an app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tui.support import fleet_of
from vmtui.backends.demo import DemoBackend
from vmtui.figures import Unit
from vmtui.fleet import Fleet
from vmtui.theming import Ink, load_themes, shipped_folders
from vmtui.units import GIB
from vmtui.widgets.clock import Clock
from vmtui.widgets.graph import CLIPPED, LEVELS, braille, tiny_bars
from vmtui.widgets.host_row import compact
from vmtui.widgets.host_sections import host_sections
from vmtui.widgets.lines import Line, length
from vmtui.widgets.plots import Plots
from vmtui.widgets.quantities import rates, sizes
from vmtui.widgets.scale import FLOORS, quantised, rescaled
from vmtui.widgets.sections import Pair, Section, aligned, all_lines, flowing
from vmtui.widgets.timeline import SPANS_S, Past, Timeline, axis
from vmtui.widgets.vm_sections import vm_sections

INK = Ink.of(load_themes(shipped_folders())[0][0])
CLOCK = Clock(monotonic_s=lambda: 5000.0, local=lambda: datetime(2026, 3, 14, 10, 0, 0))


class Hands:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def sampled(seconds: int) -> Fleet:
    """The demo fleet after so many samples."""
    hands = Hands()
    fleet = fleet_of(DemoBackend(clock=hands), still=True)
    await fleet.connect()
    for connection in fleet.connections:
        await connection.load_host()
        for _ in range(seconds):
            hands.now_s += 1
            await connection.sample()
    return fleet


def text(lines: Sequence[Line]) -> str:
    return "\n".join("".join(segment.text for segment in line) for line in lines)


# -- scales ----------------------------------------------------------------------------------------


@given(st.floats(1e-3, 1e15))
def test_a_scale_is_the_next_step_of_1_2_5(value: float) -> None:
    top = quantised(value)
    assert value <= top <= value * 2.5 * (1 + 1e-9)
    assert f"{top:.0e}"[0] in "125"


@given(st.lists(st.floats(0, 1e10), min_size=1, max_size=30), st.sampled_from(list(FLOORS)))
def test_a_scale_always_holds_its_values_and_never_falls_below_its_floor(
    highest: list[float], unit: Unit
) -> None:
    top: float | None = None
    for value in highest:
        top = rescaled(top, value, unit)
        assert top >= value
        assert top >= FLOORS[unit]
        assert top == quantised(top)


def test_a_scale_does_not_jump_with_every_second() -> None:
    top = rescaled(None, 5.1e6, Unit.BYTES_PER_S)
    assert top == 10e6
    assert rescaled(top, 4.9e6, Unit.BYTES_PER_S) == 10e6
    assert rescaled(top, 3.9e6, Unit.BYTES_PER_S) == 5e6


def test_percentages_are_always_drawn_up_to_100() -> None:
    assert rescaled(None, 3.0, Unit.PERCENT) == 100
    assert rescaled(None, 380.0, Unit.PERCENT) == 100


def test_an_idle_vm_draws_flat() -> None:
    top = rescaled(None, 900.0, Unit.BYTES_PER_S)
    assert braille([900.0, 0.0, 300.0, 0.0], 2, 4, top=top)[-1] == "⣀⣀"


def test_what_goes_on_above_the_scale_is_marked() -> None:
    upper, lower = braille([10, 50, 250, 100, None, 101], 3, 2, mark_clipped=True)
    assert (upper[1], lower[1]) == (CLIPPED, "⣿")
    assert CLIPPED not in upper[0] + upper[2]


def test_tiny_bars() -> None:
    assert tiny_bars([0.0, 0.5, 1.0, 3.0, None]) == f"{LEVELS[0]}{LEVELS[4]}{LEVELS[-1] * 2} "


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (12.4e6, 60e3, ("12.4", "0.06", "MB/s")),
        (0.0, 0.0, ("0", "0", "B/s")),
        (999e3, 1e6, ("1.0", "1.0", "MB/s")),
        (2e9, 1e3, ("2.0", "0.00", "GB/s")),
    ],
)
def test_two_rates_in_one_unit(first: float, second: float, words: tuple[str, str, str]) -> None:
    assert rates(first, second) == words


def test_two_sizes_in_one_unit() -> None:
    assert sizes(1.6 * 2**30, 4 * 2**30) == ("1.6", "4.0", "GiB")


# -- time ------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["in", "out", "back", "on", "now"]), max_size=60))
def test_zoom_and_pan_stay_within_what_is_kept(steps: list[str]) -> None:
    timeline, newest_s = Timeline(), 90_000.0
    for step in steps:
        timeline = {
            "in": lambda t: t.zoomed(1),
            "out": lambda t: t.zoomed(-1),
            "back": lambda t: t.panned(-1, newest_s),
            "on": lambda t: t.panned(1, newest_s),
            "now": lambda t: t.following(),
        }[step](timeline)
        assert timeline.span_s in SPANS_S
        assert timeline.end_s is None or newest_s - 3600 <= timeline.end_s < newest_s


def test_panning_on_to_the_newest_follows_again() -> None:
    back = Timeline().panned(-1, 1000.0)
    assert back.end_s == 925.0
    assert back.panned(1, 1000.0).end_s is None


@given(st.integers(10, 250), st.sampled_from(SPANS_S), st.none() | st.floats(1500, 4999))
def test_the_axis_has_its_width_and_both_ends(
    width: int, span_s: float, end_s: float | None
) -> None:
    labels = axis(Timeline(span_s, end_s), CLOCK, width)
    assert len(labels) == width
    assert labels.endswith("╵")
    if width >= 24:
        assert labels.startswith("╵")


def test_the_axis_says_ages_or_times() -> None:
    assert axis(Timeline(60.0), CLOCK, 40) == "╵-1 min   ╵-45 s    ╵-30 s          now╵"
    standing = axis(Timeline(60.0, 4940.0), CLOCK, 60)
    assert standing.startswith("╵09:58:00")
    assert standing.endswith("09:59:00╵")


# -- layout ----------------------------------------------------------------------------------------


@given(
    st.lists(
        st.builds(Pair, st.text("abc", min_size=1, max_size=9), st.text("0123", max_size=12)),
        min_size=1,
        max_size=12,
    ),
    st.integers(24, 200),
)
def test_pairs_are_never_cut_and_none_is_lost(pairs: list[Pair], width: int) -> None:
    for laid_out in (aligned(pairs, INK, width), flowing(pairs, INK, width)):
        assert all(length(line) <= width for line in laid_out)
        words = text(laid_out).split()
        for pair in pairs:
            assert pair.label in words
            assert not pair.value or pair.value in words


async def _sections() -> list[Section]:
    fleet = await sampled(5)
    view = fleet.view()
    found = [*host_sections(view.connections[0]), *host_sections(view.connections[0], each=True)]
    for row in view.vms:
        found += vm_sections(row)
    await fleet.close()
    return found


async def test_no_section_needs_more_than_the_width_of_a_pane() -> None:
    for section in await _sections():
        for width in (26, 28, 34, 36, 47, 55, 97):
            for line in all_lines(section, INK, width):
                assert length(line) <= width, text([line])


async def test_panes_fit_every_size() -> None:
    fleet = await sampled(5)
    connection = fleet.view().connections[0]
    row = next(row for row in connection.vms if row.vm.name == "web-01")
    past = Past(fleet.history, row.ref, 1005.0, 60.0)
    hosts = Past(fleet.history, connection.uri, 1005.0, 60.0)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(60, 240), st.integers(1, 60))
    def fits(width: int, height: int) -> None:
        plots = Plots()
        lines = plots.side_by_side(vm_sections(row), past, INK, width, height)
        assert len(lines) <= height
        assert all(length(line) <= width + 6 for line in lines)
        assert all(not "".join(s.text for s in line)[width:].strip() for line in lines)
        stacked = plots.stacked(host_sections(connection, each=True), hosts, INK, width, height)
        assert len(stacked) >= height
        assert all(not "".join(s.text for s in line)[width:].strip() for line in stacked)
        assert length(compact(connection, hosts, INK, width)) <= width

    fits()
    await fleet.close()


async def test_a_paused_and_a_stopped_vm_have_no_bars() -> None:
    fleet = await sampled(5)
    rows = {row.vm.name: row for row in fleet.view().vms}
    for name in ("build", "old-db"):
        cpu, _, disk, net = vm_sections(rows[name])
        assert cpu.bars == ()
        assert {pair.value for pair in cpu.pairs} == {"–"}
        assert disk.head[0][0][0] == net.head[0][0][0] == "–"
    assert vm_sections(rows["web-01"])[0].bars
    await fleet.close()


async def test_a_balloon_on_its_way_shows_where_it_is_and_where_to() -> None:
    fleet = await sampled(5)
    row = next(row for row in fleet.view().vms if row.vm.name == "win11")
    assert row.counters is not None
    assert row.counters.memory is not None
    memory = replace(row.counters.memory, target_bytes=6 * GIB)
    memory_section = vm_sections(replace(row, counters=replace(row.counters, memory=memory)))[1]
    assert Pair("actual", "8 GiB → 6 GiB", "warn") in memory_section.pairs
    await fleet.close()


async def test_hosts_are_compared_in_columns() -> None:
    fleets = [await sampled(3), await sampled(40)]
    lines = []
    for fleet in fleets:
        connection = fleet.view().connections[0]
        past = Past(fleet.history, connection.uri, 1040.0, 60.0)
        lines.append(text([compact(connection, past, INK, 150)]))
        await fleet.close()
    for label in ("Mem", "Disk", "Net", "psi"):
        assert lines[0].index(label) == lines[1].index(label)
