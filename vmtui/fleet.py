"""The one owner of mutable state: connections and tasks in, frozen FleetViews out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from vmtui.alarms import Thresholds
from vmtui.backends.abilities import KnowsLimits
from vmtui.backends.base import Backend, DeletePlan, Endpoint, Progress, ProgressSink
from vmtui.connection import Connection
from vmtui.deferred import deferred
from vmtui.errors import AmbiguousVMError, InputError, NoSuchVMError, UnreachableError, read_only
from vmtui.history import History
from vmtui.model import VM, Event, VMId
from vmtui.spec import Limits, VMSpec
from vmtui.tasks import Tasks
from vmtui.views import FleetView, VMRef

if TYPE_CHECKING:
    from vmtui import pace, spec_problems, supervision
    from vmtui.undo import Undos
else:
    pace, spec_problems, supervision = deferred("vmtui", "pace", "spec_problems", "supervision")

GATHERED_S = 0.25
"""How long new figures may wait for those of other connections, where there are more than FEW."""

FEW = 4

Watcher = Callable[[FleetView], None]
EventWatcher = Callable[[str, Event], None]
"""Gets the URI of the connection that tells of an event, and the event."""

REFRESH_LIMIT_S = 0.2
"""While waiting for a VM to change, it is read at least this often: events are only hints."""


class Fleet:
    """All connections. Use `connect` for a command, `supervise` for the interface."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        interval_s: float = 1.0,
        read_only: bool = False,
        thresholds: Thresholds | None = None,
    ) -> None:
        self._read_only = read_only
        self.interval_s = interval_s
        """Between two samples, where they cost little enough."""
        self._watchers: list[Watcher] = []
        self._event_watchers: list[EventWatcher] = []
        self._publish_scheduled = False
        self._gathering: asyncio.TimerHandle | None = None
        self.history = History()
        """The last hour of every host and VM."""
        self.connections = [
            Connection(
                e.backend,
                e.label,
                read_only=read_only,
                on_change=self._changed,
                on_sample=self._sampled,
                on_event=partial(self._happened, e.backend.uri),
                history=self.history,
                thresholds=thresholds,
            )
            for e in endpoints
        ]
        self.tasks = Tasks(self._changed)
        self._supervisors: list[asyncio.Task[None]] = []

    @cached_property
    def undos(self) -> Undos:
        """The last change of each VM."""
        from vmtui.undo import Undos  # noqa: PLC0415 (listing has to be quick)

        return Undos()

    # -- life ------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Open every connection once and list its VMs; those that fail keep their problem."""
        await asyncio.gather(*(connection.connect() for connection in self.connections))

    def supervise(self) -> None:
        """Keep every connection open in the background until `close`."""
        self._supervisors = [
            asyncio.create_task(
                supervision.Supervision(
                    c, pace.Pace(self.interval_s, place / len(self.connections))
                ).run(),
                name=f"supervise {c.label}",
            )
            for place, c in enumerate(self.connections)
        ]

    async def close(self) -> None:
        """End tasks and connections. VMs go on."""
        if self._gathering is not None:
            self._gathering.cancel()
        await self.tasks.close()
        for supervisor in self._supervisors:
            supervisor.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        self._supervisors.clear()
        await asyncio.gather(*(c.close() for c in self.connections), return_exceptions=True)

    # -- views -----------------------------------------------------------------------------

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher` with a new view after changes, a burst of them once; gives the undo."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def watch_events(self, watcher: EventWatcher) -> Callable[[], None]:
        """Call `watcher` with what backends tell, as it comes; gives the undo."""
        self._event_watchers.append(watcher)
        return lambda: self._event_watchers.remove(watcher)

    def _happened(self, uri: str, event: Event) -> None:
        for watcher in tuple(self._event_watchers):
            watcher(uri, event)

    def view(self) -> FleetView:
        """The picture of this moment."""
        return FleetView(
            at_s=time.monotonic(),
            connections=tuple(c.view(self._tasks_on(c.uri)) for c in self.connections),
            tasks=self.tasks.views,
        )

    def look_at(self, refs: Collection[VMRef] | None) -> None:
        """Sample these VMs first, because they are on the screen; None: all alike."""
        for connection in self.connections:
            connection.visible = (
                None
                if refs is None
                else frozenset(ref.id for ref in refs if ref.uri == connection.uri)
            )

    def _tasks_on(self, uri: str) -> dict[VMRef, str]:
        return {ref: text for ref, text in self.tasks.running().items() if ref.uri == uri}

    def _changed(self) -> None:
        if self._publish_scheduled or not self._watchers:
            return
        self._publish_scheduled = True
        asyncio.get_running_loop().call_soon(self._publish)

    def _sampled(self) -> None:
        # Figures of several connections are shown together; what somebody did is shown at once.
        if self._gathering is None and self._watchers:
            loop = asyncio.get_running_loop()
            few = len(self.connections) <= FEW
            wait_s = 0.0 if few else min(GATHERED_S, self.interval_s / 2)
            self._gathering = loop.call_later(wait_s, self._changed)

    def _publish(self) -> None:
        self._publish_scheduled = False
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        view = self.view()
        for watcher in tuple(self._watchers):
            watcher(view)

    # -- looking up ------------------------------------------------------------------------

    def find(self, name: str) -> VMRef:
        """The VM called `NAME` or `CONNECTION/NAME` (also by UUID).

        Raises NoSuchVMError, AmbiguousVMError, or UnreachableError when the only place where it
        could be is down.
        """
        found = [
            (connection, vm)
            for connection in self.connections
            for vm in connection.vms
            if name
            in (vm.name, vm.id, f"{connection.label}/{vm.name}", f"{connection.uri}/{vm.name}")
        ]
        if len(found) > 1:
            raise AmbiguousVMError(
                f"{len(found)} VMs are named {name!r}",
                hint="Say which: " + ", ".join(f"{c.label}/{vm.name}" for c, vm in found) + ".",
            )
        if found:
            connection, vm = found[0]
            return VMRef(connection.uri, vm.id)
        down = [c for c in self.connections if not c.up and c.problem]
        if down and len(down) == len(self.connections):
            raise down[0].problem or UnreachableError("no connection is up")
        raise NoSuchVMError.named(name, [vm.name for c in self.connections for vm in c.vms])

    def connection(self, uri_or_label: str) -> Connection:
        """The connection of that URI or label. Raises InputError."""
        for connection in self.connections:
            if uri_or_label in (connection.uri, connection.label):
                return connection
        known = ", ".join(c.label for c in self.connections)
        raise InputError(f"there is no connection {uri_or_label!r}", hint=f"There is: {known}.")

    def vm(self, ref: VMRef) -> VM:
        """The VM as last seen. Raises NoSuchVMError."""
        for vm in self.connection(ref.uri).vms:
            if vm.id == ref.id:
                return vm
        raise NoSuchVMError.named(ref.id)

    def backend(self, ref: VMRef) -> Backend:
        """The backend that has it."""
        return self.connection(ref.uri).backend

    async def asked_limits(self, uri: str) -> Limits:
        """What a new VM on that connection has to fit into, with what has to be asked for."""
        connection = self.connection(uri)
        await connection.load_host()
        backend = connection.backend
        own = await backend.limits() if isinstance(backend, KnowsLimits) else Limits()
        return self.limits(uri, own)

    def limits(self, uri: str, own: Limits | None = None) -> Limits:
        """The same without asking: names and host as last seen, the rest as in `own`."""
        connection = self.connection(uri)
        host = connection.host
        return replace(
            own or Limits(),
            taken_names=frozenset(vm.name for vm in connection.vms),
            host_cpus=host.cpus if host else None,
            host_memory_bytes=host.memory_bytes if host else None,
        )

    # -- verbs that need more than one backend call ------------------------------------------

    async def wait_until(
        self, ref: VMRef, reached: Callable[[VM | None], bool], timeout_s: float
    ) -> bool:
        """Whether the VM (None: gone) reached a condition in time."""
        connection = self.connection(ref.uri)
        try:
            async with asyncio.timeout(timeout_s):
                while not reached(await connection.refresh(ref.id)):
                    await asyncio.sleep(REFRESH_LIMIT_S)
        except TimeoutError:
            return False
        return True

    async def create(self, uri: str, spec: VMSpec, progress: ProgressSink) -> VMRef:
        """Make a VM, off. Raises InputError with every problem of the spec, RefusedError…"""
        if self._read_only:
            raise read_only(f"creating {spec.name}")
        connection = self.connection(uri)
        if not connection.up:
            raise connection.problem or UnreachableError(f"{connection.label} is not connected")
        found = spec_problems.problems(spec, await self.asked_limits(uri))
        if found:
            raise InputError(
                f"{spec.name or 'the VM'} can't be made",
                why="\n".join(str(problem) for problem in found),
            )
        progress(Progress("creating"))
        vm_id: VMId = await connection.backend.create(spec, progress)
        await connection.refresh(vm_id)
        return VMRef(uri, vm_id)

    async def delete(self, ref: VMRef, plan: DeletePlan) -> None:
        """Delete what the plan names. Raises RefusedError where nothing may be changed."""
        if self._read_only:
            raise read_only(f"deleting {plan.name}")
        connection = self.connection(ref.uri)
        await connection.backend.delete(ref.id, plan)
        await self.undos.forget(ref)
        await connection.refresh(ref.id)
