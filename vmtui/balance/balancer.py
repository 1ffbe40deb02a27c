"""Runs automatic balance over a fleet: looks, decides, asks and keeps the log."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from vmtui.backends.abilities import Balloons
from vmtui.backends.base import Feature
from vmtui.balance import journal
from vmtui.balance.compliance import Memory
from vmtui.balance.journal import Entry
from vmtui.balance.looking import by_host, guests, host_memory
from vmtui.balance.moves import Decision, Move
from vmtui.balance.policy import decide
from vmtui.balance.rules import RULES, Rules
from vmtui.errors import OperationError, VmtuiError
from vmtui.files import not_writable
from vmtui.fleet import Fleet
from vmtui.locks import try_lock
from vmtui.views import ConnectionStatus, ConnectionView, VMRef

ASK_TIMEOUT_S = 5.0
RECENT = 200
"""Entries that are kept in memory."""

Told = Callable[[Entry], None]


class Balancer:
    """Balances every host of a fleet that is sampled; one at a time for each user.

    With `dry` nothing is asked of any guest. What is decided is told to `on_entry` and logged.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        dry: bool = False,
        on_entry: Told = lambda _: None,
        on_failure: Callable[[VmtuiError], None] = lambda _: None,
        path: Path | None = None,
        rules: Rules = RULES,
    ) -> None:
        self.recent: deque[Entry] = deque(maxlen=RECENT)
        """The newest last."""
        self._fleet = fleet
        self._dry = dry
        self._on_entry = on_entry
        self._on_failure = on_failure
        self._path = path or journal.default_path()
        self._rules = rules
        self._memory: dict[VMRef, Memory] = {}
        self._said: dict[VMRef, tuple[Move, int]] = {}
        self._lock: int | None = None
        self._unlogged = False  # and that was told
        self.gave_up = False
        """Whether `run` ended by itself."""

    @property
    def acting(self) -> bool:
        """Whether it is this one that balances; another vmtui of the user may be at it."""
        return self._dry or self._lock is not None

    async def run(self) -> None:
        """A round every few seconds until it is cancelled; waits for another that is at it.

        Ends with `on_failure` where the folder of lock and log can't be used.
        """
        try:
            while True:
                if self._take_lock():
                    await self.round()
                await asyncio.sleep(self._rules.interval_s)
        except OperationError as error:
            self._on_failure(error)
            self.gave_up = True
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _take_lock(self) -> bool:
        if not self.acting:
            path = self._path.with_name("balance.lock")
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise not_writable(path.parent, error) from error
            self._lock = try_lock(path)
        return self.acting

    async def round(self) -> list[Entry]:
        """Look, decide and ask, once; what was decided."""
        view = self._fleet.view()
        hosts = by_host(connection for connection in view.connections if _can(connection))
        rounds = [self._balance(connections) for connections in hosts]
        entries = [entry for made in await asyncio.gather(*rounds) for entry in made]
        for entry in entries:
            self.recent.append(entry)
            self._on_entry(entry)
        if entries and not self._dry:
            await self._log(entries)
        return entries

    async def _log(self, entries: list[Entry]) -> None:
        try:
            await asyncio.to_thread(journal.write, self._path, entries)
        except OperationError as error:
            if not self._unlogged:
                self._on_failure(error)
            self._unlogged = True
        else:
            self._unlogged = False

    async def _balance(self, connections: Sequence[ConnectionView]) -> list[Entry]:
        """One host, and all that is connected to it."""
        host = next((known for one in connections if (known := host_memory(one))), None)
        if host is None:
            return []
        found = {guest.id: (guest, one) for one in connections for guest in guests(one)}
        refs = {vm: VMRef(one.uri, vm) for vm, (_, one) in found.items()}
        before = {vm: self._memory[ref] for vm, ref in refs.items() if ref in self._memory}
        everyone = [guest for guest, _ in found.values()]
        made = decide(everyone, host, before, time.monotonic(), self._rules)
        self._forget(connections)
        self._memory |= {refs[vm]: memory for vm, memory in made.memory.items()}
        failures = await asyncio.gather(*(self._ask(refs[d.id], d) for d in made.decisions))
        asked = list(zip(made.decisions, failures, strict=True))
        unasked = {d.id for d, failure in asked if self._dry or failure} & made.unasked.keys()
        self._memory |= {refs[vm]: made.unasked[vm] for vm in unasked}
        now_s = time.time()
        return [
            Entry(now_s, found[decision.id][1].label, decision, failure)
            for decision, failure in asked
            if self._is_news(refs[decision.id], decision)
        ]

    def _forget(self, connections: Sequence[ConnectionView]) -> None:
        """What is remembered of their VMs: those that go on are remembered anew."""
        uris = {connection.uri for connection in connections}
        self._memory = {ref: memory for ref, memory in self._memory.items() if ref.uri not in uris}

    def _is_news(self, ref: VMRef, decision: Decision) -> bool:
        """A dry run comes to the same again and again, as nothing comes of it."""
        said = (decision.move, decision.from_bytes)
        known = self._dry and self._said.get(ref) == said
        self._said[ref] = said
        return not known

    async def _ask(self, ref: VMRef, decision: Decision) -> str:
        """Ask for what was decided; why that failed, empty if it did not."""
        backend = self._fleet.backend(ref)
        if self._dry or decision.target_bytes is None or not isinstance(backend, Balloons):
            return ""
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                await backend.ask_memory(ref.id, decision.target_bytes)
        except VmtuiError as error:
            return str(error)
        except TimeoutError:
            return f"no answer within {ASK_TIMEOUT_S:.0f} s"
        return ""


def _can(connection: ConnectionView) -> bool:
    return (
        connection.status is ConnectionStatus.UP
        and not connection.read_only
        and not connection.recorded
        and Feature.BALLOON in connection.features
    )
