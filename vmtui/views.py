"""Immutable pictures of the fleet: what the interface draws and the commands print."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from vmtui.backends.base import Feature, Progress
from vmtui.errors import VmtuiError
from vmtui.metrics import HostRates, Rates
from vmtui.model import VM, Host, VMId


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
class VMView:
    """One row: the VM, its rates, and how old they are."""

    ref: VMRef
    vm: VM
    rates: Rates | None = None
    memory_actual_bytes: int | None = None
    memory_rss_bytes: int | None = None
    stalled: str = ""  # why it does not answer; its figures are the last known
    sampled_at_s: float | None = None  # monotonic
    task: str = ""  # what is being done to it


@dataclass(frozen=True, slots=True)
class ConnectionView:
    """One connection and its VMs, sorted by name."""

    uri: str
    label: str
    status: ConnectionStatus
    read_only: bool = False
    problem: VmtuiError | None = None
    retry_at_s: float | None = None  # monotonic, while DOWN
    features: Feature = Feature.NONE
    host: Host | None = None
    host_rates: HostRates | None = None
    vms: tuple[VMView, ...] = ()


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
