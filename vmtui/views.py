"""Immutable pictures of the fleet: what the interface draws and the commands print."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from vmtui.backends.base import Feature, Progress
from vmtui.errors import VmtuiError
from vmtui.model import VM, Host, VMId
from vmtui.stages import Stage

if TYPE_CHECKING:
    from vmtui.counters import Counters, HostCounters
    from vmtui.host_metrics import HostRates
    from vmtui.rates import Rates


@dataclass(frozen=True, slots=True)
class VMRef:
    """One VM of one connection."""

    uri: str
    id: VMId


class ConnectionStatus(Enum):
    """How a connection is. The value is the word that is shown."""

    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Breach:
    """A figure (by id) of a VM that has been above its threshold for long, since `since_s`."""

    figure: str
    value: float
    threshold: float
    since_s: float  # monotonic


@dataclass(frozen=True, slots=True)
class VMView:
    """One row: the VM, its figures, and how old they are."""

    ref: VMRef
    vm: VM
    counters: Counters | None = None  # the last known
    rates: Rates | None = None
    stalled: str = ""  # why it does not answer; its figures are the last known
    breaches: tuple[Breach, ...] = ()
    host_cpus: int | None = None
    task: str = ""  # what is being done to it

    @property
    def sampled_at_s(self) -> float | None:
        """When its figures were read (monotonic)."""
        return self.counters.at_s if self.counters else None

    @property
    def memory_actual_bytes(self) -> int | None:
        """What the balloon leaves the guest."""
        memory = self.counters.memory if self.counters else None
        return memory.actual_bytes if memory else None

    @property
    def memory_rss_bytes(self) -> int | None:
        """What the host's memory holds of it."""
        memory = self.counters.memory if self.counters else None
        return memory.rss_bytes if memory else None


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One connection and its VMs, sorted by name."""

    uri: str
    label: str
    status: ConnectionStatus
    read_only: bool = False
    recorded: bool = False  # it is not there now: this is replayed
    problem: VmtuiError | None = None
    retry_at_s: float | None = None  # monotonic, while DOWN
    features: Feature = Feature.NONE
    host: Host | None = None
    host_counters: HostCounters | None = None
    host_rates: HostRates | None = None
    interval_s: float = 0.0  # between two rounds of samples, as it really is
    vms: tuple[VMView, ...] = ()

    @property
    def memory_total_bytes(self) -> int | None:
        """The host's memory."""
        return self.host_counters.memory_total_bytes if self.host_counters else None

    @property
    def memory_used_bytes(self) -> int | None:
        """What of it is not available to programs."""
        return self.host_counters.memory_used_bytes if self.host_counters else None


class TaskStatus(Enum):
    """How a task is. The value is the word that is shown."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TaskView:
    """One long operation: what it does, how far it is and how it ended."""

    id: int
    label: str
    ref: VMRef | None
    status: TaskStatus
    progress: Progress | None
    started_at_s: float  # monotonic
    ended_at_s: float | None = None
    result: str = ""  # one line, once DONE
    error: VmtuiError | None = None  # once FAILED
    stages: tuple[Stage, ...] = ()  # of making a VM, as of this view


@dataclass(frozen=True, slots=True)
class FleetView:
    """Everything there is to show at one moment (`at_s`, monotonic)."""

    at_s: float
    connections: tuple[ConnectionView, ...]
    tasks: tuple[TaskView, ...] = ()

    @property
    def vms(self) -> tuple[VMView, ...]:
        """All rows, connection by connection."""
        return tuple(row for connection in self.connections for row in connection.vms)

    def connection(self, uri: str) -> ConnectionView | None:
        """The connection of that URI."""
        return next((c for c in self.connections if c.uri == uri), None)

    def row(self, ref: VMRef) -> VMView | None:
        """The row of that VM."""
        connection = self.connection(ref.uri)
        if connection is None:
            return None
        return next((row for row in connection.vms if row.ref == ref), None)
