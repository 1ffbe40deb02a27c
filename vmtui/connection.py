"""One supervised connection: open, list, listen, sample, and come back after a failure."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from vmtui.backends.base import Backend
from vmtui.errors import NoSuchVMError, OperationError, UnreachableError, VmtuiError
from vmtui.metrics import HostRates, Rates, host_rates, rates
from vmtui.model import VM, Counters, EventKind, Host, HostCounters, VMId
from vmtui.views import ConnectionStatus, ConnectionView, VMRef, VMView

OPEN_TIMEOUT_S = 20.0
RESYNC_INTERVAL_S = 15.0
RETRY_FIRST_S = 1.0
RETRY_LIMIT_S = 30.0
SAMPLING_SHARE = 0.25
"""Sampling may take at most this part of the time; the interval stretches beyond it."""


class Connection:
    """The mutable state of one backend's connection; `on_change` is called after every change."""

    def __init__(
        self, backend: Backend, label: str, *, read_only: bool, on_change: Callable[[], None]
    ) -> None:
        self.backend = backend
        self.uri = backend.uri
        self.label = label
        self.read_only = read_only
        self._on_change = on_change
        self._status = ConnectionStatus.CONNECTING
        self._problem: VmtuiError | None = None
        self._retry_at_s: float | None = None
        self._retry_now = asyncio.Event()
        self._host: Host | None = None
        self._host_counters: HostCounters | None = None
        self._host_rates: HostRates | None = None
        self._vms: dict[VMId, VM] = {}
        self._counters: dict[VMId, Counters] = {}
        self._rates: dict[VMId, Rates] = {}
        self._stalled: dict[VMId, str] = {}

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
        return tuple(sorted(self._vms.values(), key=lambda vm: (vm.name.lower(), vm.id)))

    def view(self, task_of: Callable[[VMRef], str]) -> ConnectionView:
        """The picture of this moment; `task_of` tells what is being done to a VM."""
        return ConnectionView(
            uri=self.uri,
            label=self.label,
            status=self._status,
            read_only=self.read_only,
            problem=self._problem,
            retry_at_s=self._retry_at_s,
            features=self.backend.features,
            host=self._host,
            host_rates=self._host_rates,
            vms=tuple(self._row(vm, task_of) for vm in self.vms),
        )

    def _row(self, vm: VM, task_of: Callable[[VMRef], str]) -> VMView:
        counters = self._counters.get(vm.id)
        ref = VMRef(self.uri, vm.id)
        return VMView(
            ref=ref,
            vm=vm,
            rates=self._rates.get(vm.id),
            memory_actual_bytes=counters.memory_actual_bytes if counters else None,
            memory_rss_bytes=counters.memory_rss_bytes if counters else None,
            stalled=self._stalled.get(vm.id, ""),
            sampled_at_s=counters.at_s if counters else None,
            task=task_of(ref),
        )

    # -- one-time use, by the commands -----------------------------------------------------

    async def connect(self) -> None:
        """Open and list once. A failure is kept as the connection's problem, not raised."""
        try:
            await self._open()
        except VmtuiError as error:
            self._went_down(error)

    async def _open(self) -> None:
        self._status = ConnectionStatus.CONNECTING
        self._on_change()
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
        self._on_change()

    async def load_host(self) -> None:
        """Learn the host's constants. Not part of opening: libvirt can take seconds for them."""
        if self._host is None:
            self._host = await self.backend.host()
            self._on_change()

    async def resync(self) -> None:
        """List everything anew."""
        self._vms = {vm.id: vm for vm in await self.backend.vms()}
        self._drop_stale_figures()
        self._on_change()

    async def refresh(self, vm: VMId) -> VM | None:
        """Read one VM anew; None: it is gone."""
        fresh: VM | None = None
        try:
            fresh = self._vms[vm] = await self.backend.vm(vm)
        except NoSuchVMError:
            self._vms.pop(vm, None)
        self._drop_stale_figures()
        self._on_change()
        return fresh

    def _drop_stale_figures(self) -> None:
        active = {vm.id for vm in self._vms.values() if vm.state.active}
        for table in (self._counters, self._rates, self._stalled):
            for gone in table.keys() - active:
                del table[gone]

    async def close(self) -> None:
        """Let go of the backend."""
        await self.backend.close()

    # -- supervision, by the interface -----------------------------------------------------

    def retry(self) -> None:
        """Try now instead of at the end of the countdown."""
        self._retry_now.set()

    async def supervise(self, interval_s: float) -> None:
        """Keep the connection open, listened to and sampled, until cancelled."""
        failures = 0
        while True:
            try:
                await self._open()
                failures = 0
                await self._serve(interval_s)
            except VmtuiError as error:
                self._went_down(error)
            except Exception as error:  # a defect in one backend must not take the others along
                self._went_down(
                    OperationError("vmtui itself failed", why=f"{type(error).__name__}: {error}")
                )
            await self.backend.close()
            await self._back_off(failures)
            failures += 1

    async def _back_off(self, failures: int) -> None:
        wait_s = min(RETRY_LIMIT_S, RETRY_FIRST_S * 2**failures) * random.uniform(0.8, 1.2)  # noqa: S311
        self._retry_at_s = time.monotonic() + wait_s
        self._retry_now.clear()
        self._on_change()
        try:
            async with asyncio.timeout(wait_s):
                await self._retry_now.wait()
        except TimeoutError:
            pass

    def _went_down(self, error: VmtuiError) -> None:
        self._status = ConnectionStatus.DOWN
        self._problem = error
        self._vms.clear()
        self._drop_stale_figures()
        self._host = self._host_counters = self._host_rates = None
        self._on_change()

    async def _serve(self, interval_s: float) -> None:
        jobs = [
            asyncio.create_task(job, name=f"{self.label}: {name}")
            for name, job in (
                ("events", self._listen()),
                ("sampling", self._sample(interval_s)),
                ("resync", self._resync_slowly()),
                ("host", self._watch_host()),
            )
        ]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            await done.pop()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        raise UnreachableError(f"{self.label} closed the connection")

    async def _listen(self) -> None:
        async for event in self.backend.events():
            if event.kind is EventKind.RESYNC or event.vm is None:
                await self.resync()
            elif event.kind is EventKind.REMOVED:
                self._vms.pop(event.vm, None)
                self._drop_stale_figures()
                self._on_change()
            else:
                await self.refresh(event.vm)

    async def _resync_slowly(self) -> None:
        # Events are hints: one that got lost is made good here.
        while True:
            await asyncio.sleep(RESYNC_INTERVAL_S)
            await self.resync()

    async def _watch_host(self) -> None:
        await self.load_host()
        await asyncio.Event().wait()  # it does not change while the connection is open

    async def _sample(self, interval_s: float) -> None:
        while True:
            started_s = time.monotonic()
            await self.sample()
            cost_s = time.monotonic() - started_s
            await asyncio.sleep(max(interval_s - cost_s, cost_s * (1 / SAMPLING_SHARE - 1)))

    async def sample(self) -> None:
        """Read the host's and every active VM's counters once and make rates of them."""
        host = await self.backend.host_counters()
        self._host_rates = host_rates(self._host_counters, host)
        self._host_counters = host
        active = [vm.id for vm in self._vms.values() if vm.state.active]
        for vm_id, counters in (await self.backend.counters(active)).items():
            vm = self._vms.get(vm_id)
            if vm is None:
                continue
            if not isinstance(counters, Counters):
                self._stalled[vm_id] = counters.reason
                continue
            self._stalled.pop(vm_id, None)
            fresh = rates(self._counters.get(vm_id), counters, vm.vcpus)
            if fresh is not None:
                self._rates[vm_id] = fresh
            else:
                self._rates.pop(vm_id, None)
            self._counters[vm_id] = counters
        self._drop_stale_figures()
        self._on_change()
