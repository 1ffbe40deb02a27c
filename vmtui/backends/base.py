"""The seam: what every backend answers. What only some can is in `abilities` and `ways_in`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, Protocol

from vmtui.model import VM, Event, Host, Power, VMId
from vmtui.progress import Progress as Progress  # noqa: PLC0414 (part of the seam)
from vmtui.progress import ProgressSink as ProgressSink  # noqa: PLC0414
from vmtui.progress import no_progress as no_progress  # noqa: PLC0414
from vmtui.spec import VMSpec

if TYPE_CHECKING:
    from vmtui.counters import Counters, HostCounters, Stalled


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
    DISPLAY = auto()  # implements Displays
    POINTER = auto()  # Displays.point works too
    CLONE = auto()  # implements Clones
    SANDBOX = auto()  # makes VMs with VMSpec.throwaway
    CONFIGURE = auto()  # implements Configures
    BALLOON = auto()  # implements Balloons
    TPM = auto()  # implements Tpms
    VARIABLES = auto()  # implements FirmwareVariables
    PASSTHROUGH = auto()  # implements HostDevices
    TRASH = auto()  # implements Trash


@dataclass(frozen=True, slots=True)
class Doomed:
    """One thing that goes with a VM when it is deleted."""

    what: str  # such as "disk", "TPM state", "UEFI variables", "snapshot"
    name: str  # path or volume
    size_bytes: int | None = None
    warning: str = ""  # what is lost with it that can't be had again
    spared: bool = False  # chosen to stay after all
    sparable: bool = False  # whether it can be


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that stays when a VM is deleted, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class DeletePlan:
    """All that a deletion removes and leaves, made by the backend and shown before it is done.

    With `to_trash` it can be brought back for a while, where a backend has `Trash`; then nothing
    has to be spared.
    """

    vm: VMId
    name: str
    doomed: tuple[Doomed, ...]
    kept: tuple[Kept, ...] = ()
    force_off: bool = False  # the VM is active: it is powered off first
    to_trash: bool = False
    spared_to: str = ""  # where what is spared goes; "": it stays where it is


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
