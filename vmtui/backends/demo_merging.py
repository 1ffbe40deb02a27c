"""KSM of the demo's host: it saves a little of every VM's memory until it is switched off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from vmtui.counters import Counters, HostCounters, Ksm
from vmtui.errors import read_only
from vmtui.ksm import KsmState, Switch

CPU_SHARE = 0.03
"""Of one CPU, that the search for equal pages takes."""

FULL_SCAN_S = 90.0
ALIKE = 4
"""How many pages are kept as one."""


class DemoMerging:
    """`MergesPages` of the seam, and the host's figures on it."""

    _read_only: bool
    _clock: Callable[[], float]
    _started_s: float
    host_counters: Callable[[], Awaitable[HostCounters]]

    def __init__(self) -> None:
        super().__init__()
        self._switch = Switch.ON
        self._off_since_s: float | None = None
        self._off_s = 0.0  # before that

    @property
    def shares_pages(self) -> bool:
        """Whether VMs have pages in common; those that have keep them when it is only off."""
        return self._switch is not Switch.UNMERGE

    def merged(self, vms: Iterable[Counters]) -> Ksm:
        """What it does for these."""
        saved = sum(vm.memory.merged_bytes or 0 for vm in vms if vm.memory)
        return Ksm(self._running, saved, saved * 9 // 10, cpu_s=CPU_SHARE * self._searched_s())

    async def page_sharing(self) -> KsmState:
        """What there is now."""
        figures = (await self.host_counters()).ksm
        assert figures is not None
        return KsmState(
            running=figures.running,
            shared_bytes=figures.saved_bytes // (ALIKE - 1),
            saved_bytes=figures.saved_bytes,
            profit_bytes=figures.profit_bytes,
            full_scans=int(self._searched_s() / FULL_SCAN_S),
            pages_to_scan=100,
            sleep_ms=20,
        )

    async def share_pages(self, to: Switch) -> None:
        """The demo's host has no root."""
        if self._read_only:
            raise read_only("switching KSM")
        now_s = self._clock()
        if self._off_since_s is not None:
            self._off_s += now_s - self._off_since_s
        self._off_since_s = None if to is Switch.ON else now_s
        self._switch = to

    @property
    def _running(self) -> bool:
        return self._switch is Switch.ON

    def _searched_s(self) -> float:
        now_s = self._clock() if self._off_since_s is None else self._off_since_s
        return now_s - self._started_s - self._off_s
