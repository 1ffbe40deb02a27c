"""Recorded programs on vmtui's terminal and on tmux: the same screens, cell for cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.oracle.asciicast import RECORDINGS, Mark, Output, Recording, Resize, load
from tests.oracle.differences import DIFFERENCES
from tests.oracle.tmux import MODES, Characters, Tmux, normal
from vmtui.terminal.cells import Mouse, MouseEncoding
from vmtui.terminal.emulator import Emulator

pytestmark = pytest.mark.slow

ALL = sorted(RECORDINGS.glob("*.cast.gz"))


def name(path: Path) -> str:
    return path.name.removesuffix(".cast.gz")


@pytest.mark.parametrize("path", ALL, ids=name)
def test_every_screen_is_as_in_tmux(path: Path) -> None:
    recording = load(path)
    found: dict[int, list[str]] = {}
    mark = 0
    terminal = Emulator(recording.columns, recording.rows)
    with Tmux(recording.columns, recording.rows) as tmux:
        for event in recording.events:
            if isinstance(event, Output):
                terminal.feed(event.text.encode())
                tmux.feed(event.text)
            elif isinstance(event, Resize):
                terminal.resize(event.columns, event.rows)
                tmux.resize(event.columns, event.rows)
            else:
                mark += 1
                if differing := _differing(terminal, tmux):
                    found[mark] = differing
    known = {mark for one in DIFFERENCES for mark in one.marks.get(name(path), ())}
    unknown = {mark: what for mark, what in found.items() if mark not in known}
    assert not unknown
    assert found.keys() == known, "a known difference is none any more"


def _differing(terminal: Emulator, tmux: Tmux) -> list[str]:
    rows = zip(_screen(terminal), tmux.screen(), strict=True)
    different = [
        f"row {number}: {ours} instead of {theirs}"
        for number, (ours, theirs) in enumerate(rows)
        if ours != theirs
    ]
    modes, theirs = _modes(terminal), tmux.ask(*MODES)
    if modes != theirs:
        different.append(f"modes: {modes} instead of {theirs}")
    return different


def _screen(terminal: Emulator) -> list[Characters]:
    return [
        normal((character, run.style) for run in terminal.row(row) for character in run.text)
        for row in range(terminal.rows)
    ]


def _modes(terminal: Emulator) -> list[str]:
    cursor, modes = terminal.cursor, terminal.modes
    flags = (
        cursor.visible,
        modes.alternate_screen,
        modes.application_cursor,
        modes.application_keypad,
        modes.mouse is Mouse.BUTTONS,
        modes.mouse is Mouse.DRAG,
        modes.mouse is Mouse.MOTION,
        modes.mouse_encoding is MouseEncoding.SGR,
    )
    # tmux counts a cursor that waits to wrap one further.
    column = min(cursor.column, terminal.columns - 1)
    return [str(column), str(cursor.row), *("1" if flag else "0" for flag in flags)]


@pytest.mark.parametrize("path", ALL, ids=name)
def test_what_was_erased_has_the_same_background(path: Path) -> None:
    # tmux tells of that only up to the last character of a row, so one is put into each corner.
    recording = load(path)
    output = _up_to_the_first_resize(recording)
    output += "\x1b[?7l\x1b[?6l\x1b[r\x1b[4l\x1b[m\x1b(B\x0f"
    output += "".join(f"\x1b[{row};{recording.columns}HX" for row in range(1, recording.rows + 1))
    terminal = Emulator(recording.columns, recording.rows)
    terminal.feed(output.encode())
    with Tmux(recording.columns, recording.rows) as tmux:
        tmux.feed(output)
        assert _screen(terminal) == tmux.screen()


def _up_to_the_first_resize(recording: Recording) -> str:
    """As most programs clear at their end, without the last step where there is no resize."""
    events = list(recording.events)
    resizes = [index for index, event in enumerate(events) if isinstance(event, Resize)]
    marks = [index for index, event in enumerate(events) if isinstance(event, Mark)]
    end = resizes[0] if resizes else marks[-2]
    return "".join(event.text for event in events[:end] if isinstance(event, Output))
