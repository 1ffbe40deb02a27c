"""A plan carried out: files made, the definition stored whole, then what is live, step by step."""

from __future__ import annotations

from collections.abc import Callable

from vmtui.backends.base import Progress, ProgressSink
from vmtui.backends.kvm import autostart
from vmtui.backends.kvm.configuring.drafting import Work
from vmtui.backends.kvm.configuring.going import changes_back
from vmtui.backends.kvm.configuring.planning import Prepared
from vmtui.backends.kvm.machine import Machine
from vmtui.errors import VmtuiError
from vmtui.hardware.changes import Done, Outcome
from vmtui.whole import whole_in_thread


async def carry_out(machine: Machine, ready: Prepared, progress: ProgressSink) -> Outcome:
    """Do what was prepared; the VM's lock is held. What fails before the store changes nothing."""
    draft = ready.draft
    await _store(machine, ready, progress)
    done = [await _live(machine, work, progress) for work in draft.works]
    if draft.rename:
        await machine.store.rename(machine.name, draft.rename)
    return Outcome(tuple(done), changes_back(draft, ready.after))


async def _store(machine: Machine, ready: Prepared, progress: ProgressSink) -> None:
    taken_back: list[Callable[[], None]] = []
    try:
        for work in ready.draft.works:
            if work.make is not None:
                progress(Progress(work.step.text))
                if work.unmake is not None:
                    taken_back.append(work.unmake)
                await work.make()
        before = ready.draft.here.stored
        name = ready.draft.rename or machine.name
        follows = (before.autostart, before.restart, machine.name)
        if follows != (ready.after.autostart, ready.after.restart, name):
            await whole_in_thread(_follow, machine.name, name, ready)
        # Written anew although it stays the same, it tells all who look of a disk's new size.
        made = any(work.make is not None for work in ready.draft.works)
        if made or ready.text != machine.store.text(machine.name):
            await machine.store.write_text(machine.name, ready.text)
    except BaseException:
        for unmake in reversed(taken_back):
            await whole_in_thread(unmake)
        raise
    machine.reload()


def _follow(old: str, name: str, ready: Prepared) -> None:
    """systemd is told by a unit of the VM's name."""
    wanted = ready.after
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
