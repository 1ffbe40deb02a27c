"""What libvirt has to ask QEMU for, read beside the fast beat: a QEMU that hangs costs no other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import libvirt

from vmtui.backends.libvirt import questions, records
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.domain_facts import Definition
from vmtui.backends.libvirt.expendable import Expendable
from vmtui.backends.libvirt.processes import Processes
from vmtui.backends.libvirt.questions import Ask, Read
from vmtui.backends.libvirt.targets import Targets
from vmtui.backends.libvirt.translate import code
from vmtui.counters import GUEST_PERIOD_S, CpuCounters, DiskCounters, Measure, MemoryCounters
from vmtui.model import VMId

INTERVAL_S = 2.0
COST_SHARE = 0.25
"""Of libvirt's time, this backend takes at most this part."""
SLICE = 16
DEADLINE_S = 1.0
FIRST_DEADLINE_S = 5.0
"""libvirt's very first such call probes QEMU, which was seen to take 4 s."""
SUSPECT_S = 10.0
PARTIAL_LIMIT_S = 3.0
STUCK_LIMIT = 3
"""Each holds one of libvirtd's workers (20, max_workers) until its QEMU goes on."""

_UNKNOWN = (
    libvirt.VIR_ERR_NO_SUPPORT,
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
)
_ALWAYS = {"cpu.time", "balloon.current"}  # where a driver has more than the state
_SILENT = "QEMU does not answer"
_HELD = "QEMU does not answer, or a long operation holds it"
_READ_ONLY = "read-only: the guest is not asked to report its memory"
_NOT_ARMED = "the guest could not be asked to report its memory"
_REMOTE = "libvirt does not tell it; it is only known of VMs on this machine"
_NO_PROCESS = "libvirt does not tell it, and its QEMU process was not found"

Runs = Mapping[VMId, int]
"""The number that a domain has in this run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one run, made once from one record. `whole`: QEMU itself was asked."""

    run: int
    whole: bool
    cpu: CpuCounters
    memory: MemoryCounters
    disks: tuple[DiskCounters, ...]
    missing: Mapping[Measure, str]


class Survey:
    """Rounds of questions on a connection of its own, and what is known from them."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Bridge]],
        processes: Processes,
        targets: Targets,
        *,
        local: bool,
        may_arm: bool,
    ) -> None:
        self._line = Expendable(connect)
        self._processes = processes
        self._targets = targets
        self._local = local
        self._may_arm = may_arm
        self.bulk = True
        """Whether the driver has bulk statistics of more than the state."""
        self._flags = getattr(libvirt, "VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT", 0)
        self._first = True
        self._due_s = 0.0
        self._round: asyncio.Task[None] | None = None
        self._answers: dict[VMId, Answer] = {}
        self._definitions: dict[VMId, tuple[int, Definition]] = {}
        self._armed: dict[VMId, int] = {}
        self._suspects: dict[VMId, float] = {}
        self._partial_since: dict[VMId, float] = {}
        self._stalled: dict[VMId, tuple[int, str]] = {}

    async def close(self) -> None:
        """Let go of the connection; one with a call that hangs ends with that."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)
        await self._line.close()

    # -- what is known -----------------------------------------------------------------------

    def answer(self, vm: VMId, run: int) -> Answer | None:
        """The last of that run: the same object until the VM was asked again."""
        found = self._answers.get(vm)
        return found if found is not None and found.run == run else None

    def definition(self, vm: VMId, run: int) -> Definition | None:
        """What is known of that run."""
        of, found = self._definitions.get(vm, (None, None))
        return found if of == run else None

    def stalled(self, vm: VMId, run: int) -> str:
        """Why that run does not answer; "" where it does."""
        of, why = self._stalled.get(vm, (None, ""))
        return why if of == run else ""

    # -- rounds ------------------------------------------------------------------------------

    def start(self, wanted: Runs, active: Runs) -> None:
        """Ask for `wanted`, the first first, unless it is too early or that is still under way.

        All others but the `active` are forgotten. Raises what ended the round before.
        """
        if self._round is not None and not self._round.done():
            return
        if self._round is not None:
            ended, self._round = self._round, None
            ended.result()
        if self.bulk and wanted and time.monotonic() >= self._due_s:
            self._forget(active)
            self._round = asyncio.create_task(self._ask_all(wanted), name="libvirt survey")

    async def settle(self, limit_s: float) -> None:
        """Wait for the round under way, but no longer than that."""
        if self._round is not None:
            await asyncio.wait({self._round}, timeout=limit_s)

    def _forget(self, active: Runs) -> None:
        for known in (
            self._answers,
            self._definitions,
            self._armed,
            self._stalled,
            self._partial_since,
        ):
            for vm in known.keys() - active.keys():
                del known[vm]

    async def _ask_all(self, runs: Runs) -> None:
        started_s, spent_s = time.monotonic(), self._line.spent_s
        self._suspects = {vm: until for vm, until in self._suspects.items() if until > started_s}
        self._line.forget_returned()
        held = {vm for of in self._line.hanging if len(of) == 1 for vm in of}
        healthy = [vm for vm in runs if vm not in self._suspects and vm not in held]
        alone = [(vm,) for vm in runs if vm in self._suspects and vm not in held]
        slices = [tuple(healthy[i : i + SLICE]) for i in range(0, len(healthy), SLICE)]
        deadline_s = FIRST_DEADLINE_S if self._first else DEADLINE_S
        missed: list[VMId] = []
        for group in (*slices, *alone):
            if not await self._ask(group, runs, deadline_s):
                missed += group
        # One of the slice hangs: each by itself now, and for a while.
        again = [vm for vm in missed if vm not in self._suspects]
        self._suspects |= dict.fromkeys(again, started_s + SUSPECT_S)
        silent = [vm for vm in missed if vm not in again]
        silent += [vm for vm in again if not await self._ask((vm,), runs, DEADLINE_S)]
        self._stalled |= {vm: (runs[vm], _SILENT) for vm in silent}
        rest_s = 0.0 if self._first else (self._line.spent_s - spent_s) / COST_SHARE
        self._first = False
        # A little early, so that a beat that comes a little early does not miss its turn.
        self._due_s = started_s + max(0.9 * INTERVAL_S, rest_s)

    async def _ask(self, group: tuple[VMId, ...], runs: Runs, deadline_s: float) -> bool:
        """Read these and take what they say; False: no answer in time."""
        found = await self._read(group, runs, deadline_s)
        for one in found or ():
            await self._introduce(one)
            self._take(one)
        return found is not None

    async def _read(
        self, group: tuple[VMId, ...], runs: Runs, deadline_s: float
    ) -> list[Read] | None:
        if not self.bulk or len(self._line.hanging) >= STUCK_LIMIT:
            return []  # their last values stay
        new = frozenset(vm for vm in group if self.definition(vm, runs[vm]) is None)
        ask = Ask(self._processes, new, self._flags)
        try:
            domains = self._line.domains
            found = await self._line.call(deadline_s, group, questions.read, domains, group, ask)
        except libvirt.libvirtError as error:
            return await self._without(error, group, runs, deadline_s)
        if found and not any(_ALWAYS & one.record.keys() for one in found):
            self.bulk = False
            return []
        return found

    async def _without(
        self, error: libvirt.libvirtError, group: tuple[VMId, ...], runs: Runs, deadline_s: float
    ) -> list[Read] | None:
        """Try again without what the driver refused, or the domain that has gone."""
        if code(error) in _UNKNOWN:
            self.bulk = self._flags != 0
            self._flags = 0
            return await self._read(group, runs, deadline_s)
        found = []
        for vm in group if len(group) > 1 else ():
            self._line.domains.pop(vm, None)
            found += await self._read((vm,), runs, deadline_s) or []
        return found

    # -- what they say -----------------------------------------------------------------------

    async def _introduce(self, one: Read) -> None:
        """Once in each run: have the guest report its memory regularly, if nobody has."""
        if one.definition is None:
            return
        definition = one.definition
        self._definitions[one.vm] = (one.run, definition)
        wanted = definition.has_balloon and definition.stats_period_s is None and self._may_arm
        if not wanted or self._armed.get(one.vm) == one.run:
            return
        self._armed[one.vm] = one.run
        try:
            armed = await self._line.call(DEADLINE_S, (one.vm,), questions.arm, one.vm)
        except libvirt.libvirtError:
            return  # then its figures say that they are old
        if armed:
            definition = replace(definition, stats_period_s=GUEST_PERIOD_S)
            self._definitions[one.vm] = (one.run, definition)

    def _take(self, one: Read) -> None:
        vm, last = one.vm, self.answer(one.vm, one.run)
        whole = "balloon.rss" in one.record
        if whole:
            self._partial_since.pop(vm, None)
            self._stalled.pop(vm, None)
        else:
            # A record without what needs QEMU: something holds it. Only for a moment is that fine.
            since_s = self._partial_since.setdefault(vm, one.at_s)
            held = any(vm in of for of in self._line.hanging)
            if held or (last and last.whole and one.at_s - since_s > PARTIAL_LIMIT_S):
                self._stalled[vm] = (one.run, _HELD)
            if held or (last and last.whole):
                return
        definition = self.definition(vm, one.run)
        if definition is not None:
            self._answers[vm] = self._answered(one, definition, whole=whole)
            if len(definition.vm.nics) != one.record.get("net.count", len(definition.vm.nics)):
                del self._definitions[vm]  # a card was plugged

    def _answered(self, one: Read, definition: Definition, *, whole: bool) -> Answer:
        cpu = records.cpu(one.record, one.at_s, definition)
        memory = replace(
            records.memory(one.record, one.at_s, definition, one.held, local=self._local),
            target_bytes=self._targets.of(one.vm, one.run),
        )
        disks = records.disks(one.record, one.at_s)
        unasked = definition.has_balloon and definition.stats_period_s is None
        why_no_guest = (_NOT_ARMED if self._may_arm else _READ_ONLY) if unasked else ""
        why_not_held = "" if one.held else _NO_PROCESS if self._local else _REMOTE
        missing = records.missing(
            cpu, memory, disks, definition, why_no_guest=why_no_guest, why_not_held=why_not_held
        )
        return Answer(one.run, whole, cpu, memory, disks, missing)
