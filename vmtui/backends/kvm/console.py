"""The text consoles of a direct VM: one holder at a time, take-over by consent of the asker."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

from vmtui.backends.joined_console import JoinedConsole, LoggedConsole
from vmtui.backends.kept_output import KeptOutput, WatchedConsole
from vmtui.backends.kvm.argv import ConsolePlace, console_chardev
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.procfs import command_of
from vmtui.backends.ways_in import Console, Ending, console_named
from vmtui.errors import BusyError, OperationError, UnreachableError
from vmtui.locks import try_lock, wait_lock
from vmtui.units import plain

READ_BYTES = 256 * 1024
TAKE_OVER_TIMEOUT_S = 3.0
FLUSH_LIMIT_S = 0.5
RESIZE = "chardev-window-size-changed"
_UCRED = struct.Struct("3i")  # unix(7): pid, uid, gid


class SocketConsole:
    """An attached console. QEMU serves one client, so a lock file says who that is.

    The holder also listens on a socket of its own: who connects to it asks the holder to leave.
    """

    history_bytes = 0

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lock: int,
        hold: Path,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = lock
        self._hold = hold
        self._server: asyncio.Server | None = None
        self._ending: Ending | None = None
        self._taker = ""

    @classmethod
    async def attach(cls, name: str, place: ConsolePlace, *, force: bool) -> SocketConsole:
        """Raises BusyError when another process is attached and `force` is not given."""
        lock = try_lock(place.lock)
        if lock is None and force:
            lock = await _take_over(name, place)
        if lock is None:
            raise BusyError(
                f"someone is attached to the console of {name} already",
                why=_holder(place.lock),
                hint=f"Take it over with: vmtui console --force {name}",
            )
        try:
            reader, writer = await asyncio.open_unix_connection(str(place.socket), limit=READ_BYTES)
        except OSError as error:
            os.close(lock)
            raise UnreachableError(
                f"the console of {name} can't be reached", why=error.strerror or ""
            ) from error
        except BaseException:
            os.close(lock)
            raise
        console = cls(reader, writer, lock, place.hold)
        try:
            await console._listen()
        except BaseException:
            await console.close()
            raise
        return console

    async def _listen(self) -> None:
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        self._hold.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._on_take_over, str(self._hold))

    async def _on_take_over(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Let go at once, also when nobody is reading: the asker waits for the lock.
        if self._ending is None:
            self._ending = Ending.TAKEN
            self._taker = _peer(writer)
        await self.close()
        writer.close()

    @property
    def ending(self) -> Ending:
        """Why `read` gave b""."""
        return self._ending or Ending.OFF

    @property
    def ended_because(self) -> str:
        """The same for people."""
        return {
            Ending.TAKEN: f"the console was taken over by {self._taker}",
            Ending.DETACHED: "it was detached",
        }.get(self.ending, "the VM is off")

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        with suppress(OSError):
            if data := await self._reader.read(READ_BYTES):
                return data
        self._ending = self._ending or Ending.OFF
        return b""

    async def write(self, data: bytes) -> None:
        """Send all of `data`."""
        self._writer.write(data)
        with suppress(OSError):  # the end is told by read
            await self._writer.drain()

    async def close(self) -> None:
        """Detach. Idempotent."""
        if self._lock < 0:
            return
        self._ending = self._ending or Ending.DETACHED
        lock, self._lock = self._lock, -1
        if self._server is not None:
            self._server.close()
            self._hold.unlink(missing_ok=True)
        self._writer.close()
        try:
            # A guest that does not read must not keep the console from its next holder.
            async with asyncio.timeout(FLUSH_LIMIT_S):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()
        finally:
            os.close(lock)


def files(machine: Machine, name: str) -> ConsolePlace:
    """Those of the console of that name, the first for an empty one. Raises InputError."""
    return machine.place.console(console_named(machine.vm(), name))


async def attached(machine: Machine, name: str, *, force: bool, history_bytes: int) -> Console:
    """The console of that name, after what it printed before."""
    place = files(machine, name)
    virtio = console_named(machine.vm(), name).startswith("virtio")
    if not history_bytes and not virtio:
        return await SocketConsole.attach(machine.name, place, force=force)
    # Opened first: all that the socket brings is then behind the history.
    kept = _kept(place, history_bytes)
    try:
        console = await SocketConsole.attach(machine.name, place, force=force)
    except BaseException:
        kept.close()
        raise
    return LoggedConsole(console, kept) if virtio else JoinedConsole(console, kept)


def watched(machine: Machine, name: str, *, history_bytes: int) -> Console:
    """What the console of that name prints, whoever has it."""
    process = machine.process
    assert process is not None

    async def alive() -> bool:
        return process.alive

    return WatchedConsole(_kept(files(machine, name), history_bytes), alive)


def _kept(place: ConsolePlace, history_bytes: int) -> KeptOutput:
    try:
        return KeptOutput(place.log, history_bytes)
    except OSError as error:
        raise UnreachableError(f"{place.log} can't be read", why=error.strerror or "") from error


async def resized(machine: Machine, name: str, columns: int, rows: int) -> bool:
    """Tell a virtio console's driver in the guest the size; False where QEMU has no way to."""
    name = console_named(machine.vm(), name)
    if not name.startswith("virtio"):
        return False
    async with machine.asked() as monitor:
        commands = await monitor.execute("query-commands")
        if not any(command["name"] == RESIZE for command in commands):
            return False
        size = {"id": console_chardev(name), "cols": columns, "rows": rows}
        await monitor.execute(RESIZE, size)
    return True


async def _take_over(name: str, place: ConsolePlace) -> int:
    with suppress(OSError):  # a holder that has just gone needs no asking
        _, writer = await asyncio.open_unix_connection(str(place.hold))
        writer.close()
    try:
        return await wait_lock(place.lock, TAKE_OVER_TIMEOUT_S)
    except TimeoutError as error:
        raise OperationError(
            f"the console of {name} could not be taken over",
            why=f"{_holder(place.lock)} does not let go",
            hint="End that process.",
        ) from error


def _holder(lock_path: Path) -> str:
    try:
        return _named(int(lock_path.read_text("ascii")))
    except (OSError, ValueError):
        return "another process"


def _peer(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("socket")
    try:
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    except OSError:
        return "another process"
    return _named(_UCRED.unpack(credentials)[0])


def _named(pid: int) -> str:
    command = plain(command_of(pid))
    return f"process {pid} ({command})" if command else f"process {pid}"
