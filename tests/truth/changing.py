"""Changes as users make them: planned, done, and nothing that was to be live left for later."""

from __future__ import annotations

from vmtui.backends.abilities import Configures
from vmtui.backends.base import Backend
from vmtui.hardware.changes import Change, Outcome, When
from vmtui.hardware.settings import PartKind
from vmtui.model import VMId


async def changed(backend: Backend, vm: VMId, *changes: Change, when: When = When.AUTO) -> Outcome:
    """Do it, without a problem."""
    assert isinstance(backend, Configures)
    outcome = await backend.change(await backend.plan(vm, changes, when))
    assert [done.problem for done in outcome.done] == [""] * len(changes)
    return outcome


async def part_ids(backend: Backend, vm: VMId, kind: PartKind) -> list[str]:
    """The parts of that kind which it has now."""
    assert isinstance(backend, Configures)
    return [p.id for p in (await backend.hardware(vm)).parts if p.kind is kind and p.there_now]
