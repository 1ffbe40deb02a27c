"""What is known of one connection: its host, its VMs and their figures, as read or as told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vmtui.alarms import Thresholds
from vmtui.backends.base import Backend
from vmtui.errors import NoSuchVMError, UnreachableError, VmtuiError
from vmtui.history import History
from vmtui.model import VM, Event, EventKind, Host, VMId
from vmtui.roster import Roster
from vmtui.views import ConnectionStatus, ConnectionView, VMRef

if TYPE_CHECKING:
    from vmtui.counters import Counters, HostCounters, Stalled

OPEN_TIMEOUT_S = 20.0
TAKEN_AT_ONCE = 16
"""Samples that are worked up before other work gets its turn."""


class Connection:
    """The mutable state of one backend's connection.

    `on_change` is called after every change, `on_sample` where only figures are new, `on_event`
    with what the backend tells, before that is looked into.
    """

    def __init__(
        self,
        backend: Backend,
        label: str,
        *,
        read_only: bool,
        on_change: Callable[[], None],
        on_sample: Callable[[], None] | None = None,
        on_event: Callable[[Event], None] = lambda _: None,
        history: History | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self.backend = backend
        self.uri = backend.uri
        self.label = label
        self.read_only = read_only
        self.visible: Collection[VMId] | None = None
        """The VMs that are looked at, which are sampled first; None: all."""
        self.recorded = False
        """Whether it is told what a recording holds, instead of asking a hypervisor."""
        self._on_change = on_change
        self._on_sample = on_sample or on_change
        self._on_event = on_event
        self._status = ConnectionStatus.CONNECTING
        self._problem: VmtuiError | None = None
        self._retry_at_s: float | None = None
        self._retry_now = asyncio.Event()
        self._host: Host | None = None
        self._roster = Roster(self.uri, history or History(), thresholds or Thresholds())
        self._sampled_at_s: float | None = None
        self._interval_s = 0.0
        self._view: tuple[Mapping[VMRef, str], ConnectionView] | None = None

    def _changed(self) -> None:
        self._view = None
        self._on_change()

    # -- what it knows ---------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether it answers."""
        return self._status is ConnectionStatus.UP

    @property
    def problem(self) -> VmtuiError | None:
        """Why it is down."""
        return self._problem

    @property
    def host(self) -> Host | None:
        """The host's constants, once known."""
        return self._host

    @property
    def vms(self) -> tuple[VM, ...]:
        """All VMs known, sorted by name."""
        return tuple(row.vm for row in self._roster.rows)

    def view(self, tasks: Mapping[VMRef, str]) -> ConnectionView:
        """The picture of this moment; `tasks` tells what is being done to which VM.

        The same object as long as nothing changed.
        """
        if self._view is not None and self._view[0] == tasks:
            return self._view[1]
        rows = self._roster.rows
        if tasks:
            rows = tuple(
                replace(row, task=tasks[row.ref]) if row.ref in tasks else row for row in rows
            )
        view = ConnectionView(
            uri=self.uri,
            label=self.label,
            status=self._status,
            read_only=self.read_only,
            recorded=self.recorded,
            problem=self._problem,
            retry_at_s=self._retry_at_s,
            features=self.backend.features,
            host=self._host,
            host_counters=self._roster.host_counters,
            host_rates=self._roster.host_rates,
            interval_s=self._interval_s,
            vms=rows,
        )
        self._view = (tasks, view)
        return view

    # -- opening and closing -----------------------------------------------------------------

    async def connect(self) -> None:
        """Open and list once. A failure is kept as the connection's problem, not raised."""
        try:
            await self.open()
        except VmtuiError as error:
            self.went_down(error)

    async def open(self) -> None:
        """Open and list. Raises UnreachableError."""
        self._status = ConnectionStatus.CONNECTING
        self._changed()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self.backend.open()
                await self.resync()
        except TimeoutError as error:
            raise UnreachableError(
                f"{self.label} did not answer", why=f"no reply within {OPEN_TIMEOUT_S:.0f} s"
            ) from error
        self._status = ConnectionStatus.UP
        self._problem = None
        self._retry_at_s = None
        self._changed()

    def went_down(self, error: VmtuiError) -> None:
        """It does not answer any more, or not yet: what was known of its VMs is not shown."""
        self._status = ConnectionStatus.DOWN
        self._problem = error
        self._roster.clear()
        self._host = None
        self._changed()

    async def rest(self, wait_s: float) -> None:
        """Stay down for so long, or until `retry`; views tell the end of it."""
        self._retry_at_s = time.monotonic() + wait_s
        self._retry_now.clear()
        self._changed()
        try:
            async with asyncio.timeout(wait_s):
                await self._retry_now.wait()
        except TimeoutError:
            pass

    def retry(self) -> None:
        """Try now instead of at the end of the countdown."""
        self._retry_now.set()

    async def close(self) -> None:
        """Let go of the backend."""
        await self.backend.close()

    # -- listing -----------------------------------------------------------------------------

    async def load_host(self) -> None:
        """Learn the host's constants. Not part of opening: libvirt can take seconds for them."""
        if self._host is None:
            self._host = await self.backend.host()
            self._roster.know_host(self._host.cpus)
            self._changed()

    async def resync(self) -> None:
        """List everything anew."""
        self._roster.set_all(await self.backend.vms())
        self._changed()

    async def refresh(self, vm: VMId) -> VM | None:
        """Read one VM anew; None: it is gone."""
        fresh: VM | None = None
        try:
            fresh = await self.backend.vm(vm)
            self._roster.set(fresh)
        except NoSuchVMError:
            self._roster.remove(vm)
        self._changed()
        return fresh

    async def heed(self, event: Event) -> None:
        """Read anew what the backend says has changed."""
        self._on_event(event)
        if event.kind is EventKind.RESYNC or event.vm is None:
            await self.resync()
        elif event.kind is EventKind.REMOVED:
            self._roster.remove(event.vm)
            self._changed()
        else:
            await self.refresh(event.vm)

    # -- replay: told instead of asked ------------------------------------------------------

    def describe(
        self,
        status: ConnectionStatus,
        host: Host | None,
        vms: Sequence[VM],
        problem: VmtuiError | None = None,
    ) -> None:
        """Be as a recording says that it was."""
        if status is ConnectionStatus.DOWN:
            self._roster.clear()
        self._status, self._host, self._problem = status, host, problem
        self._roster.set_all(vms)
        if host is not None:
            self._roster.know_host(host.cpus)
        self._changed()

    def forget(self) -> None:
        """Know nothing any more: a recording goes on somewhere else."""
        self._status, self._host, self._problem = ConnectionStatus.CONNECTING, None, None
        self._sampled_at_s, self._interval_s = None, 0.0
        self._roster.clear()
        self._changed()

    def take(self, host: HostCounters | None, samples: Mapping[VMId, Counters | Stalled]) -> None:
        """Make rates of what was just read."""
        if host is not None:
            self._take_host(host)
        for vm_id, sample in samples.items():
            self._roster.take(vm_id, sample)
        self._changed()

    # -- sampling ----------------------------------------------------------------------------

    @property
    def active(self) -> list[VMId]:
        """The VMs that have figures to read."""
        return self._roster.active()

    async def sample(self, vms: Sequence[VMId] | None = None) -> None:
        """Read the counters of the host and of `vms` (None: all active) once."""
        host = await self.backend.host_counters()
        wanted = self._roster.active() if vms is None else vms
        samples = await self.backend.counters(wanted)
        for place, (vm_id, sample) in enumerate(samples.items(), 1):
            self._roster.take(vm_id, sample)
            if place % TAKEN_AT_ONCE == 0:
                await asyncio.sleep(0)  # a key that was pressed comes first
        self._take_host(host)  # last: where it is new, the VMs' figures are too
        self._sampled()

    def _take_host(self, host: HostCounters) -> None:
        if self._sampled_at_s is not None:
            self._interval_s = max(0.0, host.at_s - self._sampled_at_s)
        self._sampled_at_s = host.at_s
        self._roster.take_host(host)

    def _sampled(self) -> None:
        self._view = None
        self._on_sample()
