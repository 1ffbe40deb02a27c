"""Whether guests do what they were asked, and who is left alone because of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from vmtui.balance.guests import Guest
from vmtui.balance.moves import Decision, Move
from vmtui.balance.rules import Rules
from vmtui.model import VMId
from vmtui.units import MIB, size


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a VM from one round to the next. Times are monotonic."""

    asked_bytes: int | None = None
    moved_at_s: float = 0.0  # when it was asked, or was last seen to have moved
    seen_bytes: int = 0
    strikes: int = 0  # how often in a row it did not comply
    alone_until_s: float = 0.0
    left_because: str = ""
    taken_from_bytes: int = 0  # what it had before it was last asked for some, until it tells again
    own_bytes: int = 0  # of what it has, what its kernel took at its start: no figure tells of it


def watched(guest: Guest, before: Memory | None, now_s: float, rules: Rules) -> Memory:
    """What is known of a guest after another look: whether it does what it was asked."""
    memory = _complied(guest, before or Memory(seen_bytes=guest.actual_bytes), now_s, rules)
    if memory.alone_until_s > now_s:
        return memory
    return replace(memory, left_because=_unknown(guest, rules))


def _complied(guest: Guest, memory: Memory, now_s: float, rules: Rules) -> Memory:
    asked = memory.asked_bytes
    if asked is None:
        return _at_rest(guest, memory, now_s)
    distance = abs(guest.actual_bytes - asked)
    if distance <= rules.step_least_bytes // 2:
        here = guest.actual_bytes
        return replace(memory, asked_bytes=None, strikes=0, moved_at_s=now_s, seen_bytes=here)
    if abs(memory.seen_bytes - asked) - distance >= MIB:
        return replace(memory, moved_at_s=now_s, seen_bytes=guest.actual_bytes)
    if now_s - memory.moved_at_s < rules.patience_s:
        return memory
    strikes = memory.strikes + 1
    return replace(
        memory,
        asked_bytes=None,
        strikes=strikes,
        alone_until_s=now_s + rules.backoff_s(strikes),
        left_because=f"it was asked for {size(asked)} and stays at {size(guest.actual_bytes)}",
    )


def _at_rest(guest: Guest, memory: Memory, now_s: float) -> Memory:
    """One that was asked for nothing; others may move it too."""
    if abs(guest.actual_bytes - memory.seen_bytes) >= MIB:
        return replace(memory, moved_at_s=now_s, seen_bytes=guest.actual_bytes)
    if is_behind(guest, memory, now_s) or guest.used_bytes is None or guest.available_bytes is None:
        return memory
    total_bytes = guest.used_bytes + guest.available_bytes
    own_bytes = max(0, guest.actual_bytes - total_bytes)
    return replace(memory, own_bytes=own_bytes, taken_from_bytes=0)


def is_behind(guest: Guest, memory: Memory, now_s: float) -> bool:
    """Whether its figures are still of the time before it got to where it is."""
    return memory.asked_bytes is None and now_s - guest.age_s < memory.moved_at_s


def _unknown(guest: Guest, rules: Rules) -> str:
    if guest.available_bytes is None or guest.used_bytes is None:
        return "it does not tell of its memory"
    if guest.age_s > guest.period_s * rules.stale_periods:
        return f"what it tells of its memory is {guest.age_s:.0f} s old"
    return ""


def left_alone(
    guest: Guest, before: Memory | None, remembered: Mapping[VMId, Memory]
) -> Decision | None:
    """To be told once: it is left alone.

    What it was asked for is taken back with that, if it ignored it, or has been silent since: a
    guest that can't tell of its memory may lack some.
    """
    now = remembered[guest.id]
    if not now.left_because or _same(before, now):
        return None
    has, back = guest.actual_bytes, None
    if before is not None and now.strikes > before.strikes:
        back = has
    elif now.taken_from_bytes:
        back = max(has, now.taken_from_bytes)
    return Decision(guest.id, guest.name, Move.LEAVE, has, back, now.left_because)


def _same(before: Memory | None, now: Memory) -> bool:
    # The age that is told grows: it is the same reason all the same.
    return (
        before is not None
        and bool(before.left_because)
        and before.alone_until_s == now.alone_until_s
    )
