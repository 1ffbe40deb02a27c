"""Processes that outlive vmtui: started in a session of their own, adopted again by proof."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from vmtui.backends.kvm.procfs import start_ticks, stat_fields
from vmtui.errors import MissingError, OperationError
from vmtui.files import write_whole

KILL_TIMEOUT_S = 10.0
_ASIDE = 512
"""Above the numbers under which started processes get descriptors."""


class Record(msgspec.Struct, frozen=True):
    """What is remembered of a process, so that its pid can be believed later."""

    argv: list[str]
    boot_id: str
    accel: str
    pid: int = 0  # 0: it was about to be started
    start_ticks: int = 0


def boot_id() -> str:
    """Changes with every boot of this machine: pids of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def read_record(path: Path) -> Record | None:
    """The record at `path`, or None if there is none that can be used."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None


def write_record(path: Path, record: Record) -> None:
    """Replace the record at `path`."""
    write_whole(path, msgspec.json.encode(record))


class Process:
    """A running process that this user owns, held by a pidfd: its pid can't be reused under us."""

    def __init__(self, pid: int, descriptor: int, *, child: bool = False) -> None:
        self.pid = pid
        self._child = child
        self._released = False
        self._descriptor = descriptor
        self._exited = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._on_exit)

    @classmethod
    def start(
        cls, argv: list[str], *, log: Path, descriptors: Mapping[int, int] | None = None
    ) -> Process:
        """Run `argv` detached, output appended to `log`. Raises MissingError, OperationError.

        It gets `descriptors`, each under the number that is its key.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            with ExitStack() as aside:
                # First out of the way: one's own number may be what another is to get.
                copies = {n: _moved(own, aside) for n, own in (descriptors or {}).items()}
                pid = os.posix_spawnp(
                    argv[0],
                    argv,
                    os.environ,
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
                        (os.POSIX_SPAWN_DUP2, 1, 2),
                        *((os.POSIX_SPAWN_DUP2, copy, n) for n, copy in copies.items()),
                    ],
                    setsid=True,
                    setsigmask=[],
                    setsigdef=[signal.SIGPIPE, signal.SIGINT],
                )
        except FileNotFoundError as error:
            raise MissingError(f"{argv[0]} is not installed") from error
        except OSError as error:
            raise OperationError(f"{argv[0]} can't be run", why=error.strerror or "") from error
        return cls(pid, os.pidfd_open(pid), child=True)

    @classmethod
    def adopt(cls, record: Record, pid: int = 0) -> Process | None:
        """The process of `record`, if it still runs and is provably the same, else None.

        `pid` stands in where the record was written before the pid was known; then the command
        line alone is the proof (it names the VM's private sockets).
        """
        return cls._held(
            record,
            record.pid or pid,
            lambda pid: (
                command_line(pid) == record.argv
                and record.start_ticks in (0, start_ticks(pid) or -1)
            ),
        )

    @classmethod
    def with_any_thread(cls, record: Record) -> Process | None:
        """That of `record` for as long as any of its threads is there, else None.

        The first thread, which is all that /proc tells of a process, may end before the others;
        they hold its files, and the locks on them.
        """
        return cls._held(record, record.pid, lambda pid: start_ticks(pid) == record.start_ticks)

    @classmethod
    def _held(cls, record: Record, pid: int, same: Callable[[int], bool]) -> Process | None:
        if pid <= 0 or record.boot_id != boot_id():
            return None
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            return None
        # Looked at after the pidfd is held: what is checked is what is held.
        if same(pid):
            return cls(pid, descriptor)
        os.close(descriptor)
        return None

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._child:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
        self._exited.set()
        if self._released:
            self._close()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._exited.is_set() and _runs(self.pid)

    async def exited(self) -> None:
        """Wait for its end."""
        await self._exited.wait()

    def kill(self) -> None:
        """SIGKILL, to this very process."""
        self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        if self._descriptor >= 0 and not self._exited.is_set():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    async def kill_and_wait(self, name: str) -> None:
        """Kill it and wait for the end. Raises OperationError if the kernel can't end it."""
        self.kill()
        await self.wait(name)

    async def wait(self, name: str) -> None:
        """Wait for the end of one that was killed. Raises OperationError as `kill_and_wait`."""
        try:
            async with asyncio.timeout(KILL_TIMEOUT_S):
                await self.exited()
        except TimeoutError as error:
            raise OperationError(
                f"{name} can't be ended",
                why=f"process {self.pid} hangs in the kernel",
                hint="A disk or network file system that does not answer is the usual reason.",
            ) from error

    def release(self) -> None:
        """Let go of it; it goes on.

        A child is still reaped when it ends, so no zombie stays; and who waits for the end of one
        whose first thread is gone already still hears of that of the last.
        """
        self._released = True
        if self._exited.is_set() or (self.alive and not self._child):
            self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


async def ended(record: Record | None, name: str, *, kill_after_s: float | None = None) -> None:
    """Wait until no thread of the process of `record` is left: they hold its files, and lock them.

    One that goes on for longer than `kill_after_s` is killed. Raises OperationError if the kernel
    can't end it.
    """
    last = Process.with_any_thread(record) if record else None
    if last is None:
        return
    try:
        if kill_after_s is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(kill_after_s):
                    await last.exited()
            last.kill()
        await last.wait(name)
    finally:
        last.release()


def _moved(descriptor: int, held: ExitStack) -> int:
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ASIDE)
    held.callback(os.close, copy)
    return copy


def command_line(pid: int) -> list[str]:
    """The arguments of a process; empty if it is gone."""
    try:
        content = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(part) for part in content.split(b"\0")[:-1]]


def _runs(pid: int) -> bool:
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in ("Z", "X")
