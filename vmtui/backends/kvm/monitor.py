"""QMP: a VM's monitors shared out among vmtui processes, and their errors in words."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from qemu.qmp import ExecuteError, Message, QMPClient, QMPError, Runstate
from qemu.qmp.events import EventListener

from vmtui.backends.kvm.argv import MONITORS, Place
from vmtui.backends.kvm.understood import why_not
from vmtui.errors import BusyError, OperationError, UnreachableError
from vmtui.locks import try_lock, wait_lock

ANSWER_TIMEOUT_S = 5.0
SHARED = MONITORS - 1
"""The last monitor is never kept: every process connects to it for short, one after the other."""

_LOCK_RETRY_S = 0.005

# The library reports a guest that ends as an error; what it means is decided here.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class _Client(QMPClient):
    """The library's client, without what costs time here, and with patience for QEMU.

    Its hooks write each message out for its log, also where nothing is logged: half of what a
    sample of a VM takes.
    """

    async def _recv(self) -> Message:
        # What happens just as somebody connects, QEMU tells even before its greeting.
        message = await super()._recv()
        while self.runstate is Runstate.CONNECTING and "event" in message:
            message = await super()._recv()
        return message

    def _cb_outbound(self, msg: Message) -> Message:
        return msg

    def _cb_inbound(self, msg: Message) -> Message:
        return msg


class Monitor:
    """One QMP connection. Its lock file keeps other processes off the same socket."""

    def __init__(self, name: str, client: QMPClient, lock: int) -> None:
        self._name = name
        self._client = client
        self._lock = lock

    @classmethod
    async def keep(cls, name: str, place: Place) -> Monitor | None:
        """The first free monitor, to be kept open for events; None if all are taken."""
        for index in range(SHARED):
            lock = try_lock(_lock_path(place, index))
            if lock is not None:
                return await cls._connected(name, place, index, lock)
        return None

    @classmethod
    @asynccontextmanager
    async def brief(cls, name: str, place: Place) -> AsyncIterator[Monitor]:
        """The shared monitor, for a command or two. Raises UnreachableError, BusyError."""
        try:
            lock = await wait_lock(_lock_path(place, SHARED), ANSWER_TIMEOUT_S, _LOCK_RETRY_S)
        except TimeoutError as error:
            raise BusyError(f"the monitor of {name} is in use by another process") from error
        monitor = await cls._connected(name, place, SHARED, lock)
        try:
            yield monitor
        finally:
            await monitor.close()

    @classmethod
    async def _connected(cls, name: str, place: Place, index: int, lock: int) -> Monitor:
        client = _Client(name)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await client.connect(str(place.monitor(index)))
        # The library asserts that what it has just connected to is still there.
        except (TimeoutError, QMPError, OSError, AssertionError) as error:
            try:
                await _let_go(client)
            finally:
                os.close(lock)
            raise _unreachable(name, error) from error
        except BaseException:
            os.close(lock)
            raise
        return cls(name, client, lock)

    async def execute(self, command: str, arguments: dict[str, object] | None = None) -> Any:
        """The command's answer. Raises OperationError (QEMU refused), UnreachableError."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._client.execute(command, arguments)
        except ExecuteError as error:
            raise OperationError(
                f"QEMU refused {command} for {self._name}", why=str(error)
            ) from error
        except (TimeoutError, QMPError, OSError, EOFError) as error:
            raise _unreachable(self._name, error) from error
        if why := why_not(command, arguments, answer):
            raise OperationError(
                f"QEMU of {self._name} can't be understood", why=f"its answer to {command}: {why}"
            )
        return answer

    async def give(self, name: str, descriptor: int) -> None:
        """Let QEMU have a descriptor of this process, under a name. Raises as `execute`."""
        try:
            self._client.send_fd_scm(descriptor)
        except (QMPError, OSError) as error:
            raise _unreachable(self._name, error) from error
        await self.execute("getfd", {"fdname": name})

    @property
    def connected(self) -> bool:
        """Whether it can be asked."""
        return self._lock >= 0 and self._client.runstate is Runstate.RUNNING

    async def events(
        self, on_ready: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Names and data of QEMU's events until the connection ends.

        `on_ready` is called once nothing can be missed any more: what was before has to be asked.
        """
        with self._client.listener() as listener:
            await on_ready()
            async for message in self._until_disconnected(listener):
                yield message

    async def _until_disconnected(
        self, listener: EventListener
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        # The listener alone would stay silent for ever when the connection dies.
        ended = asyncio.ensure_future(self._ended())
        arrival = asyncio.ensure_future(listener.get())
        try:
            while True:
                await asyncio.wait({arrival, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not arrival.done():
                    return
                message = arrival.result()
                arrival = asyncio.ensure_future(listener.get())
                data = message.get("data")
                yield str(message["event"]), data if isinstance(data, dict) else {}
        finally:
            arrival.cancel()
            ended.cancel()
            await asyncio.gather(arrival, ended, return_exceptions=True)

    async def _ended(self) -> None:
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()

    async def close(self) -> None:
        """Disconnect and let others have the socket. Idempotent."""
        if self._lock < 0:
            return
        lock, self._lock = self._lock, -1
        try:
            await _let_go(self._client)
        finally:
            os.close(lock)


async def _let_go(client: QMPClient) -> None:
    # One that is gone already is what was wanted.
    with suppress(TimeoutError, QMPError, OSError, EOFError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await client.disconnect()


def _lock_path(place: Place, index: int) -> Path:
    return place.runtime / f"monitor{index}.lock"


def _unreachable(name: str, error: BaseException) -> UnreachableError:
    reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    if isinstance(error, AssertionError):
        reason = "it ended just then"
    return UnreachableError(f"QEMU of {name} does not answer", why=reason or type(error).__name__)
