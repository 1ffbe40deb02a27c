"""What the host's kernel says, read by the tests themselves: the truth that figures are held to."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

LOOK_INTERVAL_S = 0.02
FIRST, LAST = -20, 19
"""The niceness of what runs before, and after, all else."""

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Spent:
    """Seconds that threads ran, and that they waited for a CPU."""

    ran_s: float
    waited_s: float


def spent(pid: int, tid: int) -> Spent:
    """Of one thread (sched-stats.rst)."""
    ran_ns, waited_ns, _ = Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()
    return Spent(int(ran_ns) / 1e9, int(waited_ns) / 1e9)


def threads(pid: int) -> dict[int, str]:
    """The names of a process' threads, by id."""
    found = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            found[int(folder.name)] = (folder / "comm").read_text().strip()
    return found


def vcpu_threads(pid: int) -> list[int]:
    """Those that QEMU calls `CPU N/TCG`, by N."""
    numbers = {
        int(name.split()[1].partition("/")[0]): tid
        for tid, name in threads(pid).items()
        if name.startswith("CPU ")
    }
    return [numbers[index] for index in sorted(numbers)]


def process_ran_s(pid: int) -> float:
    """All threads together."""
    total_s = 0.0
    for tid in threads(pid):
        with suppress(FileNotFoundError):
            total_s += spent(pid, tid).ran_s
    return total_s


@contextmanager
def aside() -> Iterator[tuple[int, int]]:
    """Two CPUs; the tests themselves keep to the second inside, and off what they measure."""
    allowed = os.sched_getaffinity(0)
    first, second = sorted(allowed)[:2]
    os.sched_setaffinity(0, {second})
    try:
        yield first, second
    finally:
        os.sched_setaffinity(0, allowed)


def place(pid: int, tid: int, cpu: int, *, niceness: int = FIRST) -> None:
    """Have a thread run on that CPU, before or after other programs there (as far as allowed)."""
    os.sched_setaffinity(tid, {cpu})
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, tid, niceness)
        # sched(7): between sessions the session's own niceness counts.
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))


class Curve:
    """A value as it was at any moment: looked at often, and straight between two looks."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._at_s: list[float] = []
        self._values: list[float] = []

    def look(self) -> None:
        """Note the value of now."""
        before_s = time.monotonic()
        value = self._read()
        self._at_s.append((before_s + time.monotonic()) / 2)
        self._values.append(value)

    def at(self, at_s: float) -> float:
        """The value then."""
        assert self._at_s[0] <= at_s <= self._at_s[-1], "nobody looked then"
        right = max(1, bisect_left(self._at_s, at_s))
        (x0, x1), (y0, y1) = self._at_s[right - 1 : right + 1], self._values[right - 1 : right + 1]
        return y0 + (y1 - y0) * (at_s - x0) / (x1 - x0) if x1 > x0 else y1

    def between(self, from_s: float, to_s: float) -> float:
        """How much it grew."""
        return self.at(to_s) - self.at(from_s)

    @classmethod
    @asynccontextmanager
    async def watching(cls, *reads: Callable[[], float]) -> AsyncIterator[list[Curve]]:
        """A curve of each, looked at all the time."""
        curves = [cls(read) for read in reads]

        async def keep_looking() -> None:
            while True:
                for curve in curves:
                    curve.look()
                await asyncio.sleep(LOOK_INTERVAL_S)

        looking = asyncio.create_task(keep_looking())
        try:
            yield curves
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)


class Lateness:
    """How much the machine withheld from this process: the worst lateness of a heartbeat."""

    BEAT_S = 0.05

    def __init__(self) -> None:
        self.worst_s = 0.0

    @classmethod
    @asynccontextmanager
    async def measured(cls) -> AsyncIterator[Lateness]:
        """While inside."""
        lateness = cls()

        async def beat() -> None:
            while True:
                asked_s = time.monotonic()
                await asyncio.sleep(cls.BEAT_S)
                late_s = time.monotonic() - asked_s - cls.BEAT_S
                lateness.worst_s = max(lateness.worst_s, late_s)

        heart = asyncio.create_task(beat())
        try:
            yield lateness
        finally:
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)


class NetworkNamespace:
    """A network of its own with one tap in it; at the tap's other end is the kernel's own stack."""

    ADDRESS = "10.91.7.1"
    GUEST_ADDRESS = "10.91.7.2"
    tap = "vmtui-tap"

    def __init__(self, name: str) -> None:
        self.name = name
        _ip("netns", "add", name)
        self._descriptor = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        with self.entered():
            Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
            # What the guest sends gets no answer, so that traffic goes one way.
            Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")
            _ip("tuntap", "add", self.tap, "mode", "tap")
            _ip("address", "add", f"{self.ADDRESS}/24", "dev", self.tap)
            _ip("link", "set", self.tap, "up")

    def remove(self) -> None:
        """It ends, and the tap with it, when the last process in it does."""
        os.close(self._descriptor)
        _ip("netns", "delete", self.name)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, the sockets that it makes and the processes that it starts are in it."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self._descriptor)
            yield
        finally:
            _setns(home)
            os.close(home)


def _setns(descriptor: int) -> None:
    # os.setns comes with Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
