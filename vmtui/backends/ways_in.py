"""The seam's ways into a guest, of backends that have them: consoles, logs, displays, the agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vmtui.errors import InputError
from vmtui.model import VM, VMId

if TYPE_CHECKING:
    from vmtui.picture import Picture


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
class Agents(Protocol):
    """For backends that reach the agent in a guest."""

    async def agent_answers(self, vm: VMId) -> bool:
        """Whether it is there now. Raises NoSuchVMError."""
        ...
