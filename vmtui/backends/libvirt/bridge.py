"""One libvirt connection for one asyncio loop: opened, called and closed in a worker's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import libvirt

from vmtui.backends.libvirt.threads import Workers, start_event_loop, tell
from vmtui.backends.libvirt.translate import disconnected, translated
from vmtui.errors import OperationError, UnreachableError, VmtuiError

T = TypeVar("T")

CALL_TIMEOUT_S = 20.0
OPEN_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 3.0
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3


class Bridge:
    """One open libvirt connection, used from one asyncio loop.

    One worker serves it: before 10.1 libvirt's client may leave a second call unsent until the
    first has returned. What may take long is better made on a connection of its own.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.lost: VmtuiError | None = None
        self._loop = asyncio.get_running_loop()
        self._workers = Workers(f"libvirt {uri}", 1)
        self._connection: libvirt.virConnect | None = None
        self._callbacks: list[int] = []
        self._calls: set[asyncio.Future[Any]] = set()
        self.on_lost: list[Callable[[VmtuiError], None]] = []
        self._closed = False

    @property
    def connection(self) -> libvirt.virConnect:
        """What the functions given to `call` work on."""
        if self._connection is None:
            raise self.lost or UnreachableError(f"{self.uri} is not connected")
        return self._connection

    @property
    def busy(self) -> bool:
        """Whether a call has not returned yet, such as one that was given up."""
        return bool(self._calls)

    async def open(self, *, read_only: bool) -> None:
        """Connect. Raises UnreachableError."""
        start_event_loop()
        opening = self._workers.submit(self._open, read_only)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                self._connection = await asyncio.shield(opening)
        except TimeoutError as error:
            self._let_go_later(opening)
            raise UnreachableError(
                f"{self.uri} did not answer", why=f"no reply within {OPEN_TIMEOUT_S:.0f} s"
            ) from error
        except libvirt.libvirtError as error:
            self._workers.stop()
            raise disconnected(error, self.uri) from error
        except BaseException:
            self._let_go_later(opening)
            raise

    def _open(self, read_only: bool) -> libvirt.virConnect:
        opener = libvirt.openReadOnly if read_only else libvirt.open
        connection = opener(_without_questions(self.uri))
        with suppress(libvirt.libvirtError):  # drivers inside this process have no peer
            connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
        with suppress(libvirt.libvirtError):
            connection.registerCloseCallback(self._closed_by_peer, None)
        return connection

    def _let_go_later(self, opening: asyncio.Future[libvirt.virConnect]) -> None:
        # A blocked open can't be stopped: what it brings is closed when it comes.
        self._workers.give_up(opening)
        opening.add_done_callback(self._let_go_of)

    def _let_go_of(self, opening: asyncio.Future[libvirt.virConnect]) -> None:
        if not opening.cancelled() and opening.exception() is None:
            self._workers.submit(_close, opening.result(), [])
        self._workers.stop()

    def _closed_by_peer(self, _connection: libvirt.virConnect, reason: int, _: None) -> None:
        tell(self._loop, self._note_lost, reason)

    def _note_lost(self, reason: int) -> None:
        if self.lost is not None or self._closed:
            return
        why = {
            libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "it no longer answers",
            libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "libvirt's daemon ended or closed it",
        }.get(reason, "it broke")
        self.lost = UnreachableError(
            f"the connection to {self.uri} is lost",
            why=why,
            hint="See that the daemon runs. VMs go on.",
        )
        for callback in tuple(self.on_lost):
            callback(self.lost)

    async def call(
        self,
        what: str,
        function: Callable[..., T],
        *args: Any,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> T:
        """`function(connection, *args)` in a worker; an error says that it can't `what`.

        Raises only vmtui's errors. Past the deadline the call is given up, not stopped.
        """
        future = self.start(function, *args)
        try:
            done, _ = await asyncio.wait({future}, timeout=timeout_s)
        except asyncio.CancelledError:
            self._workers.give_up(future)
            raise
        if not done:
            self._workers.give_up(future)
            raise self.lost or UnreachableError(
                f"can't {what}", why=f"libvirt gave no answer within {timeout_s:.0f} s"
            )
        try:
            return future.result()
        except libvirt.libvirtError as error:
            if self.lost is not None:
                raise self.lost from error
            raise translated(error, what, self.uri, alive=self._alive()) from error
        except OSError as error:  # a file of this machine that a function reads
            raise OperationError(f"can't {what}", why=str(error)) from error

    def _alive(self) -> bool:
        """Whether its socket is open, as far as this side knows: nothing is asked."""
        with suppress(libvirt.libvirtError):
            return self._connection is not None and bool(self._connection.isAlive())
        return False

    def start(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """As `call`, but the raw future: it may raise libvirtError, and has no deadline."""
        future = self._workers.submit(function, self.connection, *args)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        return future

    def give_up(self, future: asyncio.Future[Any]) -> None:
        """That call of `start` has missed its deadline; another thread takes its place."""
        self._workers.give_up(future)

    def tell(self, callback: Callable[..., None], *args: Any) -> None:
        """For libvirt's callbacks: run `callback` on the loop. From any thread."""
        tell(self._loop, callback, *args)

    async def listen(self, register: Callable[[libvirt.virConnect], list[int]]) -> None:
        """Register event callbacks; they end with the connection."""
        self._callbacks += await self.call("listen for events", register)

    async def close(self) -> None:
        """Let go of the connection and of the threads. Idempotent."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is None:
            return
        closing = asyncio.ensure_future(self._close_after_calls(connection))
        del connection
        # A call that hangs keeps the connection until it returns, but nobody waits for that.
        await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)

    async def _close_after_calls(self, connection: libvirt.virConnect) -> None:
        # Closing frees what a call in another thread still works on, so calls come first.
        try:
            while self._calls:
                await asyncio.wait(tuple(self._calls))
            await self._workers.submit(_close, connection, self._callbacks)
        finally:
            self._workers.stop()


def _without_questions(uri: str) -> str:
    """ssh that asks for a password does so on the terminal that vmtui has, and waits for ever."""
    scheme, _, rest = uri.partition("://")
    if not scheme.endswith("+ssh") or "no_tty=" in rest:
        return uri
    return f"{uri}{'&' if '?' in rest else '?'}no_tty=1"


def _close(connection: libvirt.virConnect, callbacks: list[int]) -> None:
    for callback in callbacks:
        with suppress(libvirt.libvirtError):
            connection.domainEventDeregisterAny(callback)
    with suppress(libvirt.libvirtError):
        connection.unregisterCloseCallback()
    with suppress(libvirt.libvirtError):
        connection.close()
