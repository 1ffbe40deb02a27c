"""Keeps one console attached whenever its VM runs and nobody else has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from vmtui.backends.ways_in import Console, Consoles, Ending, Watchable
from vmtui.consoles.attachment import Attachment, Place, device_in_guest
from vmtui.consoles.feed import Feed
from vmtui.consoles.outgoing import Outgoing
from vmtui.errors import (
    BusyError,
    NoSuchVMError,
    RefusedError,
    StateError,
    UnreachableError,
    UnsupportedError,
    VmtuiError,
)
from vmtui.fleet import Fleet

HISTORY_BYTES = 1024 * 1024
SILENT_S = 8.0
"""A guest that has printed nothing for this long since it was attached may have nothing to say."""

GONE = "the VM is not there any more"
RETRY_FIRST_S = 0.5
RETRY_LIMIT_S = 30.0
HELD_RETRY_S = 3.0
"""How often it is tried whether whoever has a console has let go of it; that one is left alone."""


class Keeper:
    """Runs until `close`; `changed` is called whenever one of its words has changed."""

    def __init__(
        self,
        fleet: Fleet,
        name: str,
        place: Place,
        *,
        feed: Feed,
        outgoing: Outgoing,
        changed: Callable[[], None],
        attaches: bool = True,
    ) -> None:
        self._attaches = attaches
        self._fleet = fleet
        self._name = name
        self._feed = feed
        self._outgoing = outgoing
        self._changed = changed
        self._moved = asyncio.Event()
        self._attached_to = place.ref
        self.place = place
        self.vm_name = place.vm.name if place.vm else ""
        """As it was known last."""
        self.attachment = Attachment.ATTACHING
        self.notice = ""
        self.holder = ""
        self.hint = ""
        self._task = asyncio.create_task(self._run(), name=f"console {name}")

    def moved(self, place: Place) -> None:
        """Its VM or connection is in another state, or somewhere else."""
        if place != self.place:
            self.place = place
            self.vm_name = place.vm.name if place.vm else self.vm_name
            self._moved.set()

    async def close(self) -> None:
        """Detach."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def become(self, attachment: Attachment, notice: str) -> None:
        """Say how it is now."""
        if (attachment, notice) != (self.attachment, self.notice):
            self.attachment, self.notice = attachment, notice
            self._changed()

    def attach(self) -> None:
        """From now on have it, not only watch it."""
        if not self._attaches:
            self._attaches = True
            self.begin_anew(force=False)

    async def let_go(self) -> None:
        """From now on only watch it; ends when it is free for another."""
        if self._attaches:
            self._attaches = False
            await self.close()
            self._task = asyncio.create_task(self._run(), name=self._task.get_name())

    def begin_anew(self, *, force: bool) -> None:
        """Attach now, by force if need be; nothing, if it is attached."""
        if self.attachment is not Attachment.ATTACHED:
            before = self._task
            before.cancel()
            self._task = asyncio.create_task(
                self._run(force=force, after=before), name=before.get_name()
            )

    async def _run(self, *, force: bool = False, after: asyncio.Task[None] | None = None) -> None:
        if after is not None:
            await asyncio.wait({after})
        pause_s = RETRY_FIRST_S
        while True:
            self._moved.clear()
            place = self.place
            try:
                if not place.running:
                    self._rest(place)
                    await self._moved.wait()
                    continue
                await self._once(place, force=force)
                pause_s = RETRY_FIRST_S
            except StateError:
                self._end_run("the VM is off")
            except NoSuchVMError:
                self._end_run(GONE)
            except UnreachableError as error:
                self.become(Attachment.LOST, str(error))
            except VmtuiError as error:
                self.become(Attachment.FAILED, str(error))
            force = False
            # Where it is may be told a moment later than that it ended.
            await _within(self._moved, pause_s)
            pause_s = min(2 * pause_s, RETRY_LIMIT_S)

    def _rest(self, place: Place) -> None:
        if place.problem:
            self.become(Attachment.LOST, f"{place.label} is not connected: {place.problem}")
        elif place.vm is None:
            self._end_run(GONE)
        else:
            words = f"the VM is {place.vm.state.value}"
            self._end_run(words)
            if place.vm.problem:
                self.become(Attachment.OFF, f"{words}: {place.vm.problem}")

    def _end_run(self, words: str) -> None:
        self._feed.end_run(words)
        self.become(Attachment.OFF, words)

    async def _once(self, place: Place, *, force: bool) -> None:
        """From being attached to the end of that."""
        if not self._attaches:
            await self._watched(place)
            return
        console: Console | None
        try:
            console = await self._opened(place, force=force)
        except (BusyError, RefusedError) as error:
            self.holder = error.why
            self.become(Attachment.HELD, str(error))
            console = await self._when_free(place, may_have=isinstance(error, BusyError))
        while console is not None:
            await self._attended(place, console)
            ending, why = console.ending, console.ended_because
            console = None
            if ending is Ending.TAKEN:
                self.become(Attachment.HELD, why)
                console = await self._when_free(place, may_have=True)
            elif ending is Ending.LOST:
                self.become(Attachment.LOST, why)
            else:
                await self._ended(place, why)

    async def _ended(self, place: Place, why: str) -> None:
        """The VM stopped, at least here: one that was migrated goes on elsewhere."""
        if self.place.ref == place.ref:
            self.become(Attachment.OFF, why)
        if not await self._moves_from(place):
            self._end_run(why)

    async def _moves_from(self, place: Place) -> bool:
        """Whether it goes on elsewhere, which may be told a moment later than that it ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_FIRST_S):
                while self.place.ref == place.ref:
                    self._moved.clear()
                    await self._moved.wait()
        return self.place.ref != place.ref

    async def _opened(self, place: Place, *, force: bool = False) -> Console:
        backend = self._fleet.backend(place.ref)
        if not isinstance(backend, Consoles):
            raise UnsupportedError(f"{place.label} has no consoles")
        return await backend.console(
            place.ref.id, self._name, force=force, history_bytes=HISTORY_BYTES
        )

    async def _attended(self, place: Place, console: Console) -> None:
        """Typed on and listened to until it ends."""
        self.holder = ""
        moved = place.ref != self._attached_to
        self._attached_to = place.ref
        self.become(Attachment.ATTACHED, f"the VM runs on {place.label} now" if moved else "")
        self._outgoing.clear()
        sending = asyncio.create_task(self._sent(console))
        loop = asyncio.get_running_loop()
        silence = loop.call_later(SILENT_S, self._note_silence, place)
        try:
            await self._feed.all_of(console, live=True)
        finally:
            silence.cancel()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await console.close()

    async def _sent(self, console: Console) -> None:
        while True:
            self.become(self.attachment, await self._outgoing.send_to(console))

    def _note_silence(self, place: Place) -> None:
        if place.vm is not None and not self._feed.printed_bytes:
            device = device_in_guest(place.vm, self._name)
            self.hint = (
                "Nothing was printed so far. Enter may bring a prompt. If not, the guest has no "
                f"console here: add console={device} to its kernel's command line, "
                "or use the Screen tab."
            )
            self._changed()

    async def _when_free(self, place: Place, *, may_have: bool) -> Console | None:
        """The console once nobody else has it, watched meanwhile where that is possible.

        None: the VM has stopped. Whoever has it is never disturbed.
        """
        watching = asyncio.create_task(self._watched(place))
        console = None
        try:
            while console is None:
                await asyncio.wait({watching}, timeout=HELD_RETRY_S if may_have else None)
                if watching.done():
                    await watching
                    return None
                with suppress(BusyError):
                    console = await self._opened(place)
        finally:
            watching.cancel()
        try:
            await asyncio.wait({watching})
        except asyncio.CancelledError:
            await console.close()
            raise
        return console

    async def _watched(self, place: Place) -> None:
        """Until the VM stops."""
        backend = self._fleet.backend(place.ref)
        console = None
        if isinstance(backend, Watchable):
            with suppress(UnsupportedError):
                console = await backend.watch_console(
                    place.ref.id, self._name, history_bytes=HISTORY_BYTES
                )
        if console is None:
            if not self._attaches:
                self.become(Attachment.DETACHED, "")
            while self.place.running and self.place.ref == place.ref:
                self._moved.clear()
                await self._moved.wait()
            return
        try:
            self.become(Attachment.WATCHING, self.notice)
            await self._feed.all_of(console, live=False)
            why = console.ended_because
        finally:
            await console.close()
        await self._ended(place, why)


async def _within(event: asyncio.Event, limit_s: float) -> None:
    """Wait for it, but not longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()
