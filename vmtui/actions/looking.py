"""The actions on what is shown, on vmtui itself and on a replay: their keys and words."""

from __future__ import annotations

from vmtui.actions.action import Action, Scope
from vmtui.column_sets import ColumnSet

LOOKING: tuple[Action, ...] = (
    Action("filter", "filter", "slash", "Show only VMs that match.", Scope.VIEW),
    Action("mark", "mark", "space", "Mark for the next action; Esc unmarks all.", Scope.VIEW),
    Action("mark_all", "mark all", "asterisk", "Mark all shown VMs.", Scope.VIEW, footer=False),
    Action(
        "sort_left",
        "sort left",
        "less_than_sign",
        "Sort by the column to the left.",
        Scope.VIEW,
        footer=False,
    ),
    Action(
        "sort_right",
        "sort right",
        "greater_than_sign",
        "Sort by the column to the right.",
        Scope.VIEW,
        footer=False,
    ),
    Action(
        "sort_reverse",
        "reverse",
        "exclamation_mark",
        "Reverse the order.",
        Scope.VIEW,
        footer=False,
    ),
    Action(
        "alarm",
        "next alarm",
        "a",
        "Go to the next VM that has too much of something.",
        Scope.VIEW,
        footer=False,
    ),
    Action("explain", "explain", "i", "What the figures shown here are and come from.", Scope.VIEW),
    Action("host", "host", "o", "Open the VM's host in full.", Scope.VIEW, footer=False),
    *(
        Action(
            f"columns_{columns}",
            f"{columns.label} columns",
            str(place),
            f"Show the {columns.label} columns.",
            Scope.VIEW,
            footer=False,
        )
        for place, columns in enumerate(ColumnSet, start=1)
    ),
    Action(
        "retry", "retry", "ctrl+r", "Try connections that are down now.", Scope.VIEW, footer=False
    ),
    Action(
        "connections",
        "connections",
        "at",
        "How each connection is, and why.",
        Scope.VIEW,
        footer=False,
    ),
    Action("tasks", "tasks", "T", "Show running and finished tasks.", Scope.VIEW, footer=False),
    Action(
        "doctor",
        "doctor",
        "H",
        "What this machine has, and what is missing.",
        Scope.VIEW,
        footer=False,
    ),
    Action("theme", "theme", "ctrl+t", "Next theme.", Scope.VIEW, footer=False),
    Action("help", "help", "question_mark", "All keys.", Scope.VIEW),
    Action("quit", "quit", "q", "Leave; VMs go on.", Scope.VIEW, footer=False),
)

REPLAYING: tuple[Action, ...] = tuple(
    Action(f"replay_{name}", label, key, about, Scope.REPLAY, footer=False)
    for name, label, key, about in (
        ("pause", "pause or go on", "P", "Stop the replay, or go on."),
        ("step_on", "step on", "full_stop", "One sample on."),
        ("step_back", "step back", "comma", "One sample back."),
        ("on_10s", "10 s on", "right_curly_bracket", "10 seconds on."),
        ("back_10s", "10 s back", "left_curly_bracket", "10 seconds back."),
        ("on_1min", "1 min on", "right_parenthesis", "A minute on."),
        ("back_1min", "1 min back", "left_parenthesis", "A minute back."),
        ("begin", "to the start", "circumflex_accent", "To the first sample."),
        ("end", "to the end", "dollar_sign", "To the last sample."),
        ("speed", "replay speed", "F", "4 and 16 times as fast, then as it was."),
    )
)
