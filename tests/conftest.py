"""What all tests share: asyncio's debug mode, forced TCG, and real libvirt daemons of our own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import re
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:  # libvirt-python is optional: without it only the tests that need it are skipped
    from tests.contract.daemon import PrivateLibvirtd, SystemLibvirtd

T = TypeVar("T", bound="PrivateLibvirtd")

# How long a machine takes to think of an example says nothing about what is tested with it.
settings.register_profile("vmtui", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vmtui")

# QEMU runs under TCG everywhere: "KVM is there" does not mean that guests boot under it.
os.environ["VMTUI_ACCEL"] = "tcg"

STALL_LIMIT_S = 0.5
"""What waits instead of computing takes longer than this. How long the loop computes is measured in
CPU time by the tours: beside real guests a callback may also wait for its turn on a CPU."""

HEARTBEAT_S = 0.02

LONGEST_NAME = 60
"""Characters of a text that become part of a test's name."""

CLOCK_HZ = os.sysconf("SC_CLK_TCK")

_STALL = re.compile(r"Executing (.*) took ([\d.]+) seconds")
_STOLEN = re.compile(r"^(cpu\d+)(?: \d+){7} (\d+)", re.MULTILINE)


def pytest_configure(config: pytest.Config) -> None:
    """Every event loop runs in debug mode: what is not done from its thread raises."""
    config.option.asyncio_debug = True
    # Where each future and callback was made would be noted, for a quarter of the CPU.
    pytest.MonkeyPatch().setattr(traceback, "walk_stack", lambda frame: iter(()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests first, each worker its share of them: quick ones are left to fill what is over.

    The workers get equal stretches of the list, and take from one another's ends what is left
    (`--dist worksteal`).
    """
    workers = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    items.clear()
    for left in range(workers, 0, -1):
        share = (len(slow) + len(quick)) // left
        ours = min(share, len(slow) // left)
        items += slow[:ours] + quick[: share - ours]
        del slow[:ours], quick[: share - ours]


def pytest_make_parametrize_id(val: object) -> str | None:
    """A text that is too long for a name is cut: a megabyte of brackets says nothing."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_NAME:
        return ascii(val[:LONGEST_NAME])
    return None


SKIPS_BY_NATURE = ("its clients share nothing", "it has no console")
"""What a backend has not got can't be tested on it; every other skip is something missing."""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing is skipped because something is missing: then the run has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("CI") or reporter is None:
        return
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.endswith(SKIPS_BY_NATURE):
            reporter.write_line(f"skipped in CI: {report.nodeid}: {reason}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What vmtui remembers, such as the last change of each VM, is not for the developer's own."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


class StallWatch(logging.Handler):
    """Collects what asyncio says about callbacks that held the loop up.

    Time in which a thread only waited for a CPU is not the program's doing, so it is taken off: of
    any thread, because the loop's own also waits while another has the interpreter and no CPU.
    Neither is what a hypervisor took of the CPUs, where this machine is a guest itself.
    """

    def __init__(self, limit_s: float) -> None:
        super().__init__(logging.WARNING)
        self._limit_s = limit_s
        self._waited_s = 0.0
        self._before_look_s = 0.0  # what that was before the last look
        self._waited_ns: dict[str, int] = {}  # by thread
        self._stolen_s: dict[str, float] = {}  # by CPU
        self.stalls: list[tuple[float, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        found = _STALL.search(record.getMessage())
        if not found:
            return
        # A look that was held up itself has already counted what it waited until then.
        in_look = StallWatch.keep_looking.__qualname__ in found[1]
        waited_before_s = self._before_look_s if in_look else self._waited_s
        self.look()
        own_s = float(found[2]) - (self._waited_s - waited_before_s)
        if own_s > self._limit_s:
            self.stalls.append((own_s, found[1]))

    def look(self) -> None:
        """Note how long the threads have waited for a CPU in all."""
        self._before_look_s = self._waited_s
        for thread in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError, ValueError):
                waited_ns = int((thread / "schedstat").read_text("ascii").split()[1])
                self._waited_s += (waited_ns - self._waited_ns.get(thread.name, 0)) / 1e9
                self._waited_ns[thread.name] = waited_ns
        stolen_s = {cpu: float(ticks) / CLOCK_HZ for cpu, ticks in _STOLEN.findall(_proc_stat())}
        self._waited_s += max(
            stolen_s[cpu] - self._stolen_s.get(cpu, stolen_s[cpu]) for cpu in stolen_s
        )
        self._stolen_s = stolen_s

    async def keep_looking(self) -> None:
        """So that what is taken off a stall is of its own time."""
        while True:
            self.look()
            await asyncio.sleep(HEARTBEAT_S)


def _proc_stat() -> str:
    return Path("/proc/stat").read_text("ascii")


@pytest.fixture
async def no_stalls() -> AsyncIterator[None]:
    """Fails the test if anything held the event loop up."""
    loop = asyncio.get_running_loop()
    assert loop.get_debug()
    loop.slow_callback_duration = STALL_LIMIT_S
    gc.disable()  # what other tests have left behind is not to be gone through in this one's time
    watch = StallWatch(STALL_LIMIT_S)
    watch.look()  # what was waited before is of others
    await asyncio.sleep(0)  # and so is the callback that this was in
    heartbeat = asyncio.create_task(watch.keep_looking())
    logger = logging.getLogger("asyncio")
    logger.addHandler(watch)
    try:
        yield
    finally:
        gc.enable()
        logger.removeHandler(watch)
        heartbeat.cancel()
        await asyncio.gather(heartbeat, return_exceptions=True)
    assert not watch.stalls, f"the event loop was held up: {watch.stalls}"


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[PrivateLibvirtd]:
    """A real libvirtd in session mode, with folders and sockets of its own; VMs are removed."""
    pytest.importorskip("libvirt")
    from tests.contract.daemon import PrivateLibvirtd

    yield from _private(PrivateLibvirtd)


@pytest.fixture
def mortal_libvirtd() -> Iterator[PrivateLibvirtd]:
    """As `libvirtd`, for one test that may kill it."""
    pytest.importorskip("libvirt")
    from tests.contract.daemon import PrivateLibvirtd

    yield from _private(PrivateLibvirtd)


@pytest.fixture(scope="session")
def system_libvirtd() -> Iterator[SystemLibvirtd]:
    """A real privileged libvirtd in a mount namespace of its own (`qemu:///system`)."""
    pytest.importorskip("libvirt")
    from tests.contract.daemon import SystemLibvirtd

    yield from _private(SystemLibvirtd)


def _private(kind: type[T]) -> Iterator[T]:
    missing = kind.missing()
    if missing:
        pytest.skip(missing)
    daemon = kind()
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
