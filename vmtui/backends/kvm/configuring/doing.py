"""A plan carried out: files made, the definition stored whole, then what is live, step by step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.kvm import autostart
from vmtui.backends.kvm.configuring.drafting import Work
from vmtui.backends.kvm.configuring.going import changes_back
from vmtui.backends.kvm.configuring.planning import Prepared
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import VmtuiError
from vmtui.hardware.changes import Done, Outcome
from vmtui.whole import whole_in_thread


async def carry_out(machine: Machine, ready: Prepared, progress: ProgressSink) -> Outcome:
    """Do what was prepared; the VM's lock is held. What fails before the store changes nothing."""
    draft = ready.draft
    taken_back: list[Callable[[], object]] = []
    try:
        await _store(machine, ready, progress, taken_back)
    except BaseException:
        for take_back in reversed(taken_back):
            with suppress(VmtuiError, OSError):  # what failed first is what is told
                await whole_in_thread(take_back)
        raise
    machine.reload()
    done = [await _live(machine, work, progress) for work in draft.works]
    return Outcome(tuple(done), changes_back(draft, ready.after))


async def _store(
    machine: Machine,
    ready: Prepared,
    progress: ProgressSink,
    taken_back: list[Callable[[], object]],
) -> None:
    """Make files, then the name, then the definition; `taken_back` gets what undoes each."""
    draft, store = ready.draft, machine.store
    for work in draft.works:
        if work.make is not None:
            progress(Progress(work.step.text))
            if work.unmake is not None:
                taken_back.append(work.unmake)
            await work.make()
    before, name = draft.here.stored, draft.rename or machine.name
    follows = (before.autostart, before.restart, machine.name)
    if follows != (ready.after.autostart, ready.after.restart, name):
        taken_back.append(partial(_follow, name, machine.name, before))
        await whole_in_thread(_follow, machine.name, name, ready.after)
    old_text = store.text(machine.name)
    if draft.rename:
        await store.rename(machine.name, name)
        taken_back.append(partial(store.folder(name).rename, store.folder(machine.name)))
    # Written anew although it stays the same, it tells all who look of a disk's new size.
    if ready.text != old_text or any(work.make is not None for work in draft.works):
        await store.write_text(name, ready.text)


def _follow(old: str, name: str, wanted: Definition) -> None:
    """systemd is told by a unit of the VM's name."""
    if old != name:
        autostart.follow(old, autostart=False)
    autostart.follow(name, autostart=wanted.autostart, restart=wanted.restart == "on-crash")


async def _live(machine: Machine, work: Work, progress: ProgressSink) -> Done:
    if work.live is None:
        return Done(work.step)
    progress(Progress(work.step.text))
    try:
        return Done(work.step, reached=await work.live(machine))
    except VmtuiError as error:
        return Done(work.step, problem=_reason(error))


def _reason(error: VmtuiError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what
