"""Keys: from the table of actions to Textual's bindings, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, BindingType
from textual.keys import format_key

from vmtui.actions import ACTIONS, BY_ID, Action
from vmtui.units import plain

NAVIGATION = (
    ("j k ↓ ↑", "down, up"),
    ("g G", "first, last"),
    ("ctrl+d ctrl+u", "half a page down, up"),
    ("PgDn PgUp", "a page down, up"),
    ("Enter", "open the VM in full"),
    ("Esc", "back; call off what is about to open; clear the filter; unmark all"),
    ("Tab  [ ]  h l", "the next or previous tab of the pane"),
    ("+ - ← → 0", "graphs in full: closer, more of the past, back, on, to now"),
    ("Enter + - 1…9", "hardware: change, attach, detach; to a part"),
    ("ctrl+p", "all commands and settings by name"),
    ("mouse", "click selects, double click opens, a header sorts"),
)
"""Keys that can't be remapped, for the help."""

RESERVED = frozenset(
    {"j", "k", "up", "down", "g", "G", "home", "end", "pagedown", "pageup", "enter", "escape"}
    | {"ctrl+d", "ctrl+u", "ctrl+f", "ctrl+b", "ctrl+p", "ctrl+q", "ctrl+c", "tab", "shift+tab"}
    | {"left_square_bracket", "right_square_bracket", "h", "l", "left", "right"}
    | {"plus", "equals_sign", "minus", "0"}
)


def bindings() -> list[Binding]:
    """One binding for each action; its id is the action's, so that it can be remapped."""
    return [
        Binding(action.key, f"do('{action.id}')", action.label, show=False, id=action.id)
        for action in ACTIONS
    ]


def moves(action: str) -> list[BindingType]:
    """One down and up, to the last and the first, by `action_ACTION(step)`."""
    return [
        Binding("j,down", f"{action}(1)", show=False),
        Binding("k,up", f"{action}(-1)", show=False),
        Binding("G,end", f"{action}(100000)", show=False),
        Binding("g,home", f"{action}(-100000)", show=False),
    ]


def keymap(wanted: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The user's keys that can be used, and what is wrong with the others.

    An entry that names no action, or a key that something else keeps, is left out; the action
    then has its own key.
    """
    good: dict[str, str] = {}
    wrong: list[str] = []
    for action_id, keys in wanted.items():
        normal = [normalised(key) for key in keys.split(",") if key.strip()]
        if action_id not in BY_ID:
            wrong.append(f"there is no action {plain(action_id)!r}")
        elif not normal:
            wrong.append(f"{action_id} has no key")
        elif taken := [key for key in normal if key in RESERVED]:
            wrong.append(f"{action_id}: {display(taken[0])} moves around")
        else:
            good[action_id] = ",".join(normal)
    return _without_clashes(good, wrong)


def _without_clashes(good: dict[str, str], wrong: list[str]) -> tuple[dict[str, str], list[str]]:
    owners: dict[str, str] = {}
    for action in ACTIONS:
        if action.id not in good:
            owners.update((key, action.id) for key in action.key.split(","))
    for action_id, keys in list(good.items()):
        clash = next((key for key in keys.split(",") if key in owners), None)
        if clash is None:
            owners.update((key, action_id) for key in keys.split(","))
        else:
            wrong.append(f"{action_id}: {display(clash)} is {owners[clash]}")
            del good[action_id]
    return good, wrong


def normalised(key: str) -> str:
    """A key as Textual names it: `?` is `question_mark`."""
    # A comma would be taken for what separates keys.
    name = "comma" if key.strip() == "," else key.strip()
    return next(iter(Binding.make_bindings([Binding(name, "", "")]))).key


def display(key: str) -> str:
    """The first of some keys as people write it."""
    first = key.split(",", 1)[0]
    *modifiers, last = first.split("+")
    last = "space" if last == "space" else format_key(last)
    return "+".join([*modifiers, last])


def shown_key(action: Action, mapped: Mapping[str, str]) -> str:
    """The first key of an action."""
    return display(mapped.get(action.id, action.key))
