"""All VMs of a store as this process sees them: found, told of, thrown away when they are over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress

from vmtui.backends.kvm.addresses import Addresses
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.store import Store
from vmtui.backends.kvm.watch import Watch
from vmtui.errors import NoSuchVMError, VmtuiError
from vmtui.model import VM, Event, EventKind, VMId


class Machines:
    """Brought in line with the store whenever somebody asks; nothing is kept between processes."""

    def __init__(self, store: Store, *, read_only: bool) -> None:
        self._store = store
        self._read_only = read_only
        self._by_name: dict[str, Machine] = {}
        self._listeners: list[asyncio.Queue[Event | None]] = []  # None: no more will come
        self._addresses = Addresses(lambda vm: self.tell(Event(EventKind.CHANGED, vm)))

    def __iter__(self) -> Iterator[Machine]:
        return iter(tuple(self._by_name.values()))

    def find(self, vm: VMId) -> Machine:
        """One of them, as it is now. Raises NoSuchVMError."""
        self.tell_changes()
        for machine in self:
            if machine.id == vm:
                return machine
        raise NoSuchVMError.named(vm, sorted(self._by_name))

    def shown(self, machine: Machine) -> VM:
        """The picture of one, with what is known of its addresses."""
        return self._addresses.told(machine)

    def ports(self, but: Machine | None = None) -> set[int]:
        """The ports of this machine that its VMs have, also those that are off."""
        return {port for machine in self if machine is not but for port in machine.host_ports}

    def scan(self) -> list[Event]:
        """Look at the store; what changed since the last look."""
        events = []
        names = set(self._store.names())
        for name in self._by_name.keys() - names:
            machine = self._by_name.pop(name)
            machine.forget_process()
            events.append(Event(EventKind.REMOVED, machine.id))
        for name in sorted(names):
            if name not in self._by_name:
                self._by_name[name] = Machine(self._store, name)
                self._by_name[name].reload()
                events.append(Event(EventKind.ADDED, self._by_name[name].id))
                continue
            machine = self._by_name[name]
            before = machine.id
            if machine.reload():
                if machine.id != before:
                    events.append(Event(EventKind.REMOVED, before))
                events.append(Event(EventKind.CHANGED, machine.id))
        return events

    async def clear_away(self) -> None:
        """Remove the throwaway VMs that are over, whoever ran them."""
        for machine in self:
            if machine.over and not self._read_only:
                with suppress(VmtuiError):  # such as that another vmtui is at it: it is tried again
                    async with self._store.locked(machine.name, timeout_s=0):
                        await self.throw_away(machine)

    async def throw_away(self, machine: Machine) -> None:
        """Remove one that is over; its lock is held."""
        machine.reload()
        if machine.over:
            await machine.close()
            await self._store.remove(machine.name)
        self.tell_changes()

    def tell(self, event: Event) -> None:
        """Pass it on to all who listen."""
        for queue in self._listeners:
            queue.put_nowait(event)

    def tell_changes(self) -> None:
        """Look at the store, and pass on what changed."""
        for event in self.scan():
            self.tell(event)

    async def events(
        self, ended: Callable[[Machine], None] = lambda _: None
    ) -> AsyncIterator[Event]:
        """Changes by this process, by others and by guests; `ended` gets each that was on."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._listeners.append(queue)
        watch = asyncio.create_task(Watch(self._by_name, self._look, self.tell, ended).run())
        watch.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await watch  # raises why the store can't be watched
        finally:
            self._listeners.remove(queue)
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _look(self) -> list[Event]:
        await self.clear_away()
        return self.scan()

    async def close(self) -> None:
        """Let go of all; VMs go on."""
        await self._addresses.close()
        for machine in self:
            await machine.close()
        self._by_name.clear()
