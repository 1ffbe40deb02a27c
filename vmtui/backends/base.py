"""The seam: what every backend answers, and the abilities that only some have."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Protocol, runtime_checkable

from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.model import VM, Event, Host, Power, VMId
from vmtui.spec import VMSpec


class Feature(Flag):
    """What a connection can do; an action names the one that it needs."""

    NONE = 0
    CREATE = auto()
    DELETE = auto()
    SHUTDOWN = auto()
    REBOOT = auto()
    RESET = auto()
    PAUSE = auto()
    CONSOLE = auto()  # implements Consoles
    LOG = auto()  # implements Logs


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long operation is: words, and a fraction 0..1 where it is known."""

    text: str
    fraction: float | None = None


ProgressSink = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """A sink for callers who do not watch."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """One thing that goes with a VM when it is deleted."""

    what: str  # such as "disk", "TPM state", "UEFI variables", "snapshot"
    name: str  # path or volume
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that stays when a VM is deleted, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class DeletePlan:
    """All that a deletion removes and leaves, made by the backend and shown before it is done."""

    vm: VMId
    name: str
    doomed: tuple[Doomed, ...]
    kept: tuple[Kept, ...] = ()
    force_off: bool = False  # the VM is active: it is powered off first


class Backend(Protocol):
    """One connection. Raises only from `vmtui.errors`; methods never block the event loop.

    A backend that was opened with `read_only=True` refuses every change itself (RefusedError).
    """

    uri: str
    features: Feature

    async def open(self) -> None:
        """Connect. Raises UnreachableError or MissingError; may be called again after close."""
        ...

    async def close(self) -> None:
        """Let go of the connection; VMs go on. Idempotent."""
        ...

    async def host(self) -> Host:
        """The host's constants."""
        ...

    async def host_counters(self) -> HostCounters:
        """The host's figures now."""
        ...

    async def vms(self) -> Sequence[VM]:
        """All VMs, in no particular order. A broken one is listed as such, not raised."""
        ...

    async def vm(self, vm: VMId) -> VM:
        """One VM. Raises NoSuchVMError."""
        ...

    async def counters(self, vms: Sequence[VMId]) -> Mapping[VMId, Counters | Stalled]:
        """Figures of the active ones of `vms`, the most wanted first.

        Never waits for one that hangs: it is left out, or has what is known without it, and is
        Stalled before 3 s have passed. A backend that reads some groups less often gives their
        last values, with their own time.
        """
        ...

    def events(self) -> AsyncIterator[Event]:
        """Changes from now on, whoever made them; UnreachableError when the connection is lost."""
        ...

    async def power(self, vm: VMId, op: Power) -> None:
        """Do `op`; return when it took effect (SHUTDOWN, REBOOT: when the guest was asked).

        Raises NoSuchVMError, StateError, BusyError, UnsupportedError, RefusedError, OperationError.
        """
        ...

    async def create(self, spec: VMSpec, progress: ProgressSink) -> VMId:
        """Make the VM, off. All or nothing, also when cancelled. Raises InputError and the like."""
        ...

    async def delete_plan(self, vm: VMId) -> DeletePlan:
        """What a deletion would remove. Raises NoSuchVMError."""
        ...

    async def delete(self, vm: VMId, plan: DeletePlan) -> None:
        """Delete exactly what `plan` names; an active VM is forced off only if the plan says so.

        Raises NoSuchVMError, StateError (it changed since the plan was made), RefusedError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A backend under the name that users know its connection by."""

    backend: Backend
    label: str


class Console(Protocol):
    """An attached serial console: bytes both ways."""

    async def read(self) -> bytes:
        """The next bytes; b"" when the console has ended (the VM is off, or taken over)."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    async def close(self) -> None:
        """Detach. Idempotent."""
        ...

    @property
    def ended_because(self) -> str:
        """Why `read` gave b"", for people."""
        ...


@runtime_checkable
class Consoles(Protocol):
    """Feature.CONSOLE."""

    async def console(self, vm: VMId, *, force: bool = False) -> Console:
        """Attach. Raises BusyError when someone else is attached, unless `force` takes over."""
        ...

    def console_output(self, vm: VMId) -> AsyncGenerator[bytes, None]:
        """What the guest prints: since its start where that is kept, then as it comes.

        Ends when the VM stops. Never takes a console away from anyone.
        """
        ...


@runtime_checkable
class Logs(Protocol):
    """Feature.LOG."""

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """The end of the hypervisor's own log of the VM, as it is (untrusted text)."""
        ...

    async def console_history(self, vm: VMId, *, limit_bytes: int = 65536) -> bytes:
        """The end of what the serial console printed, raw; b"" where it is not kept."""
        ...
