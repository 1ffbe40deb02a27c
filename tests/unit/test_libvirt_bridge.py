"""Threads and connections: what is opened is closed, what hangs holds nobody up."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

import libvirt

from tests.contract.cases import until
from vmtui.backends.base import no_progress
from vmtui.backends.libvirt.backend import LibvirtBackend
from vmtui.backends.libvirt.bridge import Bridge
from vmtui.backends.libvirt.expendable import Expendable
from vmtui.backends.libvirt.places import Places
from vmtui.backends.libvirt.threads import Workers
from vmtui.backends.libvirt.translate import translated
from vmtui.errors import (
    InputError,
    NoSuchVMError,
    OperationError,
    StateError,
    UnreachableError,
    VmtuiError,
)
from vmtui.model import VMId
from vmtui.spec import BLANK, VMSpec
from vmtui.units import MIB

pytestmark = pytest.mark.usefixtures("no_stalls")


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("libvirt ")}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_opening_and_closing_leaves_no_threads_and_no_files() -> None:
    backend = LibvirtBackend("test:///default")
    await backend.open()
    await backend.vms()
    await backend.close()
    await until(lambda: threads() == {"libvirt events"})
    before = descriptors()
    for _ in range(20):
        await backend.open()
        await backend.vms()
        await backend.counters([(await backend.vms())[0].id])
        await backend.close()
    await until(lambda: threads() == {"libvirt events"})
    assert descriptors() <= before


async def test_a_failed_open_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    for uri in (
        f"qemu+unix:///session?socket={tmp_path}/nobody",
        "nonsense:///",
        "qemu+nonsense:///system",
        "nothing at all",
    ):
        backend = LibvirtBackend(uri)
        with pytest.raises(UnreachableError) as raised:
            await backend.open()
        assert raised.value.why
        assert raised.value.hint
        with pytest.raises(UnreachableError):
            await backend.vms()
        await backend.close()
    await until(lambda: threads() <= {"libvirt events"})


async def test_ssh_asks_nothing_on_our_terminal(tmp_path: Path) -> None:
    ssh, said = tmp_path / "ssh", tmp_path / "said"
    ssh.write_text(f"""#!/bin/sh
        echo "$@" >{said}
        echo "me@host: Permission denied (publickey,password)." >&2
        exit 255
        """)
    ssh.chmod(0o755)
    for options in ("", "&no_verify=0"):
        backend = LibvirtBackend(f"qemu+ssh://me@host/system?command={ssh}{options}")
        with pytest.raises(UnreachableError) as caught:
            await backend.open()
        assert caught.value.hint.endswith("Try: ssh me@host true")
        assert "BatchMode=yes" in said.read_text()
        said.unlink()


async def test_libvirt_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    backend = LibvirtBackend("test:///default")
    await backend.open()
    with pytest.raises(NoSuchVMError):
        await backend.vm(VMId("00000000-0000-4000-8000-000000000000"))
    await backend.close()
    assert capfd.readouterr() == ("", "")


async def test_a_call_that_hangs_is_given_up_and_the_rest_goes_on() -> None:
    bridge = Bridge("test:///default")
    await bridge.open(read_only=False)
    release = threading.Event()
    try:
        for _ in range(6):  # more than there are workers
            with pytest.raises(UnreachableError):
                await bridge.call("hang", lambda _: release.wait(), timeout_s=0.05)
        started_s = time.monotonic()
        assert await bridge.call("ask", lambda c: str(c.getType())) == "TEST"
        assert time.monotonic() - started_s < 1
    finally:
        release.set()
        await bridge.close()
    await until(lambda: threads() <= {"libvirt events"})


async def test_a_connection_is_left_to_a_call_that_hangs_and_replaced() -> None:
    opened: list[Bridge] = []

    async def connect() -> Bridge:
        opened.append(Bridge("test:///default"))
        await opened[-1].open(read_only=False)
        return opened[-1]

    expendable = Expendable(connect)
    release, vm = threading.Event(), VMId("one")
    try:
        assert await expendable.call(0.05, (vm,), lambda _: release.wait()) is None
        assert await expendable.call(5.0, (vm,), lambda c: str(c.getType())) == "TEST"
        expendable.forget_returned()
        assert (len(opened), *expendable.hanging) == (2, {vm})
    finally:
        release.set()
        await expendable.close()
    expendable.forget_returned()
    assert not expendable.hanging
    await until(lambda: threads() <= {"libvirt events"})


async def test_workers_do_things_side_by_side() -> None:
    workers = Workers("libvirt workers", 3)
    together = threading.Barrier(3)
    await asyncio.gather(*(workers.submit(together.wait, 5) for _ in range(3)))
    workers.stop()
    await until(lambda: "libvirt workers" not in threads())


async def test_a_future_of_a_closed_loop_is_forgotten() -> None:
    workers = Workers("libvirt workers", 1)
    release = threading.Event()

    async def start() -> None:
        workers.submit(release.wait)

    await asyncio.to_thread(lambda: asyncio.run(start()))
    release.set()
    workers.stop()
    await until(lambda: "libvirt workers" not in threads())


async def test_domains_of_others_are_listed_without_harm() -> None:
    xml = """<domain type='test'><name>a &amp; b &lt;c&gt; [red]</name>
      <description>x &lt; y &amp; z</description><memory unit='MiB'>8</memory>
      <os><type>hvm</type></os></domain>"""
    backend = LibvirtBackend("test:///default")
    await backend.open()
    other = Bridge("test:///default")
    await other.open(read_only=False)
    made = await other.call("define", lambda c: str(c.defineXML(xml).UUIDString()))
    try:
        vm = await backend.vm(VMId(made))
        assert vm.name == "a & b <c> [red]"
        assert vm.description == "x < y & z"
        assert vm.disks == ()
        assert vm in await backend.vms()
        plan = await backend.delete_plan(vm.id)
        assert plan.doomed == ()
    finally:
        await other.call("undefine", lambda c: c.lookupByUUIDString(made).undefine())
        await other.close()
        await backend.close()


async def test_a_leftover_volume_is_never_overwritten() -> None:
    backend = LibvirtBackend("test:///default")
    await backend.open()
    try:
        vm = await backend.create(VMSpec("leftover", boot=BLANK, disk_bytes=MIB), no_progress)
        other = Bridge("test:///default")
        await other.open(read_only=False)
        await other.call("undefine", lambda c: c.lookupByUUIDString(vm).undefine())
        with pytest.raises(InputError) as raised:
            await backend.create(VMSpec("leftover", boot=BLANK, disk_bytes=MIB), no_progress)
        assert "leftover.qcow2" in str(raised.value)
        assert "leftover" not in {one.name for one in await backend.vms()}
        await other.close()
    finally:
        await backend.close()


@pytest.mark.parametrize(
    ("uri", "local", "session"),
    [
        ("qemu:///system", True, False),
        ("qemu:///session", True, True),
        ("qemu+unix:///session?socket=/x/libvirt/libvirt-sock", True, True),
        ("qemu+ssh://host/system", False, False),
        ("qemu+ssh://host/session", False, True),
        ("test:///default", True, False),
    ],
)
def test_places_follow_from_the_uri(uri: str, local: bool, session: bool) -> None:
    places = Places.of(uri, {"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7"})
    assert (places.local, places.session) == (local, session)
    if not local:
        assert places.logs is None
        assert places.run is None


def test_places_of_a_session() -> None:
    places = Places.of("qemu:///session", {"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7"})
    assert places.images == Path("/home/u/.local/share/libvirt/images")
    assert places.logs == Path("/home/u/.cache/libvirt/qemu/log")
    assert places.run == Path("/run/user/7/libvirt/qemu/run")


@pytest.mark.parametrize(
    ("code", "domain", "message", "alive", "kind", "hint"),
    [
        (
            libvirt.VIR_ERR_SYSTEM_ERROR,
            libvirt.VIR_FROM_RPC,
            "Failed to connect socket to '/run/user/1000/libvirt/virtlogd-sock': No such file",
            True,
            OperationError,
            "systemctl start virtlogd",
        ),
        (
            libvirt.VIR_ERR_SYSTEM_ERROR,
            libvirt.VIR_FROM_RPC,
            "Cannot write data: Broken pipe",
            False,
            UnreachableError,
            "",
        ),
        (
            libvirt.VIR_ERR_RPC,
            libvirt.VIR_FROM_RPC,
            "the server has gone",
            True,
            UnreachableError,
            "",
        ),
        (
            libvirt.VIR_ERR_OPERATION_INVALID,
            libvirt.VIR_FROM_NETWORK,
            "Requested operation is not valid: network 'default' is not active",
            True,
            StateError,
            "virsh -c test:///default net-start default",
        ),
    ],
)
def test_only_errors_of_the_connection_itself_are_told_as_its_loss(  # noqa: PLR0917
    code: int, domain: int, message: str, alive: bool, kind: type[VmtuiError], hint: str
) -> None:
    error = libvirt.libvirtError(message)
    error.err = (code, domain, message, 2, "", None, None, -1, -1)
    told = translated(error, "start web", "test:///default", alive=alive)
    assert type(told) is kind
    assert hint in told.hint
