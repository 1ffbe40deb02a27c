"""The pieces that need no app: fitting, graphs, columns, keys, drafts, names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.terminal_theme import DIMMED_MONOKAI
from textual.filter import ANSIToTruecolor
from textual.widget import Widget

from vmtui.actions import ACTIONS
from vmtui.column_sets import DEFAULTS, ColumnSet
from vmtui.errors import InputError
from vmtui.naming import free_name
from vmtui.parts import Forward, SharedFolder
from vmtui.recipe import Recipe
from vmtui.screens.draft import Draft, filled_in
from vmtui.screens.keys import RESERVED, display, keymap, normalised
from vmtui.spec import BLANK, Limits
from vmtui.widgets.all_columns import columns_of
from vmtui.widgets.columns import GAP, laid_out
from vmtui.widgets.graph import braille
from vmtui.widgets.lines import cut, fit, fit_end, wrapped
from vmtui.widgets.terminal_strips import own_colours


@given(st.text(alphabet="abc日本é ", max_size=40), st.integers(0, 30), st.booleans())
def test_fitted_text_has_exactly_the_width(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(text, width, right=right)) == width
    assert cell_len(fit_end(text, width)) <= max(width, 0)


@given(st.text(alphabet="abc日本é -", max_size=60), st.integers(2, 30))
def test_wrapped_text_is_all_there_within_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_what_is_cut_has_a_mark_and_blanks_are_no_loss() -> None:
    line = [Segment("abc"), Segment("日本")]
    assert cut(line, 7).text == "abc日本"
    assert cut(line, 6).text == "abc日…"
    assert cut(line, 5).text == "abc …"
    assert cut([Segment("abc   ")], 4).text == "abc "
    assert cut(line, 0).text == ""


@given(st.sampled_from(ColumnSet), st.integers(10, 400), st.integers(0, 90))
def test_columns_fill_the_width_exactly(column_set: ColumnSet, width: int, longest: int) -> None:
    chosen = columns_of(DEFAULTS[column_set])
    columns = laid_out(chosen, width, longest=longest)
    total = sum(cells for _, cells in columns) + GAP * (len(columns) - 1)
    assert total == width or width < chosen[0].least
    assert columns[0][0].id == "name"


@pytest.mark.parametrize(
    ("width", "longest", "cells"), [(120, 21, 21), (120, 60, 24), (80, 21, 16)]
)
def test_long_names_get_a_fifth_of_the_width(width: int, longest: int, cells: int) -> None:
    columns = laid_out(columns_of(DEFAULTS[ColumnSet.SUMMARY]), width, longest=longest)
    assert cells <= columns[0][1] <= cells + 2
    assert len(columns) > 4


@given(
    st.lists(st.none() | st.floats(-10, 500), max_size=80), st.integers(1, 40), st.integers(1, 8)
)
def test_a_graph_has_its_size_and_only_braille(
    values: list[float | None], width: int, height: int
) -> None:
    rows = braille(values, width, height)
    assert len(rows) == height
    assert all(len(row) == width for row in rows)
    assert all(c == " " or 0x2800 < ord(c) <= 0x28FF for row in rows for c in row)


def test_an_idle_vm_is_flat_and_a_gap_is_a_gap() -> None:
    assert braille([0, 0, 0, 0], 2, 1) == ["⣀⣀"]
    assert braille([0, None, None, 0], 2, 1) == ["⡀⢀"]
    assert braille([100, 100], 1, 2) == ["⣿", "⣿"]


def test_own_keys_of_the_actions_never_clash() -> None:
    keys = [key for action in ACTIONS for key in action.key.split(",")]
    assert len(keys) == len(set(keys))
    assert not RESERVED & set(keys)
    assert all(normalised(display(key)) == key for key in keys)


def test_keys_can_be_swapped() -> None:
    good, wrong = keymap({"start": "d", "shutdown": "s"})
    assert good == {"start": "d", "shutdown": "s"}
    assert not wrong


def test_a_key_that_is_taken_is_left_out() -> None:
    good, wrong = keymap({"start": "d"})
    assert good == {}
    assert wrong == ["start: d is shutdown"]


def test_free_names() -> None:
    assert free_name("micro", ["Micro-1", "micro-2"]) == "micro-3"
    assert free_name("[red]", []) == "red-1"
    assert free_name("---", []) == "vm-1"
    assert filled_in("none", BLANK, Limits(), Recipe())["name"] == "vm-1"


@pytest.mark.parametrize("vcpus", ["", "1.5", "-1", "x"])
def test_what_cannot_be_read_hides_no_other_problem(vcpus: str) -> None:
    texts = {"name": "a b", "image": "micro", "vcpus": vcpus, "memory": "12", "forward": "'22"}
    draft = Draft(texts, image_error=InputError("no image", why="gone"))
    spec, problems = draft.read(Limits())
    assert spec is None
    assert [problem.field for problem in problems] == [
        "image",
        "name",
        "vcpus",
        "memory",
        "forward",
    ]


def test_a_good_draft_is_a_spec() -> None:
    texts = {"name": " web ", "vcpus": "2", "memory": "1.5G", "forward": "2222:22 80", "tpm": "yes"}
    texts |= {"tags": "a 'b c'", "share": "/tmp:tmp,ro"}
    spec, problems = Draft(texts).read(Limits())
    assert [str(problem) for problem in problems] == [
        "'b c' can't be a tag. Use letters, digits, '.', ':', '-', '_'."
    ]
    spec, problems = Draft(texts | {"tags": "a b"}).read(Limits())
    assert not problems
    assert spec is not None
    assert (spec.name, spec.vcpus, spec.memory_bytes) == ("web", 2, 3 * 2**29)
    assert spec.tpm
    assert spec.tags == ("a", "b")
    assert spec.nics is not None
    assert spec.nics[0].forwards == (Forward(22, 2222), Forward(80))
    assert spec.shares == (SharedFolder(Path("/tmp"), "tmp", read_only=True),)


def test_what_was_just_removed_can_be_drawn_once_more() -> None:
    filters = [ANSIToTruecolor(DIMMED_MONOKAI)]
    assert own_colours(Widget(), filters) == filters
