"""The seam: what every backend answers, and the abilities that only some have."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vmtui.counters import Counters, HostCounters, Stalled
from vmtui.errors import InputError
from vmtui.hardware.when import When
from vmtui.model import VM, Event, Host, Power, VMId
from vmtui.parts import CloudInit
from vmtui.picture import Picture
from vmtui.progress import Progress as Progress  # noqa: PLC0414 (part of the seam)
from vmtui.progress import ProgressSink as ProgressSink  # noqa: PLC0414
from vmtui.progress import no_progress as no_progress  # noqa: PLC0414
from vmtui.spec import Limits, VMSpec

if TYPE_CHECKING:  # listing has to be quick, and needs none of it
    from vmtui.hardware.around import Balloon, Barrier, FirmwareFacts, TpmFacts
    from vmtui.hardware.changes import Change, ChangePlan, DefinitionText, Outcome
    from vmtui.hardware.cores import CoreMap
    from vmtui.hardware.devices import HostDevice
    from vmtui.hardware.tree import Hardware
    from vmtui.ksm import KsmState, Switch


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


@runtime_checkable
class Clones(Protocol):
    """Feature.CLONE."""

    async def clone(
        self,
        vm: VMId,
        name: str,
        *,
        linked: bool,
        cloud_init: CloudInit | None,
        progress: ProgressSink,
    ) -> VMId:
        """Make a VM like one that is off, with its own UUID, MACs and disks; all or nothing.

        `linked`: its disks lean on those of the other, which then can't be started or deleted.
        With `cloud_init` its seed is made anew, under a new instance-id, so that the guest makes
        itself a machine-id and host keys. A TPM's state is never cloned.
        """
        ...


@runtime_checkable
class Previews(Protocol):
    """For backends that can say what `create` would run, without making anything."""

    async def preview(self, spec: VMSpec) -> str:
        """QEMU's command line in the shell's own quotes, or the domain's XML."""
        ...


@runtime_checkable
class KnowsLimits(Protocol):
    """For backends that know more of what a new VM has to fit into than the host's size."""

    async def limits(self) -> Limits:
        """Free space where disks go, and parts that VMs can't have there; as of now."""
        ...


@runtime_checkable
class Agents(Protocol):
    """For backends that reach the agent in a guest."""

    async def agent_answers(self, vm: VMId) -> bool:
        """Whether it is there now. Raises NoSuchVMError."""
        ...


@runtime_checkable
class LeanOnImages(Protocol):
    """For backends whose disks can lean on images of the library."""

    async def images_in_use(self) -> Mapping[str, tuple[str, ...]]:
        """By an image's name in the library, the names of the VMs whose disks lean on it."""
        ...


class Ending(Enum):
    """Why a console has ended."""

    OFF = "off"  # the VM is
    TAKEN = "taken"  # someone else took it over
    LOST = "lost"  # the connection is
    DETACHED = "detached"  # by its own `close`


class Console(Protocol):
    """An attached serial console: bytes both ways."""

    async def read(self) -> bytes:
        """The next bytes; b"" when the console has ended (the VM is off, or taken over)."""
        ...

    @property
    def history_bytes(self) -> int:
        """How many of the bytes that `read` gives first were printed before it was attached."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    async def close(self) -> None:
        """Detach. Idempotent."""
        ...

    @property
    def ending(self) -> Ending:
        """Why `read` gave b""."""
        ...

    @property
    def ended_because(self) -> str:
        """The same for people, with who took it over if that is known."""
        ...


def console_named(vm: VM, name: str) -> str:
    """The console of that name; an empty name is the first. Raises InputError."""
    if name in vm.consoles:
        return name
    if not name and vm.consoles:
        return vm.consoles[0]
    raise InputError(
        f"{vm.name} has no console {name!r}" if name else f"{vm.name} has no console",
        hint=f"There is: {', '.join(vm.consoles)}." if vm.consoles else "",
    )


@runtime_checkable
class Consoles(Protocol):
    """Feature.CONSOLE."""

    async def console(
        self, vm: VMId, name: str = "", *, force: bool = False, history_bytes: int = 0
    ) -> Console:
        """Attach to the console `name` of `VM.consoles` (empty: the first).

        What was printed before is read first, up to `history_bytes` of it, where it is kept.
        Raises BusyError when someone else is attached, unless `force` takes over; InputError for
        a name that it does not have.
        """
        ...

    def console_output(self, vm: VMId, name: str = "") -> AsyncGenerator[bytes, None]:
        """What the guest prints: since its start where that is kept, then as it comes.

        Ends when the VM stops. Never takes a console away from anyone.
        """
        ...


@runtime_checkable
class Watchable(Protocol):
    """For backends where a console that someone else holds can be watched."""

    async def watch_console(self, vm: VMId, name: str = "", *, history_bytes: int = 0) -> Console:
        """As `Consoles.console`, but what is written is dropped, and nobody is kept away by it.

        Raises UnsupportedError where what this console prints is not kept.
        """
        ...


@runtime_checkable
class ConsoleSizes(Protocol):
    """For backends that can tell a guest the size of a console's terminal, in some VMs at least."""

    async def resize_console(self, vm: VMId, name: str, columns: int, rows: int) -> bool:
        """Tell the guest; False where the console or the hypervisor has no way to."""
        ...


@runtime_checkable
class Logs(Protocol):
    """Feature.LOG."""

    async def log(self, vm: VMId, *, limit_bytes: int = 65536) -> str:
        """The end of the hypervisor's own log of the VM, as it is (untrusted text)."""
        ...

    async def console_history(self, vm: VMId, name: str = "", *, limit_bytes: int = 65536) -> bytes:
        """The end of what a console printed, raw; b"" where it is not kept."""
        ...


@dataclass(frozen=True, slots=True)
class Viewer:
    """Where a graphical client connects: `vnc` or `spice`, a socket's path or host and port."""

    protocol: str
    socket: str = ""
    host: str = ""
    port: int = 0
    ssh: str = ""  # the machine, as ssh names it, on which socket or host and port are
    libvirt_uri: str = ""  # by which virt-viewer finds it all by itself


@runtime_checkable
class Displays(Protocol):
    """Feature.DISPLAY; `point` also needs Feature.POINTER.

    All raise StateError when the VM is off and UnsupportedError when it has no display.
    """

    async def picture(self, vm: VMId) -> Picture:
        """What is on the guest's screen now."""
        ...

    async def press(self, vm: VMId, keys: Sequence[str], *, hold_ms: int = 20) -> None:
        """Press the keys (QEMU's names, `vmtui.keyboards.KEYS`) together and let them go."""
        ...

    async def point(self, vm: VMId, x: float, y: float, buttons: frozenset[str]) -> None:
        """Put the pointer at 0..1 of width and height, with just these buttons down.

        Buttons are left, middle, right, wheel-up and wheel-down.
        """
        ...

    async def viewer(self, vm: VMId) -> Viewer:
        """Where a viewer connects. Raises UnsupportedError where none can."""
        ...


@runtime_checkable
class Configures(Protocol):
    """Feature.CONFIGURE.

    All raise NoSuchVMError. What a definition says that vmtui does not know stays as it is.
    """

    async def hardware(self, vm: VMId) -> Hardware:
        """All that it has, now and at its next boot."""
        ...

    async def plan(self, vm: VMId, changes: Sequence[Change], when: When = When.AUTO) -> ChangePlan:
        """What the changes would do, together; nothing is changed.

        Raises InputError, RefusedError, StateError, MissingError or UnsupportedError with the
        reason for what can't be: before anything was changed is the time to hear of it.
        """
        ...

    async def change(self, plan: ChangePlan, progress: ProgressSink = no_progress) -> Outcome:
        """Do what the plan says: the stored definition whole, then what is live, step by step.

        Raises StateError when the VM changed since the plan was made, and what `plan` raises. A
        live step that fails is told in the outcome; it stays for the next boot.
        """
        ...

    async def definition(self, vm: VMId) -> DefinitionText:
        """What is stored, for an editor."""
        ...

    async def plan_text(
        self, vm: VMId, edited: DefinitionText, when: When = When.AUTO
    ) -> ChangePlan:
        """What `change` would make of an edited definition: checked, as a difference.

        Raises InputError whose reason begins with `line N: ` where the line is known.
        """
        ...


@runtime_checkable
class Balloons(Protocol):
    """Feature.BALLOON. Both raise StateError when it is off, UnsupportedError without a balloon."""

    async def balloon(self, vm: VMId) -> Balloon:
        """What it was asked for, and has, this moment."""
        ...

    async def ask_memory(self, vm: VMId, target_bytes: int) -> None:
        """Ask the guest to leave itself that much, live only. Success means asked, not got."""
        ...


@runtime_checkable
class Tpms(Protocol):
    """Feature.TPM. All raise UnsupportedError for a VM that has no software TPM."""

    async def tpm(self, vm: VMId) -> TpmFacts:
        """What it is, and where its state."""
        ...

    async def back_up_tpm(self, vm: VMId, to: Path) -> None:
        """Its state as one file, private to the user; the VM is off (else StateError)."""
        ...

    async def restore_tpm(self, vm: VMId, source: Path) -> None:
        """Replace its state by one of `back_up_tpm`, whole or not at all; the VM is off."""
        ...

    async def clear_tpm(self, vm: VMId) -> None:
        """Begin anew with an empty state: disk keys sealed in it are lost. The VM is off."""
        ...


@runtime_checkable
class FirmwareVariables(Protocol):
    """Feature.VARIABLES. All but the first need a VM that is off; UnsupportedError with BIOS."""

    async def firmware(self, vm: VMId) -> FirmwareFacts:
        """Which files it is, and where its variables began."""
        ...

    async def reset_variables(self, vm: VMId, template: Path | None = None) -> None:
        """Begin anew, from the firmware's own or from a file with keys of one's own."""
        ...

    async def back_up_variables(self, vm: VMId, to: Path) -> None:
        """A copy of them, private to the user."""
        ...


@runtime_checkable
class MapsCores(Protocol):
    """For backends that can tell where on the host the threads of VMs run."""

    async def cores(self) -> CoreMap:
        """The host's CPUs with their NUMA nodes, and which threads may run on which."""
        ...


@runtime_checkable
class MergesPages(Protocol):
    """For backends whose host keeps equal pages of its VMs once (KSM), if it is this machine."""

    async def page_sharing(self) -> KsmState:
        """What there is now. Raises UnsupportedError where the host is another machine."""
        ...

    async def share_pages(self, to: Switch) -> None:
        """Switch it for all VMs. Raises UnsupportedError; RefusedError with what root may do."""
        ...


@runtime_checkable
class Isolates(Protocol):
    """For backends that can tell what keeps a guest from all else."""

    async def isolation(self, vm: VMId) -> Sequence[Barrier]:
        """Each barrier, and what would tighten it."""
        ...


@runtime_checkable
class HostDevices(Protocol):
    """Feature.PASSTHROUGH."""

    async def host_devices(self) -> Sequence[HostDevice]:
        """Those of the host, with what uses them and why one can't be passed through."""
        ...


TRASH_DAYS = 30
"""How long what is in the trash can be brought back, if nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Trashed:
    """A deleted VM that can still be brought back."""

    vm: VMId
    name: str
    deleted_at_s: float  # Unix time
    gone_at_s: float  # Unix time after which it is removed for good
    size_bytes: int | None = None


@runtime_checkable
class Trash(Protocol):
    """Feature.TRASH: deletions with DeletePlan.to_trash."""

    async def trashed(self) -> Sequence[Trashed]:
        """The last deleted first."""
        ...

    async def restore(self, vm: VMId) -> None:
        """Bring it back. Raises NoSuchVMError, InputError when its name was taken meanwhile."""
        ...

    async def purge(self, vm: VMId) -> None:
        """Remove it for good."""
        ...
