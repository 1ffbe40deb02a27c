"""The policy: from what guests and their host say to what each balloon is asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vmtui.balance.compliance import Memory, is_behind, left_alone, watched
from vmtui.balance.guests import Guest, HostMemory
from vmtui.balance.moves import Decision, Move
from vmtui.balance.rules import RULES, Rules
from vmtui.model import VMId
from vmtui.units import MIB, size


@dataclass(frozen=True, slots=True)
class Round:
    """What one round comes to; `memory` goes into the next."""

    decisions: tuple[Decision, ...]
    memory: Mapping[VMId, Memory]
    unasked: Mapping[VMId, Memory]
    """What goes into the next instead, of those that could not be asked for what was decided."""


@dataclass(slots=True)
class _Account:
    """One guest in one round: what it needs, and what it is asked for so far."""

    guest: Guest
    least: int
    most: int
    reserve: int
    used: int  # with what its kernel keeps for itself
    need: int  # its own use and its reserve, within its range
    pressed: str  # why it has too little, also if it can't have more; empty: it has not
    awaited: int | None  # asked for before, not reached yet
    target: int
    reason: str = ""

    @property
    def may_grow(self) -> bool:
        """Whether it has less than the most that it may have."""
        return self.guest.actual_bytes < self.most

    @property
    def surplus(self) -> int:
        return max(0, self.guest.actual_bytes - self.need)

    @property
    def coming(self) -> int:
        """What its balloon still gives up, of what was asked for before."""
        return max(0, self.guest.actual_bytes - (self.awaited or self.guest.actual_bytes))

    @property
    def going(self) -> int:
        """What it is still to get."""
        return max(0, (self.awaited or self.guest.actual_bytes) - self.guest.actual_bytes)

    @property
    def idleness(self) -> float:
        """What it has beyond its need, of all that it has; less counts for more weight."""
        return self.surplus / self.guest.actual_bytes * 100 / self.guest.balance.weight

    @property
    def free(self) -> bool:
        """Whether it can be asked for something in this round."""
        return not (self.pressed or self.reason) and self.awaited is None

    def ask(self, target: int, reason: str) -> None:
        self.target, self.reason = target // MIB * MIB, reason


def decide(
    guests: Sequence[Guest],
    host: HostMemory,
    memory: Mapping[VMId, Memory],
    now_s: float,
    rules: Rules = RULES,
) -> Round:
    """One round.

    First the pressed are given to, as far as the host has it; what is lacking, there or on the
    host, is taken from who has most beyond need and reserve, the idle first, a step at a time. A
    host with plenty gives back by weight. Stale figures, also those of before the last move, and
    guests that do not comply, move nothing.
    """
    remembered = {guest.id: watched(guest, memory.get(guest.id), now_s, rules) for guest in guests}
    left = [d for guest in guests if (d := left_alone(guest, memory.get(guest.id), remembered))]
    accounts = [
        _account(guest, remembered[guest.id], rules)
        for guest in guests
        if not remembered[guest.id].left_because
        and not is_behind(guest, remembered[guest.id], now_s)
    ]
    goal = rules.goal_bytes(host.total_bytes)
    spare = host.available_bytes - goal - sum(account.going for account in accounts)
    given, lacking = _give_to_pressed(accounts, spare + goal // 2, rules)
    spare -= given
    _keep_below_most(accounts, rules)
    squeezed = host.pressure_percent > rules.pressure_percent
    coming = sum(account.coming for account in accounts)
    short = max(0, -spare, goal // 4 if squeezed else 0) + lacking - coming
    if short > 0:
        _take(accounts, short, "a guest" if lacking and not squeezed else "the host", rules)
    elif not squeezed and not any(account.pressed and account.may_grow for account in accounts):
        _give_back(accounts, spare - int(goal * rules.slack_ratio), rules)
        _even_out(accounts, rules)
    decisions = tuple(d for account in accounts if (d := _decision(account)))
    # Asked again, too, only once the guest tells of the time after this.
    unasked = {d.id: replace(remembered[d.id], moved_at_s=now_s) for d in decisions}
    _remember(remembered, left, decisions, now_s)
    return Round((*left, *decisions), remembered, unasked)


def _remember(
    memory: dict[VMId, Memory],
    left: Iterable[Decision],
    decisions: Iterable[Decision],
    now_s: float,
) -> None:
    """What each is asked for from now on; of those that are left alone, what is taken back."""
    for decision in decisions:
        memory[decision.id] = replace(
            memory[decision.id],
            asked_bytes=decision.target_bytes,
            moved_at_s=now_s,
            seen_bytes=decision.from_bytes,
            taken_from_bytes=decision.from_bytes if decision.move is Move.TAKE else 0,
        )
    for decision in left:
        if decision.target_bytes is not None:
            memory[decision.id] = replace(memory[decision.id], asked_bytes=None, taken_from_bytes=0)


# -- what each needs -------------------------------------------------------------------------


def _account(guest: Guest, memory: Memory, rules: Rules) -> _Account:
    assert guest.used_bytes is not None
    balance, ceiling = guest.balance, guest.ceiling_bytes
    reserve = balance.reserve_bytes
    if reserve is None:
        reserve = max(rules.reserve_least_bytes, int(ceiling * rules.reserve_ratio))
    most = min(ceiling, balance.most_bytes or ceiling)
    least = min(most, balance.least_bytes or 0)
    used = guest.used_bytes + memory.own_bytes
    need = min(most, max(least, used + reserve))
    actual = guest.actual_bytes
    pressed = _pressed(guest, reserve, least, rules)
    return _Account(guest, least, most, reserve, used, need, pressed, memory.asked_bytes, actual)


def _pressed(guest: Guest, reserve: int, least: int, rules: Rules) -> str:
    assert guest.available_bytes is not None
    if guest.actual_bytes + rules.step_least_bytes <= least:
        return f"it is below its range, which begins at {size(least)}"
    if guest.swaps:
        return "it swaps"
    if guest.major_faults_per_s > rules.faults_per_s:
        return f"it has {guest.major_faults_per_s:.0f} major faults a second"
    if guest.available_bytes < reserve * rules.pressed_ratio:
        return f"it has {size(guest.available_bytes)} available of its reserve of {size(reserve)}"
    return ""


# -- moves -----------------------------------------------------------------------------------


def _give_to_pressed(accounts: Iterable[_Account], funds: int, rules: Rules) -> tuple[int, int]:
    """Give what `funds` allow to those who need it, the weightiest first.

    What is given, and what is lacking.
    """
    given = lacking = 0
    pressed = [account for account in accounts if account.pressed]
    for account in sorted(pressed, key=lambda a: -a.guest.balance.weight):
        guest = account.guest
        base = max(guest.actual_bytes, account.awaited or 0)
        more = min(account.most, _wanted(account, rules)) - base
        if more < rules.step_least_bytes:
            continue
        granted = max(0, min(more, funds - given))
        lacking += more - granted
        if granted >= rules.step_least_bytes:
            given += granted
            account.ask(base + granted, account.pressed)
        elif account.coming:
            account.ask(guest.actual_bytes, account.pressed)  # at least nothing more is taken
    return given, lacking


def _wanted(account: _Account, rules: Rules) -> int:
    guest = account.guest
    wanted = max(account.least, account.used + 2 * account.reserve)
    if guest.swaps or guest.major_faults_per_s > rules.faults_per_s:
        return max(wanted, int(guest.actual_bytes * (1 + rules.boost_ratio)))
    return wanted


def _keep_below_most(accounts: Iterable[_Account], rules: Rules) -> None:
    """A range that was made smaller is kept too, a step at a time, where the guest can bear it."""
    for account in accounts:
        guest, most = account.guest, account.most
        if account.awaited is None and guest.actual_bytes > most and account.need < most:
            step = int(guest.ceiling_bytes * rules.step_ratio)
            account.ask(max(most, guest.actual_bytes - step), f"its range ends at {size(most)}")


def _take(accounts: Sequence[_Account], short: int, whose: str, rules: Rules) -> None:
    donors = [account for account in accounts if account.free and account.surplus]
    for donor in sorted(donors, key=lambda account: -account.idleness):
        if short <= 0:
            return
        step = max(rules.step_least_bytes, int(donor.guest.ceiling_bytes * rules.step_ratio))
        taken = min(donor.surplus, step, max(short, rules.step_least_bytes))
        if taken < rules.step_least_bytes:
            continue
        short -= taken
        has = size(donor.guest.available_bytes)
        donor.ask(donor.guest.actual_bytes - taken, f"{whose} is short, and it has {has} available")


def _give_back(accounts: Sequence[_Account], spare: int, rules: Rules) -> None:
    lacking = [a for a in accounts if a.free and a.may_grow]
    weights = sum(account.guest.balance.weight for account in lacking)
    for account in lacking:
        share = spare * account.guest.balance.weight // weights
        step = int(account.guest.ceiling_bytes * rules.step_ratio)
        more = min(share, account.most - account.guest.actual_bytes, max(step, 2 * MIB))
        if more >= min(rules.step_least_bytes, account.most - account.guest.actual_bytes) > 0:
            account.ask(account.guest.actual_bytes + more, "the host has enough")


def _even_out(accounts: Iterable[_Account], rules: Rules) -> None:
    """Once the need has gone, memory comes back from who it went to: a step from the idlest."""
    free = [account for account in accounts if account.free]
    lacking = [account for account in free if account.may_grow]
    if not lacking:
        return
    donor = max(free, key=lambda account: account.idleness)
    taker = min(lacking, key=lambda account: account.idleness)
    if donor.idleness - taker.idleness < rules.uneven:
        return
    step = int(min(donor.guest.ceiling_bytes, taker.guest.ceiling_bytes) * rules.step_ratio)
    # A quarter of the difference: half would turn it round.
    uneven = (donor.surplus - taker.surplus) // 4
    moved = min(uneven, step, taker.most - taker.guest.actual_bytes)
    if moved >= rules.step_least_bytes:
        donor.ask(donor.guest.actual_bytes - moved, f"it idles, and {taker.guest.name} has less")
        taker.ask(taker.guest.actual_bytes + moved, f"{donor.guest.name} no longer needs it")


def _decision(account: _Account) -> Decision | None:
    guest = account.guest
    if not account.reason:
        return None
    move = Move.GIVE if account.target >= guest.actual_bytes else Move.TAKE
    return Decision(guest.id, guest.name, move, guest.actual_bytes, account.target, account.reason)
