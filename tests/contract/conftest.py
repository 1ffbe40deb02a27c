"""The cases, each as a fixture, and a backend of the case that is asked for."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.cases import CASES, BackendCase, wiped
from vmtui.backends.base import Backend
from vmtui.backends.demo import DemoBackend
from vmtui.backends.kvm.backend import KvmBackend
from vmtui.backends.kvm.store import Store
from vmtui.images import micro
from vmtui.spec import BLANK, MICRO, VMSpec
from vmtui.units import MIB

if TYPE_CHECKING:
    from tests.contract.daemon import PrivateLibvirtd, SystemLibvirtd

_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    """A VM's name that nobody else uses."""
    return f"contract-{next(_numbers)}"


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> BackendCase:
    """Each backend in turn."""
    found: BackendCase = request.getfixturevalue(f"{request.param}_case")
    return found


@pytest.fixture
async def backend(case: BackendCase) -> AsyncIterator[Backend]:
    """Open; what the test leaves is removed."""
    opened = case.connect(False)
    await opened.open()
    before = {vm.id for vm in await opened.vms()}
    try:
        yield opened
    finally:
        await opened.close()
        await opened.open()
        for vm in await opened.vms():
            if vm.id not in before:
                await wiped(opened, vm.id)
        await opened.close()


def blank(name: str) -> VMSpec:
    """A VM with an empty disk, for what runs no guest."""
    return VMSpec(name, boot=BLANK, disk_bytes=8 * MIB)


def micro_with_disk(name: str) -> VMSpec:
    """The micro image with a disk of its own."""
    return VMSpec(name, boot=MICRO, memory_bytes=160 * MIB, disk_bytes=8 * MIB)


@pytest.fixture
def demo_case() -> BackendCase:
    """The fleet in memory. Each client has its own; a read-only one has the same cast."""
    return BackendCase(
        lambda read_only: DemoBackend("demo:", read_only=read_only), blank, shares_vms=False
    )


@pytest.fixture
def test_driver_case() -> Iterator[BackendCase]:
    """libvirt's driver for tests: all in this process, and only while someone is connected."""
    libvirt = pytest.importorskip("libvirt")
    from vmtui.backends.libvirt.backend import LibvirtBackend
    from vmtui.backends.libvirt.threads import start_event_loop

    start_event_loop()
    keeper = libvirt.open("test:///default")
    yield BackendCase(
        lambda read_only: LibvirtBackend("test:///default", read_only=read_only), blank
    )
    keeper.close()


@pytest.fixture(scope="session")
def micro_image() -> None:
    """The micro image is built before a test's clock runs."""
    asyncio.run(micro.ensure())


def _daemon_case(daemon: PrivateLibvirtd) -> BackendCase:
    from vmtui.backends.libvirt.backend import LibvirtBackend

    def paths_left() -> set[str]:
        return {
            str(path)
            for folder in (daemon.images, daemon.places.logs)
            if folder is not None and folder.exists()
            for path in folder.iterdir()
            # Kernels are shared; QEMU's log is libvirt's own record and stays.
            if (not path.name.startswith("vmtui-micro-") and "-console" in path.name)
            or path.suffix == ".qcow2"
        }

    return BackendCase(
        lambda read_only: LibvirtBackend(daemon.uri, read_only=read_only, places=daemon.places),
        micro_with_disk,
        has_real_guest=True,
        paths_left=paths_left,
        outside=daemon.outside,
    )


@pytest.fixture
def kvm_case(micro_image: None) -> Iterator[BackendCase]:
    """The direct backend with real QEMU, on a store of its own."""
    # Not tmp_path: the path of a socket may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="vmtui-") as folder:
        root = Path(folder)

        def paths_left() -> set[str]:
            # The definition is the VM itself; a deletion names what else goes.
            return {
                str(path)
                for path in (root / "vms").rglob("*")
                if path.is_file() and path.name not in (".lock", "vm.toml")
            }

        yield BackendCase(
            lambda read_only: KvmBackend(
                store=Store(root / "vms", root / "run"), read_only=read_only
            ),
            micro_with_disk,
            has_real_guest=True,
            paths_left=paths_left,
        )
        assert [path.name for path in (root / "vms").iterdir() if path.name != ".lock"] == []
        assert list((root / "run").iterdir()) == []


@pytest.fixture
def session_case(libvirtd: PrivateLibvirtd, micro_image: None) -> BackendCase:
    """`qemu:///session` with real QEMU."""
    return _daemon_case(libvirtd)


@pytest.fixture
def system_case(system_libvirtd: SystemLibvirtd, micro_image: None) -> BackendCase:
    """`qemu:///system` with real QEMU."""
    return _daemon_case(system_libvirtd)
