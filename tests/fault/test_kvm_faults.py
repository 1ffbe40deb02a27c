"""What the direct backend makes of killed processes, stale files and several vmtui at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from tests.contract.cases import until
from vmtui.backends.base import no_progress
from vmtui.backends.kvm import lifecycle, restarting
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.machine import Machine
from vmtui.backends.kvm.process import Record, boot_id, read_record
from vmtui.backends.kvm.store import Store
from vmtui.backends.ways_in import Console
from vmtui.counters import Counters, Stalled
from vmtui.errors import BusyError, OperationError, StateError, UnreachableError, VmtuiError
from vmtui.images.resolve import resolve
from vmtui.model import VM, Event, Power, State, VMId
from vmtui.readiness import wait_for_login
from vmtui.spec import BLANK, MICRO, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.slow

SPEC = VMSpec("web", MICRO)
BARE = VMSpec("web", BLANK, disk_bytes=16 * MIB)
"""No system to boot: enough where only QEMU matters."""


@dataclass
class Site:
    """A store of its own, and any number of backends on it, as several vmtui would have."""

    root: Path
    backends: list[KvmBackend] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.root / "vms", self.root / "run")

    async def backend(self, *, read_only: bool = False) -> KvmBackend:
        backend = KvmBackend(store=self.store, read_only=read_only)
        await backend.open()
        self.backends.append(backend)
        return backend

    def pid(self, name: str = "web") -> int:
        record = read_record(self.store.runtime(name) / "process.json")
        assert record is not None
        return record.pid


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setenv("VMTUI_ACCEL", "tcg")
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        site = Site(Path(folder))
        yield site
        cleaner = await site.backend()
        for vm in await cleaner.vms():
            await cleaner.delete(vm.id, await cleaner.delete_plan(vm.id))
        for backend in site.backends:
            await backend.close()
        assert list((site.root / "run").iterdir()) == []


class Watcher:
    """Collects a backend's events in the background."""

    def __init__(self, backend: KvmBackend) -> None:
        self.events: list[Event] = []
        self._backend = backend
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> Watcher:
        self._task = asyncio.create_task(self._collect())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _collect(self) -> None:
        async for event in self._backend.events():
            self.events.append(event)
            self._arrived.set()

    async def until(self, vm: VMId, reached: Callable[[VM], bool], within_s: float = 1.0) -> None:
        """Pass once an event was followed by the wanted state."""
        async with asyncio.timeout(within_s):
            while not reached(await self._backend.vm(vm)):
                self._arrived.clear()
                await self._arrived.wait()


def is_in(state: State) -> Callable[[VM], bool]:
    return lambda vm: vm.state is state


async def test_what_crashes_is_started_again_where_that_is_wanted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarting, "FIRST_WAIT_S", 0.01)
    backend, other, looking = (
        await site.backend(),
        await site.backend(),
        await site.backend(read_only=True),
    )
    vm = await backend.create(BARE, no_progress)
    wanted = msgspec.structs.replace(site.store.read("web"), restart="on-crash")
    await site.store.write(site.store.folder("web"), wanted)
    await backend.power(vm, Power.START)
    first = site.pid()
    async with Watcher(backend), Watcher(other), Watcher(looking) as watcher:
        # A VM that ends before somebody watches it has not crashed before anybody's eyes.
        watched = [one._machines.find(vm) for one in (backend, other)]
        await until(lambda: all(machine.monitor for machine in watched))
        os.kill(first, signal.SIGKILL)
        await watcher.until(vm, lambda vm: vm.state is State.RUNNING and site.pid() != first, 20)
        await backend.power(vm, Power.STOP)
        await watcher.until(vm, is_in(State.OFF))
    assert (await backend.vm(vm)).state is State.OFF  # what was told to end stays off
    # Also if another vmtui, which saw the crash, had to wait until it was started and told to end.
    await other.power(vm, Power.START, only=State.CRASHED)
    assert (await other.vm(vm)).state is State.OFF


async def test_a_guest_that_does_not_hear_of_a_reboot_can_be_reset_and_stopped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vmtui.backends.kvm.monitor.ANSWER_TIMEOUT_S", 0.5)
    backend, other = await site.backend(), await site.backend()
    vm = await backend.create(BARE, no_progress)
    await backend.power(vm, Power.START)
    await other.vms()
    waits, has_shut_down = asyncio.Event(), lifecycle._has_shut_down

    async def noted(machine: Machine) -> bool:
        waits.set()
        return await has_shut_down(machine)

    monkeypatch.setattr(lifecycle, "_has_shut_down", noted)
    reboot = asyncio.create_task(backend.power(vm, Power.REBOOT))
    await waits.wait()
    await other.power(vm, Power.RESET)
    await other.power(vm, Power.STOP)
    with pytest.raises(UnreachableError):
        await reboot


async def test_a_vm_outlives_a_killed_vmtui_and_its_console_is_kept(site: Site) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from vmtui.backends.base import no_progress
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.model import Power
from vmtui.spec import MICRO, VMSpec

async def main():
    root = Path(sys.argv[1])
    backend = KvmBackend(store=Store(root / "vms", root / "run"))
    await backend.open()
    vm = await backend.create(VMSpec("web", MICRO), no_progress)
    await backend.power(vm, Power.START)
    print("started", flush=True)
    async for _ in backend.events():
        pass

asyncio.run(main())
"""
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(site.root), stdout=asyncio.subprocess.PIPE
    )
    assert first.stdout is not None
    assert await first.stdout.readline() == b"started\n"
    first.send_signal(signal.SIGKILL)
    await first.wait()

    backend = await site.backend()
    [vm] = await backend.vms()
    assert vm.state is State.RUNNING
    await wait_for_login(backend.console_output(vm.id), "web", 60)
    assert b"login:" in await backend.console_history(vm.id)
    await backend.power(vm.id, Power.STOP)
    assert (await backend.vm(vm.id)).state is State.OFF


async def test_three_at_once_see_each_others_changes_within_a_second(site: Site) -> None:
    one, two, three = [await site.backend() for _ in range(3)]
    vm = await one.create(BARE, no_progress)
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(Watcher(b)) for b in (one, two, three)]
        for backend, op, state in (
            (one, Power.START, State.RUNNING),
            (two, Power.PAUSE, State.PAUSED),
            (three, Power.RESUME, State.RUNNING),
            (one, Power.STOP, State.OFF),
        ):
            await backend.power(vm, op)
            await asyncio.gather(*(watcher.until(vm, is_in(state)) for watcher in watchers))


async def test_more_interfaces_than_monitors_still_see_changes(site: Site) -> None:
    backends = [await site.backend() for _ in range(5)]
    vm = await backends[0].create(BARE, no_progress)
    await backends[0].power(vm, Power.START)
    async with AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(Watcher(b)) for b in backends]
        await backends[4].power(vm, Power.PAUSE)
        await asyncio.gather(*(watcher.until(vm, is_in(State.PAUSED)) for watcher in watchers))


async def test_of_two_starts_one_wins_and_one_is_told(site: Site) -> None:
    one, two = await site.backend(), await site.backend()
    vm = await one.create(BARE, no_progress)
    results = await asyncio.gather(
        one.power(vm, Power.START), two.power(vm, Power.START), return_exceptions=True
    )
    assert [type(result) for result in results if result] == [StateError]
    assert (await one.vm(vm)).state is State.RUNNING


async def test_of_two_creations_of_a_name_one_wins(site: Site) -> None:
    one, two = await site.backend(), await site.backend()
    results = await asyncio.gather(
        one.create(BARE, no_progress),
        two.create(VMSpec("WEB", BLANK, disk_bytes=16 * MIB), no_progress),
        return_exceptions=True,
    )
    assert sum(isinstance(result, VmtuiError) for result in results) == 1
    assert len(await one.vms()) == 1


async def test_a_killed_qemu_is_a_crash_and_can_be_started_again(site: Site) -> None:
    backend = await site.backend()
    vm = await backend.create(BARE, no_progress)
    await backend.power(vm, Power.START)
    async with Watcher(backend) as watcher:
        os.kill(site.pid(), signal.SIGKILL)
        await watcher.until(vm, is_in(State.CRASHED))
    assert "without being asked" in (await backend.vm(vm)).problem
    await backend.power(vm, Power.START)
    assert (await backend.vm(vm)).state is State.RUNNING


async def test_a_reused_pid_is_not_taken_for_the_vm(site: Site) -> None:
    backend = await site.backend()
    vm = await backend.create(BARE, no_progress)
    runtime = site.store.runtime("web")
    runtime.mkdir(exist_ok=True)
    record = Record(["qemu-system-x86_64", "-name", "web"], boot_id(), "tcg", os.getpid(), 1)
    (runtime / "process.json").write_bytes(msgspec.json.encode(record))
    (runtime / "monitor0.sock").touch()
    other = await site.backend()
    assert (await other.vm(vm)).state is State.OFF
    await other.power(vm, Power.START)
    assert (await other.vm(vm)).state is State.RUNNING


async def test_a_stopped_qemu_does_not_hold_up_the_rest(site: Site) -> None:
    backend = await site.backend()
    vms = [
        await backend.create(VMSpec(name, BLANK, disk_bytes=16 * MIB), no_progress)
        for name in ("web", "db")
    ]
    for vm in vms:
        await backend.power(vm, Power.START)
    async with Watcher(backend):
        async with asyncio.timeout(5):
            while any(m.monitor is None for m in backend._machines):
                await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            while len(await backend.counters(vms)) < len(vms):
                await asyncio.sleep(0.05)
        for number, kind in ((signal.SIGSTOP, Stalled), (signal.SIGCONT, Counters)):
            os.kill(site.pid("web"), number)
            async with asyncio.timeout(10):
                while True:
                    sampled = await backend.counters(vms)
                    assert isinstance(sampled[vms[1]], Counters), "the other is always on time"
                    if isinstance(sampled.get(vms[0]), kind):
                        break
                    await asyncio.sleep(0.1)


async def test_a_stopped_qemu_can_be_forced_off(site: Site) -> None:
    backend = await site.backend()
    vm = await backend.create(BARE, no_progress)
    await backend.power(vm, Power.START)
    os.kill(site.pid(), signal.SIGSTOP)
    await backend.power(vm, Power.STOP)
    assert (await backend.vm(vm)).state is State.OFF


async def test_a_start_that_fails_carries_qemus_own_words(site: Site) -> None:
    backend = await site.backend()
    vm = await backend.create(BARE, no_progress)
    disk = site.store.folder("web") / "disk.qcow2"
    disk.write_bytes(b"not a disk")
    with pytest.raises(OperationError, match="did not start web") as caught:
        await backend.power(vm, Power.START)
    assert "disk.qcow2" in caught.value.why or "qcow2" in caught.value.why
    assert (await backend.vm(vm)).state is State.OFF
    assert "qcow2" in await backend.log(vm)


async def test_a_corrupt_definition_is_listed_and_the_rest_is_unaffected(site: Site) -> None:
    backend = await site.backend()
    vm = await backend.create(BARE, no_progress)
    broken = site.store.folder("bad")
    broken.mkdir()
    (broken / "vm.toml").write_text("version = [")
    listed = {entry.name: entry for entry in await backend.vms()}
    assert listed["bad"].state is State.BROKEN
    assert "vm.toml" in listed["bad"].problem
    await backend.power(vm, Power.START)
    with pytest.raises(StateError, match=r"vm\.toml"):
        await backend.power(listed["bad"].id, Power.START)
    await backend.delete(listed["bad"].id, await backend.delete_plan(listed["bad"].id))
    assert [entry.name for entry in await backend.vms()] == ["web"]


async def test_an_edited_definition_is_seen(site: Site) -> None:
    backend = await site.backend()
    vm = await backend.create(BARE, no_progress)
    async with Watcher(backend) as watcher:
        path = site.store.folder("web") / "vm.toml"
        path.write_text(path.read_text().replace("vcpus = 1", "vcpus = 3"))
        await watcher.until(vm, lambda found: found.vcpus == 3)


@pytest.fixture
def small_store(site: Site) -> Iterator[None]:
    """A store on a file system of 4 MiB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system takes root")
    target = site.root / "vms"
    target.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", target], check=True)
    yield
    subprocess.run(["umount", target], check=True)


@pytest.mark.usefixtures("small_store")
async def test_a_full_disk_leaves_nothing_half_made(site: Site, tmp_path: Path) -> None:
    image = tmp_path / "big.raw"
    image.write_bytes(os.urandom(16 * MIB))
    backend = await site.backend()
    with pytest.raises(OperationError) as caught:
        await backend.create(VMSpec("web", await resolve(str(image))), no_progress)
    assert "No space left" in caught.value.why
    assert "Free some space" in caught.value.hint
    assert await backend.vms() == ()
    assert [p.name for p in (site.root / "vms").iterdir() if p.name != ".lock"] == []


async def to_the_end(console: Console) -> None:
    while await console.read():
        pass


async def test_a_held_console_is_offered_and_taken_over(site: Site) -> None:
    one, two = await site.backend(), await site.backend()
    vm = await one.create(SPEC, no_progress)
    await one.power(vm, Power.START)
    await wait_for_login(one.console_output(vm), "web", 60)
    first = await one.console(vm)
    await two.vms()
    with pytest.raises(BusyError, match="someone is attached") as caught:
        await two.console(vm)
    assert str(os.getpid()) in caught.value.why
    reading = asyncio.create_task(to_the_end(first))
    second = await two.console(vm, force=True)
    async with asyncio.timeout(5):
        await reading
    assert "taken over" in first.ended_because
    await second.write(b"root\r")
    got = b""
    async with asyncio.timeout(20):
        while b"assword" not in got:
            got += await second.read()
    await second.close()
    await first.close()


async def test_the_console_says_that_the_vm_is_off(site: Site) -> None:
    backend = await site.backend()
    vm = await backend.create(BARE, no_progress)
    await backend.power(vm, Power.START)
    console = await backend.console(vm)
    await backend.power(vm, Power.STOP)
    async with asyncio.timeout(5):
        while await console.read():
            pass
    assert console.ended_because == "the VM is off"
    await console.close()
