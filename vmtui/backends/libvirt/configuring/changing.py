"""Changes of domains done: the definition stored whole, then each live step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import TypeVar

import libvirt

from vmtui.backends.libvirt import balloons
from vmtui.backends.libvirt.around import firmware
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.configuring import attaching, coming, live, renaming, secrets
from vmtui.backends.libvirt.configuring.disk_knobs import source
from vmtui.backends.libvirt.configuring.draft import Draft
from vmtui.backends.libvirt.configuring.drafting import drafted
from vmtui.backends.libvirt.configuring.elements import Element, parsed, say, text_of
from vmtui.backends.libvirt.configuring.parts import hardware
from vmtui.backends.libvirt.configuring.situation import look
from vmtui.backends.libvirt.configuring.table import Table
from vmtui.backends.libvirt.configuring.text_drafting import drafted_text
from vmtui.backends.libvirt.configuring.undoing import undoing
from vmtui.backends.libvirt.in_use import volume_at
from vmtui.backends.libvirt.listing import lookup
from vmtui.backends.libvirt.making import marked
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.targets import Targets
from vmtui.backends.libvirt.volumes import Volumes
from vmtui.errors import InputError, StateError, UnsupportedError, VmtuiError
from vmtui.hardware.changes import (
    Assign,
    Attach,
    Change,
    ChangePlan,
    Detach,
    Done,
    Outcome,
    Step,
)
from vmtui.hardware.devices import NewDisk
from vmtui.hardware.settings import setting
from vmtui.hardware.tree import Takes
from vmtui.progress import Progress, ProgressSink
from vmtui.units import size
from vmtui.whole import whole

T = TypeVar("T")

LIVE_TIMEOUT_S = 60.0
GUEST_LIMIT_S = 10.0
"""A guest that has not let go of a device by then does not mean to."""

LOOK_S = 0.1


async def change(
    bridge: Bridge, places: Places, plan: ChangePlan, progress: ProgressSink, targets: Targets
) -> Outcome:
    """Do what the plan says. Raises StateError for one that is void."""
    what = f"change {plan.name}"
    here = await bridge.call(what, look, places, plan.vm)
    if here.base != plan.base:
        raise StateError(
            f"{plan.name} was changed meanwhile",
            why="the plan was made from another definition",
            hint="Look at it again.",
        )
    if plan.text:
        draft = await bridge.call(what, drafted_text, places, here, plan.text, plan.when)
    else:
        draft = await bridge.call(what, drafted, places, here, plan.changes, plan.when)
    if [(one.change, one.takes) for one in draft.steps] != [
        (one.change, one.takes) for one in plan.steps
    ]:
        raise StateError(
            f"{plan.name} was changed meanwhile",
            why="it is no longer in the state that the plan was made for",
            hint="Look at it again.",
        )
    return await _Work(bridge, places, plan, draft, targets).do(progress)


class _Work:
    """One plan being done."""

    def __init__(
        self,
        bridge: Bridge,
        places: Places,
        plan: ChangePlan,
        draft: Draft,
        targets: Targets,
    ) -> None:
        self._targets = targets
        self._bridge = bridge
        self._places = places
        self._plan = plan
        self._draft = draft
        self._what = f"change {plan.name}"

    async def do(self, progress: ProgressSink) -> Outcome:
        here, plan = self._draft.here, self._plan
        before = hardware(here)
        with marked(plan.vm) as mark:
            await self._make_and_store(mark, progress)
        done = []
        now = deepcopy(here.now)
        for place, (step, change) in enumerate(zip(plan.steps, self._draft.resolved, strict=True)):
            progress(Progress(step.text, place / len(plan.steps)))
            done.append(await self._take_effect(step, change, now))
        after = await self._bridge.call(self._what, look, self._places, plan.vm)
        undo = undoing((here, before), (after, hardware(after)), plan, done)
        return Outcome(tuple(done), undo)

    async def _make_and_store(self, mark: str, progress: ProgressSink) -> None:
        """All of it or nothing, also after a kill."""
        wanted, volumes = self._draft.volumes, Volumes(self._bridge, self._places)
        try:
            if wanted and self._draft.here.persistent:
                names = [volume.name for volume in wanted]
                await whole(self._bridge.call(self._what, coming.note, self._plan.vm, names, mark))
            for volume in wanted:
                progress(Progress(f"making the disk {volume.name}", stage="disk"))
                await volumes.blank(volume.name, volume.size_bytes)
            # What is stored from here on names the disks itself, without the note.
            await whole(self._bridge.call(self._what, self._store, timeout_s=LIVE_TIMEOUT_S))
        except BaseException:
            with suppress(VmtuiError):
                await whole(volumes.take_back())
                await whole(self._forget_note())
            raise
        if wanted and not self._draft.stores:
            await whole(self._forget_note())

    async def _forget_note(self) -> None:
        if self._draft.volumes and self._draft.here.persistent:
            await self._bridge.call(self._what, coming.note, self._plan.vm, (), "")

    # -- what is stored ----------------------------------------------------------------------

    def _store(self, connection: libvirt.virConnect) -> None:
        draft, here = self._draft, self._draft.here
        root = deepcopy(draft.next)
        name = (root.findtext("name") or "").strip()
        say(root, "name", here.name)
        xml = self._plan.text or text_of(root)
        made = secrets.have_secret(connection, here.next, root)
        try:
            if draft.stores or self._plan.text:
                # An own edit is sure of its schema; what it was made from need not keep to it.
                flags = libvirt.VIR_DOMAIN_DEFINE_VALIDATE if self._plan.text else 0
                connection.defineXMLFlags(xml, flags)
            if name != here.name:
                renaming.rename(connection, self._places, here, name)
        except BaseException:
            secrets.forget_secret(connection, made)
            raise

    # -- step by step ------------------------------------------------------------------------

    async def _take_effect(self, step: Step, change: Change, now: Element | None) -> Done:
        """What is not a matter of the definition alone. `now` is what runs, kept up to date."""
        try:
            if now is None or step.takes is Takes.NEXT_BOOT:
                await self._beside(step, change)
                return Done(step)
            reached = await self._live(step, change, now)
        except VmtuiError as error:
            if step.takes is Takes.LIVE:
                await self._take_back(step, change)
                if len(self._plan.steps) == 1:
                    raise  # nothing was changed
            return Done(step, problem=error.why or error.what)
        return Done(step, reached=reached)

    async def _take_back(self, step: Step, change: Change) -> None:
        """A disk that was made to be plugged in, and was not: no definition names it."""
        made = {volume.name for volume in self._draft.volumes}
        device = change.device if isinstance(change, Attach) else None
        path = device.path if isinstance(device, NewDisk) else None
        if path is not None and path.name in made:
            with suppress(VmtuiError):
                await self._call(step, _remove, str(path))

    async def _beside(self, step: Step, change: Change) -> None:
        """Settings that libvirt keeps elsewhere."""
        if not isinstance(change, Assign):
            return
        if change.key in ("firmware", "firmware.keys") and step.loses:
            # What is in them was made for the firmware before, and has its keys or none.
            await firmware.reset(self._bridge, self._places, self._plan.vm, None)
        elif change.key == "autostart":
            await self._call(step, lambda c: self._domain(c).setAutostart(int(bool(change.value))))
        elif setting(change.key).key == "disk.*.size":
            await self._call(step, self._grow, change)

    def _grow(self, connection: libvirt.virConnect, change: Assign) -> None:
        disks = attaching.parts(self._draft.here.next, "disk")
        volume = volume_at(connection, source(disks[change.key.split(".")[1]]))
        if volume is None:
            raise UnsupportedError(
                "that disk can't grow while the VM is off",
                why="it is in no storage pool",
                hint="Start the VM, then it can.",
            )
        assert isinstance(change.value, int)
        if int(volume.info()[1]) < change.value:
            volume.resize(change.value, 0)

    async def _live(self, step: Step, change: Change, now: Element) -> str:
        if isinstance(change, Assign) and change.key == "memory.target":
            assert isinstance(change.value, int)
            await self._call(step, balloons.ask, self._targets, self._plan.vm, change.value)
            return f"asked for {size(change.value, digits=2)}"
        if isinstance(change, Attach):
            element = attaching.element_of(now, change.device)
            await self._call(step, lambda c: live.attach(self._domain(c), element))
        elif isinstance(change, Detach):
            await self._detach(step, change, now)
        else:
            await self._assign(step, change, now)
        if self._table.has_in_xml(change):
            self._table.apply(now, change)
        return ""

    async def _assign(self, step: Step, change: Assign, now: Element) -> None:
        after = deepcopy(now)
        if self._table.has_in_xml(change):
            self._table.apply(after, change)
        here = self._draft.here

        def assign(connection: libvirt.virConnect) -> None:
            live.assign(
                live.Turn(
                    self._domain(connection),
                    now,
                    after,
                    change.key,
                    change.value,
                    self._table.cards,
                    here.host_cpus,
                    here.host.usual_shares,
                )
            )

        await self._call(step, assign)

    async def _detach(self, step: Step, change: Detach, now: Element) -> None:
        element = attaching.found(now, change.part, self._table.cards)
        await self._call(step, lambda c: live.ask_to_detach(self._domain(c), element))
        deadline_s = time.monotonic() + GUEST_LIMIT_S
        while await self._call(step, self._has, change.part):
            if time.monotonic() > deadline_s:
                raise StateError(
                    f"{change.part} is still there",
                    why=f"the guest did not let go of it within {GUEST_LIMIT_S:.0f} s",
                )
            await asyncio.sleep(LOOK_S)

    def _has(self, connection: libvirt.virConnect, part: str) -> bool:
        try:
            attaching.found(
                parsed(str(self._domain(connection).XMLDesc(0))), part, self._table.cards
            )
        except InputError:
            return False
        return True

    @property
    def _table(self) -> Table:
        return self._draft.here.table

    def _domain(self, connection: libvirt.virConnect) -> libvirt.virDomain:
        return lookup(connection, self._plan.vm)

    async def _call(self, step: Step, function: Callable[..., T], *args: object) -> T:
        what = f"do that ({step.text})"
        return await whole(self._bridge.call(what, function, *args, timeout_s=LIVE_TIMEOUT_S))


def _remove(connection: libvirt.virConnect, path: str) -> None:
    volume = volume_at(connection, path)
    if volume is not None:
        volume.delete(0)
