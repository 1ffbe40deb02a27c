"""Serial consoles over libvirt streams, without a thread and without polling."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import libvirt

from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.listing import lookup
from vmtui.backends.libvirt.translate import code
from vmtui.backends.ways_in import Ending
from vmtui.errors import BusyError, StateError, UnreachableError, VmtuiError
from vmtui.model import VMId

READ_BYTES = 65536
PENDING_LIMIT_BYTES = 4 * 1024 * 1024
SEND_TIMEOUT_S = 10.0
STOPPING_LOOKS = 5
STOPPING_LOOK_S = 0.1
_END = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
_NO_DATA = -2


class StreamConsole:
    """An attached console. libvirt's thread reads, the loop gets what was read."""

    history_bytes = 0

    def __init__(self, bridge: Bridge, vm: VMId, name: str, device: str | None) -> None:
        self._bridge = bridge
        self._vm = vm
        self._name = name
        self._device = device
        self._stream: libvirt.virStream | None = None
        self._chunks: deque[bytes] = deque()
        self._pending_bytes = 0
        self._paused = False
        self._changed = asyncio.Event()
        self._ended = False
        self._ending: Ending | None = None
        self._ended_because = ""

    @property
    def ending(self) -> Ending:
        """Why `read` gave b""."""
        return self._ending or Ending.OFF

    @property
    def ended_because(self) -> str:
        """The same for people."""
        return self._ended_because

    @classmethod
    async def attach(
        cls, bridge: Bridge, vm: VMId, name: str, device: str | None, *, force: bool
    ) -> StreamConsole:
        """Raises BusyError when another client is attached and `force` is not given."""
        console = cls(bridge, vm, name, device)
        opening = asyncio.ensure_future(
            bridge.call(f"attach to the console of {name}", console._open, force)
        )
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(VmtuiError, asyncio.CancelledError):
                await opening
            await console.close()
            raise
        except VmtuiError as error:
            if "Active console session exists" in error.why:
                raise BusyError(
                    f"someone is attached to the console of {name} already",
                    hint=f"Take it over with: vmtui console --force {name}",
                ) from error
            if code(error) == libvirt.VIR_ERR_OPERATION_INVALID:
                raise StateError(f"can't attach to the console of {name}", why=error.why) from error
            raise
        bridge.on_lost.append(console._on_lost)
        return console

    def _open(self, connection: libvirt.virConnect, force: bool) -> None:
        # A function of a worker.
        domain = lookup(connection, self._vm)
        stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
        flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else libvirt.VIR_DOMAIN_CONSOLE_SAFE
        open_console: Any = domain.openConsole
        open_console(self._device, stream, flags)
        self._stream = stream
        stream.eventAddCallback(libvirt.VIR_STREAM_EVENT_READABLE | _END, self._on_event, None)

    # In libvirt's thread: what has come is taken off the stream and handed over.

    def _on_event(self, stream: libvirt.virStream, events: int, _: None) -> None:
        try:
            data: Any = stream.recv(READ_BYTES) if events else b""
        except libvirt.libvirtError:
            self._bridge.tell(self._on_end, stream)
            return
        if data == _NO_DATA:
            if events & _END:
                self._bridge.tell(self._on_end, stream)
        elif data:
            self._bridge.tell(self._on_data, data)
        else:
            self._bridge.tell(self._on_end, stream)

    # On the loop.

    def _on_data(self, data: bytes) -> None:
        self._chunks.append(data)
        self._pending_bytes += len(data)
        self._changed.set()
        if self._pending_bytes > PENDING_LIMIT_BYTES and not self._paused:
            self._paused = True
            self._listen_for(_END)

    def _listen_for(self, events: int) -> None:
        stream = self._stream
        if stream is not None:
            self._quietly(lambda _: stream.eventUpdateCallback(events))

    def _quietly(self, function: Callable[[libvirt.virConnect], object]) -> None:
        # Nobody waits for it: the stream itself tells of what went wrong.
        with suppress(VmtuiError):
            self._bridge.start(function)

    def _on_lost(self, _: VmtuiError) -> None:
        if self._stream is not None:
            self._on_end(self._stream)

    def _on_end(self, stream: libvirt.virStream) -> None:
        if self._ended:
            return
        self._ended = True
        self._changed.set()
        # A stream that has ended would be reported again and again.
        self._quietly(lambda _: _release(stream, abort=False))

    @property
    def _over(self) -> bool:
        return self._ended or self._stream is None

    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        while not self._chunks:
            if self._over:
                if self._ending is None:
                    self._ending, self._ended_because = await self._why_ended()
                return b""
            self._changed.clear()
            await self._changed.wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._pending_bytes = 0
        if self._paused:
            self._paused = False
            self._listen_for(libvirt.VIR_STREAM_EVENT_READABLE | _END)
        return data

    async def _why_ended(self) -> tuple[Ending, str]:
        lost = Ending.LOST, "the connection to libvirt is lost"
        if not self._ended:
            return Ending.DETACHED, "it was detached"
        if self._bridge.lost is not None:
            return lost
        try:
            # A VM that is being stopped is active for a moment after its console has ended.
            for _ in range(STOPPING_LOOKS):
                if not await self._bridge.call(
                    f"look at {self._name}", lambda c: bool(lookup(c, self._vm).isActive())
                ):
                    return Ending.OFF, "the VM is off"
                await asyncio.sleep(STOPPING_LOOK_S)
        except UnreachableError:
            return lost
        except VmtuiError:
            return Ending.OFF, "the VM is gone"
        return Ending.TAKEN, "another client took the console over"

    async def write(self, data: bytes) -> None:
        """Send all of `data`; what an ended console can't take is dropped, `read` tells the end."""
        view = memoryview(data)
        while view and not self._ended and (stream := self._stream) is not None:
            piece = bytes(view[:READ_BYTES])
            try:
                sent: Any = await self._bridge.call(
                    f"write to the console of {self._name}",
                    lambda _, stream=stream, piece=piece: stream.send(piece),
                    timeout_s=SEND_TIMEOUT_S,
                )
            except VmtuiError:
                if self._over or self._bridge.lost is not None:
                    return
                raise
            if sent == _NO_DATA:
                await asyncio.sleep(0.02)  # the stream has no event for "all of it was taken"
            else:
                view = view[int(sent) :]

    async def close(self) -> None:
        """Detach. Idempotent."""
        stream, self._stream = self._stream, None
        self._changed.set()
        if self._on_lost in self._bridge.on_lost:
            self._bridge.on_lost.remove(self._on_lost)
        if stream is None or self._ended:
            return
        with suppress(VmtuiError):
            await self._bridge.call(
                f"detach from the console of {self._name}", lambda _: _release(stream, abort=True)
            )


def _release(stream: libvirt.virStream, *, abort: bool) -> None:
    with suppress(libvirt.libvirtError):
        stream.eventRemoveCallback()
    with suppress(libvirt.libvirtError):
        if abort:
            stream.abort()
        else:
            stream.finish()
