"""Where vmtui's terminal and tmux 3.3a are known to differ, and why that is right or bearable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One reason, and where it shows: the numbers of the marks, by recording."""

    reason: str
    marks: Mapping[str, Sequence[int]]


DIFFERENCES = (
    Difference(
        "At the end of a line, where the next character wraps, a backspace or CSI D goes two "
        "columns back in xterm and here, and one in tmux; vttest's pages say what is right.",
        {
            "vttest-cursor-80x24": (3, 4, 5),
            "vttest-cursor-100x37": (3, 5),
            "vttest-cursor-132x50": (5,),
        },
    ),
    Difference(
        "Setting the scroll region in origin mode puts the cursor at the region's top, in tmux at "
        "that of the screen; vttest's page says what is right.",
        {
            "vttest-screen-80x24": (12,),
            "vttest-screen-100x37": (12,),
            "vttest-screen-132x50": (12,),
        },
    ),
    Difference(
        "What a smaller size cuts off the alternate screen is gone, as in xterm. tmux keeps it and "
        "shows it again when there is room.",
        {"mc-80x24": (13, 14), "mc-100x37": (13, 14), "mc-132x50": (13, 14)},
    ),
    Difference(
        "When lines are wrapped anew, none comes back from above the screen: a guest on a serial "
        "line is not told, and a program that counts rows from the top would be off. A line that "
        "begins above the screen is wrapped from where it was cut.",
        {"shell-80x24": (11, 12, 13, 14), "shell-132x50": (12, 13, 14)},
    ),
    Difference(
        "A wide character that does not fit leaves a blank at the end of the line, which stays "
        "when the line is wrapped anew.",
        {"unicode-80x24": (2, 3, 4), "unicode-100x37": (2, 3, 4), "unicode-132x50": (2, 3, 4)},
    ),
)
