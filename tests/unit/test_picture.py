"""Pictures: what hypervisors give, scaled, in half blocks, as PNG."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmtui.errors import OperationError
from vmtui.picture import Part, Picture, decoded, fitted, half_blocks, png, scaled
from vmtui.widgets.framing import Framing

pictures = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
    lambda size: st.binary(min_size=size[0] * size[1] * 3, max_size=size[0] * size[1] * 3).map(
        lambda rgb: Picture(*size, rgb)
    )
)


def ppm(picture: Picture) -> bytes:
    return b"P6\n%d %d\n255\n" % (picture.width, picture.height) + picture.rgb


@given(pictures)
def test_a_picture_survives_both_formats(picture: Picture) -> None:
    assert decoded(ppm(picture)) == picture
    assert decoded(png(picture)) == picture


@given(st.binary(max_size=64), st.sampled_from([b"", b"P6 9 9 255 ", b"\x89PNG\r\n\x1a\n"]))
def test_what_is_no_picture_is_one_clear_error(rest: bytes, start: bytes) -> None:
    with pytest.raises(OperationError, match="can't be read"):
        decoded(start + rest)


@pytest.mark.parametrize("size", [b"0 9", b"9999999 9999999", b"2 2"])
def test_a_picture_of_an_impossible_size_is_refused(size: bytes) -> None:
    with pytest.raises(OperationError):
        decoded(b"P6 " + size + b" 255\n" + bytes(9))


@given(*[st.integers(1, 5000)] * 2, *[st.integers(1, 300)] * 2)
def test_proportions_are_kept_in_whatever_room(
    width: int, height: int, columns: int, rows: int
) -> None:
    fit_width, fit_height = fitted(width, height, columns, rows)
    assert 1 <= fit_width <= columns
    assert 1 <= fit_height <= rows
    assert fit_width == columns or fit_height == rows
    scale = min(columns / width, rows / height)
    assert abs(fit_width - width * scale) <= 1
    assert abs(fit_height - height * scale) <= 1


def test_each_pixel_is_the_mean_of_those_it_stands_for() -> None:
    picture = Picture(4, 2, bytes([0, 0, 0, 20, 40, 60] * 2 + [200] * 12))
    part = Part(0, 0, 4, 2)
    assert scaled(picture, part, 2, 1) == Picture(2, 1, bytes([105, 110, 115] * 2))
    assert scaled(picture, Part(2, 1, 2, 1), 2, 1) == Picture(2, 1, bytes([200] * 6))


def test_half_blocks_are_two_pixels_each() -> None:
    picture = Picture(2, 3, bytes(range(18)))
    assert half_blocks(picture) == [
        [((0, 1, 2), (6, 7, 8)), ((3, 4, 5), (9, 10, 11))],
        [((12, 13, 14), (0, 0, 0)), ((15, 16, 17), (0, 0, 0))],
    ]


def test_in_its_own_size_a_part_is_seen_and_moved_over_no_further_than_the_edges() -> None:
    picture = Picture(100, 100, bytes(30000))
    shown = Framing().other_size().shown(picture, 20, 10)
    assert (shown.part, shown.percent) == (Part(40, 40, 20, 20), 100)
    for _ in range(9):
        shown = shown.panned(1, -1).shown(picture, 20, 10)
    assert shown.part == Part(80, 0, 20, 20)
    assert shown.panned(-1, 0).shown(picture, 20, 10).part == Part(70, 0, 20, 20)
    assert shown.place(0, 0) == (0.805, 0.01)


@given(st.integers(0, 79), st.integers(0, 24))
def test_a_cell_of_the_whole_picture_is_a_place_in_it(x: int, y: int) -> None:
    shown = Framing().shown(Picture(16, 16, bytes(768)), 80, 25)
    across, down = shown.place(x, y)
    assert 0 <= across <= 1
    assert abs(down - (y + 0.5) / 25) < 1e-9
    assert (across in (0, 1)) == (not 15 <= x < 65)


def test_only_lines_that_differ_are_drawn_again() -> None:
    black = Picture(8, 8, bytes(192))
    dotted = Picture(8, 8, bytes(100) + b"\xff" + bytes(91))
    before, after = (Framing().shown(picture, 8, 4) for picture in (black, dotted))
    assert list(after.differs_from(before)) == [2]
    assert list(after.differs_from(after)) == []
