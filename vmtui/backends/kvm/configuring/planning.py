"""Plans: changes, or an edited `vm.toml`, checked as a whole and shown as a difference."""

from __future__ import annotations

import asyncio
import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from vmtui.backends.kvm.configuring import coming, edits, going, refusals
from vmtui.backends.kvm.configuring.drafting import Draft
from vmtui.backends.kvm.configuring.situation import Situation
from vmtui.backends.kvm.configuring.special import SPECIAL
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import InputError
from vmtui.hardware.changes import Assign, Attach, Change, ChangePlan, When
from vmtui.hardware.settings import setting
from vmtui.model import Accel


@dataclass(frozen=True, slots=True)
class EditedPlan(ChangePlan):
    """One that was made from an edited text; that is what is stored then."""

    text: str = ""


@dataclass(frozen=True)
class Prepared:
    """A draft with all that it comes to: what is shown, and the text that is stored."""

    draft: Draft
    after: Definition
    text: str
    plan: ChangePlan


def situation(machine: Machine, mended: Definition | None = None) -> Situation:
    """What a change of that VM starts from. Raises InputError for a broken one, unless `mended`."""
    stored = machine.definition or mended
    if stored is None:
        hint = f"Mend it: vmtui edit {machine.name}"
        raise InputError(f"{machine.name} can't be changed", why=machine.problem, hint=hint)
    return Situation(
        machine.id,
        machine.name,
        machine.folder,
        machine.active,
        machine.record is not None and machine.record.accel != Accel.KVM.value,
        machine.running,
        stored,
    )


async def prepared(
    machine: Machine, known: Sequence[Machine], changes: Sequence[Change], when: When
) -> Prepared:
    """Changes put together and found possible. Raises what `Configures.plan` says."""
    draft = Draft(situation(machine), when, machine, known)
    await _take(draft, changes)
    after = draft.done()
    before = draft.here.stored
    await asyncio.to_thread(refusals.check_host, machine.name, before, after)
    await refusals.check_qemu(machine.name, before, after)
    text = machine.store.text(machine.name)
    new_text = await asyncio.to_thread(_edited, text, before, after)
    return Prepared(draft, after, new_text, _plan(ChangePlan, draft, text, new_text))


async def prepared_text(
    machine: Machine, known: Sequence[Machine], text: str, when: When
) -> Prepared:
    """The same of an edited definition, whose differences are the changes."""
    after = await asyncio.to_thread(_read, machine.name, text)
    here = situation(machine, mended=after)
    if when is When.LIVE:
        raise InputError(
            "an edited definition is stored", hint="Leave out --live: what can be is live as well."
        )
    draft = Draft(here, when, machine, known)
    await edits.take(draft, after)
    draft.done()
    # What was edited is stored as it is: it may say more than there are settings for.
    await asyncio.to_thread(refusals.check_host, machine.name, here.stored, after)
    await refusals.check_qemu(machine.name, here.stored, after)
    stored = machine.store.text(machine.name)
    plan = _plan(partial(EditedPlan, text=text), draft, stored, text)
    return Prepared(draft, after, text, plan)


async def _take(draft: Draft, changes: Sequence[Change]) -> None:
    for change in changes:
        match change:
            case Assign(key=key):
                special = SPECIAL.get(setting(key).key)
                if special is None:
                    draft.assign(change)
                else:
                    await special(draft, change)
            case Attach():
                await coming.attach(draft, change)
            case _:
                going.detach(draft, change)


def _plan(
    kind: type[ChangePlan] | partial[EditedPlan], draft: Draft, old: str, new: str
) -> ChangePlan:
    return kind(
        vm=draft.here.vm,
        name=draft.here.name,
        when=draft.when,
        steps=tuple(work.step for work in draft.works),
        diff=difference(old, new),
        base=base(draft.machine, old),
    )


def difference(old: str, new: str) -> str:
    """Of two texts of `vm.toml`, unified; "" if they are the same."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), "vm.toml", "vm.toml, changed", lineterm=""
    )
    return "\n".join(lines)


def text_base(text: str) -> str:
    """Which stored definition it is."""
    return hashlib.sha256(text.encode()).hexdigest()


def base(machine: Machine, text: str) -> str:
    """The same, with what runs: a plan for that is void once it is another."""
    runs = msgspec.json.encode(machine.running) if machine.running else bytes(machine.active)
    return f"{text_base(text)}-{hashlib.sha256(runs).hexdigest()[:16]}"


def _edited(text: str, before: Definition, after: Definition) -> str:
    if before == after:
        return text
    from vmtui.backends.kvm.written import edited  # noqa: PLC0415 (listing has to be quick)

    return edited(text, before, after)


def _read(name: str, text: str) -> Definition:
    from vmtui.backends.kvm.written import read  # noqa: PLC0415

    try:
        return read(text)
    except ValueError as error:
        raise InputError(f"that is no definition of {name}", why=str(error)) from error
