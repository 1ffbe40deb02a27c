"""What is known of a guest's memory, its balloon and its balance, as rows of text."""

from __future__ import annotations

from dataclasses import dataclass

from vmtui.balance.journal import Entry
from vmtui.ballooning import Floor
from vmtui.hardware.around import Balloon
from vmtui.units import plain, size
from vmtui.views import ConnectionView, VMView
from vmtui.widgets.listing import Row
from vmtui.widgets.memory_slider import Levels


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """One look at it; `last` is what automatic balance decided last for this VM."""

    balloon: Balloon
    floor: Floor
    row: VMView | None
    connection: ConnectionView | None
    last: Entry | None = None

    @property
    def used_bytes(self) -> int | None:
        """By the guest; None: not known."""
        memory = self.row.counters.memory if self.row and self.row.counters else None
        guest = memory.guest if memory else None
        if guest is None or guest.total_bytes is None or guest.available_bytes is None:
            return None
        return guest.total_bytes - guest.available_bytes

    @property
    def levels(self) -> Levels:
        """What a slider shows of it."""
        balloon, floor_bytes = self.balloon, self.floor.size_bytes
        return Levels(
            balloon.ceiling_bytes,
            balloon.actual_bytes,
            floor_bytes,
            balloon.target_bytes,
            self.used_bytes,
        )

    def rows(self) -> list[Row]:
        """A label and what is known each."""
        balloon, used = self.balloon, self.used_bytes
        stays = balloon.answers is False
        actual = size(balloon.actual_bytes, digits=2)
        if stays:
            actual += " – its guest has no driver: it stays"
        host = self.connection.host_counters if self.connection else None
        available = host.memory_available_bytes if host else None
        total = host.memory_total_bytes if host else None
        rows = [
            _fact("actual", actual, "warn" if stays else "strong"),
            _fact("asked", size(balloon.target_bytes, digits=2)),
            _fact("guest uses", "not known" if used is None else size(used, digits=2)),
            _fact("floor", f"{size(self.floor.size_bytes, digits=2)} – {self.floor.why}"),
            _fact("host has", f"{size(available)} available of {size(total)}"),
            _fact("balance", self._balance()),
        ]
        return [*rows, *self._decided()]

    def _balance(self) -> str:
        balance = self.row.vm.balance if self.row else None
        if balance is None:
            return "○ off – with it memory moves between VMs as they need it"
        least, most = (size(one) for one in (balance.least_bytes, balance.most_bytes))
        return f"● on – from {least} to {most}, weight {balance.weight}"

    def _decided(self) -> list[Row]:
        if self.last is None:
            return []
        decision = self.last.decision
        target = "" if decision.target_bytes is None else f" → {size(decision.target_bytes)}"
        failed = f" – failed: {self.last.failure}" if self.last.failure else ""
        step = f"{decision.move.value} {size(decision.from_bytes)}{target}"
        return [_fact("decided last", f"{step}: {decision.reason}{failed}")]


def _fact(label: str, text: str, ink: str = "text") -> Row:
    return ((label, "quiet"), (plain(text), ink))
