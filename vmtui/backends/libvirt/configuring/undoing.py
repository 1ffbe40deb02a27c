"""What brings back what a change of a domain changed, where nothing is lost on that way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy

from vmtui.backends.libvirt.configuring.drafting import differences
from vmtui.backends.libvirt.configuring.elements import Element
from vmtui.backends.libvirt.configuring.situation import Situation
from vmtui.errors import InputError, UnsupportedError
from vmtui.hardware.changes import Assign, Change, ChangePlan, Detach, Done, When
from vmtui.hardware.tree import Hardware, Part

_MADE_ANEW = ("address", "alias", "controller")
"""What libvirt gives to a device by itself, each time that it comes."""


def undoing(
    then: tuple[Situation, Hardware],
    now: tuple[Situation, Hardware],
    plan: ChangePlan,
    done: Sequence[Done],
) -> tuple[Change, ...]:
    """Changes that bring back what was; none where something would be lost on that way."""
    (here, before), (after, tree) = then, now
    if plan.text or any(isinstance(change, Detach) for change in plan.changes):
        return ()
    live = plan.when is When.LIVE
    new = [
        Detach(part.id)
        for part in tree.parts
        if (part.there_now if live else part.there_next) and _is_new(part, before)
    ]
    if live:
        return (*new, *_undoing_live(before, done))
    # A disk that has grown stays as large: what would be cut off may be in use.
    changes: list[Change] = [
        one for one in differences(tree, before) if not one.key.endswith(".size")
    ]
    changes += new
    root = deepcopy(after.next)
    try:
        for change in changes:
            if after.table.has_in_xml(change):
                after.table.apply(root, change)
    except (InputError, UnsupportedError):
        return ()
    if _all_of(here.next) - _all_of(root):
        return ()
    return (*changes, *(one for one in _undoing_live(before, done) if one.key == "memory.target"))


def _is_new(part: Part, before: Hardware) -> bool:
    return "." in part.id and before.part(part.id) is None


def _undoing_live(before: Hardware, done: Sequence[Done]) -> Iterator[Assign]:
    """The last first."""
    for one in reversed(done):
        asked = one.step.change
        entry = before.entry(asked.key) if isinstance(asked, Assign) else None
        if entry is not None and not one.problem:
            yield Assign(entry.key, entry.wanted or entry.now)


def _all_of(root: Element) -> Counter[str]:
    """All that a definition says, but for what libvirt makes by itself."""
    found: Counter[str] = Counter()
    for element in root.iter("*"):
        path = [element.tag, *(one.tag for one in element.iterancestors())]
        if not any(tag in _MADE_ANEW for tag in path):
            text = (element.text or "").strip()
            found[f"{'/'.join(path)} {sorted(element.attrib.items())} {text}"] += 1
    return found
