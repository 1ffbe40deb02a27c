"""Addresses of guests: which of them are of use, and what is known, asked for in the background."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vmtui.errors import VmtuiError
from vmtui.model import VMId

PACE_S = 20.0
"""Between two questions about one VM."""
SOON_S = 3.0
"""The same as long as no address of it is known: somebody may be waiting for one."""
MOST = 64
"""No more addresses of one guest are looked at."""
NEIGHBOURS = Path("/proc/net/arp")

_COMPLETE = 0x2  # ATF_COM: this neighbour has answered


@dataclass(frozen=True, slots=True)
class Known:
    """What was found, and who told it: `agent`, `ARP`, or nobody yet."""

    addresses: tuple[str, ...] = ()
    origin: str = ""

    @property
    def from_guest(self) -> bool:
        """Whether it is the guest's own word."""
        return self.origin == "agent"


NOTHING = Known()


def usable(texts: Iterable[str]) -> tuple[str, ...]:
    """Those that may lead to a guest, each once; guests tell them, so they may be anything."""
    return tuple(dict.fromkeys(text for text in islice(texts, MOST) if _is_usable(text)))


def _is_usable(text: str) -> bool:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:  # it means something in the guest alone, and can be any text
            return False
        found = found.ipv4_mapped or found
    nowhere = found.is_unspecified or found.is_loopback or found.is_link_local
    return not (nowhere or found.is_multicast)


def neighbours() -> str:
    """The host's table of IPv4 neighbours, as the kernel writes it."""
    try:
        return NEIGHBOURS.read_text("ascii")
    except OSError:  # a host can be without IPv4
        return ""


def of_neighbours(table: str, macs: Collection[str]) -> tuple[str, ...]:
    """The addresses at which the host has heard one of `macs` (proc_pid_net(5), `arp`)."""
    rows = (line.split() for line in table.splitlines()[1:])
    return usable(
        address
        for address, _, flags, mac, *_ in rows
        if int(flags, 16) & _COMPLETE and mac.lower() in macs
    )


class Inquiries:
    """What is known of each VM; `changed` is called when that is something else than before."""

    def __init__(self, changed: Callable[[VMId], None]) -> None:
        self._changed = changed
        self._known: dict[VMId, Known] = {}
        self._asked_at_s: dict[VMId, float] = {}
        self._asking: dict[VMId, asyncio.Task[None]] = {}

    def known(self, vm: VMId) -> Known:
        """What is known at this moment."""
        return self._known.get(vm, NOTHING)

    def keep_fresh(
        self, vm: VMId, ask: Callable[[], Awaitable[Known]], *, otherwise_known: bool
    ) -> None:
        """Have `ask` called in the background if the last time is long ago.

        `otherwise_known`: there is an address already, so nobody waits for this one.
        """
        waited_for = not otherwise_known and not self.known(vm).addresses
        asked_at_s = self._asked_at_s.get(vm, -math.inf)
        fresh = time.monotonic() - asked_at_s < (SOON_S if waited_for else PACE_S)
        if fresh or vm in self._asking:
            return
        self._known.setdefault(vm, NOTHING)
        task = asyncio.create_task(self._ask(vm, ask), name=f"addresses of {vm}")
        self._asking[vm] = task
        task.add_done_callback(lambda _: self._asking.pop(vm, None))

    def forget(self, vm: VMId) -> None:
        """It is off: what comes next may have others."""
        self._known.pop(vm, None)
        self._asked_at_s.pop(vm, None)

    async def _ask(self, vm: VMId, ask: Callable[[], Awaitable[Known]]) -> None:
        try:
            found = await ask()
        except VmtuiError:
            found = self.known(vm)  # it is asked again; what was known may still be true
        if vm not in self._known:  # it went off meanwhile
            return
        before, self._known[vm] = self._known[vm], found
        self._asked_at_s[vm] = time.monotonic()
        if found != before:
            self._changed(vm)

    async def close(self) -> None:
        """Ask no more."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
