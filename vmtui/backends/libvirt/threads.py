"""All threads of the libvirt backend: libvirt's event loop, and workers that make its calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

import libvirt

T = TypeVar("T")

_started = False
_starting = threading.Lock()


def start_event_loop() -> None:
    """Run libvirt's event loop in a thread, once for the process and before anything is opened."""
    global _started  # noqa: PLW0603 (libvirt has one event loop for each process)
    with _starting:
        if _started:
            return
        # What goes wrong is raised; without this libvirt also prints it into the terminal.
        libvirt.registerErrorHandler(_drop_error, None)
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=_run_events, name="libvirt events", daemon=True).start()
        _started = True


def _drop_error(_context: None, _error: object) -> None:
    pass


def _run_events() -> None:
    while True:
        with suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()


class Workers:
    """Threads that make blocking calls. They are daemons: a call that hangs holds nobody up.

    A call that missed its deadline is given up: its thread no longer counts, another takes over.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._idle = 0
        self._given_up = 0

    def submit(self, function: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Run it; the future belongs to the running loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            try:
                result = function(*args)
            except Exception as error:  # carried over to whoever waits
                tell(loop, _fail, future, error)
            else:
                tell(loop, _finish, future, result)

        with self._lock:
            self._idle -= 1
            self._jobs.put(job)
            self._grow()
        return future

    def give_up(self, future: asyncio.Future[Any]) -> None:
        """Make room for another thread until that call returns after all."""
        with self._lock:
            self._given_up += 1
            self._grow()
        future.add_done_callback(self._came_back)

    def _grow(self) -> None:
        # Below zero, `_idle` is how many jobs wait for a thread.
        if self._idle < 0 and len(self._threads) < self._count + self._given_up:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._threads.add(thread)
            self._idle += 1
            thread.start()

    def _came_back(self, _: asyncio.Future[Any]) -> None:
        with self._lock:
            self._given_up -= 1

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job
            with self._lock:
                self._idle += 1
        with self._lock:
            self._threads.discard(threading.current_thread())

    def stop(self) -> None:
        """End the threads; those in a call end after it."""
        with self._lock:
            for _ in self._threads:
                self._jobs.put(None)


def tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: Any) -> None:
    """Run `callback` on the loop. From any thread."""
    with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
        loop.call_soon_threadsafe(callback, *args)


def _finish(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # it may be that nobody waits for it any more
