"""Sampling one running VM: /proc at once, QEMU beside it, so that one that hangs costs nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from itertools import pairwise

from vmtui.backends.kvm import procfs, questions
from vmtui.backends.kvm.cards import netdev_id
from vmtui.backends.kvm.definition import Definition
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.process import Process
from vmtui.backends.kvm.procfs import Spent
from vmtui.backends.kvm.questions import Answers
from vmtui.backends.kvm.running import Running
from vmtui.counters import (
    Counters,
    CpuCounters,
    Measure,
    MemoryCounters,
    NicCounters,
    Stalled,
    VcpuCounters,
)
from vmtui.errors import UnreachableError, VmtuiError
from vmtui.model import Accel

THOROUGH_INTERVAL_S = 2.0
BORROWED_INTERVAL_S = 5.0
"""How often a VM is asked whose monitors are all kept by other processes."""

ANSWER_WAIT_S = 0.2
"""A QEMU that has not answered by then is left to itself; the others are not kept waiting."""

STALLED_AFTER_S = 1.5

_NOT_ASKED = "QEMU was not asked yet"
_ONLY_KVM = "only KVM counts it; this VM is emulated"
_NO_SCHEDSTAT = "this kernel keeps no run delay of threads (CONFIG_SCHED_INFO)"
_NO_KSM = "this kernel does not tell it of a process (before 6.1)"
_USER_NETWORK = "a user-mode network keeps no counters"


class Gauge:
    """One run of a VM. `ask` is never in flight twice."""

    def __init__(self, machine: Machine, process: Process, *, may_arm: bool) -> None:
        self._machine = machine
        self.process = process
        self._may_arm = may_arm
        self._answers = Answers()
        self._asking: asyncio.Task[None] | None = None
        self._asked_at_s = 0.0
        self._answered_at_s: float | None = None
        self._waiting_since_s: float | None = None  # for an answer
        self._thorough_at_s = -THOROUGH_INTERVAL_S
        self._why_unanswered = _NOT_ASKED
        record = machine.record
        self._kvm = record is not None and record.accel == Accel.KVM.value
        self._netdevs = list(_netdevs(process.pid, record.argv)) if record else []

    # -- asking QEMU -------------------------------------------------------------------------

    def ask(self) -> asyncio.Task[None] | None:
        """Start a round of questions unless one is under way, or it is too early for one."""
        now_s = time.monotonic()
        if self._asking is not None and not self._asking.done():
            return None
        kept = self._machine.monitor is not None and self._machine.monitor.connected
        if (
            not kept
            and self._answered_at_s is not None
            and (now_s - self._asked_at_s < BORROWED_INTERVAL_S)
        ):
            return None
        self._asked_at_s = now_s
        self._waiting_since_s = self._waiting_since_s or now_s
        self._asking = asyncio.create_task(self._ask(), name=f"sample {self._machine.name}")
        return self._asking

    async def _ask(self) -> None:
        machine, answers = self._machine, self._answers
        now_s = time.monotonic()
        try:
            async with machine.asked() as monitor:
                answers = await questions.quick(monitor, answers, machine.drives)
                # Reading this late for one beat is better than leaving it out for one.
                if now_s - self._thorough_at_s >= 0.9 * THOROUGH_INTERVAL_S:
                    answers = await questions.thorough(
                        monitor, answers, kvm=self._kvm, may_arm=self._may_arm
                    )
                    # The first time at once; then not all VMs in the same beat.
                    first = self._answered_at_s is None
                    early_s = random.uniform(0, THOROUGH_INTERVAL_S) if first else 0.0  # noqa: S311
                    self._thorough_at_s = now_s - early_s
        except UnreachableError:
            return  # it goes on being waited for
        except VmtuiError as error:
            self._why_unanswered = error.why or error.what
        else:
            self._answered_at_s = time.monotonic()
        self._answers = answers
        self._waiting_since_s = None

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    # -- telling -----------------------------------------------------------------------------

    @property
    def _waited_s(self) -> float:
        since_s = self._waiting_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    @property
    def hangs(self) -> bool:
        """Whether QEMU has not answered what it was asked a while ago."""
        return self._waited_s > ANSWER_WAIT_S

    def read(self) -> Counters | Stalled | None:
        """What is known now; None: it has ended, or keeps one waiting and it's too early to say."""
        spent = procfs.spent(self.process.pid)
        if spent is None:
            return None
        if spent.stopped:
            return Stalled("QEMU was stopped by a signal (SIGSTOP)")
        if self._waiting_since_s is not None:
            return Stalled("QEMU does not answer") if self._waited_s >= STALLED_AFTER_S else None
        at_s = time.monotonic()
        missing: dict[Measure, str] = {}
        return Counters(
            at_s,
            str(self.process.pid),
            cpu=self._cpu(spent, missing),
            memory=self._memory(at_s, missing),
            disks=self._answers.disks,
            nics=tuple(self._nics(missing)),
            missing=missing,
        )

    def _cpu(self, spent: Spent, missing: dict[Measure, str]) -> CpuCounters:
        answers = self._answers
        read = [procfs.thread_ns(self.process.pid, tid) for tid in answers.threads]
        if None in read:
            read = []  # one came or went; the next questions tell which
            missing[Measure.READY] = missing[Measure.VCPUS] = _NO_SCHEDSTAT
        elif not read:
            missing[Measure.READY] = missing[Measure.VCPUS] = self._why_unanswered
        if answers.exits is None:
            missing[Measure.EXITS] = missing[Measure.HALT_POLL] = (
                "this QEMU does not tell (before 7.1)" if self._kvm else _ONLY_KVM
            )
        return CpuCounters(
            spent.at_s,
            time_ns=spent.user_ns + spent.system_ns,
            user_ns=spent.user_ns,
            system_ns=spent.system_ns,
            vcpus=tuple(
                VcpuCounters(index, times[0], times[1])
                for index, times in enumerate(read)
                if times is not None
            ),
            halt_poll_ns=answers.halt_poll_ns,
            exits=answers.exits,
            kvm_at_s=answers.kvm_at_s,
        )

    def _memory(self, at_s: float, missing: dict[Measure, str]) -> MemoryCounters:
        answers = self._answers
        held = procfs.memory(self.process.pid)
        if held.merged_bytes is None:
            missing[Measure.MERGED] = _NO_KSM
        if self._answered_at_s is None:
            missing[Measure.BALLOON] = missing[Measure.GUEST_MEMORY] = self._why_unanswered
            missing[Measure.DISKS] = self._why_unanswered
        elif answers.guest is None:
            if answers.actual_bytes is None:
                missing[Measure.BALLOON] = answers.why_no_guest
            missing[Measure.GUEST_MEMORY] = answers.why_no_guest
        current, known = self._machine.current, self._machine.running
        return MemoryCounters(
            at_s,
            maximum_bytes=_ceiling_bytes(current, known),
            target_bytes=known.balloon_target_bytes if known else None,
            actual_bytes=answers.actual_bytes,
            guest=answers.guest,
            rss_bytes=held.rss_bytes,
            swapped_bytes=held.swapped_bytes,
            merged_bytes=held.merged_bytes,
        )

    def _cards(self) -> list[tuple[str, str]]:
        """The network and the tap of each card that is plugged in."""
        known = self._machine.running
        if known is None:
            return self._netdevs
        taps = dict(self._netdevs)
        slots = {netdev_id(slot.number): slot for slot in known.nics}
        return [(name, taps.get(name, "") or slot.tap) for name, slot in slots.items()]

    def _nics(self, missing: dict[Measure, str]) -> Iterator[NicCounters]:
        netdevs = self._cards()
        taps = [tap for _, tap in netdevs if tap]
        seen = procfs.interfaces(self.process.pid) if taps else {}
        at_s = time.monotonic()
        if not taps:
            missing[Measure.NICS] = _USER_NETWORK if netdevs else "it has no network card"
        for name, tap in netdevs:
            numbers = seen.get(tap)
            if not tap:
                yield NicCounters(at_s, name, why_missing=_USER_NETWORK)
            elif numbers is None:
                yield NicCounters(at_s, tap, why_missing=f"the interface {tap} is gone")
            else:
                yield _mirrored(at_s, tap, numbers)


def _ceiling_bytes(current: Definition | None, known: Running | None) -> int | None:
    if known is not None:
        return known.balloon_ceiling_bytes
    return current.memory_bytes if current else None


def _mirrored(at_s: float, tap: str, numbers: list[int]) -> NicCounters:
    """What the host sends into a tap is what the guest receives, and the reverse."""
    tx_bytes, tx_packets, tx_errors, tx_drops = numbers[0:4]
    rx_bytes, rx_packets, rx_errors, rx_drops = numbers[8:12]
    return NicCounters(
        at_s,
        tap,
        rx_bytes=rx_bytes,
        rx_packets=rx_packets,
        rx_errors=rx_errors,
        rx_drops=rx_drops,
        tx_bytes=tx_bytes,
        tx_packets=tx_packets,
        tx_errors=tx_errors,
        tx_drops=tx_drops,
    )


def _netdevs(pid: int, argv: list[str]) -> Iterator[tuple[str, str]]:
    """The name and the tap of each network card on a command line; no tap: user mode."""
    for option, value in pairwise(argv):
        if option == "-netdev":
            kind, _, rest = value.partition(",")
            found = dict(part.split("=", 1) for part in rest.split(",") if "=" in part)
            tap = found.get("ifname") or procfs.tap(pid, found.get("fd", ""))
            yield found.get("id", ""), tap if kind == "tap" else ""
