"""`show --hardware` and `--diff`: a VM's settings and parts, now and at its next boot."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Hardware, Part, Takes
from vmtui.output import print_json, print_table
from vmtui.units import plain

_THERE = ("not there", "there")


def show_hardware(hardware: Hardware, *, only_pending: bool, as_json: bool) -> None:
    """All of it, or only what its next boot takes otherwise than it is."""
    if as_json:
        facts = msgspec.to_builtins(hardware)
        print_json({**facts, "pending": hardware.pending})
    elif only_pending and not hardware.active:
        print(f"{plain(hardware.name)} is off: nothing waits for its next boot.")
    elif only_pending and not hardware.pending:
        print(f"{plain(hardware.name)}: its next boot takes everything as it is.")
    elif only_pending:
        wanted = frozenset(hardware.pending)
        rows = [row for row in _table(hardware) if row[0] in wanted]
        print_table(("KEY", "NOW", "NEXT BOOT"), [row[:3] for row in rows])
    else:
        # Devices have labels of their own; what every VM has is told of by its settings.
        for part in hardware.parts:
            if "." in part.id or part.notes:
                print(plain(f"{part.id}: {part.label}"))
            for note in part.notes:
                print(f"  {plain(note)}")
        print_table(("KEY", "NOW", "NEXT BOOT", "A CHANGE IS"), list(_table(hardware)))


def _table(hardware: Hardware) -> Iterator[tuple[str, str, str, str]]:
    """A row a setting; of what runs, the next boot's value only where it is another."""
    for part in hardware.parts:
        for key, now, then, takes in _rows(part):
            if hardware.active:
                yield key, now, "" if then == now else then, takes
            else:
                yield key, "", then, takes


def _rows(part: Part) -> Iterator[tuple[str, str, str, str]]:
    if part.detach is not Takes.NEVER or part.there_now != part.there_next:
        now, then = _THERE[part.there_now], _THERE[part.there_next]
        yield part.id, now, then, part.detach.value
    for entry in part.entries:
        form = setting(entry.key).form
        now = form.shown(entry.now)
        if entry.wanted is not None and entry.wanted != entry.now:
            now += f" (asked for {form.shown(entry.wanted)})"
        when = f"{entry.takes.value}: {entry.why}" if entry.why else entry.takes.value
        yield entry.key, now, form.shown(entry.next), when
